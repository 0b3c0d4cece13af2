import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Decision, type DecisionRequest, type EntityRef, withoutApproval } from '../../model/index.ts';
import { KnownEntity } from '../expressions/values.ts';
import { checkPolicies, loadPolicies } from '../loading/load.ts';
import { compare, TOLD, unvalidated } from '../testing/compare-cedar.ts';
import { batch, database, shopFragment, shopSchema, stranger, table, tagged, target, web } from '../testing/shop.ts';
import type { Access, CompiledPolicies, ResourceScope } from '../types.ts';
import { scopeFits } from './policy-index.ts';

/** More by hand: `POLICY_RUNS=20000 npx vitest run --testTimeout 36000000 policy-set/differential`. */
const RUNS = Number(process.env['POLICY_RUNS'] ?? 100);

// Goal: the compiled closures and the index answer as Cedar does, for every policy that can be written and every request that fits.

describe('answers equal those of Cedar', () => {
  it('for policies that the validator accepts', async () => {
    let accepted = 0;
    await fc.assert(
      fc.property(
        fc.array(policyOf(typedCondition()), { minLength: 1, maxLength: 12 }),
        fc.array(request(), { minLength: 3, maxLength: 3 }),
        (texts, requests) => {
          const { compiled, problems } = checkPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);
          // A policy that is only wrong by type (a context attribute of another action) is dropped; the rest still has to agree.
          const wrong = new Set(
            problems.filter(({ severity }) => severity === 'error').map(({ policy }) => Number(policy?.slice(2)) - 1),
          );
          const set =
            compiled ??
            checkPolicies([{ name: 'p', text: texts.filter((_, index) => !wrong.has(index)).join('\n') }], shopSchema)
              .compiled;
          if (set === undefined) throw new Error(JSON.stringify(problems));
          accepted += set.policies.length;
          for (const one of requests) compare(set, one);
        },
      ),
      { numRuns: RUNS },
    );
    expect(accepted).toBeGreaterThan(RUNS);
  });

  it('for policies that are wrong by type, where errors decide', async () => {
    await fc.assert(
      fc.property(
        fc.array(policyOf(wildCondition()), { minLength: 1, maxLength: 6 }),
        fc.array(request(), { minLength: 3, maxLength: 3 }),
        (texts, requests) => {
          const set = unvalidated(texts.join('\n'));
          for (const one of requests) compare(set, one);
        },
      ),
      { numRuns: RUNS },
    );
  });
});

describe('the index', () => {
  it('finds in a crowd of policies that differ by one attribute the ones that Cedar finds', async () => {
    await fc.assert(
      fc.property(
        fc.array(crowdPolicy(), { minLength: 30, maxLength: 60 }),
        fc.array(request(), { minLength: 3, maxLength: 3 }),
        (texts, requests) => {
          const { compiled, problems } = checkPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);
          if (compiled === undefined) throw new Error(JSON.stringify(problems));
          for (const one of requests) compare(compiled, one);
        },
      ),
      { numRuns: Math.ceil(RUNS / 5) },
    );
  });
});

