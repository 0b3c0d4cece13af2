import { describe, expect, it } from 'vitest';
import { createCacheBudget } from './cache-budget.ts';

const text = (bytes: number) => 'x'.repeat(bytes);

describe('caches of one budget', () => {
  it('never take more than it has, whoever keeps how many things of which size', () => {
    const budget = createCacheBudget(100_000);
    const caches = ['a', 'b', 'c'].map((name) => budget.open<string>(name));
    for (let i = 0; i < 5_000; i++) {
      caches[i % 3]?.keep(`key ${i}`, text(i % 700), i % 700);
      expect(budget.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(budget.bytes).toBe(Array.from(budget.usage().values()).reduce((a, b) => a + b));
    expect(budget.bytes).toBeGreaterThan(90_000);
  });

  it('let go of what was used longest ago, from whichever of them', () => {
    const budget = createCacheBudget(10_000);
    const [mine, others] = [budget.open<number>('mine'), budget.open<number>('others')];
    mine.keep('used', 1, 500);
    mine.keep('unused', 2, 500);
    for (let i = 0; i < 100; i++) {
      others.keep(`${i}`, i, 500);
      mine.take('used');
    }
    expect([mine.take('used'), mine.take('unused'), others.take('0'), others.take('99')]).toEqual([
      1,
      undefined,
      undefined,
      99,
    ]);
  });

  it('count a value once when it takes the place of another, and nothing when they are emptied', () => {
    const budget = createCacheBudget(10_000);
    const cache = budget.open<number>('one');
    for (let i = 0; i < 100; i++) cache.keep('key', i, 1_000);
    expect(budget.bytes).toBeLessThan(2_000);
    expect(cache.take('key')).toBe(99);
    budget.clear();
    expect([budget.bytes, cache.take('key'), budget.usage().get('one')]).toEqual([0, undefined, 0]);
  });

  it('keep nothing that would push out most of the rest, and nothing at all of a budget of none', () => {
    const budget = createCacheBudget(10_000);
    const cache = budget.open<number>('one');
    cache.keep('small', 1, 100);
    cache.keep('huge', 2, 9_000);
    expect([cache.take('small'), cache.take('huge')]).toEqual([1, undefined]);
    const none = createCacheBudget(0).open<number>('none');
    none.keep('key', 1, 0);
    expect(none.take('key')).toBeUndefined();
  });
});
