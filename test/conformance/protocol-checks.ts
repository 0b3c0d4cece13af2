/** What each protocol's member promises once its session runs, whatever it speaks: each is a check that a member which breaks it fails. */
import { expect } from 'vitest';
import { keyIdOf } from '../../src/gateway/index.ts';
import { testDigester } from '../../src/gateway/testing/test-ledger.ts';
import type { LedgerEvent, ReachedLimit } from '../../src/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Bed, decide, PASSWORD, POLICY_SET } from './protocol-bed.ts';

/** `id`: what planted members are caught by. */
export interface Check {
  readonly id: string;
  readonly promise: string;
  run(bed: Bed): Promise<void>;
}

const before = (story: readonly string[], first: string, second: string) => {
  expect(story).toContain(first);
  expect(story).toContain(second);
  expect(story.indexOf(first), `${first} before ${second} in ${story.join(', ')}`).toBeLessThan(story.indexOf(second));
};

/** Each intent has one outcome. */
const balanced = ({ ledger }: Bed) => {
  const of = (kind: string) =>
    ledger.events
      .filter((event) => event.kind === kind)
      .map(({ operation }) => operation)
      .toSorted();
  expect(of('outcome')).toEqual(of('intent'));
};

/** Sends a change that the target has heard and does not answer. */
async function withOneRunning(bed: Bed): Promise<void> {
  bed.target.hold();
  bed.send('change', 'op-1');
  await bed.until('heard op-1');
}

/** That is what the ledger says of it. */
const reached = ({ ledger }: Bed, limit: ReachedLimit, kind: 'outcome' | 'denial') => {
  const told = ledger.events.filter((event) => event.kind === kind).map(({ detail }) => detail);
  expect(told.filter((detail) => detail['limit'] !== undefined)).toMatchObject([
    { limit, ...(kind === 'outcome' ? { status: 'over-limit' } : { reason: 'over-limit' }) },
  ]);
};

const soon = (what: string, look: () => boolean) => eventually(what, look, { everyMs: 1, withinMs: 5_000 });

/** What policy was asked and answered is what it answers again; how many questions there were. */
const toldWhole = ({ fixture }: Bed, { kind, detail }: LedgerEvent): number => {
  expect(detail['policySet']).toEqual(POLICY_SET);
  expect(detail).not.toHaveProperty('questionsCut');
  const { questions } = detail;
  if (!Array.isArray(questions)) throw new Error(`an entry of kind ${kind} tells no questions`);
  const answers = questions.map((question) => {
    expect(question).toMatchObject({ action: expect.any(String), context: {} });
    expect(question.resource).toMatchObject({ type: expect.any(String), id: expect.any(String) });
    const again = decide({ action: question.action, resourceId: question.resource.id }, fixture);
    expect(question.decision).toBe(again.allow ? undefined : again.reason);
    expect(question.limits?.items).toBe(again.allow ? again.obligations.limits.items : undefined);
    return again.allow;
  });
  expect(answers.every((isAllowed) => isAllowed)).toBe(kind !== 'denial');
  return questions.length;
};

