/**
 * Three servers on one PostgreSQL, named to agent and gateway with commas between them. Under load one after another is killed by -9 and started
 * again: what was acknowledged is there, once; no statement fails; each entry of the gateway's ledger is in the record once and in order; every
 * server soon knows the gateway as connected. 25 seconds of it, or THREE_SERVERS_SECONDS; what is killed when follows from THREE_SERVERS_SEED.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiClient, ApiProblem, createApiClient } from '@countersign/sdk/client';
import { Control, Entry, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Code, createRpcClient, RpcError } from '../../src/rpc/index.ts';
import { createSeededRandom, createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { eventually } from '../support/eventually.ts';
import { createFurtherServer, type FurtherServer } from '../support/further-server.ts';
import { listed } from '../support/listed.ts';
import { freePorts } from '../support/processes.ts';
import { mayLackPsql } from '../support/psql.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';

const SECONDS = Number(process.env['THREE_SERVERS_SECONDS'] ?? 25);
const SEED = process.env['THREE_SERVERS_SEED'] ?? 'three';

type Rpc = ReturnType<typeof createRpcClient>;
interface Server extends Pick<FurtherServer, 'role' | 'socket' | 'config'> {
  readonly rpc: Rpc;
  readonly rest: ApiClient;
}

let stack: Stack;
let servers: readonly Server[] = [];

beforeAll(async () => {
  const addresses = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
  const [first, second, third] = addresses;
  const server = addresses.join(',');
  stack = await startStack({
    store: 'postgres',
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    settings: { server: { listen: first }, agent: { server }, gateway: { server } },
  });
  const others = [
    await createFurtherServer(stack, { name: 'server-2', listen: second ?? '' }),
    await createFurtherServer(stack, { name: 'server-3', listen: third ?? '' }),
  ];
  const { operatorSocket, apiSocket, config } = stack.folder;
  const own = { role: stack.roles.server, socket: operatorSocket, apiSocket, config };
  servers = [own, ...others].map((one) => ({
    ...one,
    rpc: rpcTo(one.socket),
    rest: createApiClient({ unix: one.apiSocket }),
  }));
  for (const { role } of servers) {
    role.start(); // Nothing happens to the one that runs.
    await role.ready();
  }
});
afterAll(async () => {
  await Promise.all(servers.map(({ rpc }) => rpc.close()));
  await Promise.all(servers.slice(1).map(({ role }) => role.end('SIGKILL')));
  await stack?.stop();
});

function rpcTo(unix: string): Rpc {
  return createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect: { unix } });
}

const options = (timeoutMs = TRY_MS) => ({ signal: new AbortController().signal, timeoutMs });

/** The longest of what was waited for, and how often. */
function createWaits() {
  const of = new Map<string, { count: number; maxMs: number }>();
  return {
    of,
    async time<T>(what: string, act: () => Promise<T>): Promise<T> {
      const beganMs = performance.now();
      const done = await act();
      const { count, maxMs } = of.get(what) ?? { count: 0, maxMs: 0 };
      of.set(what, { count: count + 1, maxMs: Math.max(maxMs, performance.now() - beganMs) });
      return done;
    },
  };
}

/** A client that was not answered asks the next server, until one has answered. Another answer than that the server is away is an error. */
async function atSome<T>(from: number, act: (server: Server, tries: number) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    const server = servers[(from + tries) % servers.length];
    if (server === undefined) throw new Error('there is no server');
    try {
      return await act(server, tries);
    } catch (error) {
      if (!isAway(error)) throw error;
      // One round without an answer: all three were asked while they were away, or are starting.
      if (tries % servers.length === servers.length - 1) await pause(BETWEEN_MS);
    }
  }
}

/** It was not reached, or went before it had answered. That it took too long is no such error: nobody waits for what is dead. */
function isAway(error: unknown): boolean {
  if (error instanceof RpcError) return error.code === Code.UNAVAILABLE;
  if (error instanceof ApiProblem) return error.status === 503;
  const codes = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(ECONNREFUSED|ECONNRESET|ENOENT|EPIPE)$/.test(codes) || /socket hang up|aborted/.test(String(error));
}

