import { Dialog } from '@base-ui/react/dialog';
import type { ReactNode } from 'react';
import { Button, IconButton } from './button.tsx';

/** What is looked at beside a list: at the right, and over everything where there is little room. Escape closes it. */
export function Drawer({
  title,
  open,
  onClose,
  actions,
  children,
}: {
  readonly title: ReactNode;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-30 bg-shade" />
        <Dialog.Popup className="fixed inset-y-0 right-0 z-40 flex w-full flex-col border-l border-line bg-raised shadow-xl sm:w-[min(44rem,92vw)]">
          <header className="flex items-center gap-2 border-b border-line px-4 py-2.5">
            <Dialog.Title className="min-w-0 grow truncate text-base">{title}</Dialog.Title>
            {actions}
            <Dialog.Close render={<IconButton icon="close" label="Close" />} />
          </header>
          {/* It scrolls, and so has to be reached by keyboard. */}
          <section aria-label="Details" tabIndex={0} className="min-h-0 grow overflow-y-auto px-4 py-3">
            {children}
          </section>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** What is asked before something is done that others feel. What it will do stands in it before the button. */
export function ConfirmDialog({
  title,
  open,
  onClose,
  children,
  confirm,
}: {
  readonly title: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** Undefined: there is nothing to confirm any more. */
  readonly confirm?: {
    readonly label: string;
    readonly busy: boolean;
    readonly disabled?: boolean;
    readonly run: () => void;
  };
}) {
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-50 bg-shade" />
        <Dialog.Popup className="fixed top-[8vh] left-1/2 z-50 flex max-h-[84vh] w-[min(40rem,calc(100vw-1rem))] -translate-x-1/2 flex-col rounded-lg border border-line bg-raised shadow-xl">
          <Dialog.Title className="border-b border-line px-4 py-3 text-base">{title}</Dialog.Title>
          <form
            className="flex min-h-0 flex-col"
            onSubmit={(event) => {
              event.preventDefault();
              if (confirm !== undefined && !confirm.busy && confirm.disabled !== true) confirm.run();
            }}
          >
            <section aria-label={title} tabIndex={0} className="min-h-0 overflow-y-auto px-4 py-3">
              {children}
            </section>
            <footer className="flex flex-wrap justify-end gap-2 border-t border-line px-4 py-3">
              <Dialog.Close render={<Button>{confirm === undefined ? 'Close' : 'Cancel'}</Button>} />
              {confirm === undefined ? null : (
                <Button kind="danger" type="submit" disabled={confirm.busy || confirm.disabled === true}>
                  {confirm.busy ? 'Working…' : confirm.label}
                </Button>
              )}
            </footer>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
