// Goal: as another role a session sees the same masks, and a name that may mean a masked relation to that role never passes as one that is not.
import { beforeAll, describe, expect, it } from 'vitest';
import { applySessionEffects, areSameNames, endTransaction, loadParser, noSessionFacts } from '../index.ts';
import { buildCatalog, catalogItems, columnsOf } from '../testing/catalog-rows.ts';
import { inSession, only, reasonOf, touchesOf } from '../testing/plans.ts';
import { createShop, type Shop } from '../testing/shop.ts';

let shop: Shop;

/** `clerk` has a table of the masked one's name in a schema of its own; `web` may define nothing. */
const policies = `
@id("read") @mask("public.customers.ssn:redact") permit (principal == Identity::"spiffe://example.org/web",
  action in [Action::"postgres:read", Action::"postgres:set-role"], resource);
@id("plain") permit (principal == Identity::"spiffe://example.org/plain", action in Action::"postgres:read", resource);
`;

beforeAll(async () => {
  await loadParser();
  const items = catalogItems();
  const [settings = []] = items.get('settings') ?? [];
  items.set('settings', [settings.with(SCHEMAS_AT, '["public","clerk"]')]);
  const relations = items.get('relations') ?? [];
  items.set('relations', [
    ...relations,
    [20_009, 'clerk', 'customers', 'r', false, false, false, columnsOf('id', 'name', 'ssn')],
  ]);
  shop = createShop(buildCatalog(items, 1), policies);
});

/** The schemas that there are, among the settings. */
const SCHEMAS_AT = 7;

const read = 'select upper(ssn) from customers';
const asked = (...texts: readonly string[]) => inSession(shop, texts, 'web').map(reasonOf).at(-1);

describe('SET ROLE while columns are masked', () => {
  it('is policy’s to decide', () => {
    expect(touchesOf(shop.plan('set role clerk'))).toEqual(['postgres:set-role shop/shop']);
    expect(reasonOf(shop.plan('set local role clerk'))).toBe('forward');
    expect(reasonOf(shop.plan('set session authorization clerk'))).toBe('forward');
    expect(touchesOf(shop.plan("select set_config('role', 'clerk', false)"))).toEqual(['postgres:set-role shop/shop']);
    for (const text of [
      'set role clerk',
      "set role 'NONE'",
      "select set_config('role', 'clerk', false)",
      "select pg_catalog.set_config('Session_Authorization', 'clerk', true)",
    ])
      expect(reasonOf(shop.plan(text, { as: 'plain' })), text).toBe('policy-denied');
  });

  it('changes no mask', () => {
    const plans = inSession(shop, ['set role other', 'select ssn from public.customers'], 'web');
    expect(only(plans[1] ?? shop.plan('')).masks?.columnsMasked).toBe(1);
    expect(asked('set role other', 'select upper(ssn) from public.customers')).toBe('masked-column-use');
  });

  it('a name that several schemas have may mean the masked one, since the role may not use the first', () => {
    const path = 'set search_path = clerk, public';
    expect(asked(path, read)).toBe('forward');
    expect(asked(path, 'set role other', read)).toBe('ambiguous-relation');
    expect(asked(path, 'set local role other', read)).toBe('ambiguous-relation');
    expect(asked(path, 'set session authorization other', read)).toBe('ambiguous-relation');
    // $user is the role.
    expect(asked('set role clerk', read)).toBe('ambiguous-relation');
    expect(asked('set role clerk', 'set role none', read)).toBe('masked-column-use');
  });

  it.each([
    ['set session authorization other', 'set role none'],
    ['set session authorization other', 'reset role'],
    ['set session authorization other', 'set role other2', 'reset role'],
    ["set role 'NONE'"],
    ['begin', 'set role other', 'savepoint a', 'reset role', 'rollback to a'],
    ['begin', 'set session authorization other', 'savepoint a', 'set session authorization default', 'rollback to a'],
    ['set session authorization other', 'reset all', 'set search_path = clerk, public'],
    ['set role other', 'begin', 'set local role none', 'commit'],
  ])('%s, %s: the session is still another role than the login', (...texts) => {
    expect(asked('set search_path = clerk, public', ...texts, read)).toBe('ambiguous-relation');
  });

  it.each([
    ['set session authorization other', 'set session authorization default'],
    ['set session authorization other', 'set role other2', 'reset session authorization'],
    ['set role other', 'discard all', 'set search_path = clerk, public'],
    ['begin', 'set local role other', 'commit'],
    ['begin', 'set role other', 'rollback', 'set search_path = clerk, public'],
    ['set role gateway'],
    ['set session authorization other', 'set role gateway'],
  ])('%s, %s: it is the login again', (...texts) => {
    expect(asked('set search_path = clerk, public', ...texts, read)).toBe('forward');
  });

  it('plans made before are made again', () => {
    const before = noSessionFacts;
    const after = applySessionEffects(before, [{ kind: 'role', isSession: false, role: 'other', isLocal: false }]);
    expect(areSameNames(before, after)).toBe(false);
    expect(areSameNames(after, endTransaction(after))).toBe(true);
  });
});
