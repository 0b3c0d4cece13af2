import { Dialog } from '@base-ui/react/dialog';
import { useNavigate } from '@tanstack/react-router';
import { type KeyboardEvent, useId, useState } from 'react';
import { shortcuts } from '../ui/index.ts';
import { pages } from './pages.ts';

interface Act {
  readonly title: string;
  readonly keys?: string | undefined;
  readonly words?: string | undefined;
  readonly run: () => void;
}

/** Everything by its name: pages, what the page in sight can do, and a search of the record for what was typed. */
export function CommandPalette({
  open,
  onClose,
  acts,
}: {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly acts: readonly Act[];
}) {
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-50 bg-shade" />
        <Dialog.Popup className="fixed top-[10vh] left-1/2 z-50 w-[min(36rem,calc(100vw-1rem))] -translate-x-1/2 overflow-hidden rounded-lg border border-line bg-raised shadow-2xl">
          <Dialog.Title className="sr-only">Go anywhere, do anything</Dialog.Title>
          <Choice acts={acts} onClose={onClose} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Choice({ acts, onClose }: { readonly acts: readonly Act[]; readonly onClose: () => void }) {
  const id = useId();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const found = useFound(text, acts);
  const chosen = Math.min(at, found.length - 1);
  const pick = (act: Act | undefined) => {
    if (act === undefined) return;
    onClose();
    act.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(found.length - 1, chosen + 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(0, chosen - 1));
    else if (event.key === 'Enter') pick(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found.length === 0 ? undefined : `${id}-${chosen}`}
        aria-label="What do you look for?"
        placeholder="A page, an act, or an identity, target or session to find in the record"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        className="w-full border-b border-line bg-transparent px-4 py-3 outline-none placeholder:text-soft"
      />
      <div role="listbox" id={`${id}-list`} aria-label="Found" className="max-h-[50vh] overflow-y-auto py-1">
        {found.map((act, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys, and says which is chosen
          <div
            key={act.title}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => pick(act)}
            onMouseMove={() => setAt(index)}
            className={`flex items-center gap-2 px-4 py-1.5 text-sm ${index === chosen ? 'bg-selected' : ''}`}
          >
            <span className="min-w-0 grow truncate">{act.title}</span>
            {act.keys === undefined ? null : <kbd className="text-xs text-soft">{act.keys}</kbd>}
          </div>
        ))}
        {found.length === 0 ? <p className="px-4 py-3 text-sm text-soft">Nothing has that name.</p> : null}
      </div>
    </>
  );
}

function useFound(text: string, acts: readonly Act[]): readonly Act[] {
  const navigate = useNavigate();
  const ofPage = shortcuts.use();
  const asked = text.trim();
  const all: Act[] = [
    ...pages
      .filter(({ path }) => !path.includes('$'))
      .map(({ title, path, words, place }) => ({
        ...{ title, words, keys: place === undefined ? undefined : `g ${place.key}` },
        run: () => void navigate({ to: path }),
      })),
    ...acts,
    ...ofPage.filter(({ keys }) => !keys.startsWith('g ') && !/^(?:Mod\+k|\?|t)$/.test(keys)),
  ];
  const parts = asked.toLowerCase().split(/\s+/);
  const named = all.filter(({ title, words = '' }) => {
    const hay = `${title} ${words}`.toLowerCase();
    return parts.every((part) => hay.includes(part));
  });
  return asked === ''
    ? named
    : [...named, ...searches(asked, (search) => void navigate({ to: '/record', search: search as never }))];
}

/** What a text may be, by how it is written. */
function searches(text: string, go: (search: Readonly<Record<string, string>>) => void): readonly Act[] {
  const fields =
    text.startsWith('spiffe://') || text.startsWith('/')
      ? ['identity', 'node']
      : ['identity', 'target', 'object', 'session'];
  return fields.map((field) => ({
    title: `Record: entries with the ${field} ${text}`,
    run: () => go({ [field]: text }),
  }));
}
