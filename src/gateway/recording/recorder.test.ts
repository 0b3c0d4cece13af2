import { describe, expect, it } from 'vitest';
import { type AttributeValue, type EntityRef, type Judged, judgedBy, noObligations } from '../../model/index.ts';
import { composeSchema, readRecorded } from '../../policy/index.ts';
import { formatCanonicalJson } from '../../wire/tlog/index.ts';
import { policySchema } from '../protocols/postgres/sql/policy-schema.ts';
import { tableResource } from '../protocols/postgres/sql/resources.ts';
import { createRecorder } from './recorder.ts';

// Goal: what policy was asked stands in an entry so that it can be asked again; where it does not fit, the entry says so.

const schema = composeSchema([policySchema]);
const recorder = createRecorder(schema);
const table = tableResource({ target: 'shop', database: 'app' }, 'public', 'a/b%c');
const allow = {
  allow: true,
  policies: ['web'],
  obligations: noObligations,
} as const;
const judgedOf = (
  context: { readonly [name: string]: AttributeValue },
  resource: EntityRef = table,
  times = 1,
): Judged => {
  const one = { question: { action: 'postgres:select', resource, context }, decision: allow };
  return judgedBy(
    { digest: 'd', revision: 1, timeMs: 2 },
    Array.from({ length: times }, () => one),
  );
};
const read = (judged: Judged) => readRecorded(JSON.parse(formatCanonicalJson({ ...recorder.allowed(judged) })), schema);

describe('a recorded question', () => {
  it('is read back as it was asked, though of a table no more is written than its id', () => {
    const judged = judgedOf({ columns: ['id', '__proto__'], hasWhere: true });
    expect(read(judged)).toEqual({ policySet: judged.set, asked: judged.asked, isWhole: true });
    expect(recorder.allowed(judged).questions).toMatchObject([
      { resource: { id: 'shop/app/public/a%2Fb%25c', type: 'Postgres::Table' } },
    ]);
    expect(JSON.stringify(recorder.allowed(judged))).not.toContain('parents');
  });

  it.each([
    ['an attribute of its own', { ...table, attributes: { ...table.attributes, label: 'x' } }],
    ['tags', { ...table, tags: { team: 'blue' } }],
    ['a parent with tags', { ...table, parents: table.parents.map((one) => ({ ...one, tags: { team: 'blue' } })) }],
    ['another parent', { ...table, parents: [] }],
    ['a name that its id does not tell', { ...table, attributes: { ...table.attributes, name: 'other' } }],
    ['a type of no schema', { type: 'Lines::Target', id: 't', attributes: { n: 1 }, parents: [table] }],
  ])('has its resource whole where that has %s', (_, resource) => {
    const judged = judgedOf({}, resource);
    expect(read(judged)).toEqual({ policySet: judged.set, asked: judged.asked, isWhole: true });
  });

  it('keeps what permits demand, and says who answered where not all did', () => {
    const masks = [
      { path: ['public', 'a/b%c', 'ssn'], kind: 'redact' as const },
      { path: ['public', 'a/b%c', 'mail'], kind: 'null' as const, derived: 'null' as const },
    ];
    const obligations = { masks, limits: { items: 5, duration: 1000 }, record: 'full' as const };
    const { asked, ...rest } = judgedOf({});
    const other = { ...asked[0], decision: { allow: true, policies: ['other'], obligations } } as const;
    const refused = {
      ...asked[0],
      decision: { allow: false, reason: 'no-permit', policies: [] },
      forbidsOnly: true,
    } as const;
    const held = {
      ...asked[0],
      decision: { allow: false, reason: 'approval-needed', policies: ['web'], rules: ['two-eyes'] },
    } as const;
    const judged = { ...rest, asked: [...asked, other, refused, held] } as Judged;
    expect(read(judged).asked).toEqual(judged.asked);
    expect(recorder.allowed(judged).policies).toEqual(['other', 'web']);
  });

  it('of before it said what is NULL inside of expressions is told from one that says that nothing is', () => {
    const { asked, ...rest } = judgedOf({});
    const masks = [{ path: ['public', 'a/b%c', 'ssn'], kind: 'redact' as const }];
    const decision = { allow: true, policies: ['web'], obligations: { ...noObligations, masks } } as const;
    const judged: Judged = { ...rest, asked: asked.map((one) => ({ ...one, decision })) };
    const detail = JSON.parse(formatCanonicalJson({ ...recorder.allowed(judged) }));
    expect(readRecorded(detail, schema).asked).toEqual(judged.asked);
    delete detail.questions[0].derived;
    expect(readRecorded(detail, schema).asked).toEqual([{ ...judged.asked[0], isDerivedUntold: true }]);
  });

  it('is encoded once for all that comes of one plan', () => {
    const judged = judgedOf({ columns: [] });
    expect(recorder.allowed(judged)).toBe(recorder.allowed(judged));
  });
});

describe('a question that does not fit', () => {
  it.each([
    ['a huge list', { columns: Array.from({ length: 10_000 }, (_, at) => `column-${at}`) }],
    ['a huge name', { columns: ['x'.repeat(100_000)] }],
    ['a huge name of control characters', { columns: ['\u0001'.repeat(2_000)] }],
    ['a fraction', { share: 0.5 }],
    ['half a letter', { name: '\ud83d' }],
    ['a value that nests deep', JSON.parse(`${'{"a":'.repeat(30)}1${'}'.repeat(30)}`)],
  ] as [
    string,
    { [name: string]: AttributeValue },
  ][])('for %s is marked as cut, small, and can be written', (_, context) => {
    const judged = judgedOf(context);
    expect(formatCanonicalJson({ ...recorder.allowed(judged) }).length).toBeLessThan(10_000);
    expect(recorder.allowed(judged).questions).toMatchObject([{ cut: true }]);
    expect(read(judged).isWhole).toBe(false);
  });

  it('for its resource is not taken for a whole one', () => {
    const long = tableResource({ target: 'shop', database: 'app' }, 'public', 'x'.repeat(20_000));
    expect(read(judgedOf({}, long)).isWhole).toBe(false);
  });

  it.each([
    ['there are too many', judgedOf({ columns: ['x'.repeat(5_000)] }, table, 20)],
    ['more were asked than kept', { ...judgedOf({}), omitted: 3 }],
  ])('leaves its entry marked as cut when %s', (_, judged) => {
    const recorded = recorder.allowed(judged);
    expect(formatCanonicalJson({ ...recorded }).length).toBeLessThan(32_000);
    expect(recorded.questionsCut).toBeGreaterThan(0);
    expect(read(judged).isWhole).toBe(false);
  });

  it('is none where a reader does not understand it, or its table is of another schema', () => {
    const detail = { questions: [{ asked: 'otherwise' }] };
    expect(readRecorded(detail, schema)).toMatchObject({ asked: [], isWhole: false });
    expect(readRecorded({ ...recorder.allowed(judgedOf({})) }, composeSchema([]))).toMatchObject({ isWhole: false });
    expect(readRecorded({}, schema)).toMatchObject({ asked: [], isWhole: false });
  });
});
