import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { readGivenSecretNow } from '../private-files/index.ts';
import {
  createManualClock,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type Service,
  startAll,
  stopAll,
} from '../std/index.ts';
import { member as postgres } from '../store/engines/postgres/index.ts';
import { buildCertificateRequest, parseCertificateRequest, verifyX509Svid } from '../wire/x509/index.ts';
import { authorityMigrations, createAuthority } from './index.ts';
import { member as memory } from './keystores/memory/index.ts';

// Several servers on one PostgreSQL: each with its own authority, one bundle for all, without a leader.

const signal = new AbortController().signal;
const trustDomain = parseTrustDomain('example.org');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'authority-pg-'));
let server: TestPostgres;
const running: Service[] = [];

beforeAll(async () => {
  server = await startPostgres();
  const url = new URL(server.url);
  url.searchParams.set('sslmode', 'disable');
  fs.writeFileSync(path.join(folder, 'url'), url.href, { mode: 0o600 });
});
afterAll(async () => {
  await stopAll(running);
  await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function startServer(serverId: string) {
  const deps = { log: createSilentLog(), random: createSystemRandom() };
  const files = {
    readSecretFile: (file: string) => readGivenSecretNow(`file:${file}`, { env: {}, bytesMax: 1000 }),
    readTrustedFile: () => undefined,
  };
  const store = await postgres.open(
    { url: `file:${path.join(folder, 'url')}` },
    { ...deps, clock: createSystemClock(), files },
  );
  const keystore = memory.open({}, deps);
  const options = {
    x509KeyType: 'ec-p256',
    jwtKeyType: 'ec-p256',
    caTtlMs: 86_400_000,
    x509SvidTtlMs: 3_600_000,
    jwtSvidTtlMs: 300_000,
    serverId,
  } as const;
  const authority = createAuthority({
    ...deps,
    store,
    keystore,
    clock: createManualClock(1_800_000_000_000),
    trustDomain,
    options,
  });
  await startAll([store], signal);
  running.push(store);
  await store.migrate(authorityMigrations);
  await startAll([keystore, authority], signal);
  running.push(keystore, authority);
  return authority;
}

it('start at the same moment, and each verifies what the others issue, with one sequence for all', async () => {
  const servers = await Promise.all(['a', 'b', 'c'].map(startServer));
  // Three X.509 authorities and three JWT keys were published, each a step of the sequence.
  for (const authority of servers) await expect.poll(() => authority.bundle().sequence).toBe(6);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = buildCertificateRequest({ privateKey, publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }) });
  const { spkiDer } = parseCertificateRequest(csr);
  for (const issuing of servers) {
    const spiffeId = spiffeIdOf(trustDomain, '/web');
    const { chainDer } = await issuing.issueX509Svid({ spiffeId, publicKeyDer: spkiDer, ttlS: 0, dnsNames: [] });
    for (const verifying of servers) {
      expect(verifying.bundle()).toEqual(issuing.bundle());
      const verdict = verifyX509Svid(chainDer, () => verifying.bundle().x509Authorities, 1_800_000_000_000);
      expect(verdict).toMatchObject({ ok: true });
    }
  }
  const [first, second] = servers;
  const next = await first?.prepare('x509', signal);
  await expect.poll(() => second?.authorities().find((each) => each.id === next?.id)?.state).toBe('prepared');
});
