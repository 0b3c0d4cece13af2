import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCacheBudget } from '../../../../../std/index.ts';
import { createPlanner, noSessionFacts, type Plan, type SessionFacts } from '../index.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';
import type { BoundValue } from './bound-parameters.ts';

// Goal: `set_config` with parameters is judged by what is bound to them, by nothing else, and before it is executed.

let started: ShopServer;
let shop: Shop;
beforeAll(async () => {
  started = await startShopServer();
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

const text = (value: string | null, type = 0): BoundValue => ({ type, isBinary: false, text: value });
const binary = (value: string, type = 0): BoundValue => ({ type, isBinary: true, text: value });

function plan(
  sql: string,
  values?: readonly BoundValue[],
  { as = 'admin', session = noSessionFacts }: { as?: string; session?: SessionFacts } = {},
): Plan {
  const planner = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(0) });
  const bound = values === undefined ? {} : { parameters: values };
  return planner.plan({ sql, mode: 'parse', catalog: shop.catalog, decider: shop.decider(as), session, ...bound });
}

const ALL = 'select set_config($1, $2, $3)';
const verdict = (made: Plan) => (made.verdict === 'refuse' ? made.reason : made.statements[0]);
const bind = (...values: (string | null)[]) =>
  plan(
    ALL,
    values.map((value) => text(value)),
  );

describe('set_config with parameters', () => {
  it.each([
    ALL,
    "select set_config('work_mem', $1::text, $2::bool)",
    "select set_config('search_path', $1, false)",
  ])('%s may be prepared; the values are needed unless any would do', (sql) => {
    expect(verdict(plan(sql))).toMatchObject({ needsValues: !sql.includes('work_mem'), effects: [] });
  });

  it.each([
    [['work_mem', '8MB', 't'], []],
    [['WORK_MEM', '8MB', 'off'], []],
    [['search_path', 'App, "B c"', 'no'], [{ kind: 'search-path', path: ['app', 'B c'], isLocal: false }]],
    [['search_path', 'app', ' TRUE '], [{ kind: 'search-path', path: ['app'], isLocal: true }]],
    [['search_path', null, null], [{ kind: 'search-path', path: undefined, isLocal: false }]],
    [['client_encoding', 'latin-1', 'f'], [{ kind: 'encoding', name: 'LATIN1' }]],
    [['client_encoding', null, 'f'], [{ kind: 'encoding', name: undefined }]],
    [['role', 'none', 'f'], [{ kind: 'role', role: undefined, isSession: false, isLocal: false }]],
    [['role', 'auditor', 't'], [{ kind: 'role', role: 'auditor', isSession: false, isLocal: true }]],
    [['Session_Authorization', null, 't'], [{ kind: 'role', role: undefined, isSession: true, isLocal: true }]],
    [[null, '1', 'f'], []],
  ])('%j passes with what it does', (values, effects) => {
    expect(verdict(bind(...values))).toMatchObject({ needsValues: false, effects });
  });

  it.each([
    [['role', 'auditor', 'o']],
    [['Session_Authorization', 'auditor', 'o']],
    [['search_path', 'a b', 'f']],
    [['search_path', 'a', 'o']],
    [['standard_conforming_strings', 'off', 'f']],
    [['client_encoding', 'SJIS', 'f']],
    [['client_encoding', 'later', 'f']],
  ])('%j is refused', (values) => {
    expect(verdict(bind(...values))).toBe('setting-refused');
  });

  it('asks policy about what is not harmless, and refuses it while columns are masked', () => {
    const touches = verdict(plan(ALL, [text('app.tenant'), text('7'), text('f')]));
    expect(touches).toMatchObject({ touches: [{ action: 'postgres:set', resource: 'shop/shop' }] });
    const role = verdict(plan(ALL, [text('role'), text('auditor'), text('t')]));
    expect(role).toMatchObject({ touches: [{ action: 'postgres:set-role', resource: 'shop/shop' }] });
    for (const name of ['app.tenant', 'enable_seqscan', 'session_replication_role'])
      expect(verdict(plan(ALL, [text(name), text('off'), text('f')], { as: 'web' }))).toBe('setting-refused');
    expect(verdict(plan(ALL, [text('role'), text('off'), text('f')], { as: 'web' }))).toBe('policy-denied');
    expect(verdict(plan(ALL, [text('track_functions'), text('all'), text('f')], { as: 'web' }))).toMatchObject({
      needsValues: false,
    });
  });

  it('reads a boolean in binary too', () => {
    const values = (byte: string) => [text('search_path', 25), text('app', 1043), binary(byte, 16)];
    expect(verdict(plan(ALL, values('\u0001')))).toMatchObject({ effects: [{ isLocal: true }] });
    expect(verdict(plan(ALL, values('\u0000')))).toMatchObject({ effects: [{ isLocal: false }] });
    expect(verdict(plan(ALL, values('\u0002')))).toBe('setting-refused');
  });

  it.each([
    // `char(1)` of it could be a setting that is harmless, or 'role  ' one that is not.
    ['a type that cuts values', ALL, [text('role', 1042), text('x'), text('f')]],
    ['a name', ALL, [text('role', 19), text('x'), text('f')]],
    ['a value that is no text', ALL, [{ type: 0, isBinary: false, text: undefined }, text('x'), text('f')]],
    ['no value', ALL, []],
  ])('%s is not what it looks like', (_, sql, values) => {
    expect(verdict(plan(sql, values))).toBe('setting-refused');
  });

  it.each([
    'select set_config($1, $2, false), $1::"char"',
    'select set_config($1::varchar(4), $2, false)',
    'select set_config($1 || $2, $3, false)',
    'select set_config(name, $1, false) from pg_settings',
    'select set_config(coalesce($1, $2), $3, false)',
    'select set_config(setting_name => $1, new_value => $2, is_local => false)',
    "select set_config('search_path', $1, false) from pg_settings",
    "select set_config('role', $1, false) from pg_settings",
    'prepare p as select set_config($1, $2, false)',
    'declare c cursor for select set_config($1, $2, false)',
    'explain analyze select set_config($1, $2, false)',
  ])('%s is refused whatever is bound', (sql) => {
    const values = ['work_mem', '8MB', 'f'].map((value) => text(value));
    const refusals = [verdict(plan(sql)), verdict(plan(sql, values))];
    expect(refusals).toContain('setting-refused');
    expect(refusals[1]).not.toMatchObject({ needsValues: true });
    if (/search_path|role/.test(sql)) expect(verdict(plan(sql, [text('app')]))).toBe('setting-refused');
  });

  it('is refused where another function of that name could be meant', () => {
    const session = { ...noSessionFacts, createdNames: new Set(['function set_config']) };
    const values = [text('work_mem'), text('8MB'), text('f')];
    expect(verdict(plan(ALL, values, { session }))).toBe('setting-refused');
  });
});
