// Everybody that a role talks to says goodbye at any byte of their conversation, properly or by a reset, in one piece with what was being said or
// not: no process ends, and the next is served. Here are the real processes, with some of the bytes; all of them by hand, with GOODBYE=all.
import * as path from 'node:path';
import { Agent, Bundle, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Connect, createRpcClient, type RpcClient } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { encodeQuery } from '../../src/wire/postgres/index.ts';
import { type Cut, type CuttingProxy, startCuttingProxy, TERMINATING } from '../support/cutting-proxy.ts';
import { eventually } from '../support/eventually.ts';
import { freePorts } from '../support/processes.ts';
import { openRawSession } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { ROLES } from '../support/stack-folder.ts';

const isWhole = process.env['GOODBYE'] === 'all';
const signal = new AbortController().signal;

/** Stands before the store's database, the target, the server, the gateway's link, and the agent's two kinds of sockets. */
let between: Record<'store' | 'target' | 'server' | 'link' | 'workloadApi' | 'socket', CuttingProxy>;
let stack: Stack;
let pids: readonly number[];

beforeAll(async () => {
  const [serverPort = 0, linkPort = 0] = await freePorts(2);
  let postgresPort = 0;
  const before = (port: () => number) => startCuttingProxy(() => ({ host: '127.0.0.1', port: port() }));
  const [store, target, server, link] = await Promise.all([
    before(() => postgresPort),
    before(() => postgresPort),
    before(() => serverPort),
    before(() => linkPort),
  ]);
  const serverAddress = `127.0.0.1:${server.port}`;
  stack = await startStack({
    settings: {
      server: { listen: `127.0.0.1:${serverPort}` },
      agent: { server: serverAddress },
      gateway: { server: serverAddress, listen: `127.0.0.1:${linkPort}`, advertise: `127.0.0.1:${link.port}` },
    },
    target: { port: target.port },
    storePort: (own) => {
      postgresPort = own;
      return store.port;
    },
  });
  const inFront = (to: string, name: string) =>
    startCuttingProxy(() => ({ path: to }), { path: path.join(stack.folder.path, name) });
  between = {
    ...{ store, target, server, link },
    workloadApi: await inFront(stack.folder.workloadApi, 'workload-api'),
    socket: await inFront(path.join(stack.socketDir, '.s.PGSQL.5432'), 'target'),
  };
  pids = ROLES.map((role) => stack.roles[role].pid);
});
afterAll(async () => {
  for (const proxy of Object.values(between ?? {})) proxy.plan = () => undefined;
  await stack?.stop();
  for (const proxy of Object.values(between ?? {})) await proxy.close();
});

type Way = Omit<Cut, 'afterBytes'>;
/** What a database's peer may hear. */
const OF_A_DATABASE: readonly Way[] = [
  { from: 'server', how: 'end', lastWords: TERMINATING },
  { from: 'server', how: 'reset', lastWords: TERMINATING, isSplit: true },
  { from: 'server', how: 'end' },
  { from: 'client', how: 'reset' },
];
/** What any peer may hear or say. */
const OF_ANYBODY: readonly Way[] = [
  { from: 'server', how: 'end' },
  { from: 'server', how: 'reset' },
  { from: 'client', how: 'end' },
  { from: 'client', how: 'reset' },
];

/** Acts again and again, each time cut off in one of the ways, at one of the bytes of all that is said when nothing is. */
async function sayGoodbyes(proxy: CuttingProxy, ways: readonly Way[], act: () => Promise<unknown>): Promise<void> {
  const first = proxy.connections;
  await act();
  const said = proxy.said(first);
  const { cuts } = proxy;
  let planned = 0;
  for (const way of ways) {
    for (const afterBytes of offsets(said[way.from].length)) {
      proxy.plan = () => ({ ...way, afterBytes });
      planned++;
      await act().catch(() => {}); // What became of it is not asked here.
    }
  }
  proxy.plan = () => undefined;
  expect(proxy.cuts - cuts).toBeGreaterThan(planned / 2);
}

/** Every byte up to `length`, or some of them. */
function offsets(length: number): number[] {
  const all = Array.from({ length: length + 1 }, (_, n) => n);
  const step = Math.max(1, Math.floor(length / 6));
  return isWhole ? all : all.filter((n) => n === 1 || n % step === 0);
}

