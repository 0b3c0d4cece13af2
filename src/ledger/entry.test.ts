import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_VERSION } from '../model/index.ts';
import { formatCanonicalJson } from '../wire/tlog/index.ts';
import { formatEntry, parseEntry } from './entry.ts';
import { fuzz, seeds } from './folder.fuzz.ts';
import { parseProof } from './index.ts';
import { event } from './testing/ledger-fixture.ts';

describe('an entry', () => {
  const text = fc.string({ unit: 'grapheme' });
  const events = fc.record({
    kind: fc.constantFrom('intent', 'outcome', 'denial', 'session-open', 'session-close', 'admin', 'ledger'),
    timeMs: fc.maxSafeNat(),
    actor: text,
    target: text,
    action: text,
    session: text,
    operation: text,
    detail: fc.dictionary(
      text,
      fc.oneof(
        text,
        fc.maxSafeInteger().map((n) => n + 0),
        fc.boolean(),
        fc.constant(null),
        fc.array(text),
      ),
    ),
  });

  it('is the canonical JSON of its fields, and is read back', () => {
    fc.assert(
      fc.property(events, fc.maxSafeNat(), fc.maxSafeNat(), (given, seq, timeMs) => {
        const written = formatEntry(given, { seq, timeMs });
        const entry = {
          ...given,
          seq,
          timeMs,
          v: EVENT_VERSION,
          ...(given.timeMs === timeMs ? {} : { wallMs: given.timeMs }),
        };
        expect(written).toBe(formatCanonicalJson(entry));
        expect(parseEntry(Buffer.from(written))).toEqual(JSON.parse(written));
      }),
    );
  });

  const good = formatEntry(event(), { seq: 1, timeMs: 2_000_000_000_000 });
  it.each([
    ['a field too few', good.replace(/"target":"[^"]*",/, '')],
    ['a kind that is no word', good.replace('"intent"', '1')],
    ['a version that is no number', good.replace('"v":1', '"v":"1"')],
    ['a number below zero', good.replace('"seq":1', '"seq":-1')],
    ['a number as text', good.replace('"seq":1', '"seq":"1"')],
    ['a list for detail', good.replace(/"detail":\{[^}]*\}/, '"detail":[]')],
    ['fields in another order', good.replace('"seq":1,', '').replace('"wallMs"', '"seq":1,"wallMs"')],
    ['no object', '[]'],
    ['nothing', ''],
  ])('is refused with %s', (_, text) => {
    expect(() => parseEntry(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_CORRUPT' }));
  });
});

describe('a proof file', () => {
  it.each([
    '',
    '[]',
    '{}',
    '{"format":"x","entry":"","proof":""}',
    '{"format":"countersign-ledger-proof/1","entry":1,"proof":""}',
  ])('is refused when malformed: %s', (text) =>
    expect(() => parseProof(text)).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_PROOF_INVALID' })));
});

describe('the fuzz target of a folder', () => {
  it('holds for its seeds, changed, cut, doubled, and for noise', () => {
    for (const seed of seeds) fuzz(seed);
    const changed = fc
      .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), fc.nat())
      .map(([seed, at, value, cut]) => {
        const bytes = Buffer.concat([seed, seed]).subarray(0, 1 + (cut % (2 * seed.length)));
        bytes.writeUInt8(value, at % bytes.length);
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 100 })), (bytes) => fuzz(bytes)),
      { numRuns: 1000 },
    );
  });
});
