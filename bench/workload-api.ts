import type { ClientHttp2Session } from 'node:http2';
import {
  type Bench,
  type BenchContext,
  type BenchResult,
  interleave,
  median,
  medianRatio,
  result,
  type Sample,
  timed,
} from './harness.ts';
import { type BenchServer, startBenchServer } from './workload-api/child.ts';
import { openSession, openStream } from './workload-api/client.ts';
import { openRawCalls } from './workload-api/raw-calls.ts';
import { JWT_RESPONSE_BYTES } from './workload-api/sizes.ts';

/** The Workload API on a Unix socket: single calls, and one update to very many streams. */
export const bench: Bench = {
  name: 'workload-api',
  summary: 'calls per second and updates to 1,000 streams over a Unix socket, against @grpc/grpc-js',
  async run(context) {
    return [
      ...(context.wants('calls') ? await withServers((servers) => measureCalls(context, servers)) : []),
      ...(context.wants('streams') ? await withServers((servers) => measureStreams(context, servers)) : []),
    ];
  },
};

/** Fresh ones for each part: memory that a part has left behind would hide what the next one takes. */
async function withServers(measure: (servers: Servers) => Promise<readonly BenchResult[]>) {
  const servers = { ours: await startBenchServer('ours'), peer: await startBenchServer('grpc-js') };
  try {
    return await measure(servers);
  } finally {
    await servers.ours.stop();
    await servers.peer.stop();
  }
}

type Servers = { readonly ours: BenchServer; readonly peer: BenchServer };

/** Takes time here and CPU there. */
async function measureOn(server: BenchServer, work: () => Promise<number>): Promise<Sample> {
  const before = await server.cpuUs();
  const { operations, wallUs } = await timed(work);
  return { operations, wallUs, cpuUs: (await server.cpuUs()) - before };
}

async function measureCalls(context: BenchContext, servers: Servers): Promise<readonly BenchResult[]> {
  const count = context.quick ? 32 : 16_000;
  const calls = {
    ours: await openRawCalls(servers.ours.socketPath),
    peer: await openRawCalls(servers.peer.socketPath),
  };
  const run = (name: keyof Servers) => () =>
    measureOn(servers[name], async () => {
      const bytes = await calls[name].run(count, IN_FLIGHT);
      if (Math.abs(bytes - JWT_RESPONSE_BYTES) > SIZE_TOLERANCE) throw new Error(`${name} answered ${bytes} bytes`);
      return count;
    });
  const samples = await interleave(context.rounds, { ours: run('ours'), peer: run('peer') });
  for (const one of Object.values(calls)) one.close();
  const { ours, peer } = samples;
  return [
    result({
      ...{ case: 'calls, 16 in flight', subject: 'ours', unit: 'calls/s', value: 1e6 / median(ours.wallUs) },
      ...{ peer: '@grpc/grpc-js', peerValue: 1e6 / median(peer.wallUs), goal: '>= 1.3' },
      ratio: medianRatio(peer.wallUs, ours.wallUs),
    }),
    result({
      ...{ case: 'calls, 16 in flight', subject: 'ours', unit: 'us CPU/call', value: median(ours.cpuUs) },
      ...{ peer: '@grpc/grpc-js', peerValue: median(peer.cpuUs), ratio: medianRatio(ours.cpuUs, peer.cpuUs) },
    }),
  ];
}

async function measureStreams(context: BenchContext, servers: Servers): Promise<readonly BenchResult[]> {
  const connections = context.quick ? 4 : 100;
  const count = connections * STREAMS_PER_CONNECTION;
  const crowds = {
    ours: await openCrowd(servers.ours, connections),
    peer: await openCrowd(servers.peer, connections),
  };
  const run = (name: keyof Servers) => () =>
    measureOn(servers[name], async () => {
      const all = crowds[name].nextAll();
      await servers[name].update();
      await all;
      return count;
    });
  const samples = await interleave(context.quick ? 1 : context.rounds * 3, { ours: run('ours'), peer: run('peer') });
  const { ours, peer } = samples;
  const memory = { ours: crowds.ours.bytesPerStream, peer: crowds.peer.bytesPerStream };
  for (const crowd of Object.values(crowds)) crowd.close();
  const name = '1,000 streams, one update';
  const toMs = (us: number) => (us * count) / 1000;
  return [
    result({
      ...{ case: name, subject: 'ours', unit: 'ms to the last', value: toMs(median(ours.wallUs)) },
      ...{ peer: '@grpc/grpc-js', peerValue: toMs(median(peer.wallUs)), goal: '<= 1.0' },
      ratio: medianRatio(ours.wallUs, peer.wallUs),
    }),
    result({
      ...{ case: name, subject: 'ours', unit: 'us CPU/stream', value: median(ours.cpuUs) },
      ...{ peer: '@grpc/grpc-js', peerValue: median(peer.cpuUs), ratio: medianRatio(ours.cpuUs, peer.cpuUs) },
    }),
    result({
      ...{ case: '1,000 streams, memory', subject: 'ours', unit: 'kB/stream', value: memory.ours / 1000 },
      ...{ peer: '@grpc/grpc-js', peerValue: memory.peer / 1000, ratio: memory.ours / memory.peer },
    }),
  ];
}

interface Crowd {
  /** Resolves once every stream has had one message more. */
  nextAll(): Promise<void>;
  readonly bytesPerStream: number;
  close(): void;
}

async function openCrowd(server: BenchServer, connections: number): Promise<Crowd> {
  const before = await server.memoryBytes();
  const sessions: ClientHttp2Session[] = [];
  const count = connections * STREAMS_PER_CONNECTION;
  let missing = 0;
  let done = () => {};
  const nextAll = () =>
    new Promise<void>((resolve) => {
      missing += count;
      done = resolve;
    });
  const first = nextAll();
  for (let index = 0; index < connections; index++) {
    const session = openSession(server.socketPath);
    sessions.push(session);
    for (let stream = 0; stream < STREAMS_PER_CONNECTION; stream++) {
      openStream(session, () => {
        missing--;
        if (missing === 0) done();
      });
    }
  }
  await first;
  return {
    nextAll,
    bytesPerStream: ((await server.memoryBytes()) - before) / count,
    close() {
      for (const session of sessions) session.destroy();
    },
  };
}

const IN_FLIGHT = 16;
const STREAMS_PER_CONNECTION = 10;
/** An ECDSA token is always as long, but the heads of its fields are counted by eye. */
const SIZE_TOLERANCE = 16;
