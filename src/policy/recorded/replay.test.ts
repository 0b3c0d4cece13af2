import { describe, expect, it } from 'vitest';
import type { Asked, Question } from '../../model/index.ts';
import { loadPolicies } from '../loading/load.ts';
import { replayed } from '../testing/replayed.ts';
import { batch, database, noon, select, selectContext, shopSchema, table, web } from '../testing/shop.ts';
import type { RecordedOperation } from './operation.ts';

// Goal: exactly what would be answered otherwise, by identity and shape, with how often.

const load = (...texts: string[]) => loadPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);
const READS = '@id("reads") permit(principal, action in Action::"shop:read", resource);';
const before = load(READS);

function operation(over: Partial<RecordedOperation> & { questions?: readonly Question[] } = {}): RecordedOperation {
  const { principal: own, timeMs: at = noon, ...question } = select();
  const { principal = own, timeMs = at, questions = [question], ...more } = over;
  const asked = questions.map((one): Asked => {
    return { question: one, decision: before.decide({ ...one, principal, timeMs }) };
  });
  const about = { principal, timeMs, action: question.action, shape: 'select users', sequence: 7 };
  return { ...about, asked, isAllowed: asked.every(({ decision }) => decision.allow), ...more };
}

function fail(): never {
  throw new Error('nothing was asked');
}

const update = { action: 'shop:update', resource: table('orders'), context: {} };

describe('operations judged again', () => {
  it('are answered as they were under the same policies', () => {
    const all = [operation(), operation({ questions: [update] }), operation({ principal: batch })];
    expect(replayed(all, before)).toEqual({ judged: 3, notByPolicy: 0, differences: [] });
  });

  it('are denied by a new forbid: counted by identity and shape, the most frequent first', () => {
    const after = load(READS, '@id("no-users") forbid(principal, action, resource) when { resource.name == "users" };');
    const all = [
      operation({ principal: batch }),
      operation({ sequence: 8 }),
      operation({ sequence: 12, timeMs: noon + 5000 }),
      operation({ shape: 'other', questions: [{ ...select(), resource: table('orders') }] }),
    ];
    const about = { kind: 'denied', action: 'shop:select', shape: 'select users', policies: ['no-users'] };
    const question = { action: 'shop:select', resource: 'shop/app/public/users' };
    const lines = { before: [], after: [] };
    expect(replayed(all, after).differences).toEqual([
      {
        ...{ ...about, ...lines, question, identity: web.id, count: 2 },
        ...{ firstMs: noon, lastMs: noon + 5000, lastSequence: 12 },
      },
      {
        ...{ ...about, ...lines, question, identity: batch.id, count: 1 },
        ...{ firstMs: noon, lastMs: noon, lastSequence: 7 },
      },
    ]);
  });

  it('are denied when one of their questions is', () => {
    const after = load(READS);
    const both = [{ action: 'shop:connect', resource: database, context: {} }, update];
    expect(replayed([operation({ questions: both, isAllowed: true })], after).differences).toMatchObject([
      { kind: 'denied', question: { action: 'shop:update', resource: 'shop/app/public/orders' } },
    ]);
  });

  it('are allowed by a new permit', () => {
    const after = load(READS, '@id("writes") permit(principal, action == Action::"shop:update", resource);');
    expect(replayed([operation({ questions: [update] })], after).differences).toMatchObject([
      { kind: 'allowed', policies: ['writes'], count: 1 },
    ]);
    const both = [select(), update].map(({ action, resource, context }) => ({ action, resource, context }));
    expect(replayed([operation({ questions: both })], after).differences).toMatchObject([
      { kind: 'allowed', policies: ['writes'], question: { action: 'shop:update' } },
    ]);
  });

  it('keep their answer and lose or gain masks, limits and recording', () => {
    const after = load(
      '@id("reads") @mask("name:redact") @limit("rows=5") permit(principal, action in Action::"shop:read", resource);',
    );
    expect(replayed([operation()], after).differences).toMatchObject([
      {
        kind: 'obligations',
        before: [],
        after: ['shop/app/public/users limits items=5', 'shop/app/public/users masks public.users.name:redact'],
      },
    ]);
  });

  it('keep their masks, which are NULL inside of expressions no more, or now are', () => {
    const masked = (derived: string) =>
      load(`@id("reads") @mask("name:redact") ${derived} permit(principal, action in Action::"shop:read", resource);`);
    const [plain, derived] = [masked(''), masked('@derived("null")')];
    const under = (policies: typeof plain, more: object = {}) => {
      const { principal, timeMs, ...question } = select();
      const decision = policies.decide({ ...question, principal, timeMs });
      return { ...operation(), asked: [{ question, decision, ...more }] };
    };
    const line = 'shop/app/public/users masks public.users.name:redact';
    const withNull = `${line}, NULL inside of expressions`;
    expect(replayed([under(derived)], derived).differences).toEqual([]);
    expect(replayed([under(derived)], plain).differences).toMatchObject([{ before: [withNull], after: [line] }]);
    expect(replayed([under(plain)], derived).differences).toMatchObject([{ before: [line], after: [withNull] }]);
    // Of before it was recorded: nobody knows.
    for (const now of [plain, derived])
      expect(replayed([under(plain, { isDerivedUntold: true })], now).differences).toEqual([]);
  });

  it('are not denied where nothing permits what was asked for its forbids alone, but where something forbids it', () => {
    const [{ question, decision } = fail()] = operation({ questions: [update] }).asked;
    const base: Asked = { question, decision, forbidsOnly: true };
    const one = { ...operation(), asked: [...operation().asked, base] };
    expect(replayed([one], before).differences).toEqual([]);
    const after = load(READS, '@id("no") forbid(principal, action == Action::"shop:update", resource);');
    expect(replayed([one], after).differences).toMatchObject([{ kind: 'denied', policies: ['no'] }]);
  });

  it('are judged at their own time', () => {
    const after = load('@id("reads") @expires("2026-11-22T12:00:01Z") permit(principal, action, resource);');
    const late = operation({ timeMs: noon + 1000 });
    expect(replayed([operation(), late], after).differences).toMatchObject([
      { kind: 'denied', count: 1, firstMs: noon + 1000 },
    ]);
  });

  it('are left alone where policy was not what refused them, and where it was asked nothing', () => {
    const after = load('permit(principal, action, resource);');
    const notUnderstood = operation({ isAllowed: false });
    const nothing = operation({ questions: [] });
    expect(replayed([notUnderstood, nothing], after)).toEqual({ judged: 1, notByPolicy: 1, differences: [] });
  });

  it('are judged by what their context holds', () => {
    const after = load(
      READS,
      'forbid(principal, action, resource) when { context has columns && context.columns.contains("ssn") };',
    );
    const asked = (columns: readonly string[]) => [{ ...select(), context: { ...selectContext, columns } }];
    const all = [operation({ questions: asked(['id']) }), operation({ questions: asked(['id', 'ssn']) })];
    expect(replayed(all, after).differences).toMatchObject([{ kind: 'denied', count: 1 }]);
  });
});
