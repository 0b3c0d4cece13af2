import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBag } from './bag.ts';

describe('a bag', () => {
  it('holds what was put in and not taken out, whatever the order', () => {
    const steps = fc.array(fc.record({ add: fc.boolean(), which: fc.nat(20) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const bag = createBag<number>();
        const places = all.map(() => bag.add(-1));
        for (const place of places) place.remove();
        const expected = new Map<number, { remove(): boolean }>();
        for (const [number, { add, which }] of all.entries()) {
          if (add) {
            expected.set(number, bag.add(number));
          } else {
            const [gone] = [...expected.keys()].slice(which, which + 1);
            if (gone === undefined) continue;
            expect(expected.get(gone)?.remove()).toBe(true);
            expected.delete(gone);
          }
        }
        expect(bag.items().toSorted()).toEqual([...expected.keys()].toSorted());
        expect(bag.size).toBe(expected.size);
      }),
    );
  });

  it('holds a thing as often as it was put in', () => {
    const bag = createBag<string>();
    const first = bag.add('a');
    bag.add('a');
    expect(first.remove()).toBe(true);
    expect(first.remove()).toBe(false);
    expect(bag.items()).toEqual(['a']);
  });

  it('may be emptied while its items are gone through', () => {
    const bag = createBag<string>();
    const places = ['a', 'b', 'c'].map((item) => bag.add(item));
    const seen: string[] = [];
    for (const item of bag.items()) {
      seen.push(item);
      for (const place of places) place.remove();
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(bag.size).toBe(0);
  });
});
