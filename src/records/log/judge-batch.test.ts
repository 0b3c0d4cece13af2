import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafHash } from '../../wire/tlog/index.ts';
import { type TestLog, testEntry, testLog } from '../testing/log-fixture.ts';
import { judgeBatch, type LogBatch, type LogState, rootOf, type Verdict, withoutTail } from './judge-batch.ts';

// Goal: whatever a shipper hands over, in whatever pieces, what is kept is what the log's key signed; and each way in which a log can
// contradict itself is found and named, wherever in the log it lies.

const seqIn = (batch: LogBatch) => (index: number) => seqOf(batch.entries[index] ?? Buffer.alloc(0));
const seqOf = (entry: Buffer): number | undefined => {
  try {
    return JSON.parse(entry.toString()).seq;
  } catch {
    return undefined;
  }
};

/** A server that keeps one log in memory. */
function keeper(log: TestLog) {
  let state: LogState = log.state();
  let kept: Buffer[] = [];
  return {
    kept: () => kept,
    state: () => state,
    take(batch: LogBatch, told = state.signed.size): Verdict {
      const verdict = judgeBatch(state, batch, {
        told,
        kept: kept.slice(batch.first).map(leafHash),
        seqAt: seqIn(batch),
      });
      if (verdict.kind === 'taken') {
        kept.push(...batch.entries.slice(verdict.fresh));
        state = verdict.state;
      } else if (verdict.alarm === 'edited' || verdict.alarm === 'fork') {
        state = withoutTail(state);
        kept = kept.slice(0, state.head.size);
      }
      return verdict;
    },
  };
}

type Keeper = ReturnType<typeof keeper>;

/** Ships from where the keeper stands to `end`, with checkpoints at some of the sizes. */
function ship(
  log: TestLog,
  to: Keeper,
  { end = log.entries.length, step = 3, signEach = 2 } = {},
): Verdict | undefined {
  let last: Verdict | undefined;
  for (let n = 1; to.state().head.size < end; n++) {
    const first = to.state().head.size;
    const next = Math.min(end, first + step);
    const signs = n % signEach === 0 || next === end;
    last = to.take(log.batch(first, next, signs ? to.state().signed.size : undefined));
    if (last.kind === 'alarm') return last;
  }
  return last;
}

const sizes = {
  size: fc.integer({ min: 1, max: 60 }),
  step: fc.integer({ min: 1, max: 9 }),
  signEach: fc.integer({ min: 1, max: 4 }),
};

describe('an honest log', () => {
  it('is kept whole, byte for byte, however it was cut into batches, and stands at the root that was signed', () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ size, step, signEach }) => {
        const log = testLog(size);
        const server = keeper(log);
        expect(ship(log, server, { step, signEach })).toMatchObject({ kind: 'taken', vouched: true });
        expect(Buffer.concat(server.kept())).toEqual(Buffer.concat([...log.entries]));
        expect(log.checkpoint(size)).toContain(rootOf(server.state().signed).toString('base64'));
      }),
      { numRuns: 60 },
    );
  });

  it('may be shipped again from anywhere, by two shippers in any order: nothing is twice', () => {
    const cut = fc.record({ first: fc.nat(40), length: fc.integer({ min: 0, max: 12 }), signs: fc.boolean() });
    fc.assert(
      fc.property(fc.array(cut, { maxLength: 30 }), (cuts) => {
        const log = testLog(40);
        const server = keeper(log);
        for (const { first, length, signs } of cuts) {
          const from = Math.min(first, server.state().head.size);
          const told = server.state().signed.size;
          const end = Math.min(40, from + length);
          const batch = log.batch(from, end, signs && end >= told ? told : undefined);
          expect(server.take(batch, 0).kind).toBe('taken');
        }
        expect(ship(log, server) ?? { kind: 'taken' }).toMatchObject({ kind: 'taken' });
        expect(Buffer.concat(server.kept())).toEqual(Buffer.concat([...log.entries]));
      }),
      { numRuns: 100 },
    );
  });

  it('that nothing is added to is looked at by its newest checkpoint', () => {
    const log = testLog(5);
    const server = keeper(log);
    ship(log, server);
    expect(server.take(log.batch(5, 5, 5))).toMatchObject({ kind: 'taken', vouched: false, fresh: 0 });
  });

  it('of which the server had taken a false tail from somebody else is taken whole after that tail was given up', () => {
    const log = testLog(20);
    const liar = log.with([
      ...log.entries.slice(0, 10),
      ...Array.from({ length: 10 }, (_, n) => testEntry(10 + n, { target: 'other' })),
    ]);
    const server = keeper(log);
    ship(log, server, { end: 8 });
    server.take(liar.batch(8, 15));
    expect(server.take(log.batch(15, 20, 8))).toMatchObject({ kind: 'alarm', alarm: 'edited', position: 8 });
    expect(server.kept()).toHaveLength(8);
    expect(ship(log, server)).toMatchObject({ kind: 'taken', vouched: true });
    expect(Buffer.concat(server.kept())).toEqual(Buffer.concat([...log.entries]));
  });
});

