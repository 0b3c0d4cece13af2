import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { openUnixListener } from '../../rpc/index.ts';
import {
  type Clock,
  type Log,
  messageOf,
  raceAbort,
  type Service,
  throwIfAborted,
  timeoutSignal,
} from '../../std/index.ts';
import type { AgentConfig } from '../config.ts';
import { AgentError } from '../errors.ts';
import { createPidFile, type PidFile } from '../pid-file.ts';
import { createUnixListeners, isBusy, type UnixListeners } from '../unix-listeners.ts';
import { type Alone, createAlone } from './alone.ts';
import { createChannel } from './channel.ts';
import { createHandover, type Incumbent } from './hand-over.ts';
import { findIncumbent, handoverPath, type Incumbency, type Predecessor } from './take-over.ts';

/** How far an agent is. `leaving`: a successor serves, and this one carries on what it had begun; `over`: that has ended. */
export type Stage = 'starting' | 'serving' | 'paused' | 'leaving' | 'over';

/** An agent's work, as far as its succession moves it. */
export interface Work {
  /** Opens all but what others would see: where it listens is for `doors` to show. `isFirst`: no other agent uses the data folder. */
  open(doors: UnixListeners, options: { readonly isFirst: boolean; readonly signal: AbortSignal }): Promise<void>;
  /** Workloads can be served. */
  isReady(): boolean;
  /** The data folder is its own now. */
  begin(): Promise<void>;
  /** Leaves the data folder alone, what is kept being whole, and serves on; `resume` ends that. */
  pause(): Promise<void>;
  resume(): void;
  /** Once its doors are given up: ends by itself, as its sessions do; soon when the signal aborts. */
  outlast(signal: AbortSignal): Promise<void>;
  /** Ends in good order, also where it was not opened to the end. */
  stop(): Promise<void>;
}

/** One agent among those before and after it on the same data folder. */
export interface Succession extends Service {
  stage(): Stage;
}

export interface SuccessionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Pick<
    AgentConfig,
    'dataDir' | 'trustDomain' | 'socketPath' | 'targetsDir' | 'lingerMs' | 'pidFile' | 'version'
  >;
  readonly pid: number;
  /** Takes over from an agent that is there. */
  readonly replace: boolean;
  /** What can be there once on a machine. */
  readonly alone: Service;
  readonly work: Work;
}

/**
 * Creates a {@link Succession}: it claims the data folder by a private socket there, takes over from who has claimed it before if it may, and
 * hands over to who asks. At any time one of them writes the folder, and each door leads to one that serves (docs/decisions/0028).
 */
export function createSuccession(deps: SuccessionDeps): Succession {
  const own: Own = {
    ...{ stage: 'starting', doors: undefined, pidFile: undefined, leaving: undefined, ended: undefined },
    leave: new AbortController(),
    alone: createAlone(deps),
  };
  const incumbent = createIncumbent(deps, own, () => handover.close());
  const { clock, pid, config } = deps;
  const speaker = { pid, release: config.version, trustDomain: config.trustDomain };
  const handover = createHandover({ ...deps, own: speaker, incumbent });
  const createAnswer = () =>
    createServer((socket) => void handover.answer(createChannel(socket, clock))).on('error', () => {}); // Of one that can't be accepted.

  const end = async (): Promise<void> => {
    // A successor in the middle of taking the doors would be left with some of them.
    const limit = timeoutSignal(clock, TAKING_MS_MAX);
    await raceAbort(handover.settled(), limit.signal).catch(() => {});
    limit.cancel();
    own.leave.abort();
    if (own.leaving === undefined) {
      // Listeners and sessions in one turn of the event loop; and who waits to take over must not find the doors still held.
      own.doors?.closeAll();
      handover.close();
      await deps.work.stop();
    }
    await own.leaving;
    await own.alone.stop();
    own.pidFile?.remove();
  };
  const stop = () => {
    own.ended ??= end();
    return own.ended;
  };
  return {
    stage: () => own.stage,
    async start(signal) {
      const incumbency = await findIncumbent(handoverPath(config.dataDir), { clock, ...speaker });
      if (incumbency !== undefined && !deps.replace) throw refuseBeside(incumbency, config.dataDir);
      const close = () => incumbency?.close();
      signal.addEventListener('abort', close, { once: true });
      const predecessor = await incumbency?.ask(config.trustDomain);
      try {
        await serve(deps, own, { predecessor, createAnswer, signal });
      } catch (error) {
        // First all that it holds: the other one takes it up again.
        await stop().catch(() => {});
        predecessor?.giveUp(messageOf(error));
        throw deps.replace && isBusy(error) ? notHandedOver(error, config.dataDir) : error;
      } finally {
        signal.removeEventListener('abort', close);
      }
    },
    stop,
  };
}

/** What it has and is. */
interface Own {
  stage: Stage;
  doors: UnixListeners | undefined;
  pidFile: PidFile | undefined;
  leaving: Promise<void> | undefined;
  ended: Promise<void> | undefined;
  readonly leave: AbortController;
  readonly alone: Alone;
}

