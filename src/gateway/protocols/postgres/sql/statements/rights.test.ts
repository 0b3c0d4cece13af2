// Goal: with masks in force, rights and owners that have nothing to do with masked columns are given as without them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasonOf, touchesOf } from '../testing/plans.ts';
import { createShop, type Shop, type ShopServer, shopSql, startShopServer } from '../testing/shop.ts';

let started: ShopServer;
let shop: Shop;
beforeAll(async () => {
  started = await startShopServer(
    `${shopSql} create schema free; create table free.plain (id int); create type mood as enum ('sad'); create domain told as text;`,
  );
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

const plan = (sql: string, as = 'web') => reasonOf(shop.plan(sql, { as }));

describe("types, domains and schemas become the session's own", () => {
  const mine = ['current_user', 'current_role', 'session_user'];
  it.each(['type mood', 'type public.mood', 'type odd', 'domain told', 'schema free'])('%s', (what) => {
    for (const owner of [...mine, `"${started.catalog.user}"`]) {
      expect(plan(`alter ${what} owner to ${owner}`)).toBe('forward');
      expect(plan(`alter ${what} owner to ${owner}`, 'plain')).toBe('policy-denied');
    }
    expect(touchesOf(shop.plan(`alter ${what} owner to current_user`))).toEqual(['postgres:admin shop/shop']);
  });

  it("and nobody else's, who could add to them what runs on masked values", () => {
    for (const what of ['type mood', 'domain told', 'schema free'])
      expect(plan(`alter ${what} owner to somebody`)).toBe('masked-ddl');
  });

  it.each([
    'function leak()',
    'operator ### (int, int)',
    'aggregate a(int)',
    'large object 1',
    'database shop',
  ])('no %s does', (what) => {
    expect(plan(`alter ${what} owner to current_user`)).toBe('masked-ddl');
  });
});

describe('rights on what is still to be made', () => {
  it.each([
    'alter default privileges in schema free grant select on tables to somebody',
    'alter default privileges for role somebody in schema free, free revoke all on sequences from public',
    'alter default privileges grant usage on schemas to somebody',
  ])('%s', (sql) => {
    expect(plan(sql)).toBe('forward');
    expect(plan(sql, 'plain')).toBe('policy-denied');
    expect(touchesOf(shop.plan(sql))).toEqual(touchesOf(shop.plan('grant usage on schema free to somebody')));
  });

  it.each([
    'alter default privileges grant select on tables to somebody',
    'alter default privileges in schema public grant select on tables to somebody',
    'alter default privileges in schema free in schema public grant select on tables to somebody',
    'alter default privileges in schema free, public revoke all on sequences from public',
  ])('are not given where a partition of a masked table may be: %s', (sql) => {
    expect(plan(sql)).toBe('masked-ddl');
    expect(plan(sql, 'admin')).toBe('forward');
  });

  it.each(['functions', 'routines', 'types'])('nor on code: %s', (kind) => {
    expect(plan(`alter default privileges in schema free grant all on ${kind} to somebody`)).toBe('masked-ddl');
  });
});
