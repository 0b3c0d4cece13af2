import { describe, expect, it } from 'vitest';
import { shopSchema } from '../testing/shop.ts';
import { checkPolicies, formatProblem } from './load.ts';
import { type KnownNames, unmatchedNames } from './unmatched-names.ts';

// Goal: a name in a policy that matches nothing is told with its place and the name that was meant; one that matches is never complained of.

const KNOWN: KnownNames = {
  targets: new Map([
    ['shop', ['app', 'archive']],
    ['warehouse', undefined],
  ]),
  trustDomains: new Set(['example.org', 'partner.test']),
  identities: new Set(['spiffe://example.org/ns/shop/sa/web', 'spiffe://example.org/batch']),
};
const NOTHING: KnownNames = { targets: undefined, trustDomains: undefined, identities: undefined };

function warningsOf(text: string, known: KnownNames = KNOWN): string[] {
  const { compiled, problems } = checkPolicies([{ name: 'p', text }], shopSchema);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  if (compiled === undefined) throw new Error('did not load');
  const warnings = unmatchedNames(compiled, shopSchema, known);
  for (const { severity, code, policy } of warnings)
    expect({ severity, code, policy }).toMatchObject({ severity: 'warning', code: 'ERR_POLICY_NAME', policy: 'p#1' });
  return warnings.map(formatProblem);
}

const principal = (scope: string) => `permit(${scope}, action == Action::"shop:update", resource);`;
const resource = (scope: string) => `forbid(principal, action == Action::"shop:select", ${scope});`;

describe('a target that nobody declared', () => {
  it.each([
    ['itself', resource('resource in Target::"shpo"'), 'p:1:64'],
    ['in the id of a table', resource('resource == Shop::Table::"shpo/app/public/users"'), 'p:1:64'],
    ['in the id of a schema', resource('resource is Shop::Table in Shop::Schema::"shpo/app/public"'), 'p:1:79'],
    [
      'compared with',
      `${principal('principal')} `.replace(';', '\n  unless { resource in Target::"shpo" };'),
      'p:2:24',
    ],
  ])('is told: %s', (_, text, place) => {
    expect(warningsOf(text)).toEqual([`${place}: warning: no target "shpo" is declared (did you mean "shop"?)`]);
  });

  it('is told without a guess when none is close, and once for each policy', () => {
    const text = resource('resource in Target::"kitchen"').replace(
      ';',
      ' when { resource in Target::"kitchen" || resource in Target::"cellar" };',
    );
    expect(warningsOf(text)).toEqual([
      'p:1:64: warning: no target "kitchen" is declared',
      'p:1:135: warning: no target "cellar" is declared',
    ]);
  });

  it('is told of a part that the target does not serve, if it says what it serves', () => {
    expect(warningsOf(resource('resource == Shop::Table::"shop/archiv/public/users"'))).toEqual([
      'p:1:64: warning: target "shop" does not serve "archiv", of which Shop::Table::"shop/archiv/public/users" is a part (did you mean "archive"?)',
    ]);
    expect(warningsOf(resource('resource == Shop::Table::"shop/other/public/users"'))).toEqual([
      expect.stringContaining('(it serves "app", "archive")'),
    ]);
    expect(warningsOf(resource('resource == Shop::Table::"warehouse/any/public/users"'))).toEqual([]);
    expect(warningsOf(resource('resource in Shop::Database::"shop/archiv"'))).toEqual([
      'p:1:64: warning: target "shop" has no database "archiv" (did you mean "archive"?)',
    ]);
  });
});

