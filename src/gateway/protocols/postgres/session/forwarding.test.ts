import { serialize } from 'pg-protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock } from '../../../../std/index.ts';
import { Framer } from '../../../../wire/postgres/index.ts';
import type { Recorded } from '../../../recording/ledger-batch.ts';
import type { Durability } from '../../../recording/session-ledger.ts';
import type { Pipeline } from '../../../sessions/pipeline.ts';
import { createTestGate } from '../../../testing/test-gate.ts';
import { createTestLedger } from '../../../testing/test-ledger.ts';
import { defaultLimits } from '../sql/index.ts';
import { createStubPlanner, stubCatalog, stubPlan, stubPolicy } from '../testing/stub-sql.ts';
import { Conversation } from './conversation.ts';
import { Forwarding } from './forwarding.ts';
import { expectReply } from './replies.ts';

// Goal: each message that was judged, or what stands for it, goes to the target in its turn, and its reply knows what it waits for.

let durability: Durability;
let waiting: Recorded[];
let sent: string[];
let conversation: Conversation;
let framer: Framer;
let pipeline: Pipeline;
let forwarding: Forwarding;

beforeEach(() => {
  durability = 'process';
  waiting = [];
  sent = [];
  const clock = createManualClock(0);
  conversation = new Conversation({
    clock,
    planner: createStubPlanner(),
    decider: stubPolicy,
    maskKey: Buffer.alloc(32),
    startPath: undefined,
    encodings: { client: 'UTF8', server: 'UTF8' },
    limits: defaultLimits,
    catalog: () => stubCatalog,
    isOutdated: () => false,
  });
  const ledger = {
    ...createTestLedger().session,
    record: (_: unknown, recorded: Recorded) => void waiting.push(recorded),
    durability: () => durability,
  };
  pipeline = createTestGate(ledger, { clock }).pipeline({
    forward: (pieces) => void sent.push(...textsOf(Buffer.concat(pieces))),
    deliver() {},
    resume() {},
    stop() {},
    fail() {},
    guard: (act) => act(),
  });
  framer = new Framer({ messageBytesMax: 1_000 });
  forwarding = new Forwarding(conversation, { framer, pipeline });
});

/** The texts of those messages, the type alone of those that have none. */
function textsOf(bytes: Buffer): string[] {
  const reader = new Framer({ messageBytesMax: 1_000 });
  reader.push(bytes);
  const texts: string[] = [];
  while (reader.next()) {
    const type = String.fromCharCode(reader.type);
    texts.push(type === 'Q' ? reader.buffer.toString('utf8', reader.start + 5, reader.end - 1) : type);
  }
  return texts;
}

/** The next message is that one. */
function read(message: Buffer) {
  framer.push(message);
  framer.next();
}

/** Records a statement, as a client's query. */
function record(text: string) {
  read(serialize.query(text));
  const plan = stubPlan(text, 'simple');
  if (plan.verdict !== 'forward') throw new Error('refused');
  const operations = plan.statements.map((statement) => forwarding.begin(statement, { text, parameters: [] }));
  forwarding.record(expectReply('query', { operations }));
}

describe('a message', () => {
  test('with nothing for the ledger goes out with the flush', () => {
    read(serialize.sync());
    forwarding.keep(expectReply('sync'));
    expect(sent).toEqual([]);
    forwarding.flush();
    expect([sent, pipeline.isWaiting]).toEqual([['S'], false]);
    forwarding.flush();
    expect(sent).toEqual(['S']);
  });

  test('that is recorded waits for the ledger', () => {
    record('select 1');
    forwarding.flush();
    expect([sent, pipeline.isWaiting]).toEqual([[], true]);
    waiting[0]?.written(4);
    expect([sent, pipeline.isWaiting]).toEqual([['select 1'], false]);
    expect(conversation.replies.head?.sequence).toBe(-1);
  });

  test('whose answer must wait for the disk has its reply marked', () => {
    durability = 'release';
    record('update notes set body = 1');
    forwarding.flush();
    waiting[0]?.written(4);
    expect(sent).toEqual(['update notes set body = 1']);
    expect(conversation.replies.head?.sequence).toBe(4);
  });
});

test('what the ledger refuses is replaced where it stood, and fails; what needs no entry goes on', () => {
  read(serialize.flush());
  forwarding.pass();
  record('delete from notes');
  read(serialize.sync());
  forwarding.keep(expectReply('sync'));
  forwarding.flush();
  waiting[0]?.refused(new Error('the disk is gone'));
  expect(sent).toEqual(['H', 'countersign: refused before it reached the server', 'S']);
  const [reply] = conversation.replies;
  expect(reply?.denial).toMatchObject({ severity: 'ERROR', sqlstate: '58030' });
  expect(reply?.operations[0]?.running.isOver).toBe(true);
  expect(pipeline.isWaiting).toBe(false);
});

test('a denial is in the ledger before its stand-in is sent, and the rest of its segment is skipped', () => {
  durability = 'release';
  const plan = stubPlan('/*deny*/ delete from notes', 'parse');
  if (plan.verdict !== 'refuse') throw new Error('allowed');
  forwarding.deny('execute', plan, 'delete from notes');
  expect(conversation.skipping).toBe(true);
  forwarding.flush();
  expect(sent).toEqual([]);
  waiting[0]?.written(7);
  expect(sent).toEqual(['P']);
  expect(conversation.replies.head).toMatchObject({ sequence: 7, denial: { sqlstate: '42501' } });
});

test('an error of the client goes out as one of the target, and is no entry', () => {
  forwarding.failStep('26000', 'prepared statement "s" does not exist');
  forwarding.flush();
  expect([sent, waiting.length, conversation.skipping]).toEqual([['P'], 0, true]);
  expect(conversation.replies.head?.denial).toMatchObject({ severity: 'ERROR', sqlstate: '26000' });
});
