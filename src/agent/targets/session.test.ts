import { getEventListeners, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { collectGarbage } from '../../../bench/harness/garbage.ts';
import { local } from '../../gateway/protocols/postgres/local.ts';
import type { Barred } from '../../model/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { createManualClock, createSilentLog, raceAbort } from '../../std/index.ts';
import type { Callers } from '../callers.ts';
import { createCounters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import type { Identities } from '../workload-api/identities.ts';
import { serveTargetSession } from './session.ts';

const target = { name: 'orders', protocol: 'postgres', gateways: [] };
let folder: string;
let server: Server;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'session-'));
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(join(folder, 's'));
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function connected(): Promise<{ client: Socket; socket: Socket }> {
  const accepted = once(server, 'connection');
  const client = connect({ path: join(folder, 's'), allowHalfOpen: true });
  const [socket] = (await accepted) as [Socket]; // What net emits with 'connection'.
  return { client, socket };
}

function serve(
  socket: Socket,
  callers: Callers,
  { barred, ...ends }: { drain: AbortSignal; signal: AbortSignal; barred?: Barred } = { drain: never, signal: never },
): Promise<void> {
  return serveTargetSession(socket, () => target, {
    protocol: local,
    clock: createManualClock(0), // It stands still: nothing below waits for a time limit.
    log: createSilentLog(),
    refused: createSilentLog(),
    refusals: { note() {} },
    counters: createCounters(),
    callers,
    identities: {} as Identities, // Nobody gets so far.
    links: {
      open: () => Promise.reject(new Error('nobody gets so far')),
      isRevoked: () => false,
      sayAside() {},
      listed() {},
    },
    barred: () => barred,
    revoked: { entry: () => false },
    open: { add: () => () => {} },
    ...ends,
  });
}

it('a silent client of a user who has too many connections is told so and keeps no place', async () => {
  const { client, socket } = await connected();
  const chunks: Buffer[] = [];
  client.on('data', (chunk) => chunks.push(chunk));
  await serve(socket, {
    accept() {
      throw new AgentError('ERR_AGENT_BUSY', 'uid 1000 has 2048 connections already');
    },
  });
  expect(socket.destroyed).toBe(true);
  await once(client, 'end');
  expect(Buffer.concat(chunks).toString()).toContain('53300');
  client.destroy();
});

it('a client that has no identity because it is revoked is told so, with the id of the revocation', async () => {
  const { client, socket } = await connected();
  const chunks: Buffer[] = [];
  client.on('data', (chunk) => chunks.push(chunk));
  client.end();
  const nobody = {
    ...attestedNever,
    selectors: () => Promise.reject(new RpcError(Code.PERMISSION_DENIED, 'no identity issued')),
  };
  const barred: Barred = { allow: false, reason: 'revoked', policies: [], revocation: '5f3a09c1' };
  await serve(socket, { accept: () => nobody }, { drain: never, signal: never, barred });
  await once(client, 'close');
  expect(Buffer.concat(chunks).toString()).toMatch(/28000.*revoked \(5f3a09c1\)/s);
});

it('sessions that were open while garbage was collected leave nothing with the agent when they end', async () => {
  const ends = { drain: new AbortController().signal, signal: new AbortController().signal };
  const listeners = () => Object.values(ends).map((signal) => getEventListeners(signal, 'abort').length);
  const sessions = await Promise.all(Array.from({ length: 5 }, connected));
  const served = sessions.map(({ socket }) => serve(socket, { accept: () => attestedNever }, ends));
  expect(listeners()).toEqual([5, 5]);
  await nextTurn();
  collectGarbage();
  await nextTurn();
  for (const { client, socket } of sessions) {
    client.destroy();
    socket.destroy();
  }
  await Promise.all(served);
  expect(listeners()).toEqual([0, 0]);
});

const never = new AbortController().signal;
/** A process that some attestor takes its time for. */
const attestedNever = {
  ...{
    pid: 1,
    uid: 1000,
    gid: 1000,
    executable: () => undefined,
    isOneOfMany: false,
    known: () => undefined,
    assertAlive() {},
    close() {},
  },
  selectors: (signal: AbortSignal) => raceAbort(new Promise<never>(() => {}), signal),
};