describe('a principal that nobody can be', () => {
  it.each([
    ['an identity of a misspelt trust domain', 'principal == Identity::"spiffe://exmaple.org/batch"'],
    ['a path of it', 'principal in IdentityPath::"spiffe://exmaple.org/ns"'],
    ['the trust domain', 'principal in TrustDomain::"exmaple.org"'],
  ])('is told: %s', (_, scope) => {
    expect(warningsOf(principal(scope))).toEqual([
      'p:1:21: warning: the trust domain "exmaple.org" is neither our own nor a federated one (did you mean "example.org"?)',
    ]);
  });

  it.each([
    ['==', 'principal.trustDomain == "exmaple.org"'],
    ['the other way round', '"exmaple.org" != principal.trustDomain'],
    ['in a list', '["example.org", "exmaple.org"].contains(principal.trustDomain)'],
  ])('is told where an attribute is compared, %s', (_, condition) => {
    const text = `permit(principal, action, resource) when { true && ${condition} };`;
    const [warning, ...more] = warningsOf(text);
    expect(warning).toMatch(/^p:1:\d+: warning: the trust domain "exmaple.org" is neither/);
    expect(more).toEqual([]);
    expect(text.slice(Number(warning?.split(':')[2]) - 1)).toMatch(/^"exmaple.org"/);
  });

  it('is told of an identity that no entry gives', () => {
    expect(warningsOf(principal('principal == Identity::"spiffe://example.org/bacth"'))).toEqual([
      'p:1:21: warning: no entry gives the identity "spiffe://example.org/bacth" (did you mean "spiffe://example.org/batch"?)',
    ]);
    expect(
      warningsOf('permit(principal, action, resource) when { principal.uri == "spiffe://example.org/x" };'),
    ).toEqual(['p:1:61: warning: no entry gives the identity "spiffe://example.org/x"']);
  });

  it('is told of a path that no entry is below, and of one that is an identity', () => {
    expect(warningsOf(principal('principal in IdentityPath::"spiffe://example.org/ns/shpo"'))).toEqual([
      'p:1:21: warning: no entry gives an identity below "spiffe://example.org/ns/shpo" (did you mean "spiffe://example.org/ns/shop"?)',
    ]);
    expect(warningsOf(principal('principal in IdentityPath::"spiffe://example.org/batch"'))).toEqual([
      expect.stringContaining('write principal == Identity::"spiffe://example.org/batch")'),
    ]);
  });

  it.each([
    ['principal == Identity::"spiffe://example.org/batch/"', /is nobody's: a SPIFFE ID path has no trailing slash$/],
    ['principal == Identity::"example.org/batch"', /is nobody's: a SPIFFE ID starts with spiffe:\/\/$/],
    ['principal in TrustDomain::"spiffe://example.org"', /is nobody's: a trust domain holds only/],
    ['principal in IdentityPath::"spiffe://example.org"', /has no path.*TrustDomain::"example.org"\)$/],
  ])('is told whatever is known: %s', (scope, message) => {
    const [warning, ...more] = warningsOf(principal(scope), NOTHING);
    expect(warning).toMatch(message);
    expect(more).toEqual([]);
  });

  it.each([
    'principal == Identity::"spiffe://example.org/ns/shop/sa/web"',
    'principal in IdentityPath::"spiffe://example.org/ns/shop"',
    'principal in TrustDomain::"example.org"',
    'principal is Identity in TrustDomain::"partner.test"',
    'principal == Identity::"spiffe://partner.test/whoever"',
    'principal in IdentityPath::"spiffe://partner.test/shop"',
    'principal == Identity::"spiffe://example.org/spire/agent/join_token/1"',
    'principal',
  ])('is not told of one who can come: %s', (scope) => {
    expect(warningsOf(principal(scope))).toEqual([]);
  });
});

describe('an id that no resource can have', () => {
  it.each([
    'shop/public/users',
    'shop/app/public/users/id',
    'shop/app//users',
    'shop/app/public/a%2fb',
    'users',
  ])('is told whatever is known: %s', (id) => {
    expect(warningsOf(resource(`resource == Shop::Table::"${id}"`), NOTHING)).toEqual([
      `p:1:64: warning: no Shop::Table has the id ${JSON.stringify(id)}, which should be target/database/schema/name (a slash in a name is written %2F, a percent sign %25)`,
    ]);
  });

  it('is not one with a slash or percent sign in a name', () => {
    expect(warningsOf(resource('resource == Shop::Table::"shop/app/public/a%2Fb%25"'))).toEqual([]);
  });
});

it('a guess is made for the first fifty: more slips than that have one cause', () => {
  const text = Array.from({ length: 60 }, (_, n) => `@id("p${n}") ${resource('resource in Target::"shpo"')}`).join(
    '\n',
  );
  const { compiled } = checkPolicies([{ name: 'p', text }], shopSchema);
  const warnings = compiled === undefined ? [] : unmatchedNames(compiled, shopSchema, KNOWN);
  expect(warnings).toHaveLength(60);
  expect(warnings.filter(({ help }) => help !== undefined)).toHaveLength(50);
});

describe('what is not known', () => {
  it('is not complained of', () => {
    const text = `permit(principal == Identity::"spiffe://other.test/x", action == Action::"shop:select", resource == Shop::Table::"shpo/x/y/z");`;
    expect(warningsOf(text, NOTHING)).toEqual([]);
    expect(warningsOf(text, { ...KNOWN, targets: undefined, trustDomains: undefined })).toEqual([]);
    expect(
      warningsOf(principal('principal == Identity::"spiffe://example.org/x"'), { ...KNOWN, identities: undefined }),
    ).toEqual([]);
  });

  it('is told where nothing is declared, which is known', () => {
    const none = { targets: new Map(), trustDomains: new Set<string>(), identities: new Set<string>() };
    expect(warningsOf(resource('resource in Target::"shop"'), none)).toHaveLength(1);
  });
});

describe('the place of a name', () => {
  it.each([
    [
      'behind a comment that holds it',
      'forbid(principal, action == Action::"shop:select",\n// Target::"shpo"\n  resource in Target::"shpo");',
      'p:3:15',
    ],
    [
      'behind a text that holds it',
      `@description("Target::\\"shpo\\"") ${resource('resource in Target::"shpo"')}`,
      'p:1:97',
    ],
    ['with blanks within', resource('resource in Target :: "shpo"'), 'p:1:64'],
    ['with escapes', resource('resource in Target::"\\u{73}hp\\x6f"'), 'p:1:64'],
  ])('is found %s', (_, text, place) => {
    expect(warningsOf(text)).toEqual([expect.stringMatching(new RegExp(`^${place}: warning: no target "shpo"`))]);
  });
});
