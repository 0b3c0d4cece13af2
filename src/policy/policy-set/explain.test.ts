import { describe, expect, it } from 'vitest';
import { printExpression } from '../expressions/print.ts';
import { parsePolicy } from '../loading/cedar.ts';
import { loadPolicies } from '../loading/load.ts';
import { batch, select, shopSchema, table } from '../testing/shop.ts';

// Goal: a person who reads an explanation learns the one thing that settled it, with the values that were looked at.

describe('an explanation', () => {
  it('names for each policy the part that failed, with the values it read', () => {
    const text = `
      @id("a") permit(principal == Identity::"spiffe://example.org/x", action, resource);
      @id("b") permit(principal, action in [Action::"shop:update", Action::"shop:connect"], resource);
      @id("c") permit(principal is Identity in TrustDomain::"example.org", action, resource is Shop::Table in Shop::Schema::"shop/app/audit");
      @id("d") permit(principal, action == Action::"shop:select", resource) when { context.hasWhere && context.columns.contains("ssn") };
      @id("e") permit(principal, action == Action::"shop:select", resource) unless { resource.name == "users" || context.count > 100 };
      @id("f") permit(principal, action == Action::"shop:select", resource) when { context.count * 9007199254740991 * 9007199254740991 > 0 };
      @id("g") permit(principal, action == Action::"shop:select", resource) when { context.count == 3 } unless { context has note };`;
    const { decision, policies } = loadPolicies([{ name: 'p', text }], shopSchema).explain(select());
    expect(decision).toMatchObject({ allow: true, policies: ['g'] });
    expect(policies.map(({ id, outcome, why }) => [id, outcome, why])).toEqual([
      [
        'a',
        'not-matched',
        {
          part: 'principal',
          expression: 'principal == Identity::"spiffe://example.org/x"',
          values: [{ path: 'principal', value: 'Identity::"spiffe://example.org/ns/shop/sa/web"' }],
        },
      ],
      [
        'b',
        'not-matched',
        {
          part: 'action',
          expression: 'action in [Action::"shop:update", Action::"shop:connect"]',
          values: [{ path: 'action', value: 'Action::"shop:select"' }],
        },
      ],
      [
        'c',
        'not-matched',
        {
          part: 'resource',
          expression: 'resource is Shop::Table in Shop::Schema::"shop/app/audit"',
          values: [{ path: 'resource', value: 'Shop::Table::"shop/app/public/users"' }],
        },
      ],
      [
        'd',
        'not-matched',
        {
          part: 'when',
          expression: 'context.columns.contains("ssn")',
          values: [{ path: 'context.columns', value: '["id", "name"]' }],
        },
      ],
      [
        'e',
        'not-matched',
        {
          part: 'unless',
          expression: 'resource.name == "users"',
          values: [{ path: 'resource.name', value: '"users"' }],
        },
      ],
      [
        'f',
        'error',
        {
          part: 'when',
          expression: '((context.count * 9007199254740991) * 9007199254740991) > 0',
          values: [{ path: 'context.count', value: '3' }],
          error: 'integer overflow: the result does not fit 64 bits',
        },
      ],
      [
        'g',
        'matched',
        {
          part: 'all',
          expression: 'when { context.count == 3 } unless { context has note }',
          values: [{ path: 'context.count', value: '3' }, expect.objectContaining({ path: 'context' })],
        },
      ],
    ]);
  });

  it('of two sides that both had to fail shows both', () => {
    const text =
      'permit(principal, action == Action::"shop:select", resource) when { resource.name == "orders" || context.count == 4 };';
    const [policy] = loadPolicies([{ name: 'p', text }], shopSchema).explain(select()).policies;
    expect(policy?.why.expression).toBe('(resource.name == "orders") || (context.count == 4)');
    expect(policy?.why.values.map(({ path }) => path)).toEqual(['resource.name', 'context.count']);
  });

  it('never grows with a value', () => {
    const text = 'permit(principal, action == Action::"shop:select", resource) when { resource.name == "users" };';
    const set = loadPolicies([{ name: 'p', text }], shopSchema);
    const [policy] = set.explain(select({ principal: batch, resource: table('x'.repeat(100_000)) })).policies;
    expect(policy?.why.values[0]?.value.length).toBeLessThan(250);
  });
});

describe('a printed expression', () => {
  it.each([
    'if context.hasWhere then 1 else (-2)',
    '(principal is Identity in TrustDomain::"example.org") && (!context.x)',
    '[1, "a\\"b", Identity::"x"].containsAll(context["odd name"])',
    '{a: 1, "b c": principal}.a',
    'context.name like "a*\\*b"',
    'ip("10.0.0.1").isInRange(context.net)',
    'datetime("2026-01-01").offset(duration("1h")) < context.at',
    'context has a.b.c',
    '-(context.count + 1)',
    '(context.set.isEmpty()) || (action in [Action::"a", Action::"b"])',
  ])('means what was written: %s', (body) => {
    const printed = printExpression(bodyOf(body));
    expect(bodyOf(printed)).toEqual(bodyOf(body));
  });
});

function bodyOf(text: string) {
  const parsed = parsePolicy(`permit(principal, action, resource) when { ${text} };`);
  if ('finding' in parsed) throw new Error(`${parsed.finding.message}: ${text}`);
  const [condition] = parsed.json.conditions;
  return condition?.body ?? {};
}