describe('a log that contradicts itself is named', () => {
  const SIZE = 24;
  const everywhere = Array.from({ length: SIZE }, (_, position) => position);
  const log = testLog(SIZE);

  it.each(everywhere)('edited, when entry %i is not what was signed', (position) => {
    const server = keeper(log);
    const edited = { ...log, batch: editing(log, position, testEntry(position, { target: 'edited' })) };
    const verdict = ship(edited, server);
    expect(verdict).toMatchObject({ kind: 'alarm', alarm: 'edited' });
    expect(verdict?.kind === 'alarm' && verdict.position).toBeLessThanOrEqual(position);
    // Nothing of it is kept but what a checkpoint vouches for.
    expect(server.kept()).toHaveLength(server.state().signed.size);
    expect(server.kept().every((entry, index) => log.entries[index]?.equals(entry))).toBe(true);
  });

  it.each(everywhere)('edited, at entry %i itself when that is no entry any more', (position) => {
    for (const bytes of [Buffer.from('{}'), testEntry(position + 1), Buffer.from('no json')]) {
      const edited = { ...log, batch: editing(log, position, bytes) };
      expect(ship(edited, keeper(log))).toMatchObject({ kind: 'alarm', alarm: 'edited', position });
    }
  });

  it.each(everywhere)('forked, when another history was signed from entry %i on', (position) => {
    const fork = log.with(
      log.entries.map((entry, seq) => (seq < position ? entry : testEntry(seq, { target: 'fork' }))),
    );
    const server = keeper(log);
    ship(log, server, { end: position + 1, signEach: 1, step: 4 });
    const { size } = server.state().signed;
    // The other history's own proof is none from the one that was signed here.
    expect(server.take(fork.batch(size, SIZE, size))).toMatchObject({ kind: 'alarm', alarm: 'fork' });
    expect(server.take(fork.batch(size, size, size))).toMatchObject({ kind: 'alarm', alarm: 'fork' });
    expect(ship(log, server)?.kind ?? 'taken').toBe('taken');
  });

  it.each(everywhere)('rolled back, when its newest checkpoint covers %i entries and more were signed', (size) => {
    const server = keeper(log);
    ship(log, server);
    expect(server.take(log.batch(size, size, size))).toMatchObject({
      kind: 'alarm',
      alarm: 'rollback',
      position: size,
    });
    expect(server.state().signed.size).toBe(SIZE);
  });

  it.each(everywhere)('with a gap, when entry %i is not shipped', (position) => {
    const server = keeper(log);
    ship(log, server, { end: position });
    expect(server.take(log.batch(position + 1, SIZE, position))).toMatchObject({
      kind: 'alarm',
      alarm: 'gap',
      position,
    });
    const truncated = { ...log.batch(position, position), checkpoint: log.checkpoint(SIZE) };
    expect(server.take(truncated)).toMatchObject({ kind: 'alarm', alarm: 'gap', position });
    expect(server.kept()).toHaveLength(position);
  });

  it.each(everywhere)('with an entry twice that is another the second time, at %i', (position) => {
    const server = keeper(log);
    ship(log, server);
    const again = { first: position, entries: [testEntry(position, { target: 'edited' })], consistency: [] };
    expect(server.take(again)).toMatchObject({ kind: 'alarm', alarm: 'fork', position });
    const signed = {
      ...log.batch(position, SIZE, SIZE),
      entries: [...again.entries, ...log.entries.slice(position + 1)],
    };
    expect(server.take(signed)).toMatchObject({ kind: 'alarm', alarm: 'edited', position });
  });

  it('by another key, though the log’s name is the same', () => {
    const other = testLog(SIZE, { seed: 'another' });
    const server = keeper(log);
    ship(log, server, { end: 6 });
    expect(server.take(other.batch(6, SIZE, 6))).toMatchObject({ kind: 'alarm', alarm: 'key' });
  });
});

describe('a batch that no shipper makes', () => {
  const log = testLog(10);
  it.each<[string, LogBatch]>([
    [
      'with a checkpoint of another log',
      { ...log.batch(0, 10), checkpoint: testLog(10, { origin: 'x' }).checkpoint(10) },
    ],
    ['with a checkpoint that is none', { ...log.batch(0, 10), checkpoint: 'nothing' }],
    ['with entries behind its checkpoint', { ...log.batch(0, 10), checkpoint: log.checkpoint(9) }],
  ])('%s is refused and changes nothing', (_, batch) => {
    const server = keeper(log);
    expect(() => server.take(batch)).toThrow(expect.objectContaining({ code: 'ERR_RECORDS_REQUEST' }));
    expect(server.kept()).toEqual([]);
  });

  it('brings no more than a million entries without a checkpoint', () => {
    const state = { ...log.state(), head: { size: 1_000_000, edge: edgeOf(1_000_000) } };
    const judge = (of: LogState, seq: number) =>
      judgeBatch(
        of,
        { first: seq, entries: [testEntry(seq)], consistency: [] },
        { told: 0, kept: [], seqAt: () => seq },
      );
    expect(() => judge(state, 1_000_000)).toThrow(expect.objectContaining({ code: 'ERR_RECORDS_LIMIT' }));
    const before = { ...state, head: { size: 999_999, edge: edgeOf(999_999) } };
    expect(judge(before, 999_999)).toMatchObject({ kind: 'taken' });
  });
});

/** One hash for each bit of the size: which, does not matter. */
function edgeOf(size: number): Buffer[] {
  return [...size.toString(2)].filter((bit) => bit === '1').map(() => Buffer.alloc(32));
}

function editing(log: TestLog, position: number, bytes: Buffer): TestLog['batch'] {
  return (...range) => {
    const batch = log.batch(...range);
    return {
      ...batch,
      entries: batch.entries.map((entry, index) => (batch.first + index === position ? bytes : entry)),
    };
  };
}
