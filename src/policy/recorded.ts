import type { Asked, EntityRef } from '../model/index.ts';

/** An operation, or the opening of a session, as a ledger has it: all that policy was asked, and what it answered. */
export interface RecordedOperation {
  readonly principal: EntityRef;
  /** The verb that an auditor looks for. */
  readonly action: string;
  /** Equal for operations that differ in values only. */
  readonly shape: string;
  /** Where it stands in its ledger. */
  readonly sequence: number;
  /** When policy was asked, epoch milliseconds. */
  readonly timeMs: number;
  readonly asked: readonly Asked[];
  /** False for what was refused, by policy or for another reason. */
  readonly isAllowed: boolean;
}

/** Evidence of several operations that have something in common. */
export interface Occurrences {
  readonly count: number;
  /** Epoch milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The newest of them. */
  readonly lastSequence: number;
}

/** One more. */
export function countIn(
  before: Occurrences | undefined,
  { timeMs, sequence }: Pick<RecordedOperation, 'timeMs' | 'sequence'>,
): Occurrences {
  if (before === undefined) return { count: 1, firstMs: timeMs, lastMs: timeMs, lastSequence: sequence };
  const { count, firstMs, lastMs, lastSequence } = before;
  return {
    count: count + 1,
    firstMs: Math.min(firstMs, timeMs),
    lastMs: Math.max(lastMs, timeMs),
    lastSequence: Math.max(lastSequence, sequence),
  };
}

/** Whether an answer lets the operation pass, as far as that question goes: of what is asked for its forbids, nothing has to permit it. */
export function passes({ decision, forbidsOnly }: Omit<Asked, 'question'>): boolean {
  return decision.allow || (forbidsOnly === true && decision.reason === 'no-permit');
}
