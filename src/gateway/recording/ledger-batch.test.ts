// Goal: events of many sessions share a write, and none of them pays for another's failure.
import { describe, expect, it } from 'vitest';
import type { LedgerEvent } from '../../model/index.ts';
import { createLedgerBatch } from './ledger-batch.ts';

const event = (operation: string, kind: LedgerEvent['kind'] = 'intent'): LedgerEvent => ({
  ...{ kind, operation, action: 'a', actor: 'b', target: 't', session: 's', timeMs: 1, detail: {} },
});

/** A ledger that notes its writes; `refuses` says of which it wants none. */
function create(refuses: (events: readonly LedgerEvent[]) => boolean = () => false) {
  const writes: string[][] = [];
  const told: string[] = [];
  const ends: (() => void)[] = [];
  const reads: (() => void)[] = [];
  let size = 0;
  const batch = createLedgerBatch({
    ledger: {
      appendAll(events) {
        if (refuses(events)) throw new Error('refused');
        writes.push(events.map(({ operation }) => operation));
        size += events.length;
        return size - events.length;
      },
    },
    endOfTurn: (run) => void ends.push(run),
    endOfRead: (run) => void reads.push(run),
  });
  const add = (...events: LedgerEvent[]) =>
    batch.add(events, {
      written: (sequence) => told.push(`${events[0]?.operation} ${sequence}`),
      refused: (error) => told.push(`${events[0]?.operation} ${String(error)}`),
    });
  const endTurn = () => {
    for (const end of ends.splice(0)) end();
  };
  const endRead = () => {
    for (const end of reads.splice(0)) end();
  };
  return { writes, told, ends, batch, add, endTurn, endRead };
}

describe('a turn of the ledger', () => {
  it('writes what all sessions recorded at once, in order, and tells each its own last number', () => {
    const { add, endTurn, writes, told, ends } = create();
    add(event('1'), event('2'));
    add(event('3'));
    expect([writes, told, ends.length]).toEqual([[], [], 1]);
    endTurn();
    expect([writes, told]).toEqual([[['1', '2', '3']], ['1 1', '3 2']]);
  });

  it('begins anew afterwards; what is recorded while one is told belongs to the next', () => {
    const { add, endTurn, batch, writes } = create();
    batch.add([event('1')], { written: () => add(event('2')), refused: () => {} });
    endTurn();
    expect(writes).toEqual([['1']]);
    endTurn();
    expect(writes).toEqual([['1'], ['2']]);
  });

  it('can be written early, and then has nothing left', () => {
    const { add, endTurn, batch, writes } = create();
    add(event('1'));
    batch.flush();
    endTurn();
    expect(writes).toEqual([['1']]);
  });

  it('of events that are refused together each stands for itself', () => {
    const { add, endTurn, writes, told } = create((events) => events.some(({ operation }) => operation === 'bad'));
    add(event('1'));
    add(event('bad'), event('2'));
    add(event('3'));
    endTurn();
    expect(writes).toEqual([['1'], ['3']]);
    expect(told).toEqual(['1 0', 'bad Error: refused', '3 1']);
  });

  it('when room is short, outcomes come first, since theirs was promised', () => {
    const { add, endTurn, writes, told } = create((events) => events.length > 1);
    add(event('new'));
    add(event('old', 'outcome'));
    endTurn();
    expect(writes).toEqual([['old'], ['new']]);
    expect(told).toEqual(['new 1', 'old 0']);
  });

  it('an outcome never comes before its own intent, though room is short: a session may end that has just begun', () => {
    const { add, endTurn, writes, told } = create((events) => events.length > 1);
    add(event('new'));
    add(event('new', 'outcome'));
    add(event('old', 'outcome'));
    endTurn();
    expect(writes).toEqual([['old'], ['new'], ['new']]);
    expect(told).toEqual(['new 1', 'new 2', 'old 0']);
  });

  it('an outcome whose intent was refused in the same turn is left out, since nothing happened', () => {
    const { add, endTurn, writes, told } = create((events) => events.some(({ kind }) => kind === 'intent'));
    add(event('new'));
    add(event('new', 'outcome'));
    endTurn();
    expect(writes).toEqual([]);
    expect(told).toEqual(['new Error: refused', 'new -1']);
  });

  it('and takes none of the outcomes with it that are recorded together', () => {
    const { add, endTurn, writes, told } = create((events) => events.some(({ operation }) => operation === 'bad'));
    add(event('bad'), event('worse'));
    add(event('old', 'outcome'), event('bad', 'outcome'), event('worse', 'outcome'));
    endTurn();
    expect(writes).toEqual([['old']]);
    expect(told).toEqual(['bad Error: refused', 'old 0']);
  });
});

describe('a session without company', () => {
  const of = (session: string, operation: string) => ({ ...event(operation), session });
  /** One that has recorded alone for as long as it takes. */
  function createAlone() {
    const made = create();
    for (let n = 0; n < 16; n++) {
      made.add(of('s', `${n}`));
      made.endRead();
      expect(made.writes.length).toBe(n);
      made.endTurn();
    }
    made.writes.length = 0;
    return made;
  }

  it('waits for nobody: what came in one piece is written when that has been read', () => {
    const { add, endRead, writes } = createAlone();
    add(of('s', 'a'));
    add(of('s', 'b'));
    expect(writes).toEqual([]);
    endRead();
    expect(writes).toEqual([['a', 'b']]);
  });

  it('waits again as soon as another one records, and so does that', () => {
    const { add, endRead, endTurn, writes } = createAlone();
    add(of('t', 'a'));
    add(of('s', 'b'));
    endRead();
    expect(writes).toEqual([]);
    endTurn();
    expect(writes).toEqual([['a', 'b']]);
    add(of('s', 'c'));
    endRead();
    expect(writes.length).toBe(1);
    endTurn();
    expect(writes.length).toBe(2);
  });

  it('takes along who comes before its own piece has been read', () => {
    const { add, endRead, endTurn, writes, told } = createAlone();
    told.length = 0;
    add(of('s', 'a'));
    add(of('t', 'b'));
    endRead();
    endTurn();
    expect(writes).toEqual([['a', 'b']]);
    expect(told).toEqual(['a 16', 'b 17']);
  });
});
