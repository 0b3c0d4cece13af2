import type { ReactNode } from 'react';
import { Button, CommandText } from './button.tsx';

/** Where there is nothing yet: what would be here, and what brings the first. */
export function EmptyState({
  title,
  children,
  command,
  action,
}: {
  readonly title: string;
  readonly children?: ReactNode;
  /** What a terminal would be told next. */
  readonly command?: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}) {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-3 px-4 py-12 text-center">
      <h2 className="text-base">{title}</h2>
      {children === undefined ? null : <div className="text-sm text-soft">{children}</div>}
      {command === undefined ? null : <CommandText>{command}</CommandText>}
      {action === undefined ? null : <Button onClick={action.run}>{action.label}</Button>}
    </div>
  );
}

/** A failure, with its code, what to do, and by what the server's log knows it. */
export function ErrorPanel({
  problem,
  onRetry,
}: {
  readonly problem: {
    readonly title: string;
    readonly remedy: string;
    readonly code: string;
    readonly request: string;
    readonly fields: readonly { readonly path: string; readonly message: string }[];
  };
  readonly onRetry?: () => void;
}) {
  const { title, remedy, code, request, fields } = problem;
  return (
    <div role="alert" className="my-2 rounded-md border border-danger/40 bg-danger-wash px-4 py-3 text-sm">
      <p className="font-medium text-danger">{title}</p>
      {fields.length === 0 ? null : (
        <ul className="mt-1 list-disc pl-5">
          {fields.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              <code className="font-mono">{path}</code>: {message}
            </li>
          ))}
        </ul>
      )}
      {remedy === '' ? null : <p className="mt-1">{remedy}</p>}
      {code === '' ? null : (
        <p className="mt-1 text-xs text-soft">
          <code className="font-mono">{code}</code>
          {request === '' ? null : ` · request ${request}`}
        </p>
      )}
      {onRetry === undefined ? null : (
        <Button className="mt-2" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Room for what is on its way: it takes as much as what comes, so that nothing jumps. */
export function Loading({ rows = 6 }: { readonly rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="flex flex-col gap-2 py-2">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
        <div key={row} className="h-8 animate-pulse rounded bg-hover" />
      ))}
    </div>
  );
}
