import type { Store } from '../store/index.ts';
import type { RevocationTables } from './migrations.ts';
import { readHead, readStanding, type Standing } from './rows.ts';

/** Reads what stands, no earlier than it is asked for. */
export interface FreshStanding {
  /**
   * What stands at a moment after the call. All who call while the store is read wait for the next reading, which is one for all of them: whoever has
   * signed before calling, and goes by the answer, has signed before whatever it does not show. @throws StoreError
   */
  read(): Promise<Standing>;
  /** What was read last. */
  latest(): Standing | undefined;
}

/** Creates it; `changed` is called after each reading that differs from the one before. */
export function createFreshStanding(deps: { store: Store; changed: () => void }): FreshStanding {
  const db = deps.store.db<RevocationTables>();
  let latest: Standing | undefined;
  let running: Promise<Standing> | undefined;
  let next: Promise<Standing> | undefined;

  const readNow = async (): Promise<Standing> => {
    if (latest !== undefined) {
      const { incarnation, sequence, mark } = await readHead(db);
      const { state } = latest;
      if (state.incarnation === incarnation && state.sequence === sequence && state.mark === mark) return latest;
    }
    latest = await readStanding(db);
    deps.changed();
    return latest;
  };
  const begin = (): Promise<Standing> => {
    const reading = readNow().finally(() => {
      if (running === reading) running = undefined;
    });
    running = reading;
    return reading;
  };
  return {
    read() {
      if (next !== undefined) return next; // It has not begun.
      if (running === undefined) return begin();
      next = running
        .catch(() => {}) // Theirs to hear of.
        .then(() => {
          next = undefined;
          return begin();
        });
      return next;
    },
    latest: () => latest,
  };
}
