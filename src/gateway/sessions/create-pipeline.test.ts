import { beforeEach, describe, expect, test } from 'vitest';
import { type Content, judgedBy, type Limits, noObligations, type Operation } from '../../model/index.ts';
import { createManualClock, createSeededRandom, type Log, type ManualClock } from '../../std/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { HoldingDeps } from '../approvals/pipeline-holds.ts';
import type { Recorded } from '../recording/ledger-batch.ts';
import { createRecorder } from '../recording/recorder.ts';
import type { Durability, OperationEvent } from '../recording/session-ledger.ts';
import { createToldAttributes } from '../recording/told-attributes.ts';
import { createTestApprovals } from '../testing/test-approvals.ts';
import { createActivity, type SessionActivity } from './activity.ts';
import { createPipeline } from './create-pipeline.ts';
import type { Pipeline, Running } from './pipeline.ts';
import { createQuotas } from './quotas.ts';

// Goal: nothing reaches the target before the ledger has it, no answer overtakes what the ledger must hold first, nothing overtakes another,
// and without the ledger nothing goes either way.

let ledger: ReturnType<typeof ledgerOf>;
let pipeline: Pipeline;
let forwarded: string;
let delivered: string;
let resumed: number;
let failed: string[];
let logged: string[];
let isClosed: boolean;
let stopped: string[];
let clock: ManualClock;
let activity: SessionActivity;
let open: (asking?: { readonly approvals: Approvals }) => void;

beforeEach(() => {
  ledger = ledgerOf();
  forwarded = '';
  delivered = '';
  resumed = 0;
  failed = [];
  logged = [];
  isClosed = false;
  stopped = [];
  clock = createManualClock(0);
  activity = createActivity();
  let ids = 0;
  const note = (event: string) => void logged.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  open = (asking) => {
    pipeline = createPipeline(
      {
        clock,
        log,
        ledger: ledger.session,
        recorder: createRecorder(undefined),
        told: createToldAttributes(),
        quotas: createQuotas(clock),
        holder: { identity: 'spiffe://example.org/app', target: 'db' },
        activity,
        holding: asking && holdingOf(asking.approvals),
        endSession: ({ what }) => void failed.push(what),
        nextId: () => String(++ids),
        closed() {
          isClosed = true;
        },
      },
      {
        forward: (pieces) => {
          forwarded += Buffer.concat(pieces).toString();
        },
        deliver: (pieces) => {
          delivered += Buffer.concat(pieces).toString();
        },
        resume: () => void resumed++,
        stop: ({ id }, { unit, most }) => void stopped.push(`${id} ${unit} ${most}`),
        fail: (of) => void failed.push(of),
        guard: (act) => act(),
      },
    );
  };
  open();
});

/** A ledger that writes, refuses and syncs when the test says so. */
function ledgerOf() {
  const waiting: { readonly events: readonly OperationEvent[]; readonly recorded: Recorded }[] = [];
  const syncs: { sequence: number; resolve(): void; reject(error: Error): void }[] = [];
  const events: OperationEvent[] = [];
  let syncedSequence = -1;
  let durability: Durability = 'process';
  const session = {
    record: (more: readonly OperationEvent[], recorded: Recorded) => void waiting.push({ events: more, recorded }),
    flush() {
      for (const { events: more, recorded } of waiting.splice(0)) recorded.written(events.push(...more) - 1);
    },
    synced: (sequence: number) =>
      new Promise<void>((resolve, reject) => void syncs.push({ sequence, resolve, reject })),
    get syncedSequence() {
      return syncedSequence;
    },
    durability: (changes: boolean) => (changes || durability === 'strict' ? durability : 'process'),
    seal: () => 'sealed',
    digest: ({ text }: Content) => `digest of ${text}`,
  };
  return {
    ...{ session, syncs, events },
    setDurability(next: Durability) {
      durability = next;
    },
    write: () => session.flush(),
    refuse() {
      for (const { recorded } of waiting.splice(0)) recorded.refused(new Error('the disk is gone'));
    },
    sync(sequence: number) {
      syncedSequence = sequence;
      for (const { resolve } of syncs.splice(0)) resolve();
    },
    kinds: () => events.map(({ kind, operation }) => `${kind} ${operation}`),
  };
}

