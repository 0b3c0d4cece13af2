import { Dialog } from '@base-ui/react/dialog';
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { IconButton, timeStyle, useShortcut } from '../ui/index.ts';
import { CallerMenu } from './caller-menu.tsx';
import { CommandPalette } from './command-palette.tsx';
import { KeyboardHelp } from './keyboard-help.tsx';
import mark from './mark.svg';
import { navigation } from './pages.ts';

/** What is around every page: where one can go, who one is, and the keys for both. */
export function Shell() {
  const [opened, setOpened] = useState<'palette' | 'help' | 'menu'>();
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever has gone somewhere is done with the menu
  useEffect(() => setOpened(undefined), [pathname]);
  const close = () => setOpened(undefined);
  const toggleTimes = () => timeStyle.set(timeStyle.value() === 'relative' ? 'absolute' : 'relative');
  useShortcut('Mod+k', 'Go anywhere, do anything', () => setOpened('palette'), { inDialogs: true });
  useShortcut('?', 'Show all keys', () => setOpened('help'));
  useShortcut('t', 'Show times as they are, or how long ago', toggleTimes);
  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a
        href="#main"
        className="sr-only z-50 rounded bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        To the page
      </a>
      <PageKeys />
      <header className="flex items-center gap-1 border-b border-line bg-surface px-2 py-1.5 md:hidden">
        <IconButton icon="menu" label="Menu" onClick={() => setOpened('menu')} />
        <Brand />
        <span className="grow" />
        <IconButton icon="search" label="Go anywhere (Ctrl+K)" onClick={() => setOpened('palette')} />
        <CallerMenu />
      </header>
      <aside className="hidden w-52 shrink-0 flex-col border-r border-line bg-surface md:flex">
        <div className="flex items-center gap-1 px-3 py-2.5">
          <Brand />
          <span className="grow" />
          <IconButton icon="search" label="Go anywhere (Ctrl+K)" onClick={() => setOpened('palette')} />
        </div>
        <Navigation />
        <div className="flex items-center gap-1 border-t border-line px-2 py-1.5">
          <CallerMenu />
          <span className="grow" />
          <IconButton icon="clock" label="Times as they are, or how long ago (t)" onClick={toggleTimes} />
          <IconButton icon="help" label="All keys (?)" onClick={() => setOpened('help')} />
        </div>
      </aside>
      <main id="main" tabIndex={-1} className="flex min-h-0 min-w-0 grow flex-col overflow-y-auto outline-none">
        <Outlet />
      </main>
      <Dialog.Root open={opened === 'menu'} onOpenChange={(isOpen) => !isOpen && close()}>
        <Dialog.Portal>
          <Dialog.Backdrop className="fixed inset-0 z-30 bg-shade" />
          <Dialog.Popup className="fixed inset-y-0 left-0 z-40 flex w-64 flex-col border-r border-line bg-surface">
            <div className="flex items-center px-3 py-2">
              <Dialog.Title className="grow text-base">Countersign</Dialog.Title>
              <Dialog.Close render={<IconButton icon="close" label="Close the menu" />} />
            </div>
            <Navigation />
          </Dialog.Popup>
        </Dialog.Portal>
      </Dialog.Root>
      <CommandPalette
        open={opened === 'palette'}
        onClose={close}
        acts={[
          { title: 'Show all keys', keys: '?', run: () => setOpened('help') },
          { title: 'Show times as they are, or how long ago', keys: 't', run: toggleTimes },
        ]}
      />
      <KeyboardHelp open={opened === 'help'} onClose={close} />
    </div>
  );
}

function Brand() {
  return (
    <Link to="/" className="flex items-center gap-2 rounded font-semibold">
      <img src={mark} alt="" width={20} height={20} />
      Countersign
    </Link>
  );
}

function Navigation() {
  return (
    <nav aria-label="Pages" className="min-h-0 grow overflow-y-auto px-2 pb-3">
      {navigation.map(({ group, pages }) =>
        pages.length === 0 ? null : (
          <div key={group} className="pt-2">
            <p className="px-2 pb-1 text-xs font-medium text-soft">{group}</p>
            <ul>
              {pages.map(({ path, title, place }) => (
                <li key={path}>
                  <Link
                    to={path}
                    activeOptions={{ exact: path === '/', includeSearch: false }}
                    className="flex items-center justify-between rounded-md px-2 py-1.5 text-sm hover:bg-hover"
                    activeProps={{ className: 'bg-selected font-medium text-accent', 'aria-current': 'page' }}
                  >
                    {title}
                    <kbd className="hidden text-xs text-soft md:inline">g {place.key}</kbd>
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ),
      )}
    </nav>
  );
}

/** `g` and the key of a page lead there. */
function PageKeys() {
  return navigation.flatMap(({ pages }) =>
    pages.map(({ path, title, place }) => <PageKey key={path} path={path} title={title} letter={place.key} />),
  );
}

function PageKey({ path, title, letter }: { readonly path: string; readonly title: string; readonly letter: string }) {
  const navigate = useNavigate();
  useShortcut(`g ${letter}`, `Go to ${title}`, () => void navigate({ to: path }));
  return null;
}
