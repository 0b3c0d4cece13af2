import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryBudget } from './memory-budget.ts';

// Goal: whatever sessions do, all together never hold more than they may, and those that hold least are left alone.

test('up to the limit nobody is cut', () => {
  const budget = createMemoryBudget(100);
  const cuts: number[] = [];
  for (const bytes of [60, 40]) budget.open((at) => cuts.push(at)).hold(bytes);
  expect([budget.bytes, cuts]).toEqual([100, []]);
});

test('one byte over it, whoever holds most is cut, not whoever asked last', () => {
  const budget = createMemoryBudget(100);
  const cuts: string[] = [];
  const large = budget.open((bytes) => cuts.push(`large ${bytes}`));
  const small = budget.open((bytes) => cuts.push(`small ${bytes}`));
  large.hold(70);
  small.hold(31);
  expect([budget.bytes, cuts]).toEqual([31, ['large 70']]);
  large.hold(50);
  expect(budget.bytes).toBe(31);
});

test('a session alone that asks for more than all may hold is cut itself', () => {
  const budget = createMemoryBudget(100);
  let cut = 0;
  budget.open((bytes) => (cut = bytes)).hold(101);
  expect([budget.bytes, cut]).toEqual([0, 101]);
});

test('what a closed session held is free again, once', () => {
  const budget = createMemoryBudget(100);
  const one = budget.open(() => {});
  one.hold(80);
  one.close();
  one.close();
  expect(budget.bytes).toBe(0);
});

test('in any order of holding and closing the count is the sum, and under the limit', () => {
  const step = fc.record({
    who: fc.nat(7),
    bytes: fc.oneof(fc.nat(60), fc.constant(0)),
    close: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = createMemoryBudget(100);
      const shares = Array.from({ length: 8 }, () => 0);
      const holdings = shares.map((_, who) =>
        budget.open((bytes) => {
          expect(Math.max(...shares)).toBe(bytes);
          shares[who] = 0;
          gone.add(who);
        }),
      );
      const gone = new Set<number>();
      for (const { who, bytes, close } of steps) {
        if (!gone.has(who)) shares[who] = close ? 0 : bytes;
        if (close) gone.add(who);
        if (close) holdings[who]?.close();
        else holdings[who]?.hold(bytes);
        const sum = shares.reduce((a, b) => a + b, 0);
        expect(budget.bytes).toBe(sum);
        expect(sum).toBeLessThanOrEqual(100);
      }
    }),
  );
});
