import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openTestStore } from '../../../test/support/store.ts';
import { recordsMigrations } from '../index.ts';
import type { RecordsTables } from '../migrations.ts';
import { comparePlaces, insertPostings, type Place, placesOf, postingRows, SPAN_MS } from './postings.ts';
import { readReach } from './term-reach.ts';

// Goal: whatever times a batch has, the rows lead to each of its entries, once, from wherever one goes on, and to nothing else.

const TERM = 77;
const steps = fc.array(
  fc.oneof(fc.integer({ min: -5, max: 40 }), fc.constantFrom(0, SPAN_MS, SPAN_MS + 1, -SPAN_MS, 2 ** 45, -(2 ** 44))),
  { minLength: 1, maxLength: 600 },
);

/** Entries whose clock goes by those steps, forth and back. */
function batchOf(of: readonly number[], first = 0) {
  let atMs = 2 ** 46;
  return of.map((step, n) => {
    atMs = Math.max(0, atMs + step);
    return { seq: first + n, atMs, terms: n % 3 === 0 ? [TERM] : [] };
  });
}

const inOrder = (places: readonly Place[]) => places.toSorted((a, b) => comparePlaces(b, a));

describe('the rows of a batch', () => {
  it('have each place of a term once, newest first, within a span that is known', () => {
    fc.assert(
      fc.property(steps, (given) => {
        const batch = batchOf(given);
        const rows = postingRows(4, batch).filter(({ term }) => term === TERM);
        const found = rows.flatMap((row) => [...placesOf(row)]);
        const asked = batch.filter(({ terms }) => terms.length > 0);
        expect(found).toEqual(inOrder(asked.map(({ seq, atMs }) => ({ atMs, log: 4, position: seq }))));
        for (const row of rows) {
          expect([...placesOf(row)].at(-1)?.atMs).toBe(row.since_ms);
          expect(row.at_ms - row.since_ms).toBeLessThanOrEqual(SPAN_MS);
          expect(row.places.length).toBeLessThan(2000);
        }
      }),
    );
  });

  it('that are cut off or overwritten in the database end, and lead to no end of places', () => {
    const key = { term: TERM, at_ms: 100, log: 1, position: 9, since_ms: 0 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const found = [...placesOf({ ...key, places: Buffer.from(bytes) })];
        expect(found.length).toBeLessThanOrEqual(1 + bytes.length / 2);
      }),
    );
  });
});

describe('what is read of a term', () => {
  it('is whole down to where it says, from any place on, over logs whose times overlap', async () => {
    await using test = await openTestStore(recordsMigrations);
    const db = test.store.db<RecordsTables>();
    const logs = [1, 2, 3].map((log) => ({
      log,
      batches: [0, 1, 2].map((n) =>
        batchOf(
          Array.from({ length: 300 }, (_, k) => (k * 7 + log + n) % 90),
          n * 300,
        ),
      ),
    }));
    for (const { log, batches } of logs) for (const batch of batches) await insertPostings(db, postingRows(log, batch));
    const all = inOrder(
      logs.flatMap(({ log, batches }) =>
        batches.flat().flatMap(({ seq, atMs, terms }) => (terms.length > 0 ? [{ atMs, log, position: seq }] : [])),
      ),
    );
    for (const limit of [1, 2, 5, 100]) {
      const found: Place[] = [];
      for (let from: Place | undefined; ; ) {
        const reach = await readReach(db, TERM, { from, sinceMs: undefined, limit });
        found.push(...reach.places());
        if (reach.floor === undefined) break;
        from = reach.floor;
      }
      expect(found).toEqual(all);
    }
  });
});
