import type { LedgerWriter } from '../ledger/index.ts';
import type { LedgerEvent } from '../model/index.ts';

/** Hears what became of events: their last sequence number once they are written, or why they are not. */
export interface Recorded {
  written(sequence: number): void;
  /** None of these events is in the ledger; `error` is a LedgerError. */
  refused(error: unknown): void;
}

/**
 * One write for everything that all sessions record while the event loop goes once around: a write costs the same for ten entries
 * as for one, and what waits for it (requests to targets, answers to clients) then leaves back to back. Nobody waits longer than
 * until the sockets that were ready have been read.
 */
export interface LedgerTurn {
  /** All of the events or none, in the order of the calls. `recorded` is called before anything else is read from any socket. */
  add(events: readonly LedgerEvent[], recorded: Recorded): void;
  /** Writes what is waiting now. Whatever is appended by another way must call this first, to keep the order. */
  flush(): void;
}

/** Creates the turn of one ledger. `endOfTurn` calls back once what is ready in this turn of the event loop has been dealt with. */
export function createLedgerTurn(deps: {
  readonly ledger: Pick<LedgerWriter, 'appendAll'>;
  readonly endOfTurn?: (run: () => void) => void;
}): LedgerTurn {
  const { ledger, endOfTurn = setImmediate } = deps;
  let waiting: Waiting[] = [];
  const flush = () => {
    if (waiting.length === 0) return;
    const batch = waiting;
    waiting = [];
    const results = writeTogether(ledger, batch) ?? writeApart(ledger, batch);
    for (const [i, { recorded }] of batch.entries()) {
      const result = results[i];
      if (typeof result === 'number') recorded.written(result);
      else recorded.refused(result?.error);
    }
  };
  return {
    add(events, recorded) {
      if (waiting.length === 0) endOfTurn(flush);
      waiting.push({ events, recorded });
    },
    flush,
  };
}

interface Waiting {
  readonly events: readonly LedgerEvent[];
  readonly recorded: Recorded;
}

type Result = number | { readonly error: unknown };

/** Undefined when the ledger does not take them as one: then none was written. */
function writeTogether(ledger: Pick<LedgerWriter, 'appendAll'>, batch: readonly Waiting[]): Result[] | undefined {
  if (batch.length === 1) return undefined;
  try {
    let sequence = ledger.appendAll(batch.flatMap(({ events }) => events)) - 1;
    return batch.map(({ events }) => (sequence += events.length));
  } catch {
    // Too large together, or one of them can't be written: each then hears of its own failure.
    return undefined;
  }
}

/** Outcomes first: room is kept for those, and writing them makes room. */
function writeApart(ledger: Pick<LedgerWriter, 'appendAll'>, batch: readonly Waiting[]): Result[] {
  const results: Result[] = batch.map(() => 0);
  const write = ({ events }: Waiting): Result => {
    try {
      return ledger.appendAll(events) + events.length - 1;
    } catch (error) {
      return { error };
    }
  };
  const isOutcome = ({ events }: Waiting) => events[0]?.kind === 'outcome';
  for (const [i, one] of batch.entries()) if (isOutcome(one)) results[i] = write(one);
  for (const [i, one] of batch.entries()) if (!isOutcome(one)) results[i] = write(one);
  return results;
}