/** Of a session that nothing ends. */
function holdingOf(approvals: Approvals): HoldingDeps {
  const { signal } = new AbortController();
  return {
    ...{ approvals, random: createSeededRandom('h'), protocol: 'test', signal, drain: signal },
    ...{ expiresMs: () => 3_600_000, policy: { onChange: () => () => {} } },
    session: {
      ...{ trustDomain: 'example.org', gateway: 'spiffe://example.org/gateway', session: 's1', target: 'db' },
      ...{ identity: 'spiffe://example.org/app', entry: null, node: null, instance: null },
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const pieces = (text: string) => [Buffer.from(text)];
const judged = judgedBy(undefined, []);
const wanted = { judged, shape: 's', content: undefined, detail: {} };
const READ: Operation = { ...wanted, action: 'test:read', changes: false };
const CHANGE: Operation = { ...wanted, action: 'test:write', changes: true };

/** Begins an operation and flushes it. */
function request(text: string, operation = READ): Running {
  const running = pipeline.begin(operation);
  pipeline.flush({ pieces: pieces(text) });
  return running;
}

/** Begins, forwards and ends an operation. */
function ended(): Running {
  const running = request('', CHANGE);
  ledger.write();
  pipeline.end(running, { status: 'done', items: 0 });
  return running;
}

describe('what a client said', () => {
  test('stands in the entry by its digest, which is made here and nowhere else; what may be a secret has none', () => {
    const content = { text: 'delete a', values: [], formats: [] };
    pipeline.begin({ ...READ, content });
    pipeline.begin(READ);
    pipeline.deny({ ...wanted, content, action: 'test:read', reason: 'r', code: undefined, policies: [] });
    pipeline.flush({ pieces: [] });
    ledger.write();
    const digests = ledger.events.map(({ detail }) => detail['contentDigest']);
    expect(digests).toEqual(['digest of delete a', undefined, 'digest of delete a']);
  });
});

describe('a request', () => {
  test('without an operation goes out at once', () => {
    pipeline.flush({ pieces: pieces('a') });
    expect([forwarded, pipeline.isWaiting, resumed]).toEqual(['a', false, 0]);
  });

  test('goes out when its intent is written, not before, and all behind it wait for that in their order', () => {
    const running = request('a');
    pipeline.flush({ pieces: pieces('b') });
    request('c');
    expect([forwarded, pipeline.isWaiting, running.isForwarded]).toEqual(['', true, false]);
    ledger.write();
    expect([forwarded, pipeline.isWaiting, running.isForwarded, resumed]).toEqual(['abc', false, true, 1]);
    expect(ledger.kinds()).toEqual(['intent 1', 'intent 2']);
  });

  test('knows the entry that its answer waits for, if it waits for one', () => {
    ledger.setDurability('release');
    const read = request('a');
    const change = request('b', CHANGE);
    ledger.write();
    expect([forwarded, read.after, change.after]).toEqual(['ab', -1, 1]);
  });

  test('in strict durability waits for the disk, and all behind it as well', async () => {
    ledger.setDurability('strict');
    request('a');
    ledger.write();
    pipeline.flush({ pieces: pieces('b') });
    expect([forwarded, pipeline.isWaiting]).toEqual(['', true]);
    ledger.sync(0);
    await turn();
    expect([forwarded, pipeline.isWaiting]).toEqual(['ab', false]);
  });

  test('in strict durability never goes out when the disk fails', async () => {
    ledger.setDurability('strict');
    request('a');
    ledger.write();
    ledger.syncs[0]?.reject(new Error('the disk is gone'));
    await turn();
    expect([forwarded, failed]).toEqual(['', ['requests']]);
  });

  test('that the ledger refuses never goes out, and has no outcome; what its protocol puts in its place does, in its turn', () => {
    const running = pipeline.begin(READ);
    pipeline.flush({ pieces: pieces('secret'), refused: () => pieces('refused ') });
    pipeline.flush({ pieces: pieces('b') });
    ledger.refuse();
    expect([forwarded, running.isForwarded]).toEqual(['refused b', false]);
    pipeline.end(running, { status: 'done', items: 0 });
    pipeline.close();
    ledger.write();
    expect(ledger.kinds()).toEqual([]);
  });

  test('that is denied is recorded before anything is told of it', () => {
    ledger.setDurability('release');
    const denied = pipeline.deny({
      ...wanted,
      action: 'test:write',
      reason: 'no-permit',
      code: undefined,
      policies: [],
    });
    const seen: number[] = [];
    pipeline.flush({ pieces: [], recorded: () => void seen.push(denied.after) });
    expect(seen).toEqual([]);
    ledger.write();
    expect([seen, ledger.kinds()]).toEqual([[0], ['denial 1']]);
  });
});

describe('an answer', () => {
  test('that waits for nothing goes out at once', () => {
    pipeline.deliver(pieces('a'), -1);
    expect([delivered, pipeline.isDelivered]).toEqual(['a', true]);
  });

  test('goes out when the outcome is written, not before', () => {
    ended();
    pipeline.deliver(pieces('a'), -1);
    expect([delivered, pipeline.isDelivered]).toEqual(['', false]);
    ledger.write();
    expect([delivered, pipeline.isDelivered]).toEqual(['a', true]);
    expect(ledger.kinds()).toEqual(['intent 1', 'outcome 1']);
  });

  test('goes out when its entry is on disk, and all behind it wait for that, in their order', async () => {
    pipeline.deliver(pieces('a'), 5);
    pipeline.deliver(pieces('b'), -1);
    expect([delivered, pipeline.heldBytes]).toEqual(['', 2]);
    ledger.sync(5);
    await turn();
    expect([delivered, pipeline.heldBytes, pipeline.isDelivered]).toEqual(['ab', 0, true]);
    pipeline.deliver(pieces('c'), 5);
    expect(delivered).toBe('abc');
  });

  test('that comes while another is waited for waits for its own entry too', async () => {
    pipeline.deliver(pieces('a'), 5);
    pipeline.deliver(pieces('b'), 6);
    ledger.sync(5);
    await turn();
    expect(delivered).toBe('');
    expect(ledger.syncs.map(({ sequence }) => sequence)).toEqual([6]);
    ledger.sync(6);
    await turn();
    expect(delivered).toBe('ab');
  });

  test('goes out before the end of the session, with the outcome in the ledger', () => {
    ended();
    pipeline.deliver(pieces('a'), -1);
    pipeline.settle();
    expect(delivered).toBe('a');
  });

  test('waits for its entry before the end of the session too', async () => {
    ended();
    pipeline.deliver(pieces('a'), 5);
    pipeline.settle();
    expect(delivered).toBe('');
    ledger.sync(5);
    await turn();
    expect(delivered).toBe('a');
  });

  test('is held only so far: more than a mebibyte that waits stops the target', async () => {
    pipeline.deliver(pieces('x'.repeat(1024 * 1024)), 1);
    expect(pipeline.isCongested).toBe(false);
    pipeline.deliver(pieces('x'), 1);
    expect(pipeline.isCongested).toBe(true);
    ledger.sync(1);
    await turn();
    expect(pipeline.isCongested).toBe(false);
  });

  test('whose outcome is refused never goes out: the session ends', () => {
    ended();
    pipeline.deliver(pieces('a'), -1);
    ledger.refuse();
    pipeline.deliver(pieces('b'), -1);
    expect([delivered, failed, logged]).toEqual(['', ['answers'], ['gateway.outcome_lost']]);
    expect(pipeline.isDelivered).toBe(false);
  });

  test('whose entry can not be synced never goes out: the session ends', async () => {
    pipeline.deliver(pieces('a'), 1);
    ledger.syncs[0]?.reject(new Error('the disk is gone'));
    await turn();
    pipeline.deliver(pieces('b'), 1);
    expect([delivered, failed, logged]).toEqual(['', ['answers'], ['gateway.sync_failed']]);
  });
});

describe('a pipeline that is closed', () => {
  const outcomes = () =>
    ledger.events.flatMap(({ kind, operation, detail }) => (kind === 'outcome' ? [[operation, detail['status']]] : []));

  test('ends what runs as not known, what was never forwarded as skipped, and what is over not again', () => {
    const over = request('a');
    const running = request('b');
    ledger.write();
    pipeline.end(over, { status: 'failed', items: 0 });
    const waiting = request('c');
    pipeline.close();
    ledger.write();
    expect(outcomes()).toEqual([
      [over.id, 'failed'],
      [running.id, 'unknown'],
      [waiting.id, 'skipped'],
    ]);
    expect([forwarded, isClosed]).toEqual(['ab', true]);
  });

  test('lets nothing more through, whatever is written or synced later', async () => {
    ledger.setDurability('strict');
    request('a');
    ledger.write();
    pipeline.deliver(pieces('b'), 3);
    pipeline.close();
    ledger.sync(9);
    await turn();
    pipeline.flush({ pieces: pieces('c') });
    pipeline.deliver(pieces('d'), -1);
    ledger.write();
    expect([forwarded, delivered, resumed]).toEqual(['', '', 0]);
    expect(() => pipeline.begin(READ)).toThrow('closed');
  });

  test('owes the ledger nothing for what was begun and never flushed', () => {
    pipeline.begin(READ);
    pipeline.close();
    ledger.write();
    expect(ledger.kinds()).toEqual([]);
  });
});

describe('an approval', () => {
  const resource = { type: 'T', id: 't', attributes: {}, parents: [] };
  const decision = { allow: true, policies: ['p1'], obligations: { ...noObligations, approvals: ['dba'] } } as const;
  const needing = (): Operation => {
    const asked = [{ question: { action: 'test:read', resource, context: {} }, decision }];
    return { ...READ, judged: judgedBy({ digest: 'd'.repeat(64), revision: 1, timeMs: 0 }, asked) };
  };
  const heldOf = (operation: Operation, text = 'a') => ({
    operations: [operation],
    content: { text, values: [], formats: [] },
    shown: () => ({ title: text, text, parameters: [], objects: [], columns: [] }),
  });

  test('that is needed and not there lets nothing begin; nobody to ask is a refusal', () => {
    const operation = needing();
    expect(() => pipeline.begin(operation)).toThrow('without');
    expect(pipeline.hold(heldOf(operation))).toMatchObject({ kind: 'needed', reason: 'approval-needed' });
    expect(() => pipeline.begin(operation)).toThrow('without');
  });

  test('is for one operation, once, and for nothing that differs', async () => {
    const people = createTestApprovals();
    open(people);
    const operation = needing();
    const waiting = pipeline.hold(heldOf(operation));
    if (!(waiting instanceof Promise)) throw new Error('it does not wait');
    ledger.write();
    (await people.question(1)).approve();
    const hold = await waiting;
    // Another text, another object for the same: the one asks anew, the other is approved.
    const again = needing();
    expect(pipeline.hold(heldOf(again), hold)).toBeUndefined();
    expect(() => pipeline.begin(operation)).toThrow('without');
    pipeline.begin(again);
    expect(() => pipeline.begin(again)).toThrow('without');
    expect(pipeline.hold(heldOf(again), hold)).toBeInstanceOf(Promise);
  });

  test('of another text is none', async () => {
    const people = createTestApprovals();
    open(people);
    const waiting = pipeline.hold(heldOf(needing()));
    ledger.write();
    (await people.question(1)).approve();
    const hold = await waiting;
    if (hold === undefined || !('key' in hold)) throw new Error('it does not wait');
    expect(pipeline.hold(heldOf(needing(), 'b'), hold)).toBeInstanceOf(Promise);
  });
});

describe('limits of policy', () => {
  const limitedBy = (limits: Limits): Operation => {
    const quotas = limits.rate === undefined ? [] : [{ policy: 'p1', unit: 'rate', most: limits.rate } as const];
    const resource = { type: 'T', id: 't', attributes: {}, parents: [] };
    const decision = { allow: true, policies: ['p1'], obligations: { ...noObligations, limits, quotas } } as const;
    const asked = [{ question: { action: 'test:read', resource, context: {} }, decision }];
    return { ...READ, judged: judgedBy(undefined, asked) };
  };

  test('over time are taken before an operation begins: one that was not admitted never does', () => {
    const operation = limitedBy({ rate: 2 });
    expect(() => pipeline.begin(operation)).toThrow('unasked');
    const one = [{ judged: operation.judged, times: 1 }];
    expect(pipeline.admit(one)).toBeUndefined();
    request('a', operation);
    // What was admitted holds until it is flushed, not for ever.
    expect(() => pipeline.begin(operation)).toThrow('unasked');
    expect(pipeline.admit([...one, ...one])).toMatchObject({ policy: 'p1', most: 2 });
    expect(pipeline.admit(one)).toBeUndefined();
    expect(pipeline.admit(one)).toMatchObject({ unit: 'rate', retryMs: 61_000 });
  });

  test('of time begin when an operation is the oldest that the target has, and stop it once', async () => {
    const [first, second] = [request('a', limitedBy({ duration: 100 })), request('b', limitedBy({ duration: 50 }))];
    await clock.advance(1_000);
    expect(stopped).toEqual([]); // Neither was forwarded.
    ledger.write();
    await clock.advance(99);
    expect(stopped).toEqual([]);
    pipeline.end(first, { status: 'done', items: 0 });
    await clock.advance(49);
    expect(stopped).toEqual([]);
    await clock.advance(1);
    expect(stopped).toEqual(['2 duration 50']);
    pipeline.end(second, { status: 'over-limit', items: 0, limit: { unit: 'duration', most: 50 } });
    await clock.advance(60_000);
    expect([stopped.length, failed]).toEqual([1, []]);
  });

  test('of time end the session when the operation goes on all the same', async () => {
    request('a', limitedBy({ duration: 100 }));
    ledger.write();
    await clock.advance(100 + 4_999);
    expect([stopped, failed]).toEqual([['1 duration 100'], []]);
    await clock.advance(1);
    expect(failed).toEqual(['an operation took longer than policy allows, and its target did not stop it']);
  });

  test('of time stop nothing of a pipeline that was closed, nor what has no limit', async () => {
    const free = request('a');
    request('b', limitedBy({ duration: 100 }));
    ledger.write();
    await clock.advance(5_000);
    pipeline.end(free, { status: 'done', items: 0 });
    pipeline.close();
    await clock.advance(60_000);
    expect([stopped, failed, clock.pending()]).toEqual([[], [], 0]);
  });
});
