import { type Clock, type Log, messageOf, type Service, type Timer, throwIfAborted } from '../std/index.ts';
import type { Store } from './store.ts';

/** What a follower has read: all that there was, a part of it, or nothing, since what it missed is forgotten already. */
export type FollowStep = 'all' | 'more' | 'gap';

/** Keeps something in memory as it is in the store. */
export interface Follower extends Service {
  /**
   * Resolves once all that was committed before the call has been read; one reading serves all who call meanwhile. Rejects as the reading does,
   * which is then tried again by itself. After `stop` it resolves with nothing read.
   */
  refresh(): Promise<void>;
  /** What the last reading failed with; undefined after one that did not. */
  problem(): unknown;
}

export interface FollowOptions {
  /** Whatever is followed is announced on it, in the transaction that changes it. */
  readonly topic: string;
  /**
   * Reads all of it: at the start, and after a gap. What it throws at the start fails the start. Never called beside
   * another `load` or `read`.
   */
  load(signal: AbortSignal): Promise<void>;
  /** Reads what is new since, or a part of it; all of it is read anew where this is left out. */
  read?(signal: AbortSignal): Promise<FollowStep>;
  /** True when that payload says nothing new. Never asked about an empty one, which means that anything may have changed. */
  isKnown?(payload: string): boolean;
  /** A notification that was lost is made up for within it. Left out where whoever follows reads at a pace of its own as well. */
  readonly pollMs?: number;
}

/**
 * Creates a {@link Follower}: it listens before it reads for the first time, so that no change falls between; reads when a change is announced,
 * once for all that come while it reads; looks by itself where announcements of other processes may be lost; and tries again what failed, after a
 * second at first. What was read stays as it is meanwhile: losing the database must not take away what is in force.
 */
export function createFollower(deps: FollowDeps, options: FollowOptions): Follower {
  const { topic, isKnown = () => false } = options;
  const stopping = new AbortController();
  const reader = createReader(deps, { ...options, signal: stopping.signal });
  let unsubscribe = () => {};
  return {
    refresh: reader.refresh,
    problem: reader.problem,
    async start(given) {
      throwIfAborted(given);
      const abort = () => stopping.abort(given.reason);
      given.addEventListener('abort', abort, { once: true });
      // Before it is read for the first time, so that no change falls between.
      unsubscribe = deps.store.subscribe(topic, (payload) => {
        if (payload === '' || !reader.isLoaded() || !isKnown(payload)) reader.refreshSoon();
      });
      try {
        await reader.refresh();
        throwIfAborted(given);
      } catch (error) {
        unsubscribe();
        throw error;
      } finally {
        given.removeEventListener('abort', abort);
      }
    },
    async stop() {
      stopping.abort();
      unsubscribe();
      await reader.idle();
    },
  };
}

/** Reads when it is asked to, and by itself after a while. */
function createReader(deps: FollowDeps, options: FollowOptions & { signal: AbortSignal }) {
  const { store, clock, log } = deps;
  const { topic, load, signal } = options;
  const read = options.read ?? (() => load(signal).then(() => 'all' as const));
  const pollMs = store.isShared ? options.pollMs : undefined;
  let reading: Promise<void> | undefined;
  let isLoaded = false;
  let isWanted = false;
  let failures = 0;
  let problem: unknown;
  let timer: Timer | undefined;

  /** True when there may be more. */
  const step = async (): Promise<boolean> => {
    const isFirst = !isLoaded;
    const found = isFirst ? 'gap' : await read(signal);
    if (found !== 'gap' || signal.aborted) return found === 'more';
    if (!isFirst) log.warn('store.follow.gap', { topic });
    await load(signal);
    isLoaded = true;
    // What changed while it was loaded is announced; what the gap hid may not be.
    return !isFirst;
  };
  const run = async () => {
    timer?.cancel();
    try {
      while (isWanted && !signal.aborted) {
        isWanted = false;
        while (!signal.aborted && (await step()));
      }
      [failures, problem] = [0, undefined];
      lookIn(pollMs);
    } catch (error) {
      if (!signal.aborted) failed(error);
      throw error;
    } finally {
      reading = undefined;
    }
  };
  const failed = (error: unknown) => {
    problem = error;
    if (!isLoaded) return; // Whoever starts it hears of it.
    const delayMs = Math.min(RETRY_MS * 2 ** failures++, RETRY_MS_MAX);
    log.error('store.follow.failed', { topic, reason: messageOf(error), delayMs });
    lookIn(delayMs);
  };
  const lookIn = (delayMs: number | undefined) => {
    timer?.cancel();
    if (delayMs !== undefined && !signal.aborted) timer = clock.after(delayMs, refreshSoon);
  };
  const refresh = async (): Promise<void> => {
    if (signal.aborted) return;
    isWanted = true;
    reading ??= run();
    await reading;
  };
  /** For nobody in particular: that it failed is logged, and it is tried again. */
  const refreshSoon = () => void refresh().catch(() => {});

  return {
    refresh,
    refreshSoon,
    problem: () => problem,
    isLoaded: () => isLoaded,
    async idle() {
      timer?.cancel();
      await reading?.catch(() => {}); // It was told to stop: how it ended means nothing any more.
    },
  };
}

interface FollowDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

const RETRY_MS = 1_000;
/** A database that is back should be used within seconds. */
const RETRY_MS_MAX = 5_000;
