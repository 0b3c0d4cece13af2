import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Entry } from '@countersign/sdk/contract';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { syncEntries } from '../src/agent/sync/sync-entries.ts';
import { createRegistration, registrationMigrations } from '../src/registration/index.ts';
import { createSystemRandom } from '../src/std/index.ts';
import { member as sqlite } from '../src/store/engines/sqlite/index.ts';
import { type Bench, type BenchContext, type BenchResult, median, result, timed } from './harness.ts';
import { createEntries } from './server/entries.ts';
import { NEVER, QUIET, type RealServer, startRealServer } from './server/real-server.ts';

/** What agents cost the server, when it holds few entries and when it holds very many; how soon a change is everywhere. */
export const bench: Bench = {
  name: 'sync',
  summary: 'a server of 1,000 and of 100,000 entries: cost of an agent’s sync, of idling, of a change, of starting',
  async run(context) {
    const [few, many] = context.quick ? [20, 200] : [1000, 100_000];
    return [
      ...(context.wants('server') ? await measureServer(context, few, many) : []),
      ...(context.wants('start') ? await measureStart(context, many) : []),
    ];
  },
};

async function measureServer(context: BenchContext, few: number, many: number): Promise<readonly BenchResult[]> {
  const server = await startRealServer();
  try {
    const own = Math.min(OWN_ENTRIES, few);
    const ids = await createEntries(server, { parent: server.nodeId, from: 0, to: own });
    await createEntries(server, { parent: '/other', from: own, to: few });
    const streams = context.quick ? 4 : 100;
    // Streams are opened for each measurement: the server sends connections away after three minutes, and making entries takes longer.
    const first = await openWatches(server, streams);
    const atFew = await measureAgents(context, server, own);
    first.close();
    context.say(`${few} entries measured; now making ${many}`);
    const creation = await timed(async () => {
      await createEntries(server, { parent: '/other', from: few, to: many });
      return many - few;
    });
    const watch = await openWatches(server, streams);
    const change = await measureChange(context, server, { id: ids[0] ?? '', watch, many });
    const atMany = await measureAgents(context, server, own);
    watch.close();
    return [
      result({
        ...{ case: 'sync of an agent', subject: `${many} entries`, unit: 'us CPU', value: atMany.syncUs },
        ...{ peer: `${few} entries`, peerValue: atFew.syncUs, ratio: atMany.syncUs / atFew.syncUs, goal: '<= 1.5' },
      }),
      result({
        ...{ case: 'idle, all streams open', subject: `${many} entries`, unit: 'ms CPU/s' },
        ...{ value: atMany.idleMs, goal: '<= 5' },
      }),
      result({
        ...{ case: 'idle, all streams open', subject: `${few} entries`, unit: 'ms CPU/s', value: atFew.idleMs },
      }),
      change,
      result({
        ...{ case: 'creating entries', subject: 'server', unit: 'entries/s' },
        value: 1e6 / (creation.wallUs / creation.operations),
      }),
    ];
  } finally {
    await server.stop();
  }
}

/** CPU of the server for one agent's sync of its own entries, and for a second in which nothing happens. */
async function measureAgents(context: BenchContext, server: RealServer, own: number) {
  const link = server.connect();
  const count = context.quick ? 4 : 200;
  const syncs: number[] = [];
  for (let round = 0; round <= context.rounds; round++) {
    const before = server.cpuUs();
    for (let index = 0; index < count; index++) {
      const entries = await syncEntries(link.syncEntries(NEVER), new Map(), QUIET.log);
      if (entries.length !== own) throw new Error(`${entries.length} entries came, not ${own}`);
    }
    if (round > 0 || context.rounds === 1) syncs.push((server.cpuUs() - before) / count);
  }
  await link.close();
  await pause(context.quick ? 50 : 2000);
  const idleFrom = server.cpuUs();
  const { wallUs } = await timed(async () => {
    await pause(context.quick ? 50 : 10_000);
    return 1;
  });
  return { syncUs: median(syncs), idleMs: (server.cpuUs() - idleFrom) / 1000 / (wallUs / 1e6) };
}

