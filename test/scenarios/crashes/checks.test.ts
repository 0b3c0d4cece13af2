/** The rules that every round of crashes is held against: each finds what it is there for, planted one by one into a history that is right. */
import { describe, expect, it } from 'vitest';
import { createContentDigester } from '../../../src/gateway/index.ts';
import type { LedgerEntry } from '../../../src/ledger/index.ts';
import { Secret } from '../../../src/std/index.ts';
import { type Attempt, createLoadRecord, isRetryable, type Verdict } from './attempts.ts';
import { check, createMemory, remember } from './checks.ts';
import { planRound, VICTIMS } from './plan.ts';

/** A history: one insert alone, acknowledged; two together, acknowledged; one that nobody knows of. */
function history() {
  const record = createLoadRecord();
  const attempt = (id: string, more: Partial<Attempt> & { verdict: Verdict }) => {
    const { verdict, ...rest } = more;
    record.attempts.set(id, { id, table: 'marks', group: id, alone: true, client: 'c', ...rest });
    record.verdicts.set(rest.group ?? id, verdict);
  };
  attempt('alone', { verdict: 'kept' });
  attempt('one', { verdict: 'kept', group: 'pair', alone: false });
  attempt('two', { verdict: 'kept', group: 'pair', alone: false });
  attempt('doubtful', { verdict: 'open' });
  const entries = ['alone', 'one', 'two', 'doubtful'].flatMap((id) => [
    entry('intent', id, { postgres: { text: `insert into marks values ('${id}')` } }),
    entry('outcome', id, { status: id === 'doubtful' ? 'unknown' : 'done' }),
  ]);
  return { record, entries, rows: { marks: ['alone', 'one', 'two'], digested: [] as string[], posts: [] as string[] } };
}

function entry(kind: 'intent' | 'outcome', operation: string, detail: LedgerEntry['detail']): LedgerEntry {
  const fixed = { seq: 0, timeMs: 0, actor: 'a', target: 'shop', action: 'postgres:insert', session: 's' };
  return { ...fixed, kind, operation, detail };
}

function upgrade(operation: string): LedgerEntry {
  return { ...entry('intent', operation, {}), action: 'http:upgrade' };
}

function findings({ record, entries, rows }: ReturnType<typeof history>): string[] {
  const memory = createMemory();
  return [...remember(memory, entries, { record, digester }), ...check(record, memory, rows)];
}

