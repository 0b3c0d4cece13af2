import type { Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, createSilentLog } from '../../../../std/index.ts';
import { encodeReadyForQuery, encodeTerminate } from '../../../../wire/postgres/index.ts';
import { SessionEnd } from '../../../sessions/session.ts';
import { createTestGate } from '../../../testing/test-gate.ts';
import { createTestLedger, type TestLedger } from '../../../testing/test-ledger.ts';
import { defaultLimits } from '../sql/index.ts';
import { kinds } from '../testing/harness.ts';
import { MemoryStream, turn } from '../testing/memory-streams.ts';
import { query } from '../testing/messages.ts';
import { createStubPlanner, stubCatalog, stubPolicy } from '../testing/stub-sql.ts';
import { serve } from './serve.ts';

// Goal: a session that ends while its requests wait for the ledger begins nothing more: every intent has its outcome, and the target gets
// nothing.

let ledger: TestLedger;
let client: MemoryStream;
let target: MemoryStream;
let end: AbortController;
let drain: AbortController;
/** Nothing can be judged before there is one. */
let catalog: typeof stubCatalog | undefined;
let snapshot: PromiseWithResolvers<void>;
let served: Promise<void>;

beforeEach(() => {
  ledger = createTestLedger();
  ledger.durability = { reads: 'strict', changes: 'strict' };
  client = new MemoryStream();
  target = new MemoryStream();
  end = new AbortController();
  drain = new AbortController();
  catalog = stubCatalog;
  snapshot = Promise.withResolvers();
  const clock = createManualClock(0);
  served = serve({
    session: {
      ...{ id: 's1', identity: parseSpiffeId('spiffe://example.org/web'), client, door: 'agent', isAside: false },
      ...{
        policy: stubPolicy,
        gate: createTestGate(ledger.session, { clock, end }),
        signal: end.signal,
        drain: drain.signal,
        memory: { hold() {} },
      },
    },
    upstream: {
      socket: target as unknown as Socket, // It has all that is used of a socket.
      ...{ release() {}, parameters: new Map(), minor: 0, processId: 1, cancelKey: Buffer.alloc(4) },
    },
    start: {
      database: 'app',
      parameters: [],
      minor: 0,
      negotiate: undefined,
      searchPath: undefined,
      asked: [],
      encoding: 'UTF8',
    },
    key: { processId: 1, key: Buffer.alloc(4), close() {} },
    ...{ rest: Buffer.alloc(0), log: createSilentLog() },
    conversation: {
      ...{ clock, decider: stubPolicy, planner: createStubPlanner() },
      ...{
        maskKey: Buffer.alloc(32),
        startPath: undefined,
        limits: defaultLimits,
        encodings: { client: 'UTF8', server: 'UTF8' },
      },
      ...{ catalog: () => catalog, isOutdated: () => false },
    },
    refreshCatalog: () => snapshot.promise,
    cancelUpstream: async () => {},
    onCancel() {},
    async endUpstream() {
      cancelled++;
      await told;
    },
  });
});

/** How often the target was told to stop what it does, and when it has heard. */
let cancelled = 0;
let told: Promise<void>;
beforeEach(() => {
  cancelled = 0;
  told = Promise.resolve();
});

const settle = async () => {
  for (let i = 0; i < 10; i++) await turn();
};
const ids = (kind: 'intent' | 'outcome') => kinds(ledger.events, kind).map(({ operation }) => operation);
const statuses = () => kinds(ledger.events, 'outcome').map(({ detail }) => detail['status']);