/** All clients, each until it is told to stop. */
function startLoad() {
  const waits = createWaits();
  const wrong: string[] = [];
  const [entries, declared, rows]: [string[], number[], string[]] = [[], [], []];
  const issued = new Set<string>();
  const retried = { entries: 0, applies: 0, keysTaken: 0 };
  const stop = new AbortController();
  const uid = process.getuid?.() ?? 0;

  const again = async (what: string, act: (n: number) => Promise<void>) => {
    for (let n = 0; !stop.signal.aborted; n++) {
      try {
        await waits.time(what, () => act(n));
      } catch (error) {
        wrong.push(`${what} ${n}: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`);
      }
      await pause(BETWEEN_MS); // Clients that hammer would take the machine from what they wait for.
    }
  };

  /** Without an id of its own: only what it says can keep it from being made twice. Every tenth is one of this process, and has to be signed. */
  const creates = async (n: number) => {
    const spiffeId = { trustDomain: 'example.org', path: n % 10 === 0 ? `/own/${n}` : `/kept/${n}` };
    const value = n % 10 === 0 ? `uid:${uid}` : 'uid:59999';
    const entry = { spiffeId, parentId: { trustDomain: 'example.org', path: '/countersign/nodes' } };
    await atSome(n, async ({ rpc }, tries) => {
      retried.entries += tries === 0 ? 0 : 1;
      const request = { entries: [{ ...entry, selectors: [{ type: 'unix', value }] }] };
      const { results } = await rpc.unary(Entry.method.batchCreateEntry, request, options());
      const code = results[0]?.status?.code;
      const isMade = code === Code.OK || (tries > 0 && code === Code.ALREADY_EXISTS);
      if (!isMade) throw new Error(`it was answered by ${code}: ${results[0]?.status?.message}`);
    });
    entries.push(spiffeId.path);
  };

  /** A policy and an entry, all or nothing, by one key wherever it is asked for. */
  const applies = async (n: number) => {
    const cedar = `forbid(principal == Identity::"spiffe://example.org/turn-${n}", action, resource);`;
    const entry = { id: `turn-${n}`, spiffeId: `spiffe://example.org/turn-${n}`, selectors: ['unix:uid:59998'] };
    const input = { resources: [{ kind: 'Policy' as const, name: 'turn', spec: { cedar } }], entries: [entry] };
    let key = `turn-${n}`;
    await atSome(n, async ({ rest }, tries) => {
      retried.applies += tries === 0 ? 0 : 1;
      const apply = () =>
        rest.call('resource.apply', input, { idempotencyKey: key, signal: AbortSignal.timeout(TRY_MS) });
      try {
        await apply();
      } catch (error) {
        // Whoever had it died before the end was noted: as the answer says, one looks, then uses a new key.
        if (!(error instanceof ApiProblem && error.code === 'ERR_REST_KEY_IN_USE')) throw error;
        retried.keysTaken++;
        key = `turn-${n}-again`;
        if (!(await isThere(rest, n))) await apply();
      }
    });
    declared.push(n);
  };

  const way = agentWay(stack);
  const comes = async (n: number) => {
    const client = await way.connect();
    await client.query('insert into kept values ($1)', [`comes-${n}`]);
    rows.push(`comes-${n}`);
    await client.end();
  };
  const usesPsql = async (n: number) => {
    const { code, stderr } = await stack.psql(`insert into kept values ('psql-${n}'); select count(*) from kept;`);
    if (code !== 0) throw new Error(`psql ended with ${code}: ${stderr}`);
    rows.push(`psql-${n}`);
    await pause(PSQL_BETWEEN_MS);
  };
  const stays = async () => {
    const client = await way.connect();
    await again('statement of a session that stays', async (n) => {
      await client.query('insert into kept values ($1)', [`stays-${n}`]);
      rows.push(`stays-${n}`);
    });
    await client.end();
  };

  const workload = rpcTo(stack.folder.workloadApi);
  const fetches = async () => {
    const metadata = { 'workload.spiffe.io': 'true' };
    const one = { ...options(), metadata };
    for await (const { svids } of workload.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, one)) {
      for (const { spiffeId } of svids) issued.add(spiffeId);
      break;
    }
  };
  const running = [
    again('entry by gRPC', creates),
    again('policy and entry by REST', applies),
    again('session and statement', comes),
    again('psql', usesPsql),
    again('SVID from the agent', fetches),
    stays(),
  ];
  return {
    ...{ waits, wrong, entries, declared, rows, issued, retried },
    fetches,
    async stop() {
      stop.abort();
      await Promise.all(running);
    },
    close: () => workload.close(),
  };
}

