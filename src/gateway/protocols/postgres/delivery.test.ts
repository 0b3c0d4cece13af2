import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type Log } from '../../../std/index.ts';
import type { ErrorText } from '../../../wire/postgres/index.ts';
import type { Recorded } from '../../ledger-turn.ts';
import type { SessionLedger } from '../../session.ts';
import { Delivery } from './delivery.ts';
import { Operations } from './operations.ts';
import { stubPlan } from './testing/stub-sql.ts';

// Goal: no answer overtakes what the ledger must hold first, none overtakes another, and without the ledger none goes out.

let ledger: ReturnType<typeof ledgerOf>;
let operations: Operations;
let delivered: string;
let failed: ErrorText[];
let logged: string[];
let delivery: Delivery;

beforeEach(() => {
  ledger = ledgerOf();
  operations = new Operations({ clock: createManualClock(0), ledger: ledger.session });
  delivered = '';
  failed = [];
  logged = [];
  const note = (event: string) => void logged.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const port = {
    deliver: (pieces: readonly Buffer[]) => {
      delivered += Buffer.concat(pieces).toString();
    },
    fail: (error: ErrorText) => void failed.push(error),
    guard: (act: () => void) => act(),
  };
  delivery = new Delivery({ ledger: ledger.session, operations }, port, log);
});

/** A ledger that writes, refuses and syncs when the test says so. */
function ledgerOf() {
  const waiting: Recorded[] = [];
  const syncs: { sequence: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  let syncedSequence = -1;
  const session: SessionLedger = {
    append: () => 0,
    record: (_, recorded) => void waiting.push(recorded),
    flush: () => {
      for (const recorded of waiting.splice(0)) recorded.written(0);
    },
    synced: (sequence) => new Promise((resolve, reject) => syncs.push({ sequence, resolve, reject })),
    get syncedSequence() {
      return syncedSequence;
    },
    durability: () => 'release',
    seal: () => '',
  };
  return {
    session,
    syncs,
    write: () => session.flush(),
    refuse: (error: Error) => {
      for (const recorded of waiting.splice(0)) recorded.refused(error);
    },
    sync(sequence: number) {
      syncedSequence = sequence;
      for (const { resolve } of syncs.splice(0)) resolve();
    },
  };
}

/** Collects an answer and flushes it, to wait for that entry. */
function answer(text: string, sequence = -1) {
  delivery.out.add(Buffer.from(text));
  delivery.flush(sequence);
}

/** Notes the outcome of an operation. */
function end() {
  const plan = stubPlan('select 1', 'simple');
  if (plan.verdict !== 'forward' || plan.statements[0] === undefined) throw new Error('not planned');
  operations.end(operations.begin(plan.statements[0], { text: '', parameters: [] }), 'done', '');
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('an answer', () => {
  test('that waits for nothing goes out at once', () => {
    answer('a');
    expect(delivered).toBe('a');
    expect(delivery.done).toBe(true);
  });

  test('goes out when the outcome is written, not before', () => {
    end();
    answer('a');
    expect([delivered, delivery.done, delivery.holdsChunk]).toEqual(['', false, true]);
    ledger.write();
    expect([delivered, delivery.done, delivery.holdsChunk]).toEqual(['a', true, false]);
  });

  test('goes out when its entry is on disk, and all behind it wait for that, in their order', async () => {
    answer('a', 5);
    answer('b', 5);
    expect([delivered, delivery.heldBytes]).toEqual(['', 2]);
    ledger.sync(5);
    await turn();
    expect([delivered, delivery.heldBytes, delivery.done]).toEqual(['ab', 0, true]);
    answer('c', 5);
    expect(delivered).toBe('abc');
  });

  test('that comes while another is waited for waits for its own entry too', async () => {
    answer('a', 5);
    answer('b', 6);
    ledger.sync(5);
    await turn();
    expect(delivered).toBe('');
    expect(ledger.syncs.map(({ sequence }) => sequence)).toEqual([6]);
    ledger.sync(6);
    await turn();
    expect(delivered).toBe('ab');
  });

  test('goes out before the end of the session, with the outcome in the ledger', () => {
    end();
    delivery.out.add(Buffer.from('a'));
    delivery.flushNow(-1);
    expect(delivered).toBe('a');
  });

  test('waits for its entry before the end of the session too', async () => {
    end();
    delivery.out.add(Buffer.from('a'));
    delivery.flushNow(5);
    expect(delivered).toBe('');
    ledger.sync(5);
    await turn();
    expect(delivered).toBe('a');
  });
});

test('more than a mebibyte that waits stops the target', async () => {
  answer('x'.repeat(1024 * 1024), 1);
  expect(delivery.congested).toBe(false);
  answer('x', 1);
  expect(delivery.congested).toBe(true);
  ledger.sync(1);
  await turn();
  expect(delivery.congested).toBe(false);
});

describe('without the ledger', () => {
  const LOST = [{ severity: 'FATAL', sqlstate: '58030', message: 'the gateway’s ledger can not be written' }];

  test('an outcome that is refused ends the session, and its answer never goes out', () => {
    end();
    answer('a');
    ledger.refuse(new Error('the disk is gone'));
    answer('b');
    expect([delivered, failed, logged]).toEqual(['', LOST, ['gateway.postgres.outcome_lost']]);
    expect(delivery.done).toBe(false);
  });

  test('an entry that can not be synced ends the session, and its answer never goes out', async () => {
    answer('a', 1);
    ledger.syncs[0]?.reject(new Error('the disk is gone'));
    await turn();
    answer('b', 1);
    expect([delivered, failed, logged]).toEqual(['', LOST, ['gateway.postgres.sync_failed']]);
  });
});
