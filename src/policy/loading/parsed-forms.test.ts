import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { PolicyJson } from '../expressions/cedar-json.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import { batch, noon, select, shopFragment, shopSchema, stranger, table, web } from '../testing/shop.ts';
import type { CompiledPolicies } from '../types.ts';
import { CEDAR_VERSION } from './cedar.ts';
import { checkParsed, checkPolicies, createPolicyLoader } from './load.ts';
import { type ParsedForms, parserOf, readForms } from './parsed-forms.ts';

// Goal: whoever has the parsed form of policies answers as whoever parses their texts, and a form that is worth nothing changes nothing.

const READ = 'permit(principal, action == Action::"shop:select", resource)';
/** One of each kind of scope, condition, literal and annotation. */
const TEXT = `
// A comment before it; the text begins behind.
@id("a") @description("d") @reason("r") @expires("2026-12-01T00:00:00Z") ${READ};
@id("b") @mask("ssn:redact") @limit("rows=10") @record("full")
permit(principal == Identity::"${web.id}", action in [Action::"shop:select", Action::"shop:update"], resource in Shop::Schema::"shop/app/public");
@id("c") permit(principal in IdentityPath::"spiffe://example.org/ns", action in Action::"shop:any", resource is Shop::Table in Target::"shop");
@id("d") forbid(principal is Identity, action, resource == Shop::Table::"shop/app/public/users") unless { principal.path like "/ns/*" };
${READ} when { context.columns.containsAny(["id", "x"]) && context.count < 5 } when { context has note && context.note == "é\\u{1F600}" };
${READ} unless { context.address.isInRange(ip("10.0.0.0/8")) || context.took > duration("1h") };
${READ} when { if context.hasWhere then resource.rows + 1 > 2 else !(context.shape.depth == -1) };
@id("t") permit(principal, action, resource) when { context.time.toTime() < duration("18h") && { "a b": 1 }["a b"] == 1 };
@id("held") @approval("dba") permit(principal == Identity::"${batch.id}", action == Action::"shop:update", resource);
`;
/** Permits everything. */
const ANY: PolicyJson = {
  effect: 'permit',
  ...{ principal: { op: 'All' }, action: { op: 'All' }, resource: { op: 'All' }, conditions: [] },
};
const sources = [{ name: 'p', text: TEXT }];
const given = createPolicyLoader(shopSchema).parsed(sources);
const byText = checkPolicies(sources, shopSchema).compiled;

/** All that policies are asked, of several who ask. */
function answersOf(policies: CompiledPolicies | undefined) {
  const asking = [web, batch, stranger].flatMap((principal) => [
    ...[select({ principal }), select({ principal, resource: table('orders') })],
    { ...select({ principal }), action: 'shop:update', context: {} },
  ]);
  return {
    ...{ digest: policies?.digest, policies: policies?.policies, names: policies?.names() },
    answers: asking.map((request) => [policies?.decide(request), policies?.explain(request)]),
    nextChange: policies?.nextChange(noon),
    whatCan: [web, batch].map((principal) => policies?.whatCan(principal, noon)),
    whoCan: policies?.whoCan({ action: 'shop:select', resource: table('users'), identities: [web, batch, stranger] }),
  };
}

describe('policies by their parsed form', () => {
  it('answer as by their texts, and Cedar is asked for nothing', () => {
    const formOf = readForms(given, shopSchema);
    const { compiled, problems } = checkParsed(sources, shopSchema, formOf);
    expect(problems.map(({ code }) => code)).toEqual([]);
    expect(answersOf(compiled)).toEqual(answersOf(byText));
    // Cedar would refuse it.
    const unread = checkParsed([{ name: 'p', text: 'unread;' }], shopSchema, () => ANY);
    expect(unread.compiled?.decide(select())).toMatchObject({ allow: true, policies: ['p#1'] });
  });

  it('are theirs, wherever they stand and with whom: of a text that has none, the text counts', () => {
    const moved = [
      { name: 'more', text: `\n${READ};\n` },
      { name: 'moved', text: `\n\n${TEXT.replace('@id("a")', '@id("z")')}` },
    ];
    const { compiled } = checkParsed(moved, shopSchema, readForms(given, shopSchema));
    expect(answersOf(compiled)).toEqual(answersOf(checkPolicies(moved, shopSchema).compiled));
    expect(compiled?.policies.map(({ id }) => id)).toContain('z');
  });

  it('are given for no set that has an error', () => {
    const loader = createPolicyLoader(shopSchema);
    expect(loader.parsed([...sources, { name: 'q', text: 'permit(principal, action, resource) when { 1 };' }])).toBe(
      undefined,
    );
    expect(loader.parsed([])?.forms).toEqual([]);
  });
});

describe('a form that is worth nothing', () => {
  const formsWith = (change: (json: string) => string, by = parserOf(shopSchema)): ParsedForms => {
    return { by, forms: (given?.forms ?? []).map((form) => ({ ...form, json: change(form.json) })) };
  };
  // Whoever took it would be less strict than the text.
  const opened = formsWith(() => JSON.stringify(ANY));

  it.each([
    ['by another parser', { ...opened, by: parserOf(shopSchema).replace(CEDAR_VERSION, '4.0.0') }],
    ['against another schema', { ...opened, by: parserOf(composeSchema([])) }],
    ['of another text', { ...opened, forms: opened.forms.map((form) => ({ ...form, textDigest: Buffer.alloc(32) })) }],
    ['that is no JSON', formsWith((json) => json.slice(1))],
    ['that is no policy', formsWith(() => '[]')],
    ['of no effect', formsWith((json) => json.replace(/"(permit|forbid)"/, '"allow"'))],
    ['without a scope', formsWith((json) => json.replace('"principal":{', '"principals":{'))],
    ['of a scope that is none', formsWith((json) => json.replaceAll('"op":"', '"op":"x'))],
    ['without its conditions', formsWith((json) => json.replace('"conditions":', '"condition":'))],
    ['of conditions of another kind', formsWith((json) => json.replaceAll(/"kind":"\w+"/g, '"kind":"if"'))],
    ['with an operation that there is not', formsWith((json) => json.replaceAll('"Value":', '"Values":'))],
    ['with an operand that is none', formsWith((json) => json.replaceAll('"left":{', '"left":null,"l":{'))],
    ['with an annotation that there is not', formsWith((json) => json.replace('"id":', '"ids":'))],
    ['nowhere', undefined],
  ])('changes no answer: one %s', (_, forms) => {
    const { compiled } = checkParsed(sources, shopSchema, readForms(forms, shopSchema));
    expect(answersOf(compiled)).toEqual(answersOf(byText));
  });

  it('leaves the problems as they are', () => {
    const wrong = [...sources, { name: 'q', text: `@id("a") ${READ};\npermit(principal, actions, resource);` }];
    const found = checkParsed(wrong, shopSchema, readForms(given, shopSchema));
    expect(found).toEqual(checkPolicies(wrong, shopSchema));
    expect(found.problems.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['ERR_POLICY_SYNTAX', 'ERR_POLICY_DUPLICATE_ID']),
    );
  });
});

it('what forms are called by changes with the parser and with the schema', () => {
  const require = createRequire(import.meta.url);
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs').replace(/nodejs\/.*/, 'package.json');
  expect(JSON.parse(readFileSync(path, 'utf8')).version).toBe(CEDAR_VERSION);
  const other = composeSchema([{ ...shopFragment, namespace: 'Other' }]);
  expect(parserOf(other)).not.toBe(parserOf(shopSchema));
});
