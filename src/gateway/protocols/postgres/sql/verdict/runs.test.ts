// Goal: of a long text, statements that differ in values alone are one operation; those whose answers or effects need a look are each their own.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runsOf } from '../index.ts';
import { createShop, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';

let server: ShopServer;
let shop: Shop;

beforeAll(async () => {
  server = await startShopServer();
  shop = createShop(server.catalog);
});
afterAll(() => server?.stop());

async function runs(sql: string, as: string): Promise<readonly (readonly [kind: string, statements: number])[]> {
  const plan = await shop.planLong(sql, { as });
  if (plan?.verdict !== 'forward') throw new Error(`refused: ${plan?.message}`);
  return runsOf(plan.statements).map(({ plan: { kind }, statements }) => [kind, statements]);
}

it.each([
  ['select 1; select 2; select 3', 'web', [['select', 3]]],
  ['insert into orders (id) values (1); insert into orders (id) values (2), (3)', 'admin', [['insert', 2]]],
  [
    'select id from orders; select id from employees; select id from orders',
    'admin',
    [
      ['select', 1],
      ['select', 1],
      ['select', 1],
    ],
  ],
  ["select E'a'; select E'b'; select 1.5", 'web', [['select', 3]]],
  // Masked cells, limits, effects, another catalog, COPY, names of the session.
  [
    'select ssn from customers; select ssn from customers',
    'web',
    [
      ['select', 1],
      ['select', 1],
    ],
  ],
  [
    'select id from orders; select id from orders',
    'plain',
    [
      ['select', 1],
      ['select', 1],
    ],
  ],
  [
    'savepoint a; savepoint a',
    'web',
    [
      ['savepoint', 1],
      ['savepoint', 1],
    ],
  ],
  [
    'create table x (a int); create table y (a int)',
    'admin',
    [
      ['create table', 1],
      ['create table', 1],
    ],
  ],
  [
    'copy orders to stdout; copy orders to stdout',
    'admin',
    [
      ['copy', 1],
      ['copy', 1],
    ],
  ],
  [
    'set search_path = public; set search_path = public',
    'web',
    [
      ['set', 1],
      ['set', 1],
    ],
  ],
  [
    'prepare p as select 1; execute p; execute p',
    'web',
    [
      ['prepare', 1],
      ['execute select', 1],
      ['execute select', 1],
    ],
  ],
])('%s', async (sql, as, expected) => {
  expect(await runs(sql, as)).toEqual(expected);
});

it('a text that is planned at once has none', () => {
  const plan = shop.plan('select 1; select 2');
  if (plan.verdict !== 'forward') throw new Error('refused');
  expect(runsOf(plan.statements)).toHaveLength(2);
});
