import type { LedgerEntry } from '../../ledger/index.ts';

/** What one act of an operator did to policies. */
export interface ChangeOfPolicies {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly actor: string;
  /** The person, where the entry says who that was. */
  readonly operator?: string;
  readonly changes: readonly PolicyChange[];
  /** What was left out of their differences: an entry has not room for everything. */
  readonly leftOut: readonly string[];
}

/** What became of the policies of one name. */
export interface PolicyChange {
  readonly name: string;
  readonly action: 'create' | 'update' | 'delete';
  /** Lines of texts that changed, as the plan showed them; older versions of the server have not kept them. */
  readonly differences: readonly string[];
}

/** Undefined for an entry of anything else: of acts that were asked for, that failed, or that left all policies as they were. */
export function changeOfPolicies({ seq, timeMs, actor, action, detail }: LedgerEntry): ChangeOfPolicies | undefined {
  if (action !== 'Apply' || detail['step'] !== 'done') return undefined;
  const lines = textsOf(detail['differences']);
  const changes = textsOf(detail['changes']).flatMap((change): PolicyChange[] => {
    const [, action, name = ''] = /^(create|update|delete) Policy\/(.+)$/.exec(change) ?? [];
    if (!isAction(action)) return [];
    const own = `${name}: `;
    const differences = lines.filter((line) => line.startsWith(own)).map((line) => line.slice(own.length));
    return [{ name, action, differences }];
  });
  if (changes.length === 0) return undefined;
  const { operator } = detail;
  const person = typeof operator === 'string' ? { operator } : {};
  return { seq, timeMs, actor, ...person, changes, leftOut: lines.filter((line) => line.startsWith('… ')) };
}

function isAction(text: string | undefined): text is PolicyChange['action'] {
  return text === 'create' || text === 'update' || text === 'delete';
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
