import { Toast } from '@base-ui/react/toast';
import { IconButton } from './button.tsx';

/** Says that something was done, or was not. What has to be acted on is no toast. */
export function toast(
  title: string,
  options: { readonly description?: string; readonly tone?: 'good' | 'danger' } = {},
): void {
  const { description, tone = 'good' } = options;
  manager.add({ title, description, type: tone, priority: tone === 'danger' ? 'high' : 'low' });
}

/** Where they are shown. */
export function ToastRegion() {
  return (
    <Toast.Provider toastManager={manager} timeout={7000}>
      <Toast.Portal>
        <Toast.Viewport className="fixed right-3 bottom-3 z-60 flex w-[min(24rem,calc(100vw-1.5rem))] flex-col gap-2">
          <Toasts />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Toasts() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((one) => (
    <Toast.Root
      key={one.id}
      toast={one}
      className={`flex items-start gap-2 rounded-md border bg-raised px-3 py-2 text-sm shadow-lg ${one.type === 'danger' ? 'border-danger' : 'border-line'}`}
    >
      <Toast.Content className="min-w-0 grow">
        <Toast.Title className="font-medium" />
        <Toast.Description className="text-soft" />
      </Toast.Content>
      <Toast.Close render={<IconButton icon="close" label="Dismiss" />} />
    </Toast.Root>
  ));
}

const manager = Toast.createToastManager();
