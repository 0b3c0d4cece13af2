// Goal: what is handed to the gate of what a client said is whole, and is not handed on where it may be a secret.
import { describe, expect, it } from 'vitest';
import { judgedBy } from '../../../../model/index.ts';
import type { Refusal, StatementPlan } from '../sql/index.ts';
import { stubPlan } from '../testing/stub-sql.ts';
import { denialOf, operationOf } from './operations.ts';

const value = Buffer.from('4711');

function planOf(text: string, more: Partial<StatementPlan> = {}): StatementPlan {
  const plan = stubPlan(text, 'simple');
  const [statement] = plan.verdict === 'forward' ? plan.statements : [];
  if (statement === undefined) throw new Error('refused');
  return { ...statement, ...more };
}

const content = (plan: StatementPlan, parameters: readonly (Buffer | null)[] = [], formats?: readonly number[]) =>
  operationOf(plan, { text: 'a text', parameters, statements: 1, ...(formats === undefined ? {} : { formats }) })
    .content;

describe('what a client said', () => {
  it('is its text, each value as it came, and how that is written', () => {
    expect(content(planOf('select 1'), [value, null], [0, 1])).toEqual({
      ...{ text: 'a text', formats: [0, 1] },
      values: [value, null],
    });
    expect(content(planOf('select 1'))).toEqual({ text: 'a text', values: [], formats: [] });
  });

  it('is told by the shape where policy is asked nothing and there are no values', () => {
    const judged = judgedBy(undefined, []);
    expect(content(planOf('select 1', { judged, record: 'digest' }))).toBeUndefined();
    expect(content(planOf('select 1', { judged, record: 'digest' }), [value])).toMatchObject({ values: [value] });
    expect(content(planOf('select 1', { judged, record: 'full' }))).toMatchObject({ text: 'a text' });
  });

  it('is kept from the ledger where it may carry a password', () => {
    expect(content(planOf('select 1', { record: 'nothing' }))).toBeUndefined();
    expect(content(planOf('select 1', { record: 'nothing' }), [value])).toBeUndefined();
  });

  it('is of a denial the text alone, unless that is administration or could not be read', () => {
    const refusal = stubPlan('/*deny*/', 'simple') as Refusal; // What the stub refuses by that mark.
    const touches = [{ action: 'postgres:admin', objects: [] }];
    const [facts] = [planOf('select 1')];
    const admin = { ...refusal, statements: [{ ...facts, touches }] } as unknown as Refusal; // Only its actions are looked at.
    expect(denialOf(refusal, 'a text').content).toEqual({ text: 'a text', values: [], formats: [] });
    expect(denialOf(refusal, '').content).toBeUndefined();
    expect(denialOf(admin, 'alter role a password b').content).toBeUndefined();
  });
});
