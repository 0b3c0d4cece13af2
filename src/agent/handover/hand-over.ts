import { type Log, messageOf } from '../../std/index.ts';
import type { Channel } from './channel.ts';
import { HANDOVER_VERSION, type Message } from './messages.ts';

/** The agent that runs, as far as a successor moves it. */
export interface Incumbent {
  /** It can be asked now: it has started, and does not stop. */
  isServing(): boolean;
  /** Stops whatever writes its data folder, or is there once on a machine; workloads are served on. */
  pause(): Promise<{ readonly isReady: boolean; readonly doors: readonly string[] }>;
  /** Goes on after a pause: the successor came to nothing. Never rejects. */
  resume(): Promise<void>;
  /** Has its doors again, those that a successor has taken which was told that it may no more. Never rejects. */
  retake(): Promise<void>;
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
  log: Log;
  own: { readonly pid: number; readonly release: string; readonly trustDomain: string };
  incumbent: Incumbent;
}): Handover {
  const { log, own, incumbent } = deps;
  const open = new Set<Channel>();
  let successor: number | undefined;
  /** It was told to take the doors, and did not say since what became of it. */
  let mayTake = false;
  /** For too long. */
  let isSilent = false;
  /** Resolves when it is plain who has the doors. */
  let taking = Promise.withResolvers<void>();
  taking.resolve();

  /** Why not. */
  const refusalOf = (want: Extract<Message, { say: 'want' }>): string | undefined => {
    if (want.version !== HANDOVER_VERSION) return `this agent (release ${own.release}) speaks another version of it`;
    if (want.trustDomain !== own.trustDomain) return `this agent is of trust domain ${own.trustDomain}`;
    if (isSilent) return `process ${successor} was to take over from it and is silent: end that process`;
    if (successor !== undefined) return `process ${successor} is taking over from it already`;
    return incumbent.isServing() ? undefined : 'it is starting or stopping';
  };
  /** Lets the successor do its part; the reason when it did not. */
  const letTake = async (channel: Channel): Promise<string | undefined> => {
    channel.send({ say: 'paused', ...(await incumbent.pause()) });
    const answer = await channel.next(READY_MS_MAX);
    if (answer?.say === 'failed') return answer.why;
    if (answer?.say !== 'ready') return 'it ended before it was ready';
    taking = Promise.withResolvers();
    channel.send({ say: 'go' });
    mayTake = true;
    const done = await channel.next(TAKE_MS_MAX);
    const why = done === undefined ? 'it ended while it took the doors' : whyNot(done);
    mayTake = why === NOT_UNDERSTOOD;
    return why;
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
    await incumbent.resume();
    taking.resolve();
    if (mayTake) {
      isSilent = true;
      // It may be held up in the midst of taking the doors, and do that when it wakes up; then it hears that it may no more, and ends. Until then
      // nobody else may take them, since those would be lost to it.
      log.warn('agent.handover.silent', { successor: pid, next: `end process ${pid}` });
      await channel.over();
      await incumbent.retake();
    }
    [mayTake, isSilent, successor] = [false, false, undefined];
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

function whyNot(done: Message): string | undefined {
  if (done.say === 'failed') return done.why;
  return done.say === 'taken' ? undefined : NOT_UNDERSTOOD;
}

const NOT_UNDERSTOOD = 'what it says is not understood';
/** Who is there at all says it at once. */
const WANT_MS_MAX = 5_000;
/** For a passphrase to be stretched and a full cache to be read, on a machine with much else to do. */
const READY_MS_MAX = 60_000;
/** A handful of renames. */
const TAKE_MS_MAX = 10_000;
/** A successor and some who look; each waits for little. */
const CHANNELS_MAX = 16;
