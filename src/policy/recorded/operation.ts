import type { Asked, EntityRef } from '../../model/index.ts';

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
  readonly asked: readonly RecordedAsked[];
  /** False for what was refused, by policy or for another reason. */
  readonly isAllowed: boolean;
}

/** A question, with the answer of then. */
export interface RecordedAsked extends Asked {
  /** The entry does not say which masks are NULL inside of expressions. */
  readonly isDerivedUntold?: true;
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

/** One of them. */
export function occurrenceOf({ timeMs, sequence }: Pick<RecordedOperation, 'timeMs' | 'sequence'>): Occurrences {
  return { count: 1, firstMs: timeMs, lastMs: timeMs, lastSequence: sequence };
}

/** All of both. */
export function joinOccurrences(before: Occurrences | undefined, more: Occurrences): Occurrences {
  if (before === undefined) return more;
  return {
    count: before.count + more.count,
    firstMs: Math.min(before.firstMs, more.firstMs),
    lastMs: Math.max(before.lastMs, more.lastMs),
    lastSequence: Math.max(before.lastSequence, more.lastSequence),
  };
}
