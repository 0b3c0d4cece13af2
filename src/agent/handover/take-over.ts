import { join } from 'node:path';
import { type Clock, messageOf } from '../../std/index.ts';
import { AgentError } from '../errors.ts';
import { type Channel, openChannel } from './channel.ts';
import { HANDOVER_VERSION, type Message } from './messages.ts';

/** An agent that runs on the same data folder. */
export interface Incumbency {
  readonly pid: number;
  /** Asks it to let go. @throws AgentError ERR_AGENT_HANDOVER */
  ask(trustDomain: string): Promise<Predecessor>;
  close(): void;
}

/** One that has let go, and takes all up again unless it is succeeded. */
export interface Predecessor {
  readonly pid: number;
  /** Workloads could be served. */
  readonly isReady: boolean;
  /** Paths that it listens on. */
  readonly doors: readonly string[];
  /**
   * Says that all is ready. `go`: its doors may be taken; to be done at once and told by `taken`. `gone`: it has ended, and the doors are
   * nobody's. @throws AgentError ERR_AGENT_HANDOVER when it goes on
   */
  succeed(): Promise<'go' | 'gone'>;
  /** Resolves when it will not go on. @throws AgentError ERR_AGENT_HANDOVER when it does: this one took too long, and the doors are not its own */
  taken(): Promise<void>;
  /** It has ended. */
  isGone(): boolean;
  /** Nothing comes of it, and nothing of its is held any more. */
  giveUp(why: string): void;
}

/**
 * Finds the agent that listens at `path`; undefined when none does.
 * @throws AgentError ERR_AGENT_HANDOVER when something is there that does not say what it is
 */
export async function findIncumbent(
  path: string,
  own: { clock: Clock; pid: number; release: string },
): Promise<Incumbency | undefined> {
  const channel = await openChannel(path, own.clock).catch((error: unknown) => {
    throw refused(`${path} can not be reached: ${messageOf(error)}`);
  });
  if (channel === undefined) return undefined;
  try {
    const hello = await channel.next(HELLO_MS_MAX);
    if (hello === undefined) {
      channel.close();
      return undefined; // It ended just now.
    }
    if (hello.say !== 'hello') throw new Error('what it says is not understood');
    return incumbency(channel, hello, own);
  } catch (error) {
    channel.close();
    throw refused(`what listens at ${path} does not hand over: ${messageOf(error)}`);
  }
}

/** The process of the agent that serves on a data folder; undefined when none does, or it does not say. */
export async function runningAgent(dataDir: string, clock: Clock): Promise<number | undefined> {
  const own = { clock, pid: process.pid, release: '' };
  const found = await findIncumbent(handoverPath(dataDir), own).catch(() => undefined);
  found?.close();
  return found?.pid;
}

/** The private socket of the agent on a data folder. */
export function handoverPath(dataDir: string): string {
  return join(dataDir, 'handover.sock');
}

function incumbency(
  channel: Channel,
  hello: Extract<Message, { say: 'hello' }>,
  own: { pid: number; release: string },
): Incumbency {
  const who = `the agent that runs (process ${hello.pid}, release ${hello.release})`;
  /** The message that was waited for; undefined when it has gone. */
  const expect = async <Say extends Message['say']>(say: Say, withinMs: number) => {
    const answer = await channel.next(withinMs).catch((error: unknown) => {
      throw refused(`${who} does not hand over: ${messageOf(error)}`);
    });
    if (answer?.say === 'refused') throw refused(`${who} does not hand over: ${answer.why}`);
    if (answer === undefined || isSaying(answer, say)) return answer;
    throw refused(`${who} does not hand over: what it says is not understood`);
  };
  return {
    pid: hello.pid,
    close: () => channel.close(),
    async ask(trustDomain) {
      if (hello.version !== HANDOVER_VERSION) throw refused(`${who} speaks another version of the handover`);
      channel.send({ say: 'want', version: HANDOVER_VERSION, pid: own.pid, release: own.release, trustDomain });
      const paused = await expect('paused', PAUSE_MS_MAX);
      // It has ended in between: nobody is there whose doors could be taken.
      const { isReady, doors } = paused ?? { isReady: false, doors: [] };
      return {
        ...{ pid: hello.pid, isReady, doors },
        async succeed() {
          channel.send({ say: 'ready' });
          const go = await expect('go', GO_MS_MAX);
          // A process that was held up hears both at once: that it may, and that it may no more.
          if (go !== undefined && channel.hasMore()) await expect('go', 0);
          return go === undefined ? 'gone' : 'go';
        },
        async taken() {
          channel.send({ say: 'taken' });
          // It ends the talk when it has heard that. If it is held up, it will hear that before it finds that it has waited for too long.
          const answer = await channel.next(LEFT_MS_MAX).catch(() => undefined);
          channel.close();
          if (answer !== undefined)
            throw refused(
              `${who} does not hand over: ${answer.say === 'refused' ? answer.why : 'what it says is not understood'}`,
            );
        },
        isGone: () => channel.isOver(),
        giveUp(why) {
          channel.send({ say: 'failed', why });
          channel.close();
        },
      };
    },
  };
}

function isSaying<Say extends Message['say']>(message: Message, say: Say): message is Extract<Message, { say: Say }> {
  return message.say === say;
}

function refused(problem: string): AgentError {
  return new AgentError('ERR_AGENT_HANDOVER', `${problem}; stop it, then start this one`);
}

const HELLO_MS_MAX = 5_000;
/** A call to the server by which it proves its node is not cut off. */
const PAUSE_MS_MAX = 45_000;
const GO_MS_MAX = 10_000;
const LEFT_MS_MAX = 10_000;
