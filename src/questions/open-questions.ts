import { type Clock, createListeners, type Log, type Service, type Timer } from '../std/index.ts';
import { createFollower, type Store } from '../store/index.ts';
import type { QuestionsTables } from './migrations.ts';
import { type OpenRow, readOpen, removeQuestion, TOPIC_ASKED } from './rows.ts';

/** The questions that are open on any server, in memory, oldest first. */
export interface OpenQuestions extends Service {
  all(): readonly OpenRow[];
  /** Calls after each change. Returns how to stop. */
  onChange(listener: () => void): () => void;
}

/**
 * Creates them. One that stays for longer than anybody asks was left by a server that is gone: it is taken away by whoever has seen it for so
 * long, by its own clock, since those of servers may differ.
 */
export function createOpenQuestions(deps: { store: Store; clock: Clock; log: Log }): OpenQuestions {
  const { store, clock, log } = deps;
  const db = store.db<QuestionsTables>();
  const listeners = createListeners((error) => log.error('questions.listener.failed', { error }));
  let open: readonly OpenRow[] = [];
  let seenSince = new Map<string, number>();
  let timer: Timer | undefined;

  const follower = createFollower(deps, {
    ...{ topic: TOPIC_ASKED, pollMs: LOOK_MS },
    async load(signal) {
      const rows = await readOpen(db);
      if (signal.aborted) return;
      const nowMs = clock.monotonicMs();
      seenSince = new Map(rows.map(({ id }) => [id, seenSince.get(id) ?? nowMs]));
      const isChanged = rows.length !== open.length || rows.some(({ id }, index) => id !== open[index]?.id);
      open = rows;
      if (isChanged) listeners.tell();
      timer?.cancel();
      // What stays is announced by nobody.
      if (rows.length > 0) timer = clock.after(LEFT_BEHIND_MS, () => void follower.refresh().catch(() => {}));
      for (const { id } of rows) {
        if (nowMs - (seenSince.get(id) ?? nowMs) < LEFT_BEHIND_MS) continue;
        log.warn('questions.left_behind', { question: id });
        await removeQuestion(store, id);
      }
    },
  });
  return {
    all: () => open,
    onChange: listeners.add,
    start: follower.start,
    async stop() {
      await follower.stop();
      timer?.cancel();
    },
  };
}

/** A notification that was lost is made up for within it. */
const LOOK_MS = 5_000;
/** Longer than anybody waits for answers. */
const LEFT_BEHIND_MS = 60_000;
