// Goal: a text goes into the ledger word for word only where policy says so of all that is in it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../index.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';

let server: ShopServer;
let shop: Shop;

beforeAll(async () => {
  server = await startShopServer();
  shop = createShop(server.catalog);
});
afterAll(() => server?.stop());

/** What is recorded of each statement. */
function recordsOf(plan: Plan | undefined): readonly string[] {
  if (plan?.verdict !== 'forward') throw new Error('refused');
  return plan.statements.map(({ record }) => record);
}

describe('@record("full")', () => {
  it('of a text of several statements holds only when it may be said of each', async () => {
    const sql = "begin; select id from orders; alter role x password 'y'; commit";
    for (const plan of [shop.plan(sql, { as: 'admin' }), await shop.planLong(sql, { as: 'admin' })])
      expect(recordsOf(plan)).toEqual(['nothing', 'nothing', 'nothing', 'nothing']);
    const plain = 'begin; select id from orders; commit';
    expect(recordsOf(shop.plan(plain, { as: 'admin' }))).toEqual(['full', 'full', 'full']);
    // What asks nothing goes with what stands beside it.
    const reports = createShop(
      server.catalog,
      '@record("full") permit (principal, action == Action::"postgres:select", resource); permit (principal, action == Action::"postgres:connect", resource);',
    );
    expect(recordsOf(reports.plan(plain))).toEqual(['full', 'full', 'full']);
    expect(recordsOf(reports.plan('begin; select 1; commit'))).toEqual(['digest', 'digest', 'digest']);
  });

  it.each([
    'select 1',
    "set application_name = 'x'",
    'begin',
    'show work_mem',
    'table pg_catalog.pg_class',
  ])('of what asks policy nothing is said by the permit of the session: %s', (sql) => {
    expect(recordsOf(shop.plan(sql, { as: 'admin' }))).toEqual(['full']);
    expect(recordsOf(shop.plan(sql, { as: 'web' }))).toEqual(['digest']);
    expect(recordsOf(shop.plan(sql, { as: 'nobody' }))).toEqual(['digest']);
  });
});
