import type { Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, createSilentLog } from '../../../std/index.ts';
import { SessionEnd } from '../../session.ts';
import { Operations } from './operations.ts';
import { serve } from './serve.ts';
import { createTestLedger, kinds, type TestLedger } from './testing/harness.ts';
import { MemoryStream, turn } from './testing/memory-streams.ts';
import { query } from './testing/messages.ts';
import { createStubPlanner, stubCatalog, stubPolicy } from './testing/stub-sql.ts';

// Goal: a session that ends while its requests wait for the ledger begins nothing more: every intent has its outcome, and the target gets
// nothing.

let ledger: TestLedger;
let client: MemoryStream;
let target: MemoryStream;
let end: AbortController;
let served: Promise<void>;

beforeEach(() => {
  ledger = createTestLedger();
  ledger.durability = { reads: 'strict', changes: 'strict' };
  client = new MemoryStream();
  target = new MemoryStream();
  end = new AbortController();
  const clock = createManualClock(0);
  served = serve({
    session: {
      ...{ id: 's1', identity: parseSpiffeId('spiffe://example.org/web'), client, door: 'agent' },
      ...{
        policy: stubPolicy,
        ledger: ledger.session,
        signal: end.signal,
        drain: new AbortController().signal,
        memory: { hold() {} },
      },
    },
    upstream: {
      socket: target as unknown as Socket, // It has all that is used of a socket.
      ...{ release() {}, parameters: new Map(), minor: 0, processId: 1, cancelKey: Buffer.alloc(4) },
    },
    start: { database: 'app', parameters: [], minor: 0, negotiate: undefined },
    key: { processId: 1, key: Buffer.alloc(4), close() {} },
    ...{ rest: Buffer.alloc(0), log: createSilentLog() },
    conversation: {
      ...{ clock, decider: stubPolicy, planner: createStubPlanner(), ledger: ledger.session },
      operations: new Operations({ clock, ledger: ledger.session }),
      ...{ maskKey: Buffer.alloc(32), catalog: () => stubCatalog },
    },
    refreshCatalog: async () => {},
    cancelUpstream: async () => {},
    mayConnect: () => true,
  });
});

const settle = async () => {
  for (let i = 0; i < 10; i++) await turn();
};
const ids = (kind: 'intent' | 'outcome') => kinds(ledger.events, kind).map(({ operation }) => operation);

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
});