interface Watches {
  readonly count: number;
  /** Resolves when every stream has been told of a revision as high as this or higher. */
  reached(revision: bigint): Promise<void>;
  highest(): bigint;
  close(): void;
}

/** Opens WatchNode streams, ten on each connection, as agents hold one each. */
async function openWatches(server: RealServer, connections: number): Promise<Watches> {
  const ended = new AbortController();
  const revisions: bigint[] = [];
  let told = () => {};
  const count = connections * STREAMS_PER_CONNECTION;
  for (let connection = 0; connection < connections; connection++) {
    const link = server.connect();
    for (let stream = 0; stream < STREAMS_PER_CONNECTION; stream++) {
      const index = revisions.push(-1n) - 1;
      const read = async () => {
        for await (const update of link.watchNode(ended.signal)) {
          revisions[index] = update.entriesRevision;
          told();
        }
      };
      read().catch((error: unknown) => {
        if (!ended.signal.aborted) throw error;
      });
    }
  }
  const reached = (revision: bigint) =>
    new Promise<void>((resolve) => {
      told = () => {
        if (revisions.every((each) => each >= revision)) resolve();
      };
      told();
    });
  await reached(0n);
  const highest = () => revisions.reduce((high, each) => (each > high ? each : high), -1n);
  return { count, reached, highest, close: () => ended.abort() };
}

/** From an operator's call to the last stream that was told. */
async function measureChange(
  context: BenchContext,
  server: RealServer,
  on: { id: string; watch: Watches; many: number },
): Promise<BenchResult> {
  const seen: number[] = [];
  for (let round = 0; round <= context.rounds * 2; round++) {
    // The revision that the change will make is not known before; whatever is higher than all seen so far is it.
    const told = on.watch.reached(on.watch.highest() + 1n);
    const { wallUs } = await timed(async () => {
      await server.operator.unary(
        Entry.method.batchUpdateEntry,
        { entries: [{ id: on.id, hint: `round-${round}` }], inputMask: { hint: true } },
        { signal: NEVER, timeoutMs: 30_000 },
      );
      await told;
      return 1;
    });
    if (round > 0) seen.push(wallUs / 1000);
  }
  return result({
    ...{ case: `a change to the last of ${on.watch.count} streams`, subject: `${on.many} entries`, unit: 'ms' },
    ...{ value: median(seen), goal: '<= 1000' },
  });
}

/** Opening the registry on a database that is full already. */
async function measureStart(context: BenchContext, many: number): Promise<readonly BenchResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cs-bench-sync-'));
  const trustDomain = parseTrustDomain('example.org');
  const deps = { ...QUIET, random: createSystemRandom(), trustDomain, knowsTrustDomain: () => true };
  const store = await sqlite.open({ file: join(folder, 'store.db') }, QUIET);
  await store.start(NEVER);
  try {
    await store.migrate(registrationMigrations);
    const filling = createRegistration({ ...deps, store });
    await filling.start(NEVER);
    for (let start = 0; start < many; start += 1000) {
      await filling.batchCreate(
        Array.from({ length: Math.min(1000, many - start) }, (_, index) => ({
          spiffeId: `spiffe://example.org/ns/team${start + index}/sa/web`,
          parentId: `spiffe://example.org/node/n${(start + index) % 1000}`,
          selectors: [
            { type: 'unix', value: `uid:${start + index}` },
            { type: 'unix', value: 'path:/usr/bin/web' },
          ],
        })),
      );
    }
    await filling.stop();
    const seen: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < Math.min(context.rounds, 5); round++) {
      const registration = createRegistration({ ...deps, store });
      const { wallUs, cpuUs } = await timed(async () => {
        await registration.start(NEVER);
        return 1;
      });
      seen.push(wallUs / 1e6);
      cpu.push(cpuUs / 1e6);
      await registration.stop();
    }
    return [
      result({
        ...{ case: 'start of the registry', subject: `${many} entries`, unit: 's' },
        ...{ value: median(seen), goal: '<= 1' },
      }),
      result({ case: 'start of the registry', subject: `${many} entries`, unit: 's CPU', value: median(cpu) }),
    ];
  } finally {
    await store.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const STREAMS_PER_CONNECTION = 10;
/** As many as a busy node gives out. */
const OWN_ENTRIES = 100;