export const checks: readonly Check[] = [
  {
    id: 'questions',
    promise: 'records of all that is allowed and denied what policy was asked, so that it can be asked again',
    async run(bed) {
      bed.send('read', 'op-1');
      await bed.until('told answer');
      bed.send('many', 'op-2');
      await bed.until('told refusal');
      bed.send('denied', 'op-3');
      await bed.until('denial');
      const told = bed.ledger.events.filter(({ kind }) => ['session-open', 'intent', 'denial'].includes(kind));
      expect(told.map(({ kind }) => kind)).toEqual(['session-open', 'intent', 'intent', 'denial']);
      // What reads nothing of anybody's may ask nothing.
      const [opening = 0, , many = 0, denied = 0] = told.map((event) => toldWhole(bed, event));
      expect(Math.min(opening, many, denied)).toBeGreaterThan(0);
      const shapes = told.slice(1).map(({ detail }) => detail['shape']);
      expect(shapes).toEqual(shapes.map(() => expect.any(String)));
    },
  },
  {
    id: 'content',
    promise: 'says what its client said, of what is allowed and denied, so that the gate can make a digest of it',
    async run(bed) {
      for (const name of ['op-1', 'op-2']) {
        bed.send('change', name);
        await bed.until(`heard ${name}`);
      }
      await bed.until('told answer', 2);
      bed.send('change', 'op-1');
      await bed.until('told answer', 3);
      bed.send('denied', 'op-3');
      await bed.until('denial');
      const told = bed.ledger.events.filter(({ kind }) => kind === 'intent' || kind === 'denial');
      const digests = told.map(({ detail }) => String(detail['contentDigest']));
      expect(digests).toHaveLength(4);
      expect(digests.map(keyIdOf)).toEqual(digests.map(() => testDigester.keyId));
      const [first, second, again] = digests;
      expect(again).toBe(first);
      expect(second).not.toBe(first);
    },
  },
  {
    id: 'common names',
    promise:
      'says of each outcome, by the names that all protocols share, how it ended, how long it took and how much went either way',
    async run(bed) {
      bed.send('read', 'op-1');
      await bed.until('told answer');
      bed.send('many', 'op-2');
      await bed.until('told refusal');
      await bed.settle();
      const [read, many] = bed.ledger.events.filter(({ kind }) => kind === 'outcome').map(({ detail }) => detail);
      const bytes = bed.request('read', 'op-1').length;
      expect(read).toMatchObject({ status: 'done', items: 1, durationUs: expect.any(Number) });
      expect(Number(read?.['bytesIn'])).toBeGreaterThanOrEqual('op-1'.length);
      expect(Number(read?.['bytesIn'])).toBeLessThanOrEqual(bytes);
      expect(Number(read?.['bytesOut'])).toBeGreaterThan(0);
      expect(Number(read?.['bytesOut'])).toBeLessThanOrEqual(bed.received().length);
      expect(many).toMatchObject({ status: 'over-limit', durationUs: expect.any(Number) });
      expect(Number(many?.['items'])).toBeGreaterThanOrEqual(2);
    },
  },
  {
    id: 'intent first',
    promise: 'sends an operation to the target when its intent is written, not before',
    async run(bed) {
      const write = bed.ledger.holdWrites();
      bed.send('read', 'op-1');
      await soon('something came of it', () => bed.ledger.waiting > 0 || bed.story.some(isHeard));
      await bed.settle();
      expect(bed.story.filter(isHeard)).toEqual([]);
      write();
      await bed.until('told answer');
      before(bed.story, 'intent', 'heard op-1');
    },
  },
  {
    id: 'outcome first',
    promise: 'tells the client an answer when its outcome is written, not before',
    async run(bed) {
      const answer = bed.target.hold();
      bed.send('read', 'op-1');
      await bed.until('heard op-1');
      const write = bed.ledger.holdWrites();
      answer();
      await soon('something came of it', () => bed.ledger.waiting > 0 || bed.story.includes('told answer'));
      await bed.settle();
      expect(bed.story).not.toContain('told answer');
      write();
      await bed.until('told answer');
      before(bed.story, 'outcome done', 'told answer');
    },
  },
  {
    id: 'one outcome',
    promise: 'ends each operation once, those in flight together as well',
    async run(bed) {
      for (let i = 0; i < 20; i++) bed.send(i % 3 === 0 ? 'change' : 'read', `op-${i}`);
      await bed.until('told answer', 20);
      await bed.settle();
      balanced(bed);
      expect(bed.story.filter(isHeard).length).toBe(20);
    },
  },
  {
    id: 'no ledger, no operation',
    promise: 'sends nothing when the ledger refuses, says so, and goes on once it takes entries again',
    async run(bed) {
      bed.ledger.failure = Object.assign(new Error('full'), { code: 'ERR_LEDGER_FULL' });
      bed.send('change', 'op-1');
      await bed.until('told refusal');
      await bed.settle();
      expect(bed.story.filter(isHeard)).toEqual([]);
      bed.ledger.failure = undefined;
      bed.send('read', 'op-2');
      await bed.until('told answer');
      expect(bed.story.filter(isHeard)).toEqual(['heard op-2']);
      balanced(bed);
    },
  },
  {
    id: 'strict',
    promise: 'in durability strict sends an operation when its intent is on disk',
    async run(bed) {
      bed.ledger.durability = { reads: 'strict', changes: 'strict' };
      const sync = bed.ledger.hold();
      bed.send('read', 'op-1');
      await bed.until('intent');
      await bed.settle();
      expect(bed.story.filter(isHeard)).toEqual([]);
      sync();
      await bed.until('told answer');
    },
  },
  {
    id: 'release',
    promise: 'in durability release tells an answer when the intent is on disk, and what is behind it after it',
    async run(bed) {
      bed.ledger.durability = { reads: 'process', changes: 'release' };
      const sync = bed.ledger.hold();
      bed.send('change', 'op-1');
      await bed.until('outcome done');
      await bed.settle();
      expect(bed.story).not.toContain('told answer');
      sync();
      await bed.until('told answer');
    },
  },
  {
    id: 'denied',
    promise: 'asks policy for each operation; a denied one reaches nobody, and its client goes on',
    async run(bed) {
      bed.send('denied', 'op-1');
      await bed.until('told refusal');
      bed.send('read', 'op-2');
      await bed.until('told answer');
      expect(bed.story.filter(isHeard)).toEqual(['heard op-2']);
      before(bed.story, 'denial', 'told refusal');
    },
  },
  {
    id: 'denial on disk',
    promise: 'tells a denial when it is on disk, not before',
    async run(bed) {
      const sync = bed.ledger.hold();
      bed.send('denied', 'op-1');
      await bed.until('denial');
      await bed.settle();
      expect(bed.story).not.toContain('told refusal');
      sync();
      await bed.until('told refusal');
    },
  },
  {
    id: 'limit',
    promise: 'shows no more items than policy allows, and says that there were more',
    async run(bed) {
      bed.send('many', 'op-1');
      await bed.until('told refusal');
      await bed.settle();
      expect(bed.story.filter((line) => line === 'told item').length).toBeLessThanOrEqual(2);
      expect(bed.story).toContain('outcome over-limit');
    },
  },
  {
    id: 'bytes out',
    promise: 'shows no more bytes than policy allows, says that there were more, and goes on',
    async run(bed) {
      bed.send('bulky', 'op-1');
      await bed.until('told refusal');
      expect(bed.received().length).toBeLessThan(15_000);
      reached(bed, { unit: 'bytesOut', most: 10_000 }, 'outcome');
      bed.send('read', 'op-2');
      await bed.until('told answer');
    },
  },
  {
    id: 'bytes in',
    promise: 'sends nothing of a request with more bytes than policy allows, and goes on',
    async run(bed) {
      bed.send('heavy', 'op-1');
      await bed.until('told refusal');
      expect(bed.story.filter(isHeard)).toEqual([]);
      reached(bed, { unit: 'bytesIn', most: 10_000 }, 'denial');
      bed.send('read', 'op-2');
      await bed.until('told answer');
    },
  },
  {
    id: 'duration',
    promise: 'stops what takes longer than policy allows, says so, and goes on',
    async run(bed) {
      bed.send('slow', 'op-1');
      await bed.until('heard op-1');
      await bed.pass(999);
      await bed.settle();
      expect(bed.story).not.toContain('told refusal');
      await bed.pass(1);
      await bed.until('told refusal');
      reached(bed, { unit: 'duration', most: 1_000 }, 'outcome');
      bed.send('read', 'op-2');
      await bed.until('told answer');
      await bed.pass(60_000);
      expect(bed.story).not.toContain('told end');
      balanced(bed);
    },
  },
  {
    id: 'rate',
    promise:
      'sends no more operations a minute than policy allows; the next one is refused, and allowed when the minute is over',
    async run(bed) {
      for (const name of ['op-1', 'op-2', 'op-3']) bed.send('rated', name);
      await bed.until('told refusal');
      await bed.until('told answer', 2);
      expect(bed.story.filter(isHeard).toSorted()).toEqual(['heard op-1', 'heard op-2']);
      reached(bed, { unit: 'rate', most: 2 }, 'denial');
      await bed.pass(61_000);
      bed.send('rated', 'op-4');
      await bed.until('told answer', 3);
      balanced(bed);
    },
  },
  {
    id: 'ended before',
    promise: 'that is ended while an intent waits to be written sends nothing, and says that it was skipped',
    async run(bed) {
      const write = bed.ledger.holdWrites();
      bed.send('change', 'op-1');
      await soon('its intent waits', () => bed.ledger.waiting > 0);
      bed.end();
      write();
      await bed.served;
      await bed.settle();
      expect(bed.story.filter(isHeard)).toEqual([]);
      expect(bed.story).toContain('outcome skipped');
      balanced(bed);
    },
  },
  {
    id: 'ended amid',
    promise: 'that is ended while an operation runs ends at once, and says that nobody knows what became of it',
    async run(bed) {
      await withOneRunning(bed);
      bed.end();
      await bed.served;
      await bed.settle();
      expect(bed.story).toContain('outcome unknown');
      balanced(bed);
    },
  },
  {
    id: 'target lost',
    promise: 'whose target goes away says that nobody knows what became of what ran, and tells the client',
    async run(bed) {
      await withOneRunning(bed);
      bed.target.lose();
      await soon('its client is told', () => bed.story.some((line) => line === 'told end' || line === 'told refusal'));
      bed.end();
      await bed.served;
      await bed.settle();
      expect(bed.story).toContain('outcome unknown');
      balanced(bed);
    },
  },
  {
    id: 'client lost',
    promise: 'whose client goes away ends, and leaves no operation without an outcome',
    async run(bed) {
      await withOneRunning(bed);
      bed.client.destroy();
      await bed.served;
      await bed.settle();
      balanced(bed);
    },
  },
  {
    id: 'drain',
    promise: 'that is asked to end finishes what runs, answers it, and takes nothing more',
    async run(bed) {
      const answer = bed.target.hold();
      bed.send('read', 'op-1');
      await bed.until('heard op-1');
      bed.drain();
      await bed.settle();
      answer();
      await bed.until('told answer');
      await bed.served;
      before(bed.story, 'outcome done', 'told answer');
      balanced(bed);
    },
  },
  {
    id: 'policy change',
    promise: 'ends when policy no longer allows its session',
    async run(bed) {
      bed.send('read', 'op-1');
      await bed.until('told answer');
      bed.forbid();
      await bed.served;
      expect(bed.story.at(-1)).toBe('session-close');
    },
  },
  {
    id: 'ends when told',
    promise: 'ends at once when its identity does',
    async run(bed) {
      bed.end();
      await bed.served;
      expect(bed.story).toContain('session-close');
    },
  },
  {
    id: 'opened',
    promise: 'has its opening in the ledger before the client is let in, and its close at the end',
    async run(bed) {
      before(bed.story, 'session-open', 'told hello');
      bed.end();
      await bed.served;
      expect(bed.story.filter((line) => line === 'session-close')).toEqual(['session-close']);
    },
  },
  {
    id: 'back-pressure',
    promise: 'reads no more of its client than it can hold while the ledger is slow',
    async run(bed) {
      bed.ledger.holdWrites();
      const MIB = 1 << 20;
      let sent = 0;
      for (let i = 0; sent < 24 * MIB; ) {
        const requests: Buffer[] = [];
        for (const end = i + 10_000; i < end; i++) requests.push(bed.request('read', `op-${i}`));
        const bytes = Buffer.concat(requests);
        sent += bytes.length;
        bed.client.write(bytes);
      }
      await soon('its intent waits', () => bed.ledger.waiting > 0);
      await bed.settle();
      expect(bed.client.writableLength).toBeGreaterThan(8 * MIB);
      expect(bed.heldBytesMax).toBeLessThan(8 * MIB);
    },
  },
  {
    id: 'back-pressure of answers',
    promise: 'reads no more of the target than its client takes, and hands it all on in the end',
    async run(bed) {
      const most = 8 << 20;
      bed.client.pause();
      bed.send('flood', 'op-1');
      await bed.until('heard op-1');
      for (let round = 0; round < 5; round++) {
        await bed.settle();
        expect(bed.inner.writableLength).toBeLessThan(most);
      }
      expect(bed.heldBytesMax).toBeLessThan(most);
      bed.client.resume();
      await bed.until('told answer');
      expect(bed.received().length).toBeGreaterThan(40_000_000);
    },
  },
  {
    id: 'secret',
    promise: 'tells its credential to nobody: not to the client, the log or the ledger',
    async run(bed) {
      bed.send('read', 'op-1');
      await bed.until('told answer');
      bed.send('denied', 'op-2');
      await bed.until('told refusal');
      bed.target.lose();
      bed.end();
      await bed.served;
      for (const text of [bed.received().toString('latin1'), bed.logged.join('\n'), JSON.stringify(bed.ledger.events)])
        expect(text).not.toContain(PASSWORD);
    },
  },
];

const isHeard = (line: string) => line.startsWith('heard');