/** From nothing to serving, after a predecessor where there is one. */
async function serve(
  { clock, log, config, pid, work }: SuccessionDeps,
  own: Own,
  from: { predecessor: Predecessor | undefined; createAnswer: () => Server; signal: AbortSignal },
): Promise<void> {
  const { predecessor, createAnswer, signal } = from;
  const pidFile = createPidFile(config.pidFile, pid);
  const doors = createUnixListeners({ clock, log, taken: predecessor?.doors });
  own.doors = doors;
  await claim(doors, config.dataDir, createAnswer).catch((error: unknown) => {
    if (predecessor !== undefined) throw error;
    if (isBusy(error)) throw new AgentError('ERR_AGENT_RUNNING', `another agent starts on ${config.dataDir}`);
    // A file system without sockets, or a long path: the agent can do its work without a successor.
    log.warn('agent.handover.unavailable', { problem: messageOf(error) });
  });
  await own.alone.start(signal);
  await work.open(doors, { isFirst: predecessor === undefined, signal });
  own.pidFile = pidFile;
  if (predecessor === undefined) {
    pidFile.write();
  } else {
    if (!predecessor.isGone()) checkAgainst(predecessor, { ...config, isReady: work.isReady(), doors: doors.paths() });
    const how = await predecessor.succeed();
    throwIfAborted(signal);
    if (how === 'gone') await doors.placeAll();
    else doors.takeAll();
    pidFile.write();
    await predecessor.taken();
    log.info('agent.handover.taken', { predecessor: predecessor.pid, how });
  }
  await work.begin();
  own.stage = 'serving';
}

/** The claim on the data folder is where others ask. */
async function claim(doors: UnixListeners, dataDir: string, createAnswer: () => Server): Promise<void> {
  const door = await openUnixListener({ path: handoverPath(dataDir), mode: 0o600, createServer: createAnswer });
  await doors.place(door).catch((error: unknown) => {
    door.close();
    throw error;
  });
}

/** Nobody is to lose by the change. @throws AgentError ERR_AGENT_HANDOVER */
function checkAgainst(
  predecessor: Predecessor,
  own: { socketPath: string; targetsDir: string; dataDir: string; isReady: boolean; doors: readonly string[] },
): void {
  if (predecessor.isReady && !own.isReady) {
    const problem = `with what is kept in ${own.dataDir} this agent could serve nobody yet, and the one that runs does`;
    throw new AgentError('ERR_AGENT_HANDOVER', `${problem}; the log says what could not be read`);
  }
  // Where this one is to listen elsewhere, nobody expects it there.
  const isHere = (path: string) => path === own.socketPath || dirname(dirname(path)) === own.targetsDir;
  const missing = predecessor.doors.find((path) => isHere(path) && !own.doors.includes(path));
  if (missing === undefined) return;
  const problem = `this agent can not listen on ${missing}, and the one that runs does`;
  throw new AgentError('ERR_AGENT_HANDOVER', `${problem}; the log says why`);
}

/** What a successor makes it do. `left`: nobody comes any more who had found it before. */
function createIncumbent({ log, config, work }: SuccessionDeps, own: Own, left: () => void): Incumbent {
  const { lingerMs } = config;
  const outlast = async (): Promise<void> => {
    try {
      await own.doors?.fadeAll(own.leave.signal);
      left();
      await work.outlast(own.leave.signal);
    } catch (error) {
      log.error('agent.handover.leave_failed', { problem: messageOf(error) });
    }
    own.stage = 'over';
  };
  const retake = async (): Promise<void> => {
    if (own.ended !== undefined) return; // It stops.
    try {
      await own.doors?.retakeAll();
      own.pidFile?.write(); // A successor may have come as far as that.
    } catch (error) {
      log.error('agent.handover.not_resumed', { problem: messageOf(error) });
    }
  };
  return {
    isServing: () => own.stage === 'serving' && own.ended === undefined,
    async pause() {
      own.stage = 'paused';
      await work.pause();
      await own.alone.stop();
      return { isReady: work.isReady(), doors: own.doors?.paths() ?? [] };
    },
    retake,
    async resume() {
      await retake();
      if (own.ended !== undefined) return; // It stops.
      work.resume();
      own.stage = 'serving';
      own.alone.resume();
    },
    leave(successor) {
      own.stage = 'leaving';
      const next = 'sessions go on here until they end';
      log.info('agent.handover.done', { successor: successor.pid, release: successor.release, next, lingerMs });
      own.leaving = outlast();
    },
  };
}

function refuseBeside(incumbency: Incumbency, dataDir: string): AgentError {
  incumbency.close();
  return new AgentError(
    'ERR_AGENT_RUNNING',
    `another agent (process ${incumbency.pid}) runs on ${dataDir}; start with --replace to take over from it, or stop it first`,
  );
}

function notHandedOver(cause: unknown, dataDir: string): AgentError {
  const problem = `${messageOf(cause)}, and no agent on ${dataDir} is there to hand over`;
  return new AgentError('ERR_AGENT_HANDOVER', `${problem}; stop it, then start this one`, { cause });
}

/** Renames are done by then, whatever became of the one that does them. */
const TAKING_MS_MAX = 5_000;
