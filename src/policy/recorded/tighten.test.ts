import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DecisionRequest, EntityRef } from '../../model/index.ts';
import { checkPolicies, loadPolicies } from '../loading/load.ts';
import { replayed } from '../testing/replayed.ts';
import { batch, database, noon, select, selectContext, shopSchema, table, web } from '../testing/shop.ts';
import type { CompiledPolicies } from '../types.ts';
import type { RecordedOperation } from './operation.ts';
import { createTightening, type TightPermit } from './tighten.ts';

/** More by hand: POLICY_RUNS=20000. */
const RUNS = Number(process.env['POLICY_RUNS'] ?? 100);

// Goal: what was used goes on as it was, and nothing else is allowed.

const OPEN = loadPolicies(
  [
    {
      name: 'open',
      text: `@id("all") permit(principal, action, resource);
        @id("masked") @mask("ssn:redact, name:last4") @limit("rows=50")
        permit(principal, action == Action::"shop:select", resource) when { resource.name == "users" };
        @id("derived") @mask("ssn:hash, note:null") @derived("null") @limit("rows=60")
        permit(principal, action == Action::"shop:select", resource) when { !context.hasWhere };`,
    },
  ],
  shopSchema,
);

/** As it would stand in a ledger, had these policies been in force. */
function recorded(requests: readonly DecisionRequest[], policies: CompiledPolicies = OPEN): RecordedOperation[] {
  return requests.map((request, sequence) => {
    const decision = policies.decide(request);
    const { principal, timeMs = noon, ...question } = request;
    const asked = [{ question, decision }];
    return { principal, action: question.action, shape: 'x', sequence, timeMs, asked, isAllowed: decision.allow };
  });
}

function tighten(operations: readonly RecordedOperation[]): readonly TightPermit[] {
  const tightening = createTightening(shopSchema);
  for (const one of operations) tightening.note(one);
  return tightening.permits();
}

function tight(requests: readonly DecisionRequest[]): { readonly text: string; readonly set: CompiledPolicies } {
  const text = tighten(recorded(requests))
    .map((permit) => permit.text)
    .join('\n');
  const { compiled, problems } = checkPolicies([{ name: 'tight', text }], shopSchema);
  if (compiled === undefined) throw new Error(`${text}\n${JSON.stringify(problems)}`);
  return { text, set: compiled };
}

const connect = (principal: EntityRef): DecisionRequest => ({
  ...{ principal, action: 'shop:connect', resource: database, context: {}, timeMs: noon },
});
const reading = (columns: readonly string[], over: Partial<DecisionRequest> = {}): DecisionRequest =>
  select({ context: { ...selectContext, columns }, ...over });

describe('the least set of permits', () => {
  it('says what was used, with the evidence', () => {
    const { text } = tight([
      connect(batch),
      { ...connect(batch), timeMs: noon + 60_000 },
      { ...connect(batch), action: 'shop:update', resource: table('orders') },
    ]);
    expect(text).toBe(`// shop:connect: 2 times, last in ledger entry 1
//   2026-11-22T12:00:00.000Z to 2026-11-22T12:01:00.000Z
@id("tight-1")
permit(
  principal == Identity::"spiffe://example.org/ns/batch/sa/job",
  action == Action::"shop:connect",
  resource == Shop::Database::"shop/app"
);

// shop:update: once, 2026-11-22T12:00:00.000Z, ledger entry 2
@id("tight-2")
permit(
  principal == Identity::"spiffe://example.org/ns/batch/sa/job",
  action == Action::"shop:update",
  resource == Shop::Table::"shop/app/public/orders"
);
`);
  });

  it('joins actions that were used alike, and elements of sets, and keeps yes from no', () => {
    const { set } = tight([
      reading(['id', 'name']),
      reading(['note']),
      select({ context: { ...selectContext, columns: ['price'], hasWhere: false } }),
    ]);
    // One for what had a condition; two for what had none, whose masks are of both kinds.
    expect(set.policies).toHaveLength(3);
    expect(set.decide(reading(['name', 'note'])).allow).toBe(true);
    expect(set.decide(reading(['price'])).allow).toBe(false);
    expect(set.decide(reading([])).allow).toBe(true);
  });

  it('keeps masks, limits and recording', () => {
    const request = reading(['id', 'ssn']);
    const { set } = tight([request]);
    const decision = set.decide(request);
    expect(decision.allow && decision.obligations).toMatchObject({
      masks: [{ path: ['public', 'users', 'name'] }, { path: ['public', 'users', 'ssn'], kind: 'redact' }],
      limits: { items: 50 },
    });
    expect(replayed(recorded([request]), set)).toMatchObject({ judged: 1, differences: [] });
  });

  it('says what is NULL inside of expressions, by a permit of its own where not all is', () => {
    const both = reading(['id'], { context: { ...selectContext, hasWhere: false } });
    const { set, text } = tight([both]);
    const decision = set.decide(both);
    expect(
      decision.allow && decision.obligations.masks.map(({ path, kind, derived }) => [path.at(-1), kind, derived]),
    ).toEqual(
      expect.arrayContaining([
        ['note', 'null', 'null'],
        ['ssn', 'redact', undefined],
        ['name', 'last4', undefined],
      ]),
    );
    expect(set.policies, text).toHaveLength(2);
    const one = tight([reading(['id'], { resource: table('orders'), context: { ...selectContext, hasWhere: false } })]);
    expect(one.text).toContain('@mask("note:null, ssn:hash")\n@derived("null")\n@limit("rows=60")');
    expect(one.set.policies).toHaveLength(1);
  });

  it('keeps tags of the resource to the values that they had, and to being away', () => {
    const users = (tags: EntityRef['tags']) => reading(['id'], { resource: { ...table('users'), tags: tags ?? {} } });
    const { set, text } = tight([
      users({ team: 'red', size: '1' }),
      users({ team: 'blue' }),
      { ...users({ owner: 'anna' }), principal: batch },
    ]);
    expect(text).toContain('when { resource.hasTag("team") && ["blue", "red"].contains(resource.getTag("team")) }');
    expect(text).toContain(
      'when { !resource.hasTag("size") || (resource.hasTag("size") && resource.getTag("size") == "1") }',
    );
    expect(text).toContain('when { !resource.hasTag("owner") }');
    const allows = (tags: EntityRef['tags']) => set.decide(users(tags)).allow;
    expect([{ team: 'red' }, { team: 'blue', size: '1' }].map(allows)).toEqual([true, true]);
    expect(
      [{ team: 'green' }, {}, { team: 'red', size: '2' }, { team: 'red', owner: 'anna' }, { owner: 'anna' }].map(
        allows,
      ),
    ).toEqual([false, false, false, false, false]);
  });

  it('leaves out what was refused', () => {
    const refusing = loadPolicies([{ name: 'none', text: '' }], shopSchema);
    expect(tighten(recorded([connect(web)], refusing))).toEqual([]);
  });

  it('takes names as they are, whatever is in them', () => {
    const name = 'a"); permit(principal, action, resource); //\n\u202e\\';
    const request = reading([name], { resource: table(name) });
    const { set } = tight([request]);
    expect(set.policies).toHaveLength(1);
    expect(set.decide(request).allow).toBe(true);
    expect(set.decide(reading([name])).allow).toBe(false);
  });
});

