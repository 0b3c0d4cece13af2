import { Dialog } from '@base-ui/react/dialog';
import { IconButton, shortcuts, singleKeys } from '../ui/index.ts';

/** All keys that do something here. */
export function KeyboardHelp({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }) {
  const all = shortcuts.use();
  const chosen = singleKeys.use();
  const rows = [...all.map(({ keys, title }) => [keys, title] as const), ...OF_LISTS];
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-50 bg-shade" />
        <Dialog.Popup className="fixed top-[8vh] left-1/2 z-50 flex max-h-[84vh] w-[min(30rem,calc(100vw-1rem))] -translate-x-1/2 flex-col rounded-lg border border-line bg-raised shadow-2xl">
          <div className="flex items-center border-b border-line px-4 py-2">
            <Dialog.Title className="grow text-base">Keys</Dialog.Title>
            <Dialog.Close render={<IconButton icon="close" label="Close" />} />
          </div>
          <section aria-label="All keys" tabIndex={0} className="min-h-0 overflow-y-auto px-4 py-3">
            <dl className="grid grid-cols-[max-content_1fr] gap-x-4 gap-y-1.5 text-sm">
              {rows.map(([keys, title]) => (
                <div key={`${keys} ${title}`} className="contents">
                  <dt>
                    <kbd className="rounded border border-line bg-page px-1.5 py-0.5 font-mono text-xs">
                      {keys.replace('Mod', 'Ctrl/⌘')}
                    </kbd>
                  </dt>
                  <dd>{title}</dd>
                </div>
              ))}
            </dl>
            <label className="mt-4 flex items-center gap-2 text-sm">
              <input
                type="checkbox"
                checked={chosen === 'on'}
                onChange={(event) => singleKeys.set(event.target.checked ? 'on' : 'off')}
                className="size-4 accent-accent"
              />
              Keys without Ctrl do something
            </label>
          </section>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

const OF_LISTS = [
  ['j k ↓ ↑', 'In a list: the next, the one before'],
  ['Enter', 'In a list: open it'],
  ['x', 'In a list: select it'],
  ['Esc', 'Close what is open'],
] as const;
