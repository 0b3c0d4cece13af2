import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePem } from '../../../../wire/x509/index.ts';
import { createTestAuthority } from '../../../testing/test-authority.ts';

// Goal: a database whose authority the machine knows is verified without further settings. What the system knows is read once in a process, so
// each case is a process of its own.

const authority = createTestAuthority('example.org', Date.now());
const svid = authority.issue('/db');
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.pause();
    socket.write('S', () => {
      const secured = new TLSSocket(socket, { isServer: true, cert: svid.certPem, key: svid.keyPem });
      secured.on('error', () => {}).on('data', () => secured.end());
    });
  });
});
let folder: string;
let port: number;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'roots-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** The code of what a login ends with: ours closes the connection once it is secured. */
async function login(env: Readonly<Record<string, string>>, config: Readonly<Record<string, string>> = {}) {
  const script = `
    const { openUpstream } = await import(${JSON.stringify(new URL('upstream.ts', import.meta.url).href)});
    const { parseConfig } = await import(${JSON.stringify(new URL('../config.ts', import.meta.url).href)});
    const { createSystemClock, createSystemRandom, Secret } = await import(
      ${JSON.stringify(new URL('../../../../std/index.ts', import.meta.url).href)});
    const raw = ${JSON.stringify({ host: '127.0.0.1', port, database: 'app', user: 'gate', sslMode: 'verify-ca', ...config })};
    const secrets = { resolve: async (name) => Secret.fromText(process.env[name.slice(4)]) };
    const deps = { config: parseConfig(raw), clock: createSystemClock(), random: createSystemRandom(), secrets, attempted() {} };
    const options = { parameters: [['database', 'app']], minor: 0, signal: AbortSignal.timeout(30_000) };
    await openUpstream(deps, options).catch((error) => process.stdout.write(error.code));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { SSL_CERT_DIR: join(folder, 'none'), ...env },
  });
  return stdout;
}

const secured = 'ERR_GATEWAY_TARGET_AWAY';
const refused = 'ERR_GATEWAY_TARGET_TLS';

test('the authorities of the system verify a server, with a client certificate as well', async () => {
  const file = join(folder, 'ca.crt');
  writeFileSync(file, encodePem('CERTIFICATE', authority.rootDer));
  expect(await login({ SSL_CERT_FILE: file })).toBe(secured);
  const client = { certificate: 'env:CERT', key: 'env:KEY' };
  expect(await login({ SSL_CERT_FILE: file, CERT: svid.certPem, KEY: svid.keyPem }, client)).toBe(secured);
  const other = encodePem('CERTIFICATE', createTestAuthority('example.org', Date.now()).rootDer);
  expect(await login({ SSL_CERT_FILE: file, ROOTS: other }, { sslRoots: 'env:ROOTS' })).toBe(refused);
});

test('a system that has no list of authorities verifies none of its own, and nothing else fails', async () => {
  expect(await login({ SSL_CERT_FILE: join(folder, 'none') })).toBe(refused);
});