it('whatever was used replays without a difference, and nothing that was not used is allowed', async () => {
  await fc.assert(
    fc.property(fc.array(anyRequest(), { minLength: 1, maxLength: 20 }), anyRequest(), (used, other) => {
      const { set, text } = tight(used);
      expect(replayed(recorded(used), set), text).toMatchObject({ judged: used.length, differences: [] });
      expect(set.decide(other).allow, `${text}\n${JSON.stringify(other)}`).toBe(isCovered(other, used));
    }),
    { numRuns: RUNS },
  );
});

/** By the words of the promise, without a policy. */
function isCovered(request: DecisionRequest, used: readonly DecisionRequest[]): boolean {
  const alike = used.filter(
    ({ principal, action, resource, context }) =>
      principal.id === request.principal.id &&
      action === request.action &&
      resource.id === request.resource.id &&
      context['hasWhere'] === request.context['hasWhere'],
  );
  return (
    alike.length > 0 &&
    Object.keys(shopSchema.actions.get(request.action)?.context ?? {}).every((name) => {
      const values = alike.map(({ context }) => context[name]);
      const value = request.context[name];
      if (!Array.isArray(value)) return values.some((each) => JSON.stringify(each) === JSON.stringify(value));
      const elements = new Set(values.flat().map((each) => JSON.stringify(each)));
      return value.every((each) => elements.has(JSON.stringify(each)));
    })
  );
}

function anyRequest(): fc.Arbitrary<DecisionRequest> {
  const columns = fc.uniqueArray(fc.constantFrom('id', 'name', 'ssn', 'a"b'), { maxLength: 3 });
  const context = fc
    .record(
      {
        ...{ columns, hasWhere: fc.boolean(), count: fc.constantFrom(-1, 3), note: fc.constantFrom('', '\u202e"') },
        peers: fc.constantFrom([], [{ __entity: { type: 'Identity', id: batch.id } }]),
        shape: fc.constantFrom({ depth: 2 }, { depth: 2, label: 'x' }),
        price: fc.constantFrom('9.99', { __extn: { fn: 'decimal', arg: '1.5' } }),
      },
      { requiredKeys: ['columns', 'hasWhere', 'count', 'peers', 'shape', 'price'] },
    )
    .map((some) => ({ ...selectContext, ...some }));
  const who = fc.constantFrom(web, batch);
  const what = fc.constantFrom(table('users'), table('orders'));
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ principal: who, resource: what, context }).map((over) => select(over)) },
    {
      weight: 1,
      arbitrary: fc
        .record({ principal: who, resource: what, action: fc.constant('shop:update') })
        .map((over): DecisionRequest => ({ ...over, context: {}, timeMs: noon })),
    },
  );
}
