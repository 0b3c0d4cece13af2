import { changeLines } from '../declared/change-lines.ts';
import { formatTable } from '../terminal/table.ts';

/** What would become of access, as the server says. */
export interface AccessPlanText {
  readonly changes: readonly {
    readonly name: string;
    readonly action: string;
    readonly differences: readonly string[];
  }[];
  readonly warnings: readonly string[];
  readonly locksOut: boolean;
}

/** For a terminal: each text with the lines that differ. */
export function formatAccessPlan({ changes, locksOut }: AccessPlanText): string {
  const acting = changes.filter(({ action }) => action !== 'unchanged');
  const notes = locksOut ? [LOCKS_OUT] : [];
  if (acting.length === 0) return ['Nothing to change.', ...notes].join('\n');
  const [heading = '', ...rows] = formatTable(
    ['', 'name', 'change'],
    acting.map(({ name, action }) => [SIGNS[action] ?? action, name, action]),
  ).split('\n');
  const lines = acting.flatMap((change, index) => [
    rows[index] ?? '',
    ...changeLines({ ...change, kind: 'Policy' }, '     '),
  ]);
  return [heading, ...lines, ...notes].join('\n');
}

const LOCKS_OUT = 'Nobody but the operator socket could change access again: --allow-lock-out applies it all the same.';
const SIGNS: Readonly<Record<string, string>> = { create: '+', update: '~', delete: '-' };
