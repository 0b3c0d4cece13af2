import { type Clock, type Random, throwIfAborted } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';
import { createMatcher, type RecordFilter } from '../search/filter.ts';
import type { RecordEntry } from '../search/search.ts';
import { formatStand, type Mark, parseStand, readMark, type Stand } from './marks.ts';
import { type ReadEntry, readSpans, type Span, spansBetween } from './read-spans.ts';
import { createSharedReader, type Following } from './shared-reader.ts';

/** An entry as it came, and where whoever has it goes on. Those who follow are given one and the same. */
export interface ArrivedEntry {
  /** Undefined: nothing came for a while, and so far was looked. */
  readonly record: RecordEntry | undefined;
  readonly cursor: string;
}

/** Tells of entries as a checkpoint comes to vouch for them. */
export interface RecordFollow {
  /**
   * Entries in the order in which they come: within a log by position, each once. `after`: the cursor of one that was seen, of any server on this
   * store, for a day; without it from now on. What is wrong with it is said first. Ends when the signal aborts.
   * @throws RecordsError ERR_RECORDS_REQUEST for a cursor that is none, or too old; StoreError, also in the middle
   */
  follow(
    filter: RecordFilter,
    options: { readonly after?: string | undefined; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<ArrivedEntry>>;
}

/** From one mark to another. */
interface Step {
  readonly from: Mark;
  readonly to: Mark;
}

/** Creates it. Those who have what came before are told from one reading; who comes later, or is slow, reads what lies between by itself. */
export function createFollow(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}): RecordFollow {
  const { store, clock } = deps;
  const db = store.db<RecordsTables>();
  const reader = createSharedReader(deps);

  /** What lies in between, read for one alone, from that place on. */
  async function* readStep({ from, to }: Step, at: Pick<Stand, 'log' | 'position'> | undefined) {
    for (const span of spansBetween(from.sizes, to.sizes)) {
      if (at !== undefined && span.log < at.log) continue;
      const first = span.log === at?.log ? Math.max(span.from, at.position) : span.from;
      for (const piece of piecesOf({ ...span, from: first })) yield* await readSpans(db, [piece]);
    }
  }

  async function* tell(filter: RecordFilter, of: { following: Following; begin: Begin; signal: AbortSignal }) {
    const { following, begin, signal } = of;
    const matches = createMatcher(filter);
    const arrived = ({ record, looked }: ReadEntry, { from, to }: Step): ArrivedEntry | undefined =>
      (filter.log ?? record.log) === record.log && matches(looked)
        ? {
            record,
            cursor: formatStand({ log: record.log, position: record.position + 1, from: from.name, to: to.name }),
          }
        : undefined;
    let { mark } = begin;
    let toldMs = clock.now();
    const standingAt = ({ name }: Mark): ArrivedEntry => {
      toldMs = clock.now();
      return { record: undefined, cursor: formatStand({ from: name, to: name, log: 0, position: 0 }) };
    };
    try {
      // Whoever is cut off before anything came goes on from here.
      if (begin.step === undefined) yield standingAt(mark);
      if (begin.step !== undefined) {
        for await (const one of readStep(begin.step, begin.at)) {
          if (signal.aborted) return;
          const told = arrived(one, begin.step);
          if (told !== undefined) yield told;
        }
      }
      while (!signal.aborted) {
        const round = await following.after(mark, signal);
        const step = round ?? { from: mark, to: following.latest() };
        for await (const one of round?.entries ?? readStep(step, undefined)) {
          if (signal.aborted) return;
          const told = arrived(one, step);
          if (told === undefined) continue;
          toldMs = clock.now();
          yield told;
        }
        mark = step.to;
        if (clock.now() - toldMs > STANDING_EVERY_MS) yield standingAt(mark);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', following.leave);
      following.leave();
    }
  }

  return {
    async follow(filter, { after, signal }) {
      const begin = after === undefined ? undefined : await readBegin(store, parseStand(after));
      const following = await reader.join();
      signal.addEventListener('abort', following.leave);
      if (signal.aborted) following.leave();
      throwIfAborted(signal);
      return tell(filter, { following, begin: begin ?? { mark: following.latest() }, signal });
    },
  };
}

/** Where one begins: with what is left of a step, where it has seen a part of it, and then behind a mark. */
interface Begin {
  readonly step?: Step;
  readonly at?: Pick<Stand, 'log' | 'position'>;
  readonly mark: Mark;
}

/** @throws RecordsError ERR_RECORDS_REQUEST; StoreError */
async function readBegin(store: Store, { from, to, log, position }: Stand): Promise<Begin> {
  if (from === to && log === 0) return { mark: await readMark(store, from) };
  const step = { from: await readMark(store, from), to: await readMark(store, to) };
  // One that nobody was given would be told of entries again, or leave some out.
  const isBetween = position > (step.from.sizes.get(log) ?? 0) && position <= (step.to.sizes.get(log) ?? 0);
  if (!isBetween) throw new RecordsError('ERR_RECORDS_REQUEST', 'the cursor is none that was told');
  return { step, at: { log, position }, mark: step.to };
}

function* piecesOf({ log, from, end }: Span): Generator<Span> {
  for (let at = from; at < end; at += ENTRIES_A_TIME) yield { log, from: at, end: Math.min(end, at + ENTRIES_A_TIME) };
}

const ENTRIES_A_TIME = 500;
/** Marks go after a day: whoever waits for what seldom comes has a newer one by then. */
const STANDING_EVERY_MS = 600_000;
