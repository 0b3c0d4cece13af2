import { generateKeyPairSync } from 'node:crypto';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { expect, it } from 'vitest';
import { openTestStore } from '../../../test/support/store.ts';
import { createManualClock, createSeededRandom, createSilentLog, startAll } from '../../std/index.ts';
import { authorityMigrations, createAuthority, type Keystore } from '../index.ts';
import { member as memory } from '../keystores/memory/index.ts';

const trustDomain = parseTrustDomain('example.org');
const signal = new AbortController().signal;
const web = spiffeIdOf(trustDomain, '/web');
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKeyDer = publicKey.export({ format: 'der', type: 'spki' });

it('whoever asks in the very moment of a rotation is served: a key is destroyed only once the next one signs', async () => {
  const clock = createManualClock(1_800_000_000_000);
  await using test = await openTestStore(authorityMigrations, { clock });
  const deps = { clock, random: createSeededRandom('rotation'), log: createSilentLog() };
  const keys = memory.open({}, deps);
  const issued: string[] = [];
  /** Asks as soon as a key is gone. */
  const keystore: Keystore = {
    ...keys,
    async remove(keyId, stop) {
      await keys.remove(keyId, stop);
      const { chainDer } = await authority.issueX509Svid({ spiffeId: web, publicKeyDer, ttlS: 0, dnsNames: [] });
      const { token } = await authority.issueJwtSvid({ spiffeId: web, audience: ['a'], ttlS: 0 });
      if (chainDer.length > 0 && token !== '') issued.push(keyId);
    },
  };
  const authority = createAuthority({
    ...{ ...deps, store: test.store, keystore, trustDomain },
    options: {
      ...{ x509KeyType: 'ec-p256', jwtKeyType: 'ec-p256', serverId: 'a' },
      ...{ caTtlMs: 86_400_000, x509SvidTtlMs: 3_600_000, jwtSvidTtlMs: 300_000 },
    },
  });
  await startAll([keys, authority], signal);
  for (const kind of ['x509', 'jwt'] as const) {
    await authority.prepare(kind, signal);
    await authority.activate(kind, signal);
  }
  expect(issued).toHaveLength(2);
  await authority.stop();
});
