import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCanonicalJson, type JsonValue, parseCanonicalJson, TlogError } from './index.ts';

const json: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'grapheme' }),
    fc.maxSafeInteger().map((number) => number + 0),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value')),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value')),
  ),
})).value;

const refused = (run: () => unknown) => {
  expect(run).toThrow(TlogError);
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_TLOG_JSON' }));
};

describe('canonical JSON', () => {
  it('sorts names by UTF-16 code units, as in the example of RFC 8785 §3.2.3', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    const names = Object.keys(JSON.parse(formatCanonicalJson(value).replaceAll(/"1"/g, '"one"')));
    expect(names).toEqual(['\r', 'one', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33']);
  });

  it('escapes strings as in the example of RFC 8785 §3.2.2', () => {
    expect(formatCanonicalJson('\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/')).toBe(
      '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"',
    );
  });

  it('reads back every value it writes, and writes every value one way', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = formatCanonicalJson(value);
        expect(formatCanonicalJson(parseCanonicalJson(Buffer.from(text)))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('writes the same text whatever the order of names', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.integer()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse());
        expect(formatCanonicalJson(turned)).toBe(formatCanonicalJson(value));
      }),
    );
  });

  it.each([0.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses the number %s', (number) => {
    refused(() => formatCanonicalJson(number));
  });

  it('writes what is frozen as it writes everything, however often and deep it stands', () => {
    const freeze = <T>(value: T): T => {
      if (typeof value !== 'object' || value === null) return value;
      for (const member of Object.values(value)) freeze(member);
      return Object.freeze(value);
    };
    fc.assert(
      fc.property(json, (value) => {
        const text = formatCanonicalJson(value);
        const frozen = freeze(structuredClone(value));
        for (let times = 0; times < 2; times++) {
          expect(formatCanonicalJson(frozen)).toBe(text);
          expect(formatCanonicalJson({ a: [frozen] })).toBe(`{"a":[${text}]}`);
        }
      }),
    );
  });

  it('keeps no text of what is frozen in part', () => {
    const inner = { n: 1 };
    const value = Object.freeze([Object.freeze({ inner })]);
    expect(formatCanonicalJson(value)).toBe('[{"inner":{"n":1}}]');
    inner.n = 2;
    expect(formatCanonicalJson(value)).toBe('[{"inner":{"n":2}}]');
  });

  it('counts how deep what is frozen stands, though its text is known', () => {
    const deep = (depth: number, inner: JsonValue): JsonValue => (depth === 0 ? inner : [deep(depth - 1, inner)]);
    const frozen = Object.freeze(Array.from({ length: 1 }, () => Object.freeze(['x'])));
    formatCanonicalJson(frozen);
    expect(formatCanonicalJson(deep(30, frozen))).toContain('x');
    refused(() => formatCanonicalJson(deep(31, frozen)));
  });

  it('refuses what JSON has no value for', () => {
    const odd: unknown[] = [
      undefined,
      { a: undefined },
      [undefined],
      new Array(2),
      new Map(),
      new Date(0),
      () => 1,
      1n,
      '\ud800',
      { '\udc00': 1 },
    ];
    // The types forbid these; a caller may still pass them on from elsewhere.
    for (const value of odd) refused(() => formatCanonicalJson(value as JsonValue));
  });

  it('nests 32 deep and no deeper', () => {
    const nested = (depth: number): JsonValue => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(formatCanonicalJson(nested(32))).toHaveLength(65);
    refused(() => formatCanonicalJson(nested(33)));
    refused(() => parseCanonicalJson(Buffer.from('['.repeat(100_000) + ']'.repeat(100_000))));
  });

  it.each([
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{ "a":1}',
    '1.0',
    '1e2',
    '-0',
    '"\\u0041"',
    '"\\/"',
    '\ufeff1',
    '[1,]',
    '',
    '9007199254740993',
  ])('refuses the spelling %s', (text) => refused(() => parseCanonicalJson(Buffer.from(text))));

  it('refuses bytes that are not UTF-8', () => {
    refused(() => parseCanonicalJson(Buffer.from([0x22, 0xff, 0x22])));
  });

  it('keeps a name that objects have by birth', () => {
    const text = '{"__proto__":1,"constructor":2}';
    expect(formatCanonicalJson(parseCanonicalJson(Buffer.from(text)))).toBe(text);
  });
});
