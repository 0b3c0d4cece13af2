import { type LedgerWriter, operationKey } from '../../ledger/index.ts';
import type { LedgerEvent } from '../../model/index.ts';

/**
 * Hears what became of events: their last sequence number once they are written, or why they are not. An outcome whose intent was refused in
 * the same turn is left out, since nothing happened that it could tell of; the number is -1 when nothing else was to be written.
 */
export interface Recorded {
  written(sequence: number): void;
  /** None of these events is in the ledger; `error` is a LedgerError. */
  refused(error: unknown): void;
}

/**
 * One write for everything that all sessions record while the event loop goes once around: a write costs the same for ten entries
 * as for one, and what waits for it (requests to targets, answers to clients) then leaves back to back. Nobody waits longer than
 * until the sockets that were ready have been read; a session that has had no company for some turns not even that long.
 */
export interface LedgerBatch {
  /** All of the events or none, in the order of the calls. `recorded` is called before anything else is read from any socket. */
  add(events: readonly LedgerEvent[], recorded: Recorded): void;
  /** Writes what is waiting now. Whatever is appended by another way must call this first, to keep the order. */
  flush(): void;
}

/**
 * Creates the batch of one ledger. `endOfTurn` calls back once what is ready in this turn of the event loop has been dealt with, `endOfRead`
 * once what came by one socket has been.
 */
export function createLedgerBatch(deps: {
  readonly ledger: Pick<LedgerWriter, 'appendAll'>;
  readonly endOfTurn?: (run: () => void) => void;
  readonly endOfRead?: (run: () => void) => void;
}): LedgerBatch {
  const { ledger, endOfTurn = setImmediate, endOfRead = queueMicrotask } = deps;
  const company = createCompany();
  let waiting: Waiting[] = [];
  let events: LedgerEvent[] = [];
  const flush = () => {
    if (waiting.length === 0) return;
    const batch = waiting;
    const all = events;
    waiting = [];
    events = [];
    const first = writeTogether(ledger, all);
    if (first !== undefined) for (const { end, recorded } of batch) recorded.written(first + end - 1);
    else writeApart(ledger, all, batch);
  };
  return {
    add(more, recorded) {
      const isAlone = company.isAlone(more[0]?.session);
      if (waiting.length === 0) (isAlone ? endOfRead : endOfTurn)(flush);
      const start = events.length;
      for (const event of more) events.push(event);
      waiting.push({ start, end: events.length, recorded });
    },
    flush,
  };
}

/** Tells whether a session is the only one that records: then there is nobody to wait for. */
function createCompany() {
  let last: string | undefined;
  let inARow = 0;
  return {
    isAlone(session: string | undefined): boolean {
      inARow = session === last ? Math.min(inARow + 1, ALONE_AFTER) : 0;
      last = session;
      return inARow === ALONE_AFTER;
    },
  };
}

/** So often in a row: of eight sessions that are as busy, none ever gets there. */
const ALONE_AFTER = 16;

/** Whose events these are, from `start` up to `end` of all. */
interface Waiting {
  readonly start: number;
  readonly end: number;
  readonly recorded: Recorded;
}

/** The first one's sequence number; undefined when the ledger does not take them as one: then none was written. */
function writeTogether(ledger: Pick<LedgerWriter, 'appendAll'>, all: readonly LedgerEvent[]): number | undefined {
  try {
    return ledger.appendAll(all);
  } catch {
    // Too large together, or one of them can't be written: each then hears of its own failure.
    return undefined;
  }
}

/**
 * Outcomes first: room is kept for those, and writing them makes room. Not those whose intent is of this turn as well (a session that
 * ended as it began): an intent behind its outcome would be open for good. Told in the order of the calls all the same.
 */
function writeApart(
  ledger: Pick<LedgerWriter, 'appendAll'>,
  all: readonly LedgerEvent[],
  batch: readonly Waiting[],
): void {
  const results = new Map<Waiting, number | { readonly error: unknown }>();
  /** Operations whose intent the ledger did not take. */
  const neverBegun = new Set<string>();
  const write = (one: Waiting) => {
    const events = all
      .slice(one.start, one.end)
      .filter((event) => event.kind !== 'outcome' || !neverBegun.has(operationKey(event)));
    try {
      results.set(one, events.length === 0 ? -1 : ledger.appendAll(events) + events.length - 1);
    } catch (error) {
      results.set(one, { error });
      for (const event of events) if (event.kind === 'intent') neverBegun.add(operationKey(event));
    }
  };
  const begun = new Set(all.filter(({ kind }) => kind === 'intent').map(operationKey));
  const isOwed = ({ start, end }: Waiting) =>
    all.slice(start, end).every((event) => event.kind === 'outcome' && !begun.has(operationKey(event)));
  const owed = new Set(batch.filter(isOwed));
  for (const one of owed) write(one);
  for (const one of batch) if (!owed.has(one)) write(one);
  for (const one of batch) {
    const result = results.get(one);
    if (typeof result === 'number') one.recorded.written(result);
    else one.recorded.refused(result?.error);
  }
}
