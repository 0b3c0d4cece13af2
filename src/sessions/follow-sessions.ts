import { abortError, type Clock, sleep, throwIfAborted } from '../std/index.ts';
import { SessionsError } from './errors.ts';
import type { ListedSessions, LiveSessions, SessionFilter } from './types.ts';

/** What all who follow the same are told of. */
interface Round {
  followers: number;
  /** Another object each time gateways were asked. */
  latest: ListedSessions | undefined;
  failed: unknown;
  readonly wakers: Set<() => void>;
  readonly over: AbortController;
}

/**
 * Follows sessions by asking again and again, once for all who follow the same: a question costs rows and every gateway's time. It is asked while
 * somebody follows, and what it fails with ends all who do. Whoever reads slowly is told of the newest only.
 */
export function createFollowing({ list, clock }: { list: LiveSessions['list']; clock: Clock }): LiveSessions['follow'] {
  const rounds = new Map<string, Round>();

  const ask = async (filter: SessionFilter, options: { limit: number; askedBy: string }, round: Round) => {
    const { signal } = round.over;
    try {
      for (;;) {
        round.latest = await list(filter, { ...options, signal });
        wake(round);
        await sleep(clock, ASK_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) round.failed = error;
      wake(round);
    }
  };

  return async (filter, { limit, askedBy, signal }) => {
    throwIfAborted(signal);
    const key = JSON.stringify([filter, limit], (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    let round = rounds.get(key);
    if (round === undefined) {
      if (rounds.size >= ROUNDS_MAX)
        throw new SessionsError('ERR_SESSIONS_LIMIT', `sessions are followed by ${ROUNDS_MAX} filters at once at most`);
      const made = { followers: 0, latest: undefined, failed: undefined };
      round = { ...made, wakers: new Set(), over: new AbortController() };
      rounds.set(key, round);
      void ask(filter, { limit, askedBy }, round);
    }
    const leave = join(round, () => {
      if (rounds.get(key) === round) rounds.delete(key);
    });
    signal.addEventListener('abort', leave);
    try {
      await newest(round, undefined, signal);
    } catch (error) {
      leave();
      throw error;
    }
    return async (tell) => {
      let seen: ListedSessions | undefined;
      try {
        for (;;) {
          seen = await newest(round, seen, signal);
          await tell(seen);
        }
      } finally {
        signal.removeEventListener('abort', leave);
        leave();
      }
    };
  };
}

/** Counts one follower more; what is returned takes it away again, once, and with the last one the round. */
function join(round: Round, over: () => void): () => void {
  round.followers += 1;
  let isHere = true;
  return () => {
    if (isHere) round.followers -= 1;
    isHere = false;
    if (round.followers > 0 && round.failed === undefined) return;
    over();
    round.over.abort();
  };
}

/** What gateways said last, once it is another than `seen`. @throws the abort error; what the round failed with */
async function newest(round: Round, seen: ListedSessions | undefined, signal: AbortSignal): Promise<ListedSessions> {
  for (;;) {
    if (signal.aborted) throw abortError(signal);
    if (round.failed !== undefined) throw round.failed;
    if (round.latest !== undefined && round.latest !== seen) return round.latest;
    await changed(round, signal);
  }
}

function changed(round: Round, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wakeUp = () => {
      round.wakers.delete(wakeUp);
      signal.removeEventListener('abort', wakeUp);
      resolve();
    };
    round.wakers.add(wakeUp);
    signal.addEventListener('abort', wakeUp);
  });
}

function wake({ wakers }: Round): void {
  for (const waker of [...wakers]) waker();
}

/** What begins and ends within it is not seen; the record has it. */
const ASK_MS = 2_000;
/** Of 64 questions at once. */
const ROUNDS_MAX = 16;
