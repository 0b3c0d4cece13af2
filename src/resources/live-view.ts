import {
  type Clock,
  createListeners,
  type Log,
  messageOf,
  type Service,
  type Timer,
  throwIfAborted,
} from '../std/index.ts';
import type { Store } from '../store/index.ts';

/** A value of the store kept in memory, read again whenever a topic says that it changed. */
export interface LiveView<T> extends Service {
  /** Undefined before `start`. */
  current(): T | undefined;
  onChange(listener: (value: T) => void): () => void;
  /** Resolves once the value has at least that revision. */
  reach(revision: number): Promise<void>;
}

/** Creates a {@link LiveView}. Values with a revision not above the current one are ignored. */
export function createLiveView<T>(deps: {
  store: Store;
  clock: Clock;
  log: Log;
  topic: string;
  read: () => Promise<T>;
  revisionOf: (value: T) => number;
}): LiveView<T> {
  const { store, clock, log, topic, revisionOf } = deps;
  // The others must hear of a change all the same.
  const listeners = createListeners<T>((error) =>
    log.error('resources.listener.failed', { topic, reason: messageOf(error) }),
  );
  let value: T | undefined;
  let stopped = false;
  let reading: Promise<void> | undefined;
  let wanted = false;
  let unsubscribe = () => {};
  let timer: Timer | undefined;

  const take = (fresh: T) => {
    if (stopped || (value !== undefined && revisionOf(fresh) <= revisionOf(value))) return;
    value = fresh;
    listeners.tell(fresh);
  };

  const run = async () => {
    try {
      while (wanted && !stopped) {
        wanted = false;
        take(await deps.read());
      }
    } finally {
      reading = undefined;
    }
  };
  const refresh = () => {
    wanted = true;
    reading ??= run();
    return reading;
  };
  const refreshSoon = () => {
    if (stopped) return;
    refresh().catch((error: unknown) => {
      // What was in force stays in force while the database is away; the next look is not far.
      log.error('resources.refresh.failed', { topic, reason: messageOf(error) });
      lookAgain(RETRY_MS);
    });
  };
  const lookAgain = (afterMs: number) => {
    timer?.cancel();
    if (stopped) return;
    timer = clock.after(afterMs, () => {
      refreshSoon();
      // A lost notification is found within this; an embedded store loses none.
      if (store.dialect === 'postgres') lookAgain(POLL_MS);
    });
  };

  return {
    current: () => value,
    onChange: listeners.add,
    async reach(revision) {
      while (!stopped && value !== undefined && revisionOf(value) < revision) await refresh();
    },
    async start(signal) {
      throwIfAborted(signal);
      // Before the first read, so that no change falls between.
      unsubscribe = store.subscribe(topic, refreshSoon);
      await refresh();
      if (store.dialect === 'postgres') lookAgain(POLL_MS);
    },
    async stop() {
      stopped = true;
      unsubscribe();
      timer?.cancel();
      await reading?.catch(() => {}); // It was told to stop: how it ended means nothing any more.
      value = undefined;
    },
  };
}

const RETRY_MS = 1000;
const POLL_MS = 10_000;