async function isThere(rest: ApiClient, n: number): Promise<boolean> {
  try {
    await rest.call('entry.get', { id: `turn-${n}` });
    return true;
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return false;
    throw error;
  }
}

/** Asks every server that runs, all the time, whether the gateway is connected; tells the longest that any said that it is not. */
function startWatch() {
  const sinceMs = new Map<Server, number>();
  let longestMs = 0;
  let isOver = false;
  const look = async (server: Server) => {
    while (!isOver) {
      const is = await isConnected(server).catch(() => undefined);
      const nowMs = performance.now();
      if (is === false) sinceMs.set(server, sinceMs.get(server) ?? nowMs);
      const since = sinceMs.get(server);
      if (since !== undefined && is !== undefined) longestMs = Math.max(longestMs, nowMs - since);
      if (is !== false) sinceMs.delete(server);
      await pause(LOOK_MS);
    }
  };
  const looking = servers.map(look);
  return async () => {
    isOver = true;
    await Promise.all(looking);
    return longestMs;
  };
}

async function isConnected(server: Server): Promise<boolean> {
  return (await gatewayAt(server))?.connected === true;
}

/** What a server says of the gateway. */
async function gatewayAt({ rpc }: Server) {
  return (await rpc.unary(Control.method.listGateways, {}, options())).gateways[0];
}

/**
 * Resolves once that server says that the gateway is connected and has taken a policy that was applied since: it may say the first of one
 * whose server is dead, until that is taken for gone.
 */
async function knowsGateway(server: Server): Promise<void> {
  const before = (await gatewayAt(server))?.revision ?? 0n;
  const isIt = async () => {
    const gateway = await gatewayAt(server);
    return gateway?.connected === true && gateway.revision > before + 1n;
  };
  await eventually('it knows the gateway', isIt, { withinMs: KNOWN_MS_MAX, everyMs: LOOK_MS });
}

/** Kills one after another for as long as it is to last; tells how often, and the longest until all that ran knew the gateway as connected. */
async function killInTurn(): Promise<{ kills: number; knownMs: number }> {
  const random = createSeededRandom(SEED);
  const untilMs = performance.now() + SECONDS * 1000;
  let [kills, knownMs] = [0, 0];
  while (performance.now() < untilMs) {
    await pause(KILL_MS_MIN + random.fraction() * KILL_MS_MORE);
    // Each has its turn in three kills, whatever chance brings.
    const victim = servers[kills % 3 === 0 ? Math.floor(random.fraction() * 3) : kills % 3];
    if (victim === undefined) throw new Error('there is no such server');
    await victim.role.end('SIGKILL');
    kills++;
    const killedMs = performance.now();
    const others = servers.filter((one) => one !== victim);
    const known = Promise.all(others.map(knowsGateway)).then(() => performance.now() - killedMs);
    await pause(random.fraction() * DOWN_MS_MAX);
    victim.role.start();
    knownMs = Math.max(knownMs, await known);
    await victim.role.ready();
  }
  return { kills, knownMs };
}

async function pathsOfEntries({ rpc }: Server): Promise<string[]> {
  const paths: string[] = [];
  for (let pageToken = ''; ; ) {
    const page = await rpc.unary(Entry.method.listEntries, { pageSize: 500, pageToken }, options());
    paths.push(...page.entries.map(({ spiffeId }) => spiffeId?.path ?? ''));
    pageToken = page.nextPageToken;
    if (pageToken === '') return paths;
  }
}

