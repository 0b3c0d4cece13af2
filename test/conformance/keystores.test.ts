import { createPublicKey, verify } from 'node:crypto';
import { Value } from 'typebox/value';
import { afterAll, describe, expect, it } from 'vitest';
import { keystores } from '../../src/authority/keystores/registry.generated.ts';
import type { KeyType } from '../../src/model/index.ts';
import { createSilentLog, createSystemRandom } from '../../src/std/index.ts';

// What every keystore promises to the authority, over every registered member.

const signal = new AbortController().signal;
const deps = { log: createSilentLog(), random: createSystemRandom() };

/** Each keystore brings what the suite must know of it, in `testing/conformance.ts` of its folder. */
interface KeystoreCase {
  readonly conformance: { readonly durable: boolean; config(): object; remove(config: object): void };
}

const cases = await Promise.all(
  keystores.map(async (member) => {
    const { conformance }: KeystoreCase = await import(
      `../../src/authority/keystores/${member.id}/testing/conformance.ts`
    );
    return { id: member.id, member, conformance };
  }),
);

describe.each(cases)('keystore $id', ({ member, conformance }) => {
  const { durable } = conformance;
  const configs: object[] = [];
  const config = () => {
    configs.push(conformance.config());
    return configs.at(-1) ?? {};
  };
  afterAll(() => {
    for (const made of configs) conformance.remove(made);
  });

  async function opened(settings: unknown = config()) {
    const keystore = member.open(settings, deps);
    await keystore.start(signal);
    return keystore;
  }

  it('describes itself: kind, id of its folder, one sentence, a closed schema whose keys all say what they are', () => {
    expect(member.kind).toBe('keystore');
    expect(member.summary).toMatch(/\.$/);
    expect(Value.Check(member.config, { ...config(), unexpected: 1 })).toBe(false);
    for (const property of Object.values(member.config.properties)) expect(property).toHaveProperty('description');
  });

  it('refuses a config that its schema does not allow', () => {
    expect(() => member.open({ unexpected: true }, deps)).toThrow(
      expect.objectContaining({ code: 'ERR_KEYSTORE_CONFIG' }),
    );
  });

  const types: readonly [KeyType, 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-sha256', 'ES256' | 'ES384' | 'RS256'][] = [
    ['ec-p256', 'ecdsa-sha256', 'ES256'],
    ['ec-p384', 'ecdsa-sha384', 'ES384'],
    ['rsa-2048', 'rsa-sha256', 'RS256'],
  ];
  it.each(
    types,
  )('makes a %s key that signs %s and %s, which its public key verifies', async (type, certificate, token) => {
    const keystore = await opened();
    const key = await keystore.generate('k1', type, signal);
    expect(key).toMatchObject({ keyId: 'k1', type });
    const publicKey = createPublicKey({ key: key.publicKeyDer, format: 'der', type: 'spki' });
    const data = Buffer.from('to be signed');
    const hash = type === 'ec-p384' ? 'sha384' : 'sha256';
    expect(verify(hash, data, publicKey, key.sign(data, certificate))).toBe(true);
    const raw = { key: publicKey, ...(type === 'rsa-2048' ? {} : { dsaEncoding: 'ieee-p1363' as const }) };
    expect(verify(hash, data, raw, key.sign(data, token))).toBe(true);
    await keystore.stop();
  });

  it('refuses to sign with an algorithm of another key type', async () => {
    const keystore = await opened();
    const key = await keystore.generate('k1', 'ec-p256', signal);
    for (const algorithm of ['ecdsa-sha384', 'rsa-sha256', 'ES384', 'RS256'] as const) {
      expect(() => key.sign(Buffer.from('x'), algorithm)).toThrow(
        expect.objectContaining({ code: 'ERR_KEYSTORE_KEY' }),
      );
    }
    await keystore.stop();
  });

  it('finds and lists its keys, and forgets a removed one: its handle signs no more', async () => {
    const keystore = await opened();
    const kept = await keystore.generate('b.kept-1', 'ec-p256', signal);
    const removed = await keystore.generate('a.removed', 'ec-p256', signal);
    expect(keystore.list()).toEqual(['a.removed', 'b.kept-1']);
    await keystore.remove('a.removed', signal);
    await keystore.remove('a.removed', signal);
    expect(keystore.list()).toEqual(['b.kept-1']);
    expect(keystore.find('a.removed')).toBeUndefined();
    expect(keystore.find('b.kept-1')).toBe(kept);
    expect(() => removed.sign(Buffer.from('x'), 'ES256')).toThrow(
      expect.objectContaining({ code: 'ERR_KEYSTORE_CLOSED' }),
    );
    await keystore.stop();
  });

  it('refuses a key id that is taken, also by a key that is just being made, or could leave its place', async () => {
    const keystore = await opened();
    const both = await Promise.allSettled([
      keystore.generate('same', 'ec-p256', signal),
      keystore.generate('same', 'ec-p256', signal),
    ]);
    expect(both.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const keyId of ['same', '', '../x', '.hidden', 'a/b', 'A', 'x'.repeat(129)]) {
      await expect(keystore.generate(keyId, 'ec-p256', signal)).rejects.toMatchObject({ code: 'ERR_KEYSTORE_KEY' });
    }
    await keystore.stop();
  });

  it(durable ? 'has its keys again after a restart' : 'starts empty after a restart', async () => {
    const settings = config();
    const before = await opened(settings);
    const key = await before.generate('k1', 'ec-p256', signal);
    await before.stop();
    expect(() => key.sign(Buffer.from('x'), 'ES256')).toThrow(expect.objectContaining({ code: 'ERR_KEYSTORE_CLOSED' }));
    const after = await opened(settings);
    expect(after.list()).toEqual(durable ? ['k1'] : []);
    expect(after.find('k1')?.publicKeyDer).toEqual(durable ? key.publicKeyDer : undefined);
    await after.stop();
  });

  it('answers nothing before it starts and after it stops, and makes no key for an aborted caller', async () => {
    const keystore = member.open(config(), deps);
    const closed = { code: 'ERR_KEYSTORE_CLOSED' };
    expect(() => keystore.list()).toThrow(expect.objectContaining(closed));
    await expect(keystore.generate('k', 'ec-p256', signal)).rejects.toMatchObject(closed);
    await keystore.start(signal);
    await expect(keystore.generate('k', 'ec-p256', AbortSignal.abort())).rejects.toThrow();
    expect(keystore.list()).toEqual([]);
    await keystore.stop();
    expect(() => keystore.find('k')).toThrow(expect.objectContaining(closed));
    await expect(keystore.remove('k', signal)).rejects.toMatchObject(closed);
  });
});
