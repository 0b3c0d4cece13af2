import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvaluationError } from './evaluation-error.ts';
import { extensionFunctions } from './extensions.ts';
import { compileLike } from './like.ts';
import { addLong, divideLong, floorModulo, longOf, multiplyLong, negateLong, subtractLong } from './long.ts';
import { EntityValue, equal, includesAll, includesAny, type Value } from './values.ts';

describe('64-bit integers', () => {
  const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

  it('are computed exactly or refused, over the whole range', async () => {
    const operations = [
      [addLong, (a: bigint, b: bigint) => a + b],
      [subtractLong, (a: bigint, b: bigint) => a - b],
      [multiplyLong, (a: bigint, b: bigint) => a * b],
    ] as const;
    const operand = fc.oneof(
      long,
      fc.bigInt({ min: -4n, max: 4n }),
      fc.constantFrom(2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), 2n ** 31n),
    );
    await fc.assert(
      fc.property(operand, operand, fc.constantFrom(...operations), (a, b, [ours, exact]) => {
        const expected = exact(a, b);
        if (BigInt.asIntN(64, expected) !== expected) expect(() => ours(longOf(a), longOf(b))).toThrow(EvaluationError);
        else expect(Object.is(ours(longOf(a), longOf(b)), longOf(expected))).toBe(true);
      }),
      { numRuns: 2000 },
    );
    expect(() => negateLong(longOf(-(2n ** 63n)))).toThrow(/overflow/);
  });

  it('divide toward zero, and their rest rounds down', () => {
    expect([7, -7].map((value) => divideLong(value, 2))).toEqual([3, -3]);
    expect([7, -7, -8].map((value) => floorModulo(value, 4))).toEqual([3, 1, 0]);
    expect(divideLong(2n ** 62n, 1000)).toBe(4611686018427387);
  });
});

describe('like', () => {
  it('matches as trying every way would', async () => {
    const pieces = fc.array(fc.oneof(fc.constant(null), fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 })), {
      maxLength: 6,
    });
    await fc.assert(
      fc.property(pieces, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), (pattern, text) => {
        const naive = new RegExp(`^${pattern.map((piece) => piece ?? '[^]*').join('')}$`);
        expect(compileLike(pattern)(text)).toBe(naive.test(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no longer for patterns made to be slow', () => {
    const matches = compileLike(Array.from({ length: 1999 }, (_, index) => (index % 2 === 0 ? 'a' : null)));
    expect(matches(`${'a'.repeat(1_000_000)}b`)).toBe(false);
    expect(compileLike([null, `${'a'.repeat(1000)}b`, null])('a'.repeat(1_000_000))).toBe(false);
  });
});

describe('sets and records', () => {
  it('compare without order and repetition, at any size and depth', () => {
    const many = Array.from({ length: 500 }, (_, index) => `c${index}`);
    expect(equal([1, 1, 2], [2, 1])).toBe(true);
    expect(equal([1, 2], [1, 2, 3])).toBe(false);
    expect(equal(many, many.toReversed())).toBe(true);
    expect(equal(many, [...many, 'other'])).toBe(false);
    expect(equal([['a'], { x: [1] }], [{ x: [1, 1] }, ['a']])).toBe(true);
    expect(includesAll([...many, ['x']], [...many, ['x']])).toBe(true);
    expect(includesAny([...many, ['x']], [...many.map((name) => `${name}!`), ['x']])).toBe(true);
    expect(includesAny(many, [['x'], 1, true])).toBe(false);
  });

  it('are equal to nothing of another kind', () => {
    const values: Value[] = [
      1,
      2n ** 60n,
      '1',
      true,
      [],
      [1],
      {},
      { length: 0 },
      new EntityValue('A', '1'),
      { type: 'A', id: '1' },
      ...['ip("1.2.3.4")', 'decimal("1.0")'].map(extension),
    ];
    for (const [i, a] of values.entries()) for (const [j, b] of values.entries()) expect(equal(a, b)).toBe(i === j);
  });

  it('know nothing of what objects inherit', () => {
    expect(equal({ constructor: 1 }, { toString: 1 })).toBe(false);
    const named: Record<string, Value> = JSON.parse('{"__proto__": 1}');
    expect(equal(named, {})).toBe(false);
    expect(equal(named, JSON.parse('{"__proto__": 1}'))).toBe(true);
  });
});

describe('texts of extension types', () => {
  it.each([
    ['ip', '01.2.3.4'],
    ['ip', '1.2.3'],
    ['ip', '1.2.3.4/33'],
    ['ip', '1.2.3.4/08'],
    ['ip', '::1%eth0'],
    ['ip', '::ffff:1.2.3.4'],
    ['ip', '1::2::3'],
    ['ip', ':1'],
    ['ip', '1:2:3:4:5:6:7:8::'],
    ['ip', ''],
    ['ip', ' ::1'],
    ['decimal', '1'],
    ['decimal', '1.'],
    ['decimal', '.5'],
    ['decimal', '1.00000'],
    ['decimal', '922337203685477.5808'],
    ['decimal', `${'0'.repeat(100)}.1`],
    ['datetime', '2023-02-29'],
    ['datetime', '1900-02-29'],
    ['datetime', '2024-04-31'],
    ['datetime', '2024-01-01T24:00:00Z'],
    ['datetime', '2024-01-01T23:60:00Z'],
    ['datetime', '2024-01-01T23:59:60Z'],
    ['datetime', '2024-01-01T00:00:00'],
    ['datetime', '2024-01-01T00:00:00+2400'],
    ['datetime', '2024-01-01T00:00:00.1Z'],
    ['datetime', '24-01-01'],
    ['duration', ''],
    ['duration', '-'],
    ['duration', '1'],
    ['duration', '1s1m'],
    ['duration', '1.5s'],
    ['duration', '9223372036854775808ms'],
    ['duration', '106751991168d'],
    ['duration', '9'.repeat(1_000_000)],
  ])('%s refuses %s', (name, text) => {
    expect(() => extensionFunctions.get(name)?.call(text, text)).toThrow(EvaluationError);
  });
});

function extension(source: string): Value {
  const [, name = '', text = ''] = /^(\w+)\("(.*)"\)$/.exec(source) ?? [];
  return extensionFunctions.get(name)?.call(text, text) ?? '';
}
