import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSeededRandom, Secret } from '../../std/index.ts';
import { createSealer, SealError, unwrapKey, wrapKey } from './index.ts';
import { fuzz, seeds } from './seal.fuzz.ts';

const random = createSeededRandom('seal');
const key = new Secret(random.bytes(32));

describe('a sealer', () => {
  it('opens what it sealed, for the same context only', () => {
    const sealer = createSealer(key);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (bytes, context, other) => {
        const sealed = sealer.seal(Buffer.from(bytes), context);
        expect(sealer.open(sealed, context)).toEqual(Buffer.from(bytes));
        if (other !== context) expect(() => sealer.open(sealed, other)).toThrow(code('ERR_SEAL_BROKEN'));
      }),
      { numRuns: 100 },
    );
  });

  it('never seals the same value to the same bytes', () => {
    const sealer = createSealer(key);
    expect(sealer.seal(Buffer.from('x'), 'c').equals(sealer.seal(Buffer.from('x'), 'c'))).toBe(false);
  });

  it('refuses the value when any one bit of it is changed, or when it is cut anywhere', () => {
    const sealer = createSealer(key);
    const sealed = sealer.seal(Buffer.from('secret'), 'c');
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const edited = Buffer.from(sealed);
      edited[bit >> 3] = (edited[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => sealer.open(edited, 'c')).toThrow(SealError);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => sealer.open(sealed.subarray(0, length), 'c')).toThrow(SealError);
    }
  });

  it('refuses another key, a key of the wrong size and a value that is too large', () => {
    const sealed = createSealer(key).seal(Buffer.from('secret'), 'c');
    expect(() => createSealer(new Secret(random.bytes(32))).open(sealed, 'c')).toThrow(code('ERR_SEAL_BROKEN'));
    expect(() => createSealer(new Secret(random.bytes(16)))).toThrow(code('ERR_SEAL_KEY'));
    expect(() => createSealer(key).open(Buffer.from('not sealed'), 'c')).toThrow(code('ERR_SEAL_FORMAT'));
    expect(() => createSealer(key).seal(Buffer.alloc(64 * 1024 * 1024 + 1), 'c')).toThrow(code('ERR_SEAL_SIZE'));
  });
});

describe('a key wrapped under a passphrase', () => {
  it('comes back with the passphrase, and with no other', async () => {
    const wrapped = await wrapKey(key, Secret.fromText('correct horse'));
    expect((await unwrapKey(wrapped, Secret.fromText('correct horse'))).reveal()).toEqual(key.reveal());
    await expect(unwrapKey(wrapped, Secret.fromText('correct horsf'))).rejects.toThrow(code('ERR_SEAL_BROKEN'));
  });

  it('refuses a file whose cost was raised or lowered, before spending it', async () => {
    const wrapped = await wrapKey(key, Secret.fromText('p'));
    for (const cost of [0, 13, 21, 255]) {
      const edited = Buffer.from(wrapped);
      edited[5] = cost;
      await expect(unwrapKey(edited, Secret.fromText('p'))).rejects.toThrow(code('ERR_SEAL_FORMAT'));
    }
    await expect(unwrapKey(wrapped.subarray(0, 20), Secret.fromText('p'))).rejects.toThrow(code('ERR_SEAL_FORMAT'));
    await expect(wrapKey(new Secret(random.bytes(5)), Secret.fromText('p'))).rejects.toThrow(code('ERR_SEAL_KEY'));
  });
});

it('holds its promise over the fuzz seeds and changes of them', () => {
  for (const seed of seeds) fuzz(seed);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => fuzz(bytes)));
});

function code(expected: string): object {
  return expect.objectContaining({ code: expected });
}
