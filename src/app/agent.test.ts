import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeServer, type FakeServer } from '../agent/testing/fake-server.ts';
import { parseConfig } from '../config/index.ts';
import { Code, RpcError } from '../rpc/index.ts';
import { createSeededRandom, createSilentLog, createSystemClock } from '../std/index.ts';
import { encodePem } from '../wire/x509/index.ts';
import { createAgentApp } from './agent.ts';
import { memberSchemas } from './members.ts';
import type { Role } from './role.ts';

let folder: string;
let bundle: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-app-'));
  bundle = join(folder, 'bundle.pem');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function create(more = '') {
  const text = `trustDomain: example.org\nagent: { trustBundle: ${bundle}, dataDir: ${folder}/data${more} }`;
  const { agent, trustDomain } = parseConfig({ file: 'c.yaml', text, members: memberSchemas, env: {} });
  if (agent === undefined) throw new Error('the configuration has a section agent');
  const deps = { clock: createSystemClock(), random: createSeededRandom('agent'), log: createSilentLog(), env: {} };
  return createAgentApp({ ...deps, trustDomain, config: agent });
}

describe('the certificates by which an agent knows its server', () => {
  it('are read where only root or the agent may write', () => {
    writeFileSync(bundle, 'PEM', { mode: 0o644 });
    expect(() => create()).not.toThrow();
  });

  it('are refused where others may write them, or another file in their place', () => {
    const refused = (why: string) =>
      expect.objectContaining({ code: 'ERR_APP_CONFIG', message: expect.stringContaining(why) });
    writeFileSync(bundle, 'PEM', { mode: 0o644 });
    chmodSync(bundle, 0o646);
    expect(() => create()).toThrow(refused(`${bundle} may be written by others; chmod go-w it`));
    chmodSync(bundle, 0o644);
    chmodSync(folder, 0o777);
    expect(() => create()).toThrow(refused(`${folder}, on the way to ${bundle}, may be written by others`));
  });

  it('are asked for when there are none', () => {
    expect(() => create()).toThrow(`agent.trustBundle can not be read: there is no ${bundle}`);
  });
});

describe('an agent whose node has no identity', () => {
  const clock = createSystemClock();
  const trustDomain = parseTrustDomain('example.org');
  let server: FakeServer;
  let role: Role;
  beforeEach(async () => {
    server = createFakeServer({ clock, random: createSeededRandom('ca'), trustDomain });
    await server.start();
    writeFileSync(bundle, encodePem('CERTIFICATE', server.authority.rootDer), { mode: 0o644 });
  });
  afterEach(async () => {
    await role.stop();
    await server.stop();
  });
  const start = async (more: string) => {
    const sockets = `, socket: ${folder}/run/agent.sock, targetsDir: ${folder}/run/targets`;
    role = create(`${sockets}, server: "127.0.0.1:${server.address().port}"${more}`);
    await role.start(AbortSignal.timeout(20_000));
  };

  it('says at /ready why, and what to do about it', async () => {
    const port = await freePort();
    await start(`, joinToken: env:NONE, http: "127.0.0.1:${port}"`);
    const why = 'the join token env:NONE is missing or empty: make one with `countersign node token` and put it there';
    await expect.poll(() => role.notReady()).toContain(`the node has no identity yet: ${why}`);
    const answer = await fetch(`http://127.0.0.1:${port}/ready`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      problems: [
        {
          ...{ condition: 'identity', what: 'identity of the node', severity: 'failed' },
          ...{ found: `the node has no identity yet: ${why}`, remedy: expect.stringMatching(/\.$/) },
        },
        { condition: 'server-link', severity: 'failed' },
      ],
    });
    expect(role.failure()).toBeUndefined();
  });

  it.each([
    ['goes on while another token may help', Code.INVALID_ARGUMENT, undefined],
    ['ends where no retry can: the server denies the node for good', Code.PERMISSION_DENIED, 'ERR_AGENT_DENIED'],
  ])('%s', async (_, code, ends) => {
    server.attestError = new RpcError(code, 'no');
    writeFileSync(join(folder, 'token'), 'token', { mode: 0o600 });
    await start(`, joinToken: "file:${folder}/token"`);
    await expect.poll(() => role.notReady().join()).toMatch(/proof: no/);
    // The files of a node that is shut out are removed first.
    if (ends !== undefined) await expect.poll(() => role.failure()).toMatchObject({ code: ends });
    else expect(role.failure()).toBeUndefined();
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
