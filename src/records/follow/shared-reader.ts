import { type Clock, type Random, sleep } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { signedSizes } from '../search/signed-sizes.ts';
import { createMarkWriter, type Mark, type Sizes } from './marks.ts';
import { type ReadEntry, readSpans, spansBetween } from './read-spans.ts';

/** What came between two marks, read once for all who follow. */
export interface Round {
  readonly from: Mark;
  readonly to: Mark;
  readonly entries: readonly ReadEntry[];
}

/** One at a server; it reads while somebody follows. */
export interface SharedReader {
  /** Joins those who follow. @throws StoreError */
  join(): Promise<Following>;
}

/** One who follows. */
export interface Following {
  /** Where the reader stands. */
  latest(): Mark;
  /** The round that goes on from that mark; undefined when it is not kept any more. Waits for it where it is still to come. @throws StoreError; the abort error */
  after(mark: Mark, signal: AbortSignal): Promise<Round | undefined>;
  leave(): void;
}

interface Running {
  followers: number;
  latest: Mark;
  rounds: readonly Round[];
  failed: unknown;
  readonly wakers: Set<() => void>;
  readonly over: AbortController;
}

/** Creates it. It looks twice a second: to be told of each batch by the database would hold up those who ship. */
export function createSharedReader(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}): SharedReader {
  const { store, clock } = deps;
  const db = store.db<RecordsTables>();
  let starting: Promise<Running> | undefined;

  const start = async (): Promise<Running> => {
    const writer = createMarkWriter(store, deps.random.bytes(8).toString('hex'));
    const latest = await writer.write(await signedSizes(db, {}), clock.now());
    const running: Running = {
      ...{ followers: 0, latest, rounds: [], failed: undefined },
      ...{ wakers: new Set(), over: new AbortController() },
    };
    const { signal } = running.over;
    const read = async () => {
      while (!signal.aborted) {
        const { sizes, isBehind } = nextSizes(running.latest.sizes, await signedSizes(db, {}));
        const spans = spansBetween(running.latest.sizes, sizes);
        if (spans.length > 0) {
          const entries = await readSpans(db, spans);
          // Before anybody is told: a cursor leads somewhere, whatever happens to this server.
          const to = await writer.write(sizes, clock.now());
          running.rounds = [...running.rounds, { from: running.latest, to, entries }].slice(-ROUNDS_KEPT);
          running.latest = to;
          wake(running);
        }
        if (!isBehind) await sleep(clock, LOOK_EVERY_MS, signal);
      }
    };
    read().catch((error: unknown) => {
      if (!signal.aborted) running.failed = error;
      wake(running);
    });
    return running;
  };

  return {
    async join() {
      const own = starting ?? start();
      starting = own;
      const running = await own.catch((error: unknown) => {
        if (starting === own) starting = undefined;
        throw error;
      });
      // The last of the others may have left, or it may have failed, while this one was waiting.
      if (running.over.signal.aborted || running.failed !== undefined) {
        if (starting === own) starting = undefined;
        return this.join();
      }
      running.followers += 1;
      let isHere = true;
      return {
        latest: () => running.latest,
        after: (mark, signal) => roundAfter(running, mark, signal),
        leave() {
          if (isHere) running.followers -= 1;
          isHere = false;
          if (running.followers > 0 && running.failed === undefined) return;
          if (starting === own) starting = undefined;
          running.over.abort();
        },
      };
    },
  };
}

async function roundAfter(running: Running, mark: Mark, signal: AbortSignal): Promise<Round | undefined> {
  while (running.latest === mark) {
    signal.throwIfAborted();
    if (running.failed !== undefined) throw running.failed;
    await changed(running, signal);
  }
  return running.rounds.find(({ from }) => from === mark);
}

/** By turns, so that no log waits for another that has much to tell, and no round is larger than what memory is for. */
function nextSizes(from: Sizes, to: Sizes): { sizes: Sizes; isBehind: boolean } {
  const sizes = new Map(from);
  let [isBehind, room] = [false, ENTRIES_A_ROUND];
  for (const [log, end] of to) {
    const at = from.get(log) ?? 0;
    if (end <= at) continue;
    const next = Math.min(end, at + Math.min(room, ENTRIES_A_TURN));
    if (next > at) sizes.set(log, next);
    room -= next - at;
    isBehind ||= next < end;
  }
  return { sizes, isBehind };
}

function changed(running: Running, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wakeUp = () => {
      running.wakers.delete(wakeUp);
      signal.removeEventListener('abort', wakeUp);
      resolve();
    };
    running.wakers.add(wakeUp);
    signal.addEventListener('abort', wakeUp);
  });
}

function wake({ wakers }: Running): void {
  for (const waker of [...wakers]) waker();
}

const LOOK_EVERY_MS = 500;
const ENTRIES_A_TURN = 500;
/** Some megabytes; of entries of the largest size, a hundred. */
const ENTRIES_A_ROUND = 4000;
/** Whoever is slower than these reads by itself. */
const ROUNDS_KEPT = 4;