it.skipIf(mayLackPsql())('nothing is lost, twice, failed or long in coming while servers are killed', async () => {
  const load = startLoad();
  const endWatch = startWatch();
  const { kills, knownMs } = await killInTurn().finally(() => load.stop());
  const unknownMs = await endWatch();
  const { waits, retried } = load;
  const figures = {
    ...{ seconds: SECONDS, seed: SEED, kills, knownMs: Math.round(knownMs), unknownMs: Math.round(unknownMs), retried },
    waits: Object.fromEntries(
      Array.from(waits.of, ([what, { count, maxMs }]) => [what, `${count}, ${Math.round(maxMs)} ms at most`]),
    ),
  };
  process.stderr.write(`three servers: ${JSON.stringify(figures, null, 2)}\n`);
  expect(load.wrong).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(Math.min(3, Math.floor(SECONDS / 12)));

  for (const server of servers) {
    const paths = await pathsOfEntries(server);
    const made = paths.filter((one) => /^\/(own|kept)\//.test(one)).toSorted();
    expect(made).toEqual(load.entries.toSorted());
    const turns = paths.filter((one) => one.startsWith('/turn-')).toSorted();
    expect(turns).toEqual(load.declared.map((n) => `/turn-${n}`).toSorted());
    const { output } = await server.rest.call('policy.get', { name: 'turn' });
    expect(JSON.stringify(output)).toContain(`/turn-${load.declared.at(-1)}\\`);
    await eventually('it knows the gateway', () => isConnected(server), { withinMs: KNOWN_MS_MAX });
  }

  const own = load.entries.filter((one) => one.startsWith('/own/')).map((one) => `spiffe://example.org${one}`);
  await eventually('each identity of this process was issued', async () => {
    await load.fetches();
    return own.every((id) => load.issued.has(id));
  });
  await load.close();

  const kept = (await stack.dba('select id from kept')).map(({ id }) => String(id));
  expect(kept.toSorted()).toEqual(load.rows.toSorted());

  await expectRecorded();
  for (const { maxMs } of waits.of.values()) expect(maxMs).toBeLessThan(WAIT_MS_MAX);
  expect(unknownMs).toBeLessThan(KNOWN_MS_MAX);
});

/** What the gateway's ledger holds is in the record once, in its order; and nothing is wrong with the ledger of any server. */
async function expectRecorded(): Promise<void> {
  const entries = await stack.ledger();
  const logs = await eventually('all is shipped', async () => {
    const found = await listed(stack, ['record', 'logs']);
    const count = found.findLast(({ origin }) => String(origin).includes('/gateway/'))?.['entries'];
    return Number(count) >= entries.length && found.every(({ state }) => state === 'shipped') && found;
  });
  expect(logs.filter(({ origin }) => String(origin).includes('/server/'))).toHaveLength(3);
  const id = logs.findLast(({ origin }) => String(origin).includes('/gateway/'))?.['id'];
  const found = await listed(stack, ['record', 'search', '-n', '999999']);
  const inOrder = found.filter(({ log }) => log === id).toReversed(); // Newest first.
  expect(inOrder.map(({ seq }) => seq)).toEqual(inOrder.map((_, n) => n));
  expect(inOrder.slice(0, entries.length).map(({ log: _, ...entry }) => entry)).toEqual(entries);
}

/** One try at one server. Nobody has ever to wait for it: what is dead is known to be at once. */
const TRY_MS = 10_000;
/** Until somebody has answered, whoever was asked: half of what this gives is a busy machine's. */
const WAIT_MS_MAX = 15_000;
/** A server that died is gone after thirteen seconds at most. */
const KNOWN_MS_MAX = 15_000;
const BETWEEN_MS = 100;
const PSQL_BETWEEN_MS = 500;
const LOOK_MS = 250;
const KILL_MS_MIN = 1_000;
const KILL_MS_MORE = 3_000;
/** Longer, at times, than it takes to be taken for gone would be a kill in half a minute: three seconds meet the gateway's way to another. */
const DOWN_MS_MAX = 3_000;
