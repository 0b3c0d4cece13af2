import { assert } from '../../std/index.ts';
import { PolicyError } from '../errors.ts';
import { select, shopSchema } from '../testing/shop.ts';
import { checkPolicies } from './load.ts';
import { unmatchedNames } from './unmatched-names.ts';

/**
 * Reads bytes as a policy text. What loads must answer any request, say of each policy where it stands, and load again to the same set;
 * what does not must be refused with a place inside the text.
 */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString();
  const sources = [{ name: 'fuzz', text }];
  try {
    const { compiled, problems } = checkPolicies(sources, shopSchema);
    const lines = text.split('\n').length;
    for (const { position } of problems)
      assert(
        position.line >= 1 && position.line <= lines && position.column >= 1,
        'a problem stands outside of the text',
      );
    if (compiled === undefined) {
      assert(
        problems.some(({ severity }) => severity === 'error'),
        'nothing loads and nothing is said',
      );
      return;
    }
    const { decision, policies } = compiled.explain(select());
    assert(policies.length === compiled.policies.length, 'an explanation leaves policies out');
    for (const id of decision.policies)
      assert(
        policies.some((policy) => policy.id === id),
        'an answer names a policy that is not there',
      );
    // Of nothing that is declared, every name is unmatched.
    const none = { targets: new Map(), trustDomains: new Set<string>(), identities: new Set<string>() };
    for (const { position, policy } of unmatchedNames(compiled, shopSchema, none)) {
      const { text: own = '', position: start } = compiled.policies.find(({ id }) => id === policy) ?? {};
      const last = (start?.line ?? 0) + own.split('\n').length - 1;
      assert(start !== undefined && position.line >= start.line && position.line <= last, 'a name stands elsewhere');
    }
    for (const policy of compiled.policies) assert(text.includes(policy.text), 'a policy is not what was written');
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    // The limits exist so that this never happens: Cedar's parser would be unusable from here on.
    assert(error.code !== 'ERR_POLICY_PARSER', "a text broke Cedar's parser");
  }
}

/** Texts to start from. */
export const seeds: readonly Uint8Array[] = [
  'permit(principal, action, resource);',
  '@id("a") @mask("ssn:redact, public.users.email:email") @limit("rows=5") permit(principal in TrustDomain::"example.org", action in [Action::"shop:select"], resource is Shop::Table in Target::"shop") when { context.hasWhere && context.columns.contains("é") } unless { context has note && context.note like "a*\\*b" };',
  'forbid(principal, action == Action::"shop:select", resource) when { if context.count * 2 + 1 > -3 then context.address.isInRange(ip("10.0.0.0/8")) else [1, {a: "b"}] == [] };',
  '// comment\r\nforbid(principal == ?principal, action, resource) when { datetime("2026-01-01").offset(duration("1d")) < context.at };',
  'permit(principal == Identity::"spiffe://a/b", action, resource) when { ["a"].contains(principal.trustDomain) && resource in Shop::Table::"a/b/c\u{2f}" && {"==": {"__entity": principal.uri == "x"}} has "==" };',
  'permit(principal, action, resource) when { ((((((((((true)))))))))) || !!!!false };',
].map((text) => Buffer.from(text));

/** Cedar's own parser reads each text more than once. */
export const slow = true;
export const tokens = [
  ...[
    'permit(',
    'forbid(',
    'principal',
    'action',
    'resource',
    'context',
    ' when {',
    ' unless {',
    '};',
    ' in ',
    ' == ',
    ' has ',
    ' like ',
    ' is ',
  ],
  ...[
    '.contains(',
    '.containsAny(',
    'if ',
    ' then ',
    ' else ',
    '!',
    '-',
    '(',
    ')',
    '[',
    ']',
    '{',
    '@mask("',
    '@limit("rows=1")',
    '@approval("',
    '//',
    '\n',
    '\r',
  ],
  ...[
    'Action::"shop:select"',
    'Target::"shop"',
    'ip("',
    'decimal("',
    'datetime("',
    'duration("',
    '"\\u{',
    '"\\*',
    '9223372036854775807',
    '?principal',
  ],
];