describe('the rules', () => {
  it('find nothing in a history that is right, whether what is in doubt came about or not', () => {
    const right = history();
    expect(findings(right)).toEqual([]);
    right.rows.marks.push('doubtful');
    expect(findings(right)).toEqual([]);
  });

  const planted: readonly (readonly [string, RegExp, (of: ReturnType<typeof history>) => void])[] = [
    [
      'an acknowledged operation without an intent',
      /alone was acknowledged and is not in the ledger/,
      drop('intent', 'alone'),
    ],
    [
      'an acknowledged operation whose outcome is unknown',
      /alone was acknowledged, its outcome says unknown/,
      end('alone', 'unknown'),
    ],
    [
      'a row without an intent',
      /doubtful reached the upstream without an intent/,
      (of) => {
        drop('intent', 'doubtful')(of);
        of.rows.marks.push('doubtful');
      },
    ],
    ['an intent without an outcome', /is an intent without outcome/, drop('outcome', 'doubtful')],
    [
      'a WebSocket without an outcome beside the one that lives',
      /is an intent without outcome/,
      (of) => of.entries.push(upgrade('old'), upgrade('new')),
    ],
    [
      'what the API saw twice',
      /posts holds a row twice/,
      (of) => {
        const { record } = of;
        record.attempts.set('p', { id: 'p', table: 'posts', group: 'p', alone: true, client: 'c' });
        of.rows.posts.push('p', 'p');
      },
    ],
    [
      'what reached the API without an intent',
      /p reached the upstream without an intent/,
      (of) => {
        of.record.attempts.set('p', { id: 'p', table: 'posts', group: 'p', alone: true, client: 'c' });
        of.rows.posts.push('p');
      },
    ],
    [
      'a second outcome',
      /outcome without intent, or two/,
      (of) => of.entries.push(entry('outcome', 'alone', { status: 'done' })),
    ],
    [
      'an intent that nobody asked for',
      /entry 0 is an insert that no client sent/,
      (of) => {
        of.entries.push(
          entry('intent', 'other', { postgres: { text: "insert into marks values ('x')" } }),
          entry('outcome', 'other', {}),
        );
      },
    ],
    [
      'an acknowledged row that is gone',
      /alone was acknowledged and is not in the database/,
      (of) => of.rows.marks.shift(),
    ],
    ['half of what belongs together', /pair is there in part: 1 of 2/, (of) => of.rows.marks.pop()],
    ['a row that is there twice', /marks holds a row twice/, (of) => of.rows.marks.push('alone')],
    [
      'a row in the wrong table',
      /digested holds alone, which no client sent there/,
      (of) => of.rows.digested.push('alone'),
    ],
    [
      'a row that was refused',
      /alone was refused and is in the database/,
      (of) => of.record.verdicts.set('alone', 'refused'),
    ],
    [
      'a row that failed by the ledger',
      /doubtful is failed by the ledger and in the database/,
      (of) => {
        end('doubtful', 'failed')(of);
        of.rows.marks.push('doubtful');
      },
    ],
    [
      'an operation done by the ledger that is not in the database',
      /doubtful is done by the ledger/,
      end('doubtful', 'done'),
    ],
    [
      'a wrong answer',
      /simple: the row just written/,
      (of) => of.record.wrong.push('simple: the row just written was …'),
    ],
  ];
  it.each(planted)('find %s', (_, finding, plant) => {
    const wrong = history();
    plant(wrong);
    expect(findings(wrong).join('\n')).toMatch(finding);
  });

  it('know by its digest an insert whose text is not recorded', () => {
    const of = history();
    of.entries = of.entries.map((one) =>
      one.kind === 'intent' && one.operation === 'alone' ? { ...one, detail: { contentDigest: DIGEST_OF_ALONE } } : one,
    );
    expect(findings(of)).toEqual([]);
    const unkeyed = { contentDigest: DIGEST_OF_ALONE.slice(9) };
    of.entries = of.entries.map((one) =>
      one.detail['contentDigest'] === undefined ? one : { ...one, detail: unkeyed },
    );
    expect(findings(of).join()).toMatch(/an insert that no client sent/);
  });
});

describe('what a client may be told', () => {
  it.each(['57P01', '57P03', '08006', 'ECONNREFUSED'])('%s', (code) => {
    expect(isRetryable({ client: 'c', during: 'work', code, message: '' })).toBe(true);
  });
  it.each(['42501', 'XX000', '28000', '08P01', '58030', '53300', ''])('not %s', (code) => {
    expect(isRetryable({ client: 'c', during: 'work', code, message: 'it failed' })).toBe(false);
  });
});

describe('a plan', () => {
  it('is the same for the same seed, another for another, and gives each role its turn', () => {
    const rounds = (seed: string) => [...Array(40).keys()].map((number) => planRound(seed, number));
    expect(rounds('a')).toEqual(rounds('a'));
    expect(rounds('a')).not.toEqual(rounds('b'));
    for (const victim of VICTIMS) expect(rounds('a').filter(({ victims }) => victims[0] === victim)).toHaveLength(10);
    expect(rounds('a').some(({ victims }) => victims.length === 2)).toBe(true);
    expect(rounds('a').some(({ duringStartMs }) => duringStartMs.length === 2)).toBe(true);
  });
});

function drop(kind: string, operation: string) {
  return (of: ReturnType<typeof history>) => {
    of.entries = of.entries.filter((one) => one.kind !== kind || one.operation !== operation);
  };
}

function end(operation: string, status: string) {
  return (of: ReturnType<typeof history>) => {
    of.entries = of.entries.map((one) =>
      one.kind === 'outcome' && one.operation === operation ? { ...one, detail: { status } } : one,
    );
  };
}

const digester = createContentDigester(new Secret(Buffer.alloc(32, 1)));
const DIGEST_OF_ALONE = digester.digest({
  ...{ text: 'insert into digested values ($1)', formats: [] },
  values: [Buffer.from('alone')],
});
