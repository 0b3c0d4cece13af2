/**
 * A year of a server, on a clock that jumps four days at a time: the real role with store, keystore and ledger on disk, real calls over TLS. It
 * begins in 2037, so that the second 2^31 lies in it; the server is restarted every month, and once it is away for three.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, Entry, SVID } from '@countersign/sdk/contract';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newCsr } from '../../src/api/testing/test-server.ts';
import { memberSchemas } from '../../src/app/members.ts';
import { createServerApp, type ServerRole } from '../../src/app/server.ts';
import { parseConfig } from '../../src/config/index.ts';
import { createRpcClient, type RpcClient } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../src/std/index.ts';
import { verifyJwtSvid } from '../../src/wire/jose/index.ts';
import { parseCheckpoint, parseNote } from '../../src/wire/tlog/index.ts';
import { verifyX509Svid } from '../../src/wire/x509/index.ts';
import { createCoarseClock } from '../support/coarse-clock.ts';
import { eventually } from '../support/eventually.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const JUMP_MS = 4 * DAY_MS;
const trustDomain = parseTrustDomain('example.org');
const serverId = spiffeIdOf(trustDomain, '/spire/server').uri;
const options = { signal: new AbortController().signal, timeoutMs: 30_000 };
const folder = mkdtempSync(join(tmpdir(), 'cs-year-'));
const clock = createCoarseClock(Date.UTC(2037, 5, 1));

/** A node: an SVID that it renews, and the entries that it asks for. */
interface Node {
  path: string;
  chainDer: readonly Buffer[];
  key: KeyObject;
}

let server: ServerRole;
const socket = join(folder, 'run/server.sock');

async function startServer(): Promise<void> {
  const text = `
trustDomain: example.org
server:
  listen: 127.0.0.1:0
  socket: ${socket}
  dataDir: ${folder}/data
  ca: { ttl: 96d }
  svid: { x509Ttl: 16d, agentTtl: 16d, jwtTtl: 1h }
`;
  const { server: config } = parseConfig({ file: 'year.yaml', text, members: memberSchemas, env: {} });
  if (config === undefined) throw new Error('the configuration has a section server');
  const log = createSilentLog();
  server = await createServerApp({ ...{ trustDomain, config, clock, log }, random: createSystemRandom(), env: {} });
  await server.start(options.signal);
}

/** What it waits for when it stops takes time of the clock, too. */
async function stopServer(): Promise<void> {
  let isStopped = false;
  const stopping = server.stop().finally(() => {
    isStopped = true;
  });
  await eventually('the server has stopped', () => {
    if (!isStopped) clock.jump(1000);
    return isStopped;
  });
  await stopping;
}

/** A call over a connection of its own; the caller's timers are real, its sense of what is valid is the clock's. */
async function call<T>(node: Node | undefined, work: (client: RpcClient) => Promise<T>): Promise<T> {
  const client = createRpcClient({
    clock: createSystemClock(),
    log: createSilentLog(),
    connect: {
      ...server.address(),
      tls: {
        identity: () => node && { chainDer: node.chainDer, key: node.key },
        verifyPeer(chainDer) {
          const verdict = verifyX509Svid(chainDer, () => server.authority.bundle().x509Authorities, clock.now());
          expect(verdict).toMatchObject({ ok: true, id: { uri: serverId } });
        },
      },
    },
  });
  return work(client).finally(() => client.close());
}

async function operate<T>(work: (client: RpcClient) => Promise<T>): Promise<T> {
  const connect = { unix: socket };
  const client = createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect });
  return work(client).finally(() => client.close());
}

async function attest(token: string): Promise<Node> {
  const { csr, key } = newCsr('spiffe://example.org/ignored');
  return call(undefined, async (client) => {
    const stream = client.bidi(Agent.method.attestAgent, options);
    const value = { data: { type: 'join_token', payload: Buffer.from(token) }, params: { csr } };
    await stream.send({ step: { case: 'params', value } });
    for await (const { step } of stream.responses)
      if (step.case === 'result')
        return {
          path: step.value.svid?.id?.path ?? '',
          chainDer: step.value.svid?.certChain.map((der) => Buffer.from(der)) ?? [],
          key: createPrivateKey(key.export({ format: 'pem', type: 'pkcs8' })),
        };
    throw new Error('the stream ended without a result');
  });
}

async function joinNode(alias?: string): Promise<Node> {
  const agentId = alias === undefined ? {} : { agentId: { trustDomain, path: alias } };
  const { value } = await operate((client) =>
    client.unary(Agent.method.createJoinToken, { ttl: 3600, ...agentId }, options),
  );
  return attest(value);
}

async function renew(node: Node): Promise<void> {
  const { csr, key } = newCsr('spiffe://example.org/ignored');
  const { svid } = await call(node, (client) => client.unary(Agent.method.renewAgent, { params: { csr } }, options));
  node.chainDer = svid?.certChain.map((der) => Buffer.from(der)) ?? [];
  node.key = key;
}

