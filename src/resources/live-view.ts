import { type Clock, createListeners, type Log, messageOf, type Service } from '../std/index.ts';
import { createFollower, type Store } from '../store/index.ts';

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
  const { log, topic, revisionOf } = deps;
  // The others must hear of a change all the same.
  const listeners = createListeners<T>((error) =>
    log.error('resources.listener.failed', { topic, reason: messageOf(error) }),
  );
  let value: T | undefined;
  let isStopped = false;
  const follower = createFollower(deps, {
    ...{ topic, pollMs: POLL_MS },
    async load() {
      const fresh = await deps.read();
      if (isStopped || (value !== undefined && revisionOf(fresh) <= revisionOf(value))) return;
      value = fresh;
      listeners.tell(fresh);
    },
  });

  return {
    current: () => value,
    onChange: listeners.add,
    async reach(revision) {
      while (!isStopped && value !== undefined && revisionOf(value) < revision) await follower.refresh();
    },
    start: follower.start,
    async stop() {
      isStopped = true;
      await follower.stop();
      value = undefined;
    },
  };
}

const POLL_MS = 10_000;