/** Every n-th byte up to `length`. */
function everyNth(n: number, length: number): number[] {
  return offsets(length).filter((offset) => offset % n === 0);
}

/** No role has ended, all are ready, and a statement passes through them. */
async function expectAllAlive(): Promise<void> {
  expect(ROLES.map((role) => [role, stack.roles[role].exitCode])).toEqual(ROLES.map((role) => [role, undefined]));
  await Promise.all(ROLES.map((role) => stack.roles[role].ready()));
  await eventually('a statement is served', () => select().then(() => true), { everyMs: 100 });
  expect(ROLES.map((role) => stack.roles[role].pid)).toEqual(pids);
}

/** A session of the target through the agent. */
async function select(folder = path.join(stack.socketDir, '.s.PGSQL.5432')): Promise<void> {
  const session = await openRawSession({ path: folder });
  try {
    session.send(encodeQuery('select 1'));
    expect(await session.ready()).toContain('D:1');
  } finally {
    session.close();
  }
}

async function call(connect: Connect, act: (client: RpcClient) => Promise<unknown>): Promise<void> {
  const client = createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect });
  try {
    await act(client);
  } finally {
    await client.close();
  }
}

/** By so many bytes one greeting may be shorter than another. */
const SAID_LESS = 200;
const once = { signal, timeoutMs: 10_000 };
/** An act of an operator that the store keeps. */
const createToken = () =>
  call({ unix: stack.folder.operatorSocket }, (client) =>
    client.unary(Agent.method.createJoinToken, { ttl: 60 }, once),
  );

describe('a goodbye at any byte of a conversation ends no process', () => {
  it('of the store with its database', async () => {
    between.store.dropAll();
    await eventually('the server has its store again', () => createToken().then(() => true));
    await sayGoodbyes(between.store, OF_A_DATABASE, async () => {
      between.store.dropAll();
      // Two: by the first some of them learn that their connection is gone.
      await createToken().catch(() => {});
      await createToken();
    });
    await eventually('the server has its store again', () => createToken().then(() => true));
    await expectAllAlive();
  });

  it('of the gateway with a target', async () => {
    await sayGoodbyes(between.target, OF_A_DATABASE, select);
    await expectAllAlive();
  });

  it('of the agent with the gateway', async () => {
    await sayGoodbyes(between.link, OF_ANYBODY, select);
    await expectAllAlive();
  });

  it('of a client with the agent, at a target’s socket', async () => {
    const socket = path.join(stack.folder.path, 'target');
    await sayGoodbyes(between.socket, OF_ANYBODY, () => select(socket));
    await expectAllAlive();
  });

  it('of a client with the agent, at the Workload API', async () => {
    const connect = { unix: path.join(stack.folder.path, 'workload-api') };
    const metadata = { 'workload.spiffe.io': 'true' };
    await sayGoodbyes(between.workloadApi, OF_ANYBODY, () =>
      call(connect, async (client) => {
        for await (const _ of client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, { signal, metadata }))
          break;
      }),
    );
    await expectAllAlive();
  });

  it('of a stranger with the server', async () => {
    const connect = { host: '127.0.0.1', port: between.server.port, tls: { verifyPeer: () => {} } };
    await sayGoodbyes(between.server, OF_ANYBODY, () =>
      call(connect, (client) => client.unary(Bundle.method.getBundle, {}, once)),
    );
    await expectAllAlive();
  });

  it('of agent and gateway with the server', async () => {
    // Whoever was cut off often waits for up to four minutes.
    const afterAWait = { withinMs: 300_000 };
    const first = between.server.connections;
    between.server.dropAll();
    await eventually('both are back', () => between.server.connections >= first + 2, afterAWait);
    await expectAllAlive();
    const said = (from: Cut['from']) => Math.max(...[first, first + 1].map((n) => between.server.said(n)[from].length));
    for (const way of OF_ANYBODY) {
      // At every byte of the same the stranger above was cut off, by the same code; each of these waits until one comes back by itself.
      for (const afterBytes of isWhole ? everyNth(149, said(way.from) - SAID_LESS) : [701]) {
        const { cuts } = between.server;
        between.server.plan = () => ({ ...way, afterBytes });
        between.server.dropAll();
        await eventually('one of them was cut off', () => between.server.cuts > cuts, afterAWait);
      }
    }
    between.server.plan = () => undefined;
    between.server.dropAll();
    await expectAllAlive();
  });
});