describe('a session that ends', () => {
  test('while a statement waits for the disk leaves none behind it that was begun and has no outcome', async () => {
    const release = ledger.hold();
    client.push(query('select 1'));
    await settle();
    expect(ids('intent')).toEqual(['1']);
    client.push(query('select 2'));
    await settle();
    end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' }));
    await served;
    release();
    await settle();
    expect(ids('outcome')).toEqual(ids('intent'));
    expect(target.bytes().toString('latin1')).not.toContain('select');
  });

  test('while a statement waits for its turn at the ledger leaves none behind it that was begun and has no outcome', async () => {
    client.emit('data', query('select 1'));
    client.emit('data', query('select 2'));
    end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' }));
    await served;
    await settle();
    expect(ids('outcome')).toEqual(ids('intent'));
    expect(target.bytes().toString('latin1')).not.toContain('select');
  });

  test('in the turn in which the ledger refuses its statement leaves no outcome of what never began', async () => {
    ledger.failure = new Error('the ledger is full');
    client.emit('data', query('select 1'));
    end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' }));
    await served;
    await settle();
    expect(ledger.events).toEqual([]);
    expect(target.bytes().toString('latin1')).not.toContain('select');
  });

  test('before a statement that is recorded was sent says that it was skipped; once it was sent, nobody knows', async () => {
    ledger.durability = { reads: 'process', changes: 'strict' };
    ledger.hold();
    client.push(query('select 1'));
    await settle();
    client.push(query('insert 1'));
    await settle();
    end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' }));
    await served;
    await settle();
    expect(target.bytes().toString('latin1')).toContain('select 1');
    expect(target.bytes().toString('latin1')).not.toContain('insert 1');
    expect(ids('outcome')).toEqual(ids('intent'));
    expect(statuses()).toEqual(['unknown', 'skipped']);
  });
});

describe('a session that is ended by somebody else', () => {
  const ended = async () => {
    end.abort(new SessionEnd({ code: 'operator', what: 'told to end', by: 'ada' }));
    await served;
    await settle();
  };

  test('has what it does stopped at the target, which would go on with it to its end', async () => {
    client.push(query('select 1'));
    await settle();
    await ended();
    expect(cancelled).toBe(1);
    expect(statuses()).toEqual(['unknown']);
  });

  test.each([
    ['has heard', () => {}],
    ['could not be told', () => Promise.reject(new Error('away'))],
  ])('holds its connection until the target %s: process and key may be the next one’s then; its client does not wait', async (_, heard) => {
    const hearing = Promise.withResolvers<void>();
    told = hearing.promise;
    client.push(query('select 1'));
    await settle();
    const before = target.bytes().length;
    await ended();
    expect(client.bytes().toString('latin1')).toContain('57P01');
    expect([cancelled, target.writableEnded, target.bytes().length]).toEqual([1, false, before]);
    hearing.resolve(heard());
    await settle();
    expect([target.writableEnded, target.bytes().subarray(before)]).toEqual([true, encodeTerminate()]);
  });

  test('and does nothing has nothing stopped', async () => {
    await ended();
    expect(cancelled).toBe(0);
  });

  test('and does nothing in a transaction that it began has nothing stopped either', async () => {
    client.push(query('select 1'));
    await settle();
    target.push(encodeReadyForQuery('T'));
    await settle();
    await ended();
    expect([cancelled, target.writableEnded]).toEqual([0, true]);
  });
});

test('what runs when its client goes away is left to the target, as it is without a gateway', async () => {
  client.push(query('select 1'));
  await settle();
  client.destroy();
  await served;
  await settle();
  expect(cancelled).toBe(0);
});

test('a session that should end when it is idle first has what it has read carried out, though that waits for a snapshot', async () => {
  ledger.durability = { reads: 'process', changes: 'process' };
  catalog = undefined;
  client.push(query('select 1'));
  await settle();
  drain.abort(new SessionEnd({ code: 'shutdown', what: 'told to drain' }));
  await settle();
  expect(client.bytes().toString('latin1')).not.toContain('told to drain');
  catalog = stubCatalog;
  snapshot.resolve();
  await settle();
  expect(target.bytes().toString('latin1')).toContain('select 1');
  target.push(Buffer.concat([selectOne, encodeReadyForQuery('I')]));
  await served;
  expect(client.bytes().toString('latin1')).toMatch(/SELECT 1.*told to drain/s);
  expect(statuses()).toEqual(['done']);
});

test('a session that should end does so when the snapshot has come, however little of the next statement has', async () => {
  ledger.durability = { reads: 'process', changes: 'process' };
  client.push(query('select 1 /*ddl*/'));
  await settle();
  target.push(Buffer.concat([selectOne, encodeReadyForQuery('I')]));
  await settle();
  client.push(query('select 2').subarray(0, 7));
  await settle();
  drain.abort(new SessionEnd({ code: 'shutdown', what: 'told to drain' }));
  snapshot.resolve();
  await settle();
  expect(client.bytes().toString('latin1')).toContain('told to drain');
  await served;
});

/** CommandComplete. */
const selectOne = Buffer.from('C\0\0\0\x0dSELECT 1\0', 'latin1');
