import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { type Authority, authorityMigrations, createAuthority } from '../../src/authority/index.ts';
import { member as memory } from '../../src/authority/keystores/memory/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../src/std/index.ts';
import { member as sqlite } from '../../src/store/engines/sqlite/index.ts';
import { buildCertificateRequest } from '../../src/wire/x509/index.ts';

/** A workload's key and its request. */
export interface Wish {
  readonly privateKey: KeyObject;
  readonly spkiDer: Buffer;
  readonly csr: Buffer;
}

/** Requests of different keys: one key all the time would be one line of cache. */
export function wishes(count: number): readonly Wish[] {
  return Array.from({ length: count }, () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spkiDer = publicKey.export({ format: 'der', type: 'spki' });
    return { privateKey, spkiDer, csr: buildCertificateRequest({ privateKey, publicKeyDer: spkiDer }) };
  });
}

/** The authority as the server makes it, its keys in memory only. */
export async function startAuthority(): Promise<{ authority: Authority; stop: () => Promise<void> }> {
  const signal = new AbortController().signal;
  const deps = { clock: createSystemClock(), log: createSilentLog(), random: createSystemRandom() };
  const folder = mkdtempSync(join(tmpdir(), 'cs-bench-'));
  const store = await sqlite.open({ file: join(folder, 'store.db') }, deps);
  await store.start(signal);
  await store.migrate(authorityMigrations);
  const keystore = memory.open({}, deps);
  await keystore.start(signal);
  const authority = createAuthority({
    ...deps,
    store,
    keystore,
    trustDomain,
    options: {
      ...{ x509KeyType: 'ec-p256', jwtKeyType: 'ec-p256', serverId: 'bench' },
      ...{ caTtlMs: 86_400_000, x509SvidTtlMs: 3_600_000, jwtSvidTtlMs: 300_000 },
    },
  });
  await authority.start(signal);
  const stop = async () => {
    await authority.stop();
    await keystore.stop();
    await store.stop();
    rmSync(folder, { recursive: true });
  };
  return { authority, stop };
}

export const trustDomain = parseTrustDomain('example.org');
export const identity = spiffeIdOf(trustDomain, '/ns/shop/sa/web');
