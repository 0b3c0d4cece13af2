import type { ReactNode } from 'react';

/**
 * A text of a stranger for people: what steers how text is shown, as control characters and changes of direction do, is named instead of done.
 */
export function shownText(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (char) => `⟨U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}

/** A value as it is: a name, an identity, a statement. `wrap`: over several lines, else it is cut where there is no room, and whole in its title. */
export function Mono({ children, wrap = false }: { readonly children: string; readonly wrap?: boolean }) {
  const text = shownText(children);
  return (
    <bdi
      className={`font-mono text-[0.92em] ${wrap ? 'break-words whitespace-pre-wrap' : 'block truncate'}`}
      title={wrap ? undefined : text}
    >
      {text}
    </bdi>
  );
}

export type Tone = 'plain' | 'good' | 'warn' | 'danger' | 'accent';

/** A word that says a state. It says it in words: colour alone tells nobody anything. */
export function Badge({ tone = 'plain', children }: { readonly tone?: Tone; readonly children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center rounded px-1.5 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}

/** Names and what they are; what is undefined is left out. */
export function Facts({ of }: { readonly of: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-[minmax(6rem,max-content)_1fr] gap-x-4 gap-y-1 text-sm">
      {of.map(([name, value]) =>
        value === undefined || value === null || value === '' ? null : (
          <div key={name} className="contents">
            <dt className="text-soft">{name}</dt>
            <dd className="min-w-0">{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

const TONES: Readonly<Record<Tone, string>> = {
  plain: 'bg-hover text-soft',
  good: 'bg-good-wash text-good',
  warn: 'bg-warn-wash text-warn',
  danger: 'bg-danger-wash text-danger',
  accent: 'bg-selected text-accent',
};
