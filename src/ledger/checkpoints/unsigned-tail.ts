import type { LedgerEntry } from '../contract.ts';

/**
 * What can honestly stand behind the last checkpoint. A writer signs before it takes anything, then at most a second apart, refuses
 * what is new when that fails for {@link UNSIGNED_MS_MAX}, and signs at its stop: so the tail that a crash leaves is of one life and
 * of a few seconds, and what later starts add to it, until one of them has signed, is their own entries.
 */
export interface TailCheck {
  /** Takes the last signed entry: behind a stop there is nothing but what the next start writes. */
  after(entry: LedgerEntry): void;
  /** Takes the next unsigned entry; says what is wrong once it, and those before, are more than a crash leaves. */
  take(entry: LedgerEntry): string | undefined;
}

/** Creates a {@link TailCheck} for the entries behind one checkpoint. */
export function createTailCheck(): TailCheck {
  let workMs = 0;
  let lastMs: number | undefined;
  let lifeEndedAt: number | undefined;
  return {
    after(entry) {
      if (isEdge(entry) && entry.action === 'stop') lifeEndedAt = entry.seq;
    },
    take(entry) {
      const isOwn = entry.kind === 'ledger' || isUnknownOutcome(entry);
      // What a server says of the ledgers of others is of this kind too, and ends nothing.
      if (isEdge(entry)) lifeEndedAt ??= entry.seq;
      if (lifeEndedAt !== undefined && !isOwn) {
        return `entry ${entry.seq} was taken after entry ${lifeEndedAt}, a start or a stop, and both of these sign before they go on`;
      }
      // Owed outcomes are taken for as long as they take to come.
      if (isOwn || entry.kind === 'outcome') return undefined;
      // A machine that slept, or a clock that was set, makes one long gap; work is made of short ones.
      if (lastMs !== undefined) workMs += Math.min(entry.timeMs - lastMs, GAP_MS_MAX);
      lastMs = entry.timeMs;
      if (workMs <= TAIL_MS_MAX) return undefined;
      return `up to entry ${entry.seq} they are of more than ${TAIL_MS_MAX / 1000} s of work, in which a checkpoint was signed each second or nothing was taken`;
    },
  };
}

/** The first or the last of a life. */
function isEdge({ kind, action }: LedgerEntry): boolean {
  return kind === 'ledger' && (action === 'start' || action === 'stop');
}

function isUnknownOutcome({ kind, detail }: LedgerEntry): boolean {
  return kind === 'outcome' && detail['status'] === 'unknown';
}

/** For how long entries are taken while no checkpoint can be signed: over what a busy disk or machine delays one by. */
export const UNSIGNED_MS_MAX = 20_000;
/** Half as much again: entries' times are those of the wall clock, which is slewed and set. */
const TAIL_MS_MAX = 30_000;
const GAP_MS_MAX = 1000;
