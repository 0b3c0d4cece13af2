import type { ReactNode } from 'react';
import { Badge, type Tone } from './text.tsx';

/** One thing that somebody should look at now, with the way there. */
export function AttentionItem({
  tone,
  word,
  title,
  children,
  action,
}: {
  readonly tone: Tone;
  readonly word: string;
  readonly title: ReactNode;
  readonly children?: ReactNode;
  readonly action?: ReactNode;
}) {
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 text-sm">
      <Badge tone={tone}>{word}</Badge>
      <span className="min-w-40 grow basis-60">
        <span className="font-medium">{title}</span>
        {children === undefined ? null : <span className="block text-soft">{children}</span>}
      </span>
      {action}
    </li>
  );
}
