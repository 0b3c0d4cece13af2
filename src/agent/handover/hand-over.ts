import { type Clock, type Log, messageOf } from '../../std/index.ts';
import type { Channel } from './channel.ts';
import { HANDOVER_VERSION, type Message } from './messages.ts';

/** The agent that runs, as far as a successor moves it. */
export interface Incumbent {
  /** It can be asked now: it has started, and does not stop. */
  isServing(): boolean;
  /** Stops whatever writes its data folder, or is there once on a machine; workloads are served on. */
  pause(): Promise<{ readonly isReady: boolean; readonly doors: readonly string[] }>;
  /** Goes on after a pause: the successor came to nothing. */
  resume(): Promise<void>;
  /** A successor has its doors: it is there for those it serves, and for nothing else. */
  leave(successor: { readonly pid: number; readonly release: string }): void;
}

/** Hands an agent over to whoever asks for it. */
export interface Handover {
  /** Answers one who comes to its private socket. Never rejects. */
  answer(channel: Channel): Promise<void>;
  /** Once nobody can be in the middle of taking the doors: a successor that has come that far is waited for. */
  settled(): Promise<void>;
  /** Lets go of all who have come. */
  close(): void;
}

/** Creates a {@link Handover}. One successor at a time: until it has the doors the agent can go on as if nobody had asked, whatever becomes of it. */
export function createHandover(deps: {
  clock: Clock;
  log: Log;
  own: { readonly pid: number; readonly release: string; readonly trustDomain: string };
  incumbent: Incumbent;
}): Handover {
  const { clock, log, own, incumbent } = deps;
  const open = new Set<Channel>();
  let successor: number | undefined;
  /** Resolves when it is plain who has the doors. */
  let taking = Promise.withResolvers<void>();
  taking.resolve();

  /** Why not. */
  const refusalOf = (want: Extract<Message, { say: 'want' }>): string | undefined => {
    if (want.version !== HANDOVER_VERSION) return `this agent (release ${own.release}) speaks another version of it`;
    if (want.trustDomain !== own.trustDomain) return `this agent is of trust domain ${own.trustDomain}`;
    if (successor !== undefined) return `process ${successor} is taking over from it already`;
    return incumbent.isServing() ? undefined : 'it is starting or stopping';
  };
  /** Lets the successor do its part; the reason when it did not. */
  const letTake = async (channel: Channel): Promise<string | undefined> => {
    channel.send({ say: 'paused', ...(await incumbent.pause()) });
    const answer = await channel.next(READY_MS_MAX);
    if (answer?.say === 'failed') return answer.why;
    if (answer?.say !== 'ready') return 'it ended before it was ready';
    // It takes door after door, and only it knows how far it is: from here on its word or its end counts, not the time.
    taking = Promise.withResolvers();
    channel.send({ say: 'go' });
    const late = clock.after(TAKE_MS, () => log.warn('agent.handover.slow', { successor, next: 'end that process' }));
    const done = await channel.next().finally(() => late.cancel());
    if (done?.say === 'taken') return undefined;
    return done?.say === 'failed' ? done.why : 'it ended while it took the doors';
  };

  const answer = async (channel: Channel): Promise<void> => {
    channel.send({ say: 'hello', version: HANDOVER_VERSION, pid: own.pid, release: own.release });
    const want = await channel.next(WANT_MS_MAX);
    if (want?.say !== 'want') return; // It has seen what it came for.
    const refusal = refusalOf(want);
    if (refusal !== undefined) return channel.send({ say: 'refused', why: refusal });
    const { pid, release } = want;
    successor = pid;
    log.info('agent.handover.asked', { successor: pid, release });
    const why = await letTake(channel).catch(messageOf);
    if (why === undefined) {
      incumbent.leave({ pid, release });
      return taking.resolve();
    }
    log.error('agent.handover.failed', { successor: pid, problem: why, next: 'this agent goes on' });
    channel.send({ say: 'refused', why: `this agent goes on: ${why}` });
    await incumbent.resume().finally(() => {
      successor = undefined;
      taking.resolve();
    });
  };
  return {
    async answer(channel) {
      if (open.size >= CHANNELS_MAX) return channel.close();
      open.add(channel);
      try {
        await answer(channel);
      } catch (error) {
        log.warn('agent.handover.refused', { problem: messageOf(error) });
      } finally {
        open.delete(channel);
        channel.close();
      }
    },
    settled: () => taking.promise,
    close() {
      for (const channel of open) channel.close();
    },
  };
}

/** Who is there at all says it at once. */
const WANT_MS_MAX = 5_000;
/** For a passphrase to be stretched and a full cache to be read, on a machine with much else to do. */
const READY_MS_MAX = 60_000;
/** A handful of renames. */
const TAKE_MS = 10_000;
/** A successor and some who look; each waits for little. */
const CHANNELS_MAX = 16;
