import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts } from '../../../../../test/support/processes.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createManualClock, createSystemRandom, type ManualClock, Secret } from '../../../../std/index.ts';
import { encodePem } from '../../../../wire/x509/index.ts';
import { createGateway, createSecretStore, loadProtocols } from '../../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../../testing/test-authority.ts';
import { testGatewayDeps } from '../../../testing/test-gateway.ts';
import { member } from '../index.ts';

// A whole gateway behind one port, with certificates in real files: clients verify as they do, each by the roots that it knows.
const NOW_MS = Date.now();
const DAY_S = 86_400;
const mesh = createTestAuthority('example.org', NOW_MS);
const web = createTestAuthority('web.test', NOW_MS);
const gatewaySvid = mesh.issue('/countersign/gateway', DAY_S, ['gateway.internal', 'plain.test']);
const caller = mesh.issue('/web', DAY_S);
const roots = { web: encodePem('CERTIFICATE', web.rootDer), mesh: encodePem('CERTIFICATE', mesh.rootDer) };
const schema = composeSchema([member.policySchema]);

let clock: ManualClock;
let gateway: ReturnType<typeof createGateway>;
let upstream: Server;
let port: number;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'door-'));
  clock = createManualClock(NOW_MS);
  upstream = createServer((_request, response) => void response.end('of the api'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  [port = 0] = await freePorts(1);
  const key = new Secret(Buffer.alloc(32, 1));
  gateway = createGateway(
    testGatewayDeps({
      ...{ clock, identity: createTestIdentity(identityOf(gatewaySvid, [mesh])) },
      ...{ protocols: await loadProtocols([member]), drainMs: 0 },
      secrets: createSecretStore({ directory: join(folder, 'keystore'), key, random: createSystemRandom(), env: {} }),
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  gateway.applyPolicies(loadPolicies([{ name: 'all', text: 'permit (principal, action, resource);' }], schema));
});
afterEach(async () => {
  upstream.closeAllConnections();
  upstream.close();
  const stopped = gateway.stop();
  await clock.advance(1_000);
  await stopped;
  rmSync(folder, { recursive: true });
});

/** Puts a certificate and its key where a target of that name looks for them. */
function put(name: string, { certPem, keyPem }: { certPem: string; keyPem: string }, { keyMode = 0o600 } = {}) {
  writeFileSync(join(folder, `${name}.pem`), certPem, { mode: 0o644 });
  writeFileSync(join(folder, `${name}.key`), keyPem, { mode: 0o600 });
  chmodSync(join(folder, `${name}.key`), keyMode);
}

function target(name: string, hosts: readonly string[] | undefined, listen: object = { tokens: true }) {
  const address = upstream.address();
  const to = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    ...{ name, protocol: 'http' },
    config: { url: `http://127.0.0.1:${to}`, hosts, listen: { host: '127.0.0.1', port, ...files(name), ...listen } },
  };
}

const files = (name: string) => ({
  certificate: `file:${join(folder, `${name}.pem`)}`,
  key: `file:${join(folder, `${name}.key`)}`,
});
const none = { certificate: undefined, key: undefined };

/** The status of one request by a client that verifies the server by these roots, or what TLS fails of. */
function ask(
  serverName: string | undefined,
  { ca, svid = false, host = serverName }: { ca: string; svid?: boolean; host?: string },
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      ...{ port, host: '127.0.0.1', ca },
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(svid ? { cert: caller.certPem, key: caller.keyPem } : {}),
    });
    socket.on('secureConnect', () => socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`));
    socket.once('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1').slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve('closed'));
  });
}

describe('a door with a certificate of its own', () => {
  it('shows it to whoever asks for its host, and takes tokens and SVIDs alike behind it', async () => {
    put('api', web.issue('/server', DAY_S, ['api.test']));
    await gateway.applyTargets([target('api', undefined)]);
    expect(gateway.problems()).toEqual([]);
    expect(await ask('api.test', { ca: roots.web })).toBe('401'); // TLS is done, and it has no token.
    expect(await ask('api.test', { ca: roots.web, svid: true })).toBe('200');
    expect(await ask('api.test', { ca: roots.mesh, svid: true })).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
  });

  it('shows the gateway’s SVID as before to whoever asks for a name of that, or for none', async () => {
    put('api', web.issue('/server', DAY_S, ['api.test']));
    await gateway.applyTargets([target('api', undefined)]);
    expect(await ask('gateway.internal', { ca: roots.mesh, svid: true })).toBe('200');
    expect(await ask('gateway.internal', { ca: roots.web, svid: true })).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
  });

  it('shows each target’s at one port, and the SVID where a target has none', async () => {
    put('a', web.issue('/server', DAY_S, ['a.test']));
    put('b', web.issue('/server', DAY_S, ['b.test']));
    await gateway.applyTargets([
      target('a', ['a.test']),
      target('b', ['b.test']),
      target('plain', ['plain.test'], { tokens: true, ...none }),
    ]);
    expect(gateway.problems()).toEqual([]);
    expect(await ask('a.test', { ca: roots.web })).toBe('401');
    expect(await ask('b.test', { ca: roots.web, svid: true })).toBe('200');
    expect(await ask('plain.test', { ca: roots.mesh, svid: true })).toBe('200');
    expect(await ask('plain.test', { ca: roots.web })).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
  });

  it('is for clients that dial an address, where it has one', async () => {
    const made = withAddress();
    put('api', { certPem: made.certificate, keyPem: made.key });
    clock.step(60_000); // It was made after the clock had been set.
    await gateway.applyTargets([target('api', undefined)]);
    expect(await ask(undefined, { ca: made.certificate, host: '127.0.0.1' })).toBe('401');
  });
});

describe('a certificate that can not be used', () => {
  it.each<[string, () => void, RegExp]>([
    ['is not there', () => {}, /api\.pem/],
    ['has a key that others may read', () => put('api', server(), { keyMode: 0o644 }), /api\.key/],
    ['has another key', () => put('api', { ...server(), keyPem: server().keyPem }), /does not belong/],
    ['has expired', () => put('api', web.issue('/server', -1, ['api.test'])), /has expired/],
  ])('is told and keeps those out that need it, those with an SVID by its name in: it %s', async (_, arrange, what) => {
    arrange();
    await gateway.applyTargets([target('api', undefined)]);
    expect(gateway.problems()).toMatchObject([
      { target: 'api', about: 'certificate', what: expect.stringMatching(what) },
    ]);
    expect(await ask('api.test', { ca: roots.web })).toMatch(/ECONNRESET|closed/);
    expect(await ask('api.test', { ca: roots.mesh, svid: true })).toMatch(/ECONNRESET|closed/);
    expect(await ask('gateway.internal', { ca: roots.mesh, svid: true })).toBe('200');
    put('api', server());
    await clock.advance(10_000);
    await expect.poll(() => gateway.problems()).toEqual([]);
    expect(await ask('api.test', { ca: roots.web })).toBe('401');
  });
});

const server = () => web.issue('/server', DAY_S, ['api.test']);

/** A certificate for an address, which is its own root. */
function withAddress(): { certificate: string; key: string } {
  const text = execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=door', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-'],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const at = text.indexOf('-----BEGIN CERTIFICATE');
  return { key: text.slice(0, at), certificate: text.slice(at) };
}
