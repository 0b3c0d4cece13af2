import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Names } from './names.ts';

/**
 * A model of the target: it carries changes out in order; one that fails makes it skip to the next Sync. Whatever is in flight, a lookup
 * may say 'wait' or be right about what the target will see when the asker's own message arrives there (or that message is skipped).
 */
const step = fc.record({
  kind: fc.constantFrom('change', 'sync', 'reply', 'reply', 'ask'),
  name: fc.constantFrom('', 'a', 'b'),
  close: fc.boolean(),
  fails: fc.boolean(),
});

type Sent =
  | { kind: 'change'; name: string; value: number | undefined; fails: boolean }
  | { kind: 'sync' }
  | { kind: 'ask'; name: string; told: number | undefined };

describe('names in flight', () => {
  test('are never told wrongly', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const names = new Names<number>(() => 1);
        const truth = new Map<string, number>();
        const sent: Sent[] = [];
        let next = 0;
        let skipping = false;
        const reply = () => {
          const message = sent.shift();
          if (message === undefined || message.kind === 'sync') return;
          if (message.kind === 'ask') return expect(message.told).toBe(truth.get(message.name));
          if (!message.fails) {
            if (message.value === undefined) truth.delete(message.name);
            else truth.set(message.name, message.value);
            return names.confirmed(message.name, message.value);
          }
          names.dropped(message.name);
          while (sent.length > 0 && sent[0]?.kind !== 'sync') {
            const skipped = sent.shift();
            if (skipped?.kind === 'change') names.dropped(skipped.name);
          }
          if (sent.length > 0) return;
          names.endSegment();
          skipping = true;
        };
        for (const { kind, name, close, fails } of steps) {
          if (kind === 'sync') {
            skipping = false;
            names.endSegment();
            sent.push({ kind });
          } else if (kind === 'reply') {
            reply();
          } else if (!skipping && kind === 'change') {
            const value = close ? undefined : next++;
            names.sent(name, value);
            sent.push({ kind, name, value, fails });
          } else if (!skipping && kind === 'ask') {
            const told = names.lookup(name);
            if (told !== 'wait') sent.push({ kind, name, told });
          }
        }
        while (sent.length > 0) reply();
        for (const name of ['', 'a', 'b']) {
          names.endSegment();
          expect(names.lookup(name)).toBe(truth.get(name));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('of an earlier segment have to be waited for', () => {
    const names = new Names<string>(() => 1);
    names.sent('s', 'new');
    expect(names.lookup('s')).toBe('new');
    names.endSegment();
    expect(names.lookup('s')).toBe('wait');
    names.dropped('s');
    expect(names.lookup('s')).toBeUndefined();
  });
});