/** What an agent does at each sync: entries, then an SVID for the first, and a token. Both must verify by the bundle that it got a jump ago. */
async function sync(node: Node, bundleBefore: ReturnType<typeof server.authority.bundle>): Promise<void> {
  await call(node, async (client) => {
    const { entries } = await client.unary(Entry.method.getAuthorizedEntries, {}, options);
    const entryId = entries[0]?.id ?? '';
    const { csr } = newCsr('spiffe://example.org/web');
    const { results } = await client.unary(SVID.method.batchNewX509SVID, { params: [{ entryId, csr }] }, options);
    const chainDer = results[0]?.svid?.certChain.map((der) => Buffer.from(der)) ?? [];
    const { svid } = await client.unary(SVID.method.newJWTSVID, { entryId, audience: ['a'] }, options);
    for (const bundle of [bundleBefore, server.authority.bundle()]) {
      expect(verifyX509Svid(chainDer, () => bundle.x509Authorities, clock.now())).toMatchObject({ ok: true });
      const jwt = { token: svid?.token ?? '', audience: 'a', authorities: () => bundle.jwtAuthorities };
      expect(verifyJwtSvid({ ...jwt, nowMs: clock.now() })).toMatchObject({ ok: true });
    }
  });
}

async function lastSequence(): Promise<number> {
  const tail = server.ledger.tail({ count: 1, follow: false, signal: options.signal });
  for await (const { seq } of tail) return seq;
  return -1;
}

/** The ledger signs each second what was written in it: not a day later. */
async function signLedger(): Promise<void> {
  await eventually(
    'all is signed',
    async () => {
      clock.jump(1500);
      const note = await server.ledger.checkpoint();
      return note !== undefined && parseCheckpoint(parseNote(note).text).size > (await lastSequence());
    },
    { everyMs: 2 },
  );
}

/** Lets time pass, and what came due in it finish. */
async function pass(byMs: number): Promise<void> {
  await signLedger();
  clock.jump(byMs);
  let looks = 0;
  const isCurrent = () => {
    const active = server.authority.authorities().filter(({ state }) => state === 'active');
    if (active.length === 2 && active.every(({ expiresAtS }) => expiresAtS * 1000 - clock.now() > JUMP_MS)) return true;
    // What is prepared signs ten seconds later at the soonest.
    looks++;
    if (looks % 10 === 0) clock.jump(10_000);
    return false;
  };
  await eventually('rotation', isCurrent, { everyMs: 10 });
}

describe('a year of a server', () => {
  let node: Node;
  const seen = { bundleMax: 0, keysMax: 0, nodesMax: 0, entriesMax: 0, restarts: 0, coming: 0 };
  beforeAll(async () => {
    await startServer();
    node = await joinNode('/node/first');
    await operate((client) =>
      client.unary(
        Entry.method.batchCreateEntry,
        {
          entries: [
            {
              id: 'web',
              spiffeId: { trustDomain, path: '/web' },
              parentId: { trustDomain, path: '/node/first' },
              selectors: [{ type: 'unix', value: 'uid:1' }],
            },
          ],
        },
        options,
      ),
    );
  });
  afterAll(async () => {
    await stopServer();
    rmSync(folder, { recursive: true, force: true });
  });

  it('passes with every SVID verifying, whoever got the bundle four days ago, and nothing that only grows', async () => {
    for (let jumps = 1; jumps <= 92; jumps++) {
      const before = server.authority.bundle();
      await pass(JUMP_MS);
      if (jumps % 8 === 0) {
        await stopServer();
        await startServer();
        seen.restarts++;
      }
      await renew(node);
      await sync(node, before);
      if (jumps % 2 === 0) {
        await joinNode(`/node/passing-${jumps}`);
        seen.coming++;
      }
      const { x509Authorities, jwtAuthorities } = server.authority.bundle();
      seen.bundleMax = Math.max(seen.bundleMax, x509Authorities.length, jwtAuthorities.length);
      seen.keysMax = Math.max(seen.keysMax, readdirSync(join(folder, 'data/keystore/keys')).length);
    }
    expect(clock.now() / 1000).toBeGreaterThan(2 ** 31);
    expect(seen).toMatchObject({ restarts: 11, coming: 46 });
    expect(seen.bundleMax).toBeLessThanOrEqual(3);
    expect(seen.keysMax).toBeLessThanOrEqual(4);
    const count = await operate(async (client) => ({
      agents: (await client.unary(Agent.method.countAgents, {}, options)).count,
      entries: (await client.unary(Entry.method.countEntries, {}, options)).count,
    }));
    // Those whose SVID ended in the last thirty days, or has not, and the one that stays.
    expect(count.agents).toBeLessThanOrEqual(14);
    expect(count.entries).toBe(count.agents + 1);
    expect(statSync(join(folder, 'data/countersign.sqlite')).size).toBeLessThan(1024 * 1024);
  });

  it('that is then away for three months makes new authorities, and says of the SVIDs from before that they ended', async () => {
    await stopServer();
    clock.jump(90 * DAY_MS);
    await startServer();
    expect(server.authority.authorities().filter(({ state }) => state === 'active')).toHaveLength(2);
    await expect(renew(node)).rejects.toMatchObject({ message: expect.stringMatching(/expired/) });
    node = await joinNode('/node/first');
    await sync(node, server.authority.bundle());
  });
});
