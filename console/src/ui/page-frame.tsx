import { type ReactNode, useEffect } from 'react';

/** A page: its name, what can be done, and the rest. `fill`: the rest scrolls by itself, as long lists do. */
export function PageFrame({
  title,
  note,
  actions,
  children,
}: {
  readonly title: string;
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Countersign`;
  }, [title]);
  return (
    <div className="flex min-h-0 grow flex-col px-3 pb-3 sm:px-6">
      <header className="flex flex-wrap items-center gap-x-3 gap-y-2 py-3">
        <h1 className="text-lg">{title}</h1>
        <div className="min-w-0 grow text-sm text-soft">{note}</div>
        {actions === undefined ? null : <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** A part of a page with a name of its own. */
export function Panel({
  title,
  actions,
  children,
}: {
  readonly title: string;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section aria-label={title} className="min-w-0 rounded-lg border border-line bg-surface">
      <header className="flex items-center gap-2 border-b border-line px-4 py-2">
        <h2 className="grow text-sm">{title}</h2>
        {actions}
      </header>
      <div className="px-4 py-3">{children}</div>
    </section>
  );
}
