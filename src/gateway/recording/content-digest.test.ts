// Goal: what the ledger has of content tells equal from other content, and lets nobody without the key try out what it was.
import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Content } from '../../model/index.ts';
import { Secret } from '../../std/index.ts';
import { createContentDigester, keyIdOf } from './content-digest.ts';

const KEY = Buffer.alloc(32, 1);
const digester = (key = KEY) => createContentDigester(new Secret(key));
const { digest, keyId } = digester();
const of = (text: string, values: readonly (string | null)[] = [], formats: readonly number[] = []): Content => ({
  ...{ text, formats },
  values: values.map((value) => (value === null ? null : Buffer.from(value))),
});

/** As the reference says it, by Node's own HMAC. */
function expected({ text, values, formats }: Content): string {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const hmac = createHmac('sha256', KEY)
    .update(number(Buffer.byteLength(text)))
    .update(text);
  hmac.update(number(values.length));
  for (const [i, value] of values.entries()) {
    const format = value === null ? 0 : ((formats.length === 1 ? formats[0] : formats[i]) ?? 0);
    hmac.update(number(format).subarray(2)).update(number(value?.length ?? -1));
    hmac.update(value ?? '');
  }
  return `${keyId}:${hmac.digest('base64url')}`;
}

describe('a digest of content', () => {
  it('is the HMAC-SHA-256 of the framed content, whatever that is and however long', () => {
    const content = fc.record({
      text: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.nat(30_000).map((length) => 'é'.repeat(length)),
      ),
      values: fc.array(fc.option(fc.uint8Array({ maxLength: 6_000 }).map((bytes) => Buffer.from(bytes))), {
        maxLength: 5,
      }),
      formats: fc.oneof(fc.constant([]), fc.constant([1]), fc.array(fc.nat(65_535), { minLength: 5, maxLength: 5 })),
    });
    fc.assert(
      fc.property(content, (one) => {
        expect(digest(one)).toBe(expected(one));
      }),
    );
  });

  it('is equal for equal content, in whatever order contents come, and in another process with that key', () => {
    const one = of('select $1', ['a']);
    const first = digest(one);
    digest(of('x'.repeat(30_000), ['y'.repeat(20_000)]));
    digest(of('select $1', ['b']));
    expect(digest(of('select $1', ['a']))).toBe(first);
    expect(digester().digest(one)).toBe(first);
    expect(first).toMatch(/^[\w-]{8}:[\w-]{43}$/);
  });

  it('is another one under another key, and says so by the id of the key', () => {
    const other = digester(Buffer.alloc(32, 2));
    const one = of('select 1');
    expect(keyIdOf(digest(one))).toBe(keyId);
    expect(keyIdOf(other.digest(one))).toBe(other.keyId);
    expect(other.keyId).not.toBe(keyId);
    expect(other.digest(one).slice(9)).not.toBe(digest(one).slice(9));
    expect(keyIdOf('0'.repeat(64))).toBeUndefined();
  });

  it('tells apart what differs in anything: where text and values end, null and empty, format, count', () => {
    const all = [
      of(''),
      of('', ['']),
      of('', [null]),
      of('', ['', '']),
      of('ab'),
      of('a', ['b']),
      of('a', ['', 'b']),
      of('a', ['b', '']),
      of('a', ['b', null]),
      of('a', ['b'], [1]),
      of('a', ['b', 'b'], [0, 1]),
      of('a', ['b', 'b'], [1, 0]),
      of('a', ['b', 'b'], [1]),
      of('a', ['b', 'b']),
      of('a', ['bb']),
      of('a\0\0\0\0'),
    ];
    expect(new Set(all.map(digest)).size).toBe(all.length);
  });

  it('is the same however a format is written that is the same: once for all, or for each; that of null is none', () => {
    expect(digest(of('a', ['b', 'c'], [1]))).toBe(digest(of('a', ['b', 'c'], [1, 1])));
    expect(digest(of('a', ['b', 'c'], [0]))).toBe(digest(of('a', ['b', 'c'])));
    expect(digest(of('a', ['b', null], [0, 1]))).toBe(digest(of('a', ['b', null])));
  });
});

describe('whoever reads a digest without the key', () => {
  it('finds none of ten thousand guesses by what can be computed without it', () => {
    const text = 'select id from people where pin = $1';
    const shown = digest(of(text, ['4711']));
    const hashed = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest();
    for (let pin = 0; pin < 10_000; pin++) {
      const guess = String(pin).padStart(4, '0');
      const before = `${hashed(text).toString('hex')}${guess.length}:${guess}`;
      const forms = [guess, text + guess, before].map((form) => hashed(form).toString('base64url'));
      expect(forms.some((form) => shown.includes(form))).toBe(false);
    }
    // With another key, as whoever has none may take any, the right guess and a wrong one look alike: both are other digests.
    const other = digester(Buffer.alloc(32, 3));
    for (const guess of ['4711', '4712']) expect(other.digest(of(text, [guess])).slice(9)).not.toBe(shown.slice(9));
  });

  it('reads no part of the key, or of its hash, in the key’s id', () => {
    const told = [KEY, createHash('sha256').update(KEY).digest()].map((bytes) => bytes.toString('base64url'));
    expect(told.some((text) => text.includes(keyId))).toBe(false);
  });
});
