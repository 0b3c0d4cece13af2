import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import type { X509SVIDResponse } from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { parseTrustDomain } from '@countersign/sdk/identity';
import Type from 'typebox';
import type { AttestorMember, PeerProcess } from '../../attestation/index.ts';
import { local as postgres } from '../../gateway/protocols/postgres/local.ts';
import { type LocalProtocol, parseSelector, type Selector } from '../../model/index.ts';
import { createRpcClient, type RpcClient } from '../../rpc/index.ts';
import {
  createLog,
  createManualClock,
  createSeededRandom,
  createSilentLog,
  createSystemClock,
  type Log,
  type LogFields,
  type ManualClock,
} from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import { type Agent, type AgentConfig, type AgentDeps, type AgentError, createAgent } from '../index.ts';
import { createFakeServer, type FakeServer } from './fake-server.ts';

export interface FakeProcess extends PeerProcess {
  selectors: readonly Selector[];
  dead: boolean;
  closed: boolean;
}

/** An agent against a fake server, in a folder of its own, on a clock that the test moves. */
export interface Harness {
  readonly clock: ManualClock;
  readonly server: FakeServer;
  readonly folder: string;
  readonly socketPath: string;
  readonly targetsDir: string;
  readonly fatal: AgentError[];
  /** Fields of the lines that the agent logged for that event. */
  logged(event: string): LogFields[];
  /** What the next caller to connect shows. */
  selectors: readonly string[];
  readonly processes: FakeProcess[];
  /** Runs in the middle of every attestation. */
  whileAttesting: (process: FakeProcess, signal: AbortSignal) => Promise<void>;
  agent(): Agent;
  /** How far the server's clock is ahead; less than 0: behind. */
  readonly serverClock: { aheadMs: number };
  config: AgentConfig;
  protocols: readonly LocalProtocol[];
  startAgent(): Promise<Agent>;
  /** Another agent on the same folders, not started, which takes over unless told otherwise; `stop` it by oneself. */
  another(more?: Partial<AgentDeps>): Agent;
  /** Stops the agent and makes a new one over the same folder. */
  restartAgent(): Promise<Agent>;
  /** Lets time pass in small steps until the promise settles. */
  run<T>(work: Promise<T>): Promise<T>;
  /** Lets that much time pass, with room for what happens meanwhile. */
  pass(byMs: number, stepMs?: number): Promise<void>;
  /** Lets time pass until the condition holds, but no more than `ms`: however busy the machine is, what holds then came of nothing later. */
  until(condition: () => boolean, ms?: number): Promise<void>;
  connect(): RpcClient;
  /** An X.509 stream: its messages as they come, and how it ended. */
  watchX509(client: RpcClient): X509Stream;
  close(): Promise<void>;
}

export interface X509Stream {
  readonly messages: X509SVIDResponse[];
  error: unknown;
  ended: boolean;
  cancel(): void;
}

export const HEADER = { 'workload.spiffe.io': 'true' };

export async function createHarness(
  options: { pageSize?: number; readPeer?: (socket: Socket) => PeerProcess } = {},
): Promise<Harness> {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const random = createSeededRandom('agent');
  const trustDomain = parseTrustDomain('example.org');
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const serverClock = { aheadMs: 0 };
  const server = createFakeServer({
    // As a clock of another machine is: it goes as this one does, from elsewhere.
    clock: { ...clock, now: () => clock.now() + serverClock.aheadMs },
    ...{ random, trustDomain },
    ...(options.pageSize && { pageSize: options.pageSize }),
  });
  await server.start();
  const clients: RpcClient[] = [];
  const lines: { event: string; fields: LogFields }[] = [];
  const log = recordingLog(process.env['AGENT_TEST_LOG'] ? createLog({ level: 'debug' }) : createSilentLog(), lines);
  const readPeer = options.readPeer ?? (() => fakePeer(harness));
  let agent: Agent | undefined;

  const harness: Harness = {
    clock,
    server,
    folder,
    socketPath: join(folder, 'api', 'agent.sock'),
    ...{ targetsDir: join(folder, 'targets'), fatal: [], processes: [], serverClock, protocols: [postgres] },
    logged: (event) => lines.filter((line) => line.event === event).map(({ fields }) => fields),
    selectors: ['unix:uid:1000'],
    whileAttesting: async () => {},
    agent() {
      if (!agent) throw new Error('the agent was not started');
      return agent;
    },
    config: {
      trustDomain,
      serverAddress: server.address(),
      bootstrap: { bundlePem: encodePem('CERTIFICATE', server.authority.rootDer) },
      dataDir: join(folder, 'data'),
      socketPath: join(folder, 'api', 'agent.sock'),
      targetsDir: join(folder, 'targets'),
      nodeAttestor: { id: 'fake', config: {} },
      workloadAttestors: [{ id: 'fake', config: {} }],
      lingerMs: 3_600_000,
      version: 'test',
    },
    async startAgent() {
      agent = makeAgent(harness, { random, log, readPeer });
      await harness.run(agent.start(new AbortController().signal));
      return agent;
    },
    another: (more) => makeAgent(harness, { random, log, readPeer: () => fakePeer(harness), replace: true, ...more }),
    async restartAgent() {
      await harness.run(harness.agent().stop());
      return harness.startAgent();
    },
    async run(work) {
      let settled = false;
      const watched = work.finally(() => {
        settled = true;
      });
      watched.catch(() => {}); // Awaited below; without this an early rejection counts as unhandled.
      while (!settled) await step(clock, STEP_MS);
      return watched;
    },
    async pass(byMs, stepMs = PASS_STEP_MS) {
      const untilMs = clock.monotonicMs() + byMs;
      while (clock.monotonicMs() < untilMs) await step(clock, Math.min(stepMs, untilMs - clock.monotonicMs()));
    },
    until: (condition, ms = Number.POSITIVE_INFINITY) => stepUntil(clock, condition, clock.monotonicMs() + ms),
    connect() {
      const client = createRpcClient({ clock, log, connect: { unix: harness.socketPath } });
      clients.push(client);
      return client;
    },
    watchX509,
    async close() {
      await harness.run(Promise.all(clients.map((client) => client.close())));
      if (agent) await harness.run(agent.stop());
      await harness.run(server.stop());
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return harness;
}

function recordingLog(log: Log, lines: { event: string; fields: LogFields }[]): Log {
  const record =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ event, fields });
      log[level](event, fields);
    };
  return {
    ...{ debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') },
    child: (fields) => recordingLog(log.child(fields), lines),
  };
}

