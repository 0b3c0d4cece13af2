import { type ComponentPropsWithRef, useState } from 'react';
import { Icon, type IconName } from './icon.tsx';

type Kind = 'plain' | 'primary' | 'danger' | 'quiet';

/** Does something. `kind` danger: what it does is not easily undone. */
export function Button({
  kind = 'plain',
  className = '',
  ...props
}: ComponentPropsWithRef<'button'> & { readonly kind?: Kind }) {
  return (
    <button
      type="button"
      {...props}
      className={`inline-flex min-h-8 items-center justify-center gap-1.5 rounded-md px-3 py-1 text-sm font-medium disabled:cursor-not-allowed disabled:opacity-50 ${KINDS[kind]} ${className}`}
    />
  );
}

/** One without a word on it. */
export function IconButton({
  icon,
  label,
  ...props
}: Omit<ComponentPropsWithRef<'button'>, 'children'> & { readonly icon: IconName; readonly label: string }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...props}
      className="inline-flex size-8 items-center justify-center rounded-md text-soft hover:bg-hover hover:text-ink"
    >
      <Icon name={icon} />
    </button>
  );
}

/** A command that somebody may take along to a terminal. */
export function CommandText({ children }: { readonly children: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard.writeText(children).then(
      () => setCopied(true),
      () => setCopied(false), // A browser may refuse; the text can still be marked.
    );
  };
  return (
    <span className="inline-flex max-w-full items-center gap-1 rounded-md border border-line bg-page py-0.5 pr-0.5 pl-2">
      <code className="min-w-0 font-mono text-[0.92em] break-words whitespace-pre-wrap">{children}</code>
      <IconButton icon={isCopied ? 'check' : 'copy'} label={isCopied ? 'Copied' : 'Copy the command'} onClick={copy} />
    </span>
  );
}

const KINDS: Readonly<Record<Kind, string>> = {
  plain: 'border border-edge/60 bg-surface text-ink hover:bg-hover',
  primary: 'bg-accent text-on-accent hover:opacity-90',
  danger: 'bg-danger text-on-danger hover:opacity-90',
  quiet: 'text-soft hover:bg-hover hover:text-ink',
};
