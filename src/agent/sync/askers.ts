import { type Clock, raceAbort, timeoutSignal } from '../../std/index.ts';

/** How a sync ended for those who asked for it: `synced` when the cache now holds what the server says. */
export type SyncOutcome = 'synced' | 'failed';

/** Callers that wait for a sync which begins after they asked. */
export interface Askers {
  /** `failed` also when there was no answer in time. Rejects only when the signal aborts. */
  wait(signal: AbortSignal): Promise<SyncOutcome>;
  /** Those who asked so far: the sync that begins now is theirs. The returned function tells them how it ended; only its first call counts. */
  take(): (outcome: SyncOutcome) => void;
}

export function createAskers(clock: Clock): Askers {
  let waiting: ((outcome: SyncOutcome) => void)[] = [];
  return {
    async wait(signal) {
      const limit = timeoutSignal(clock, ASK_MS_MAX, signal);
      try {
        const answer = new Promise<SyncOutcome>((resolve) => waiting.push(resolve));
        return await raceAbort(answer, limit.signal);
      } catch (error) {
        if (signal.aborted) throw error;
        return 'failed';
      } finally {
        limit.cancel();
      }
    },
    take() {
      const taken = waiting;
      waiting = [];
      return (outcome) => {
        for (const settle of taken) settle(outcome); // A promise takes only the first.
      };
    },
  };
}

/** How long a fresh stream is held for an answer of the server before it is told to come again. */
const ASK_MS_MAX = 10_000;
