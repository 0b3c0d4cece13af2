import type { LedgerEntry } from '../ledger/index.ts';

/** What one act of an operator did to policies. */
export interface ChangeOfPolicies {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly actor: string;
  /** `create shop`, `update shop`, `delete shop`. */
  readonly changes: readonly string[];
  /** Lines of texts that changed, as the plan showed them; older versions of the server have not kept them. */
  readonly differences: readonly string[];
}

/** Undefined for an entry of anything else: of acts that were asked for, that failed, or that left all policies as they were. */
export function changeOfPolicies({ seq, timeMs, actor, action, detail }: LedgerEntry): ChangeOfPolicies | undefined {
  if (action !== 'Apply' || detail['step'] !== 'done') return undefined;
  const changes = textsOf(detail['changes']).flatMap((change) => {
    const [, verb, name] = /^(create|update|delete) Policy\/(.+)$/.exec(change) ?? [];
    return verb === undefined || name === undefined ? [] : [`${verb} ${name}`];
  });
  if (changes.length === 0) return undefined;
  return { seq, timeMs, actor, changes, differences: textsOf(detail['differences']) };
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