describe('who can and what can', () => {
  // Goal: what is said of requests that are not whole yet is what each whole one is answered.
  it('say exactly what the engine decides, for whatever policies and requests', async () => {
    const seen = { always: 0, sometimes: 0, never: 0 };
    await fc.assert(
      fc.property(
        fc.array(policyOf(fc.oneof(typedCondition(), columnCondition())), { minLength: 1, maxLength: 8 }),
        fc.array(request(), { minLength: 4, maxLength: 4 }),
        (texts, requests) => {
          const set = accepted(texts);
          for (const one of requests) {
            const { principal, action, resource, context } = one;
            const asked = { action, resource, identities: [principal] };
            const { identities, others } = set.whoCan(asked);
            for (const { access } of identities) {
              seen[access.verdict] += 1;
              expectToTell(set, one, access);
            }
            // What holds for every identity of a scope holds for this one; and if it may, without being known, one scope says so.
            const within = others.filter(({ scope }) => isWithin(scope, principal));
            for (const { access } of within) expectNoMoreThan(set, one, access);
            const isNamed = set.names().entities.some(({ type, id }) => type === 'Identity' && id === principal.id);
            if (set.decide(one).allow && !isNamed)
              expect(within.map(({ access }) => says(access, one))).toContain(true);
            const rows = set
              .whatCan(principal)
              .filter((row) => row.action === action && isWithin(row.resource, resource));
            for (const { access } of rows) expectNoMoreThan(set, one, access);
            expect(rows.some(({ access }) => says(access, one))).toBe(set.decide(one).allow);
            const [column] = Array.isArray(context['columns']) ? context['columns'] : [];
            if (typeof column !== 'string') continue;
            const [reading] = set.whoCan({ ...asked, column: { attribute: 'columns', name: column } }).identities;
            if (reading !== undefined) expectToTell(set, one, reading.access);
            const place = { op: 'in', type: 'Target', id: 'shop' } as const;
            const [anywhere] = set.whoCan({ ...asked, resource: place }).identities;
            if (anywhere !== undefined) expectToTell(set, one, anywhere.access);
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(RUNS / 10);
  });
});

/** The answer is the engine's, by the same policies. */
function expectToTell(set: CompiledPolicies, one: DecisionRequest, access: Access): void {
  const decision = set.decide(one);
  const told = asPolicies(access, one).decide(one);
  const message = `${set.policies.map(({ text }) => text).join('\n')}\n${JSON.stringify(one)}\n${JSON.stringify(access)}`;
  expect(told.allow, message).toBe(decision.allow);
  if (decision.allow) expect(told.policies, message).toEqual(decision.policies);
  if (access.verdict !== 'sometimes') expect(runs(decision, one), message).toBe(access.verdict === 'always');
  if (access.verdict === 'always') expect(decision, message).not.toHaveProperty('obligations.approvals');
}

/** A session that needs an approval is none. */
function runs(decision: Decision, { action }: DecisionRequest): boolean {
  return (action === shopFragment.session ? withoutApproval(decision) : decision).allow;
}

/** What is said of many: where it allows, the engine does. */
function expectNoMoreThan(set: CompiledPolicies, one: DecisionRequest, access: Access): void {
  const message = `${set.policies.map(({ text }) => text).join('\n')}\n${JSON.stringify(one)}\n${JSON.stringify(access)}`;
  if (says(access, one)) expect(set.decide(one).allow, message).toBe(true);
  if (access.verdict === 'never') expect(runs(asPolicies(access, one).decide(one), one), message).toBe(false);
}

function says(access: Access, one: DecisionRequest): boolean {
  return asPolicies(access, one).decide(one).allow;
}

/** Policies of what was said, word for word. */
function asPolicies({ permits, forbids }: Access, { action }: DecisionRequest): CompiledPolicies {
  const texts = [
    ...permits.map((one) => ({ ...one, effect: 'permit' })),
    ...forbids.map((one) => ({ ...one, effect: 'forbid' })),
  ].map(({ policy, effect, within, when, approval }) => {
    const conditions = [
      ...within.map((text) => `when { ${text} }`),
      ...when.map((text) => text.replace(/^(when|unless) (.*)$/s, '$1 { $2 }')),
    ];
    const held = approval === undefined ? '' : `@approval("${approval}") `;
    return `@id("${policy}") ${held}${effect}(principal, action == Action::"${action}", resource) ${conditions.join(' ')};`;
  });
  return unvalidated(texts.join('\n'));
}

function isWithin(scope: ResourceScope, { type, id, parents }: EntityRef): boolean {
  const above = (refs: readonly EntityRef[]): KnownEntity[] =>
    refs.flatMap((ref) => [new KnownEntity(ref, {}, []), ...above(ref.parents)]);
  return scopeFits(scope, new KnownEntity({ type, id }, {}, above(parents)));
}

/** Those of the texts that the validator takes. */
function accepted(texts: readonly string[]): CompiledPolicies {
  const good = texts.filter((text) => checkPolicies([{ name: 'p', text }], shopSchema).compiled !== undefined);
  return loadPolicies([{ name: 'p', text: good.join('\n') }], shopSchema);
}

/** Beside the moments that conditions name, and between. */
const TIMES = [
  '2024-02-29T00:00:00Z',
  '2026-11-22T11:29:59.999Z',
  '2026-11-22T11:30:00Z',
  '2026-11-22T18:00:00.500Z',
].map((text) => Date.parse(text));

function columnCondition(): fc.Arbitrary<string> {
  return fc.constantFrom(
    'context.columns.contains("ssn")',
    '["id", "name"].containsAll(context.columns)',
    'context.columns.containsAny(["ssn", "id"])',
    'context.columns.containsAll(["id"])',
    '["id"].containsAny(context.columns)',
    'context.columns == ["ssn"]',
    'context.columns != ["id", "ssn"]',
    'context.columns.isEmpty()',
    'context.hasWhere || principal.trustDomain == "example.org"',
    'resource.hasTag("team") && resource.getTag("team") == "red"',
    'context.hasWhere && !resource.hasTag("env")',
    'context.count * context.count * 4 > 0 && resource.name == "users"',
    'resource.name == "users" || context.count + 9007199254740991 > 0',
    'context.time < datetime("2026-11-22T11:30:00Z")',
    'context.time.toTime() >= duration("18h") || context.hasWhere',
    'if principal.trustDomain == "example.org" then context.hasWhere else resource.name == "orders"',
  );
}

function policyOf(condition: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .record({
      effect: fc.oneof(
        { weight: 6, arbitrary: fc.constant('permit') },
        { weight: 1, arbitrary: fc.constant('@approval("dba") permit') },
        { weight: 2, arbitrary: fc.constant('forbid') },
      ),
      principal: pick(
        'principal',
        'principal == Identity::"spiffe://example.org/ns/shop/sa/web"',
        'principal is Identity',
        'principal in TrustDomain::"example.org"',
        'principal in IdentityPath::"spiffe://example.org/ns/shop"',
        'principal is Identity in TrustDomain::"example.org"',
        'principal in Identity::"spiffe://example.org/ns/batch/sa/job"',
      ),
      action: fc.oneof(
        { weight: 4, arbitrary: fc.constant('action == Action::"shop:select"') },
        {
          weight: 1,
          arbitrary: pick(
            'action',
            'action in Action::"shop:read"',
            'action in [Action::"shop:select", Action::"shop:update"]',
            'action in Action::"shop:any"',
          ),
        },
      ),
      resource: pick(
        'resource',
        'resource is Shop::Table',
        'resource == Shop::Table::"shop/app/public/users"',
        'resource in Shop::Schema::"shop/app/public"',
        'resource in Target::"shop"',
        'resource is Shop::Table in Shop::Database::"shop/app"',
        'resource is Shop::Database in Target::"shop"',
        'resource in Shop::Table::"shop/app/public/users"',
      ),
      conditions: fc.array(fc.tuple(pick('when', 'when', 'unless'), condition), { maxLength: 2 }),
    })
    .map(
      ({ effect, principal, action, resource, conditions }) =>
        `${effect}(${principal}, ${action}, ${resource})${conditions.map(([kind, body]) => ` ${kind} { ${body} }`).join('')};`,
    );
}

/** Alike in scope, so that only attributes tell them apart; some with a part before the equality that may fail. */
function crowdPolicy(): fc.Arbitrary<string> {
  const part = pick(
    'context.count == 0',
    'context.count == 1',
    '3 == context.count',
    'context.hasWhere == true',
    'resource.name == "users"',
    'resource.name == "orders"',
    'principal.path == "/ns/shop/sa/web"',
    'principal.trustDomain == "example.org"',
    'context has note && context.note == "a"',
    'context.count + 9007199254740991 > 0',
    'context.count * context.count * 4 > 0',
    'context.owner.path == "/ns/shop/sa/web"',
    '!(context.hasWhere)',
    'context.columns.contains("ssn")',
    'resource.schema == "public"',
  );
  const parts = fc.array(part, { minLength: 1, maxLength: 4 }).map((all) => all.join(' && '));
  return fc
    .record({
      effect: pick('permit', 'permit', 'forbid'),
      parts,
      more: pick('', '', ' when { context.count == 5 }', ' unless { context.count == 1 }'),
    })
    .map(
      ({ effect, parts: all, more }) =>
        `${effect}(principal, action == Action::"shop:select", resource) when { ${all} }${more};`,
    );
}

function request(): fc.Arbitrary<DecisionRequest> {
  const context = fc.record(
    {
      columns: fc.subarray(['id', 'name', 'ssn', 'café', 'é€😀']),
      hasWhere: fc.boolean(),
      count: fc.oneof(
        fc.constantFrom(0, 1, 3, 5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
        fc.maxSafeInteger(),
      ),
      note: pick('', 'a', 'abcab', 'a*b', 'café', 'aaab', '😀'),
      address: pick(
        '10.1.2.3',
        '10.0.0.0/8',
        '10.0.0.0/4',
        '127.0.0.1',
        '::1',
        '224.0.0.1',
        'ff02::1',
        '2001:db8::1/64',
        '0.0.0.0/0',
      ).map((arg) => ({ __extn: { fn: 'ip', arg } })),
      at: pick(
        '1969-12-31T23:59:59.999Z',
        '2026-11-22',
        '2026-11-22T13:00:00.250+0130',
        '0000-01-01',
        '9999-12-31T23:59:59Z',
        '2024-02-29',
      ).map((arg) => ({ __extn: { fn: 'datetime', arg } })),
      took: pick('0ms', '1d2h3m4s5ms', '-90s', '9223372036854775807ms', '-9223372036854775808ms', '36h').map((arg) => ({
        __extn: { fn: 'duration', arg },
      })),
      price: pick('9.99', '-0.0001', '0.0', '922337203685477.5807', '-922337203685477.5808').map((arg) => ({
        __extn: { fn: 'decimal', arg },
      })),
      owner: fc.constantFrom(web, batch).map(({ id }) => ({ __entity: { type: 'Identity', id } })),
      peers: fc
        .subarray([web, batch, stranger])
        .map((peers) => peers.map(({ id }) => ({ __entity: { type: 'Identity', id } }))),
      shape: fc.record(
        { depth: fc.integer({ min: -3, max: 3 }), label: pick('x', 'constructor') },
        { requiredKeys: ['depth'] },
      ),
    },
    { requiredKeys: ['columns', 'hasWhere', 'count', 'address', 'at', 'took', 'price', 'owner', 'peers', 'shape'] },
  );
  const timeMs = fc.constantFrom(...TIMES);
  const principal = fc.constantFrom(web, web, batch, stranger, ...TOLD);
  const selected = fc.record({
    principal,
    action: fc.constant('shop:select'),
    resource: fc
      .tuple(pick('users', 'orders'), pick('public', 'audit'), tags())
      .map(([name, schema, own]) => tagged(table(name, schema), own)),
    context,
    timeMs,
  });
  const connected = fc.record({
    principal,
    action: fc.constant('shop:connect'),
    resource: fc.constantFrom(database, target),
    context: fc.constant({}),
    timeMs,
  });
  const updated = fc.record({
    principal,
    action: fc.constant('shop:update'),
    resource: fc.constant(table('users')),
    context: fc.constant({}),
    timeMs,
  });
  return fc.oneof(
    { weight: 6, arbitrary: selected },
    { weight: 1, arbitrary: connected },
    { weight: 1, arbitrary: updated },
  );
}

/** Conditions in which every operator has operands of its type. */
/** None are given, or some; those of the database above are the same in all. */
function tags(): fc.Arbitrary<EntityRef['tags']> {
  const key = pick('team', 'env', '', 'constructor', '__proto__');
  return fc
    .option(fc.uniqueArray(fc.tuple(key, pick('red', 'a', '')), { selector: ([name]) => name }), {
      nil: undefined,
    })
    .map((pairs) => pairs && Object.fromEntries(pairs));
}

function typedCondition(): fc.Arbitrary<string> {
  const { bool } = fc.letrec<{
    bool: string;
    long: string;
    text: string;
    set: string;
    entity: string;
    record: string;
    ip: string;
    at: string;
    took: string;
    decimal: string;
  }>((tie) => ({
    bool: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      pick(
        'true',
        'false',
        'context.hasWhere',
        '(context.hasWhere == true)',
        '(context has note)',
        '(context.shape has label)',
        '(resource.name == "users")',
        '("public" == resource.schema)',
        '(principal.trustDomain == "example.org")',
        '(context.count == 3)',
        '(principal.path == "/ns/shop/sa/web")',
        '(principal has owner)',
        '(principal has owner && principal.owner == "a")',
        '(principal has environment && principal.environment like "*a*")',
        'principal.quarantined',
        '(principal.hasTag("team") && principal.getTag("team") == "red")',
        '(context.owner has environment && context.owner.environment == "prod")',
        '(context.owner.hasTag("team") && context.owner.getTag("team") == "red")',
        'resource.hasTag("team")',
        '(resource.hasTag("team") && resource.getTag("team") == "red")',
        '(resource.hasTag("constructor") || (resource.hasTag("__proto__") && resource.getTag("__proto__") like "*a*"))',
        '(Shop::Database::"shop/app".hasTag("owners") && Shop::Database::"shop/app".getTag("owners").contains("anna"))',
      ),
      tie('text').map((a) => `resource.hasTag(${a})`),
      tie('text').map((a) => `(principal.hasTag(${a}) && principal.getTag(${a}) == "red")`),
      fc.tuple(tie('bool'), pick('&&', '||', '==', '!='), tie('bool')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('bool').map((a) => `!(${a})`),
      fc.tuple(tie('bool'), tie('bool'), tie('bool')).map(([a, b, c]) => `(if ${a} then ${b} else ${c})`),
      fc
        .tuple(tie('long'), pick('<', '<=', '>', '>=', '==', '!='), tie('long'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(tie('text'), pick('==', '!='), tie('text')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(tie('text'), pattern()).map(([a, b]) => `(${a} like ${b})`),
      fc.tuple(tie('set'), pick('containsAll', 'containsAny'), tie('set')).map(([a, op, b]) => `(${a}).${op}(${b})`),
      fc.tuple(tie('set'), tie('text')).map(([a, b]) => `(${a}).contains(${b})`),
      fc.tuple(tie('set'), pick('==', '!='), tie('set')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('set').map((a) => `(${a}).isEmpty()`),
      fc.tuple(tie('entity'), pick('==', '!=', 'in'), tie('entity')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(tie('entity'), pick('context.peers', '[principal, context.owner]')).map(([a, b]) => `(${a} in ${b})`),
      fc
        .tuple(tie('entity'), pick('principal', 'context.owner'))
        .map(([a, b]) => `(context.peers.contains(${a}) || (${b} is Identity in TrustDomain::"example.org"))`),
      fc.tuple(tie('entity')).map(([a]) => `(${a}.path == "/ns/shop/sa/web")`),
      fc.tuple(tie('record'), tie('record')).map(([a, b]) => `(${a} == ${b})`),
      fc.tuple(tie('ip'), pick('isIpv4', 'isIpv6', 'isLoopback', 'isMulticast')).map(([a, op]) => `${a}.${op}()`),
      fc.tuple(tie('ip'), tie('ip')).map(([a, b]) => `${a}.isInRange(${b})`),
      fc.tuple(tie('ip'), tie('ip')).map(([a, b]) => `(${a} == ${b})`),
      fc.tuple(tie('at'), pick('<', '<=', '>', '>=', '=='), tie('at')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(tie('took'), pick('<', '<=', '>', '>=', '=='), tie('took')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc
        .tuple(tie('decimal'), pick('lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'), tie('decimal'))
        .map(([a, op, b]) => `${a}.${op}(${b})`),
      fc.tuple(tie('decimal'), tie('decimal')).map(([a, b]) => `(${a} == ${b})`),
    ),
    long: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      pick('0', '1', '-3', '9007199254740991', 'context.count', 'context.shape.depth', 'context["count"]'),
      fc.tuple(tie('long'), pick('+', '-', '*'), tie('long')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('long').map((a) => `-(${a})`),
      fc
        .tuple(tie('took'), pick('toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'))
        .map(([a, op]) => `${a}.${op}()`),
    ),
    text: pick(
      '"a"',
      '"café"',
      '"users"',
      'principal.path',
      'principal.uri',
      '(if context has note then context.note else "none")',
      '(if context.shape has label then context.shape.label else "")',
    ),
    set: pick('context.columns', '["id"]', '["ssn", "id", "id"]', '["é€😀", principal.path]'),
    entity: pick('principal', 'context.owner', 'Identity::"spiffe://example.org/ns/shop/sa/web"', 'Identity::"nobody"'),
    record: pick('context.shape', '{depth: 2}', '{depth: context.count, label: "x"}', '{label: "x", depth: 1}'),
    ip: pick(
      'context.address',
      'ip("10.0.0.0/8")',
      'ip("::1")',
      'ip("127.0.0.1")',
      'ip("0.0.0.0/0")',
      'ip("10.1.2.3/32")',
      'ip("ff00::/8")',
    ),
    at: fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      pick(
        'context.at',
        'context.time',
        'datetime("2026-11-22")',
        'datetime("1969-12-31T23:59:59.999Z")',
        'datetime("2000-02-29T00:00:00-2359")',
      ),
      tie('at').map((a) => `${a}.toDate()`),
      fc.tuple(tie('at'), tie('took')).map(([a, b]) => `${a}.offset(${b})`),
    ),
    took: fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      pick('context.took', 'duration("1h")', 'duration("-1d1ms")'),
      tie('at').map((a) => `${a}.toTime()`),
      fc.tuple(tie('at'), tie('at')).map(([a, b]) => `${a}.durationSince(${b})`),
    ),
    decimal: pick('context.price', 'decimal("9.99")', 'decimal("9.990")', 'decimal("-0.0001")', 'decimal("0.0")'),
  }));
  return bool;
}

/** Conditions that put anything anywhere. */
function wildCondition(): fc.Arbitrary<string> {
  const { any } = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      pick(
        'true',
        'false',
        '0',
        '1',
        '-1',
        '9007199254740991',
        '""',
        '"a"',
        '"team"',
        'principal',
        'action',
        'resource',
        'context',
        'context.count',
        'context.columns',
        'context.note',
        'context.owner',
        'context.peers',
        'context.shape',
        'context.address',
        'context.at',
        'context.took',
        'context.price',
        'resource.name',
        'principal.path',
        'Action::"shop:read"',
        'TrustDomain::"example.org"',
        'Identity::"nobody"',
        '[]',
        '{}',
        'ip("x")',
        'decimal("1")',
        'datetime("2023-02-29")',
        'duration("")',
      ),
      fc
        .tuple(tie('any'), pick('&&', '||', '==', '!=', '<', '<=', '>', '>=', '+', '-', '*', 'in'), tie('any'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc
        .tuple(
          tie('any'),
          pick(
            'contains',
            'containsAll',
            'containsAny',
            'isInRange',
            'lessThan',
            'greaterThan',
            'offset',
            'durationSince',
            'hasTag',
            'getTag',
          ),
          tie('any'),
        )
        .map(([a, op, b]) => `(${a}).${op}(${b})`),
      fc
        .tuple(tie('any'), pick('isEmpty', 'isIpv4', 'isLoopback', 'toDate', 'toTime', 'toSeconds'))
        .map(([a, op]) => `(${a}).${op}()`),
      fc
        .tuple(tie('any'), pick('["path"]', '.depth', '["constructor"]', '["__proto__"]', '.length'))
        .map(([a, attribute]) => `(${a})${attribute}`),
      fc
        .tuple(
          tie('any'),
          pick(
            'has note',
            'has "__proto__"',
            'has shape.label',
            'is Identity',
            'is Identity in TrustDomain::"example.org"',
            'is Identity in [TrustDomain::"example.org", 1]',
            'like "*a*"',
          ),
        )
        .map(([a, what]) => `((${a}) ${what})`),
      pick('!', '-').chain((op) => tie('any').map((a) => `${op}(${a})`)),
      fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(if ${a} then ${b} else ${c})`),
      pick('ip', 'decimal', 'datetime', 'duration').chain((fn) => tie('any').map((a) => `${fn}(${a})`)),
      fc.array(tie('any'), { maxLength: 3 }).map((parts) => `[${parts.join(', ')}]`),
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => `{note: ${a}, "__proto__": ${b}}`),
    ),
  }));
  return any;
}

function pattern(): fc.Arbitrary<string> {
  return fc
    .array(pick('*', 'a', 'b', 'ab', '\\*', 'é', '😀', '/ns/', 'spiffe://'), { maxLength: 6 })
    .map((pieces) => `"${pieces.join('')}"`);
}

function pick(...choices: readonly string[]): fc.Arbitrary<string> {
  return fc.constantFrom(...choices);
}