function makeAgent(harness: Harness, deps: Pick<AgentDeps, 'random' | 'log' | 'readPeer'> & Partial<AgentDeps>): Agent {
  return createAgent({
    clock: harness.clock,
    config: harness.config,
    attestors: [fakeAttestor(harness)],
    protocols: harness.protocols,
    onFatal: (error) => harness.fatal.push(error),
    ...deps,
  });
}

function fakePeer(harness: Harness): FakeProcess {
  const made: FakeProcess = {
    pid: 1_000 + harness.processes.length,
    uid: 1000,
    gid: 1000,
    groups: [],
    selectors: harness.selectors.flatMap((text) => parseSelector(text) ?? []),
    dead: false,
    closed: false,
    executable: () => '/usr/bin/psql',
    alive: () => !made.dead,
    close: () => {
      made.closed = true;
    },
  };
  harness.processes.push(made);
  return made;
}

function watchX509(client: RpcClient): X509Stream {
  const controller = new AbortController();
  const stream: X509Stream = { messages: [], error: undefined, ended: false, cancel: () => controller.abort() };
  const read = async () => {
    const options = { signal: controller.signal, metadata: HEADER };
    for await (const message of client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, options)) {
      stream.messages.push(message);
    }
  };
  void read()
    .catch((error: unknown) => {
      stream.error = error;
    })
    .finally(() => {
      stream.ended = true;
    });
  return stream;
}

function fakeAttestor(harness: Harness): AttestorMember {
  return {
    kind: 'attestor',
    id: 'fake',
    type: 'fake',
    summary: 'for tests',
    config: Type.Object({}),
    node: {
      prove: async () => ({ payload: Buffer.from('hi'), answer: async () => Buffer.from('pong') }),
      openVerifier: () => Promise.reject(new Error('not on a node')),
    },
    workload: {
      doubt: () => undefined,
      open: () => async (process, signal) => {
        // The harness makes every process itself, but for the tests that bring real ones: these show their uid.
        const fake = process as FakeProcess;
        await harness.whileAttesting(fake, signal);
        return fake.selectors ?? [{ type: 'unix', value: `uid:${process.uid}` }];
      },
    },
  };
}

/**
 * Moves the clock a little, then gives real sockets, files and key generation a moment: without it limits would pass before they answer. On a
 * machine that is late for this very moment they are late as well, so they get more of it.
 */
async function step(clock: ManualClock, byMs: number): Promise<void> {
  await clock.advance(byMs);
  for (let moment = 0; moment < MOMENTS_MAX; moment++) {
    const beganMs = real.monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (real.monotonicMs() - beganMs < LATE_MS) return;
  }
}

/** At most to `lastMs`; from then on time stands still. */
async function stepUntil(clock: ManualClock, condition: () => boolean, lastMs: number): Promise<void> {
  while (!condition()) await step(clock, Math.min(STEP_MS, lastMs - clock.monotonicMs()));
}

const real = createSystemClock();
const LATE_MS = 4;
const MOMENTS_MAX = 50;
const STEP_MS = 10;
const PASS_STEP_MS = 100;
