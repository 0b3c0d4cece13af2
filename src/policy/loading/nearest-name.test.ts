import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, nearestName } from './nearest-name.ts';

describe('the nearest name', () => {
  it.each([
    ['shpo', 'shop', 'two letters swapped'],
    ['orders', 'order', 'a letter too many'],
    ['order', 'orders', 'a letter too few'],
    ['SHOP', 'shop', 'capitals'],
    ['exmaple.rog', 'example.org', 'two slips'],
    ['spiffe://example.org/shop/wbe', 'spiffe://example.org/shop/web', 'the end of a long one'],
  ])('of %s is %s: %s', (name, nearest) => {
    expect(nearestName(name, ['customers', nearest, 'payments'])).toBe(nearest);
  });

  it('is none when only another name is there', () => {
    for (const name of ['ab', 'x', '', 'warehouse']) expect(nearestName(name, ['cd', 'shop', 'y'])).toBeUndefined();
    expect(nearestName('exmaplerog', ['example.org'])).toBeUndefined();
    expect(didYouMean('warehouse', ['shop'])).toBeUndefined();
  });

  it('is the closest of several, and the first of those that are as close', () => {
    expect(nearestName('orders', ['borders2', 'orderz', 'ordera'])).toBe('orderz');
  });

  it('is never the name itself, and is said as a question', () => {
    expect(nearestName('shop', ['shop', 'shops'])).toBe('shops');
    expect(didYouMean('shpo', ['shop'])).toBe('did you mean "shop"?');
  });

  it('is at most two slips away, whatever the names', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 7 });
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 6 }), (name, known) => {
        const nearest = nearestName(name, known);
        const far = known.filter((one) => one !== name).map((one) => slips(name, one));
        const allowed = Math.min(2, Math.floor(name.length / 3));
        const least = Math.min(...far, Number.POSITIVE_INFINITY);
        if (least > allowed) expect(nearest).toBeUndefined();
        else expect(nearest === undefined ? undefined : slips(name, nearest)).toBe(least);
      }),
    );
  });
});

/** The definition itself, without any of the shortcuts. */
function slips(a: string, b: string): number {
  const [m, n] = [a.length, b.length];
  if (m === 0 || n === 0) return m + n;
  const least = Math.min(
    slips(a.slice(0, -1), b) + 1,
    slips(a, b.slice(0, -1)) + 1,
    slips(a.slice(0, -1), b.slice(0, -1)) + (a.at(-1) === b.at(-1) ? 0 : 1),
  );
  const isSwapped = m > 1 && n > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1);
  return isSwapped ? Math.min(least, slips(a.slice(0, -2), b.slice(0, -2)) + 1) : least;
}
