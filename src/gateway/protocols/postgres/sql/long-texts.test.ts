// Goal: how long a text is makes no difference to what it means, and it keeps nobody else waiting.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from './plan.ts';
import { reasonOf } from './testing/plans.ts';
import { createShop, type Shop, type ShopServer, shopPolicies, startShopServer } from './testing/shop.ts';

let started: ShopServer;
let shop: Shop;

beforeAll(async () => {
  started = await startShopServer();
  shop = createShop(started.catalog, shopPolicies, 8 << 20);
});
afterAll(() => started?.stop());

function many(count: number, text: string | ((index: number) => string), separator = ','): string {
  return Array.from({ length: count }, (_, index) => (typeof text === 'string' ? text : text(index))).join(separator);
}

async function planLong(sql: string, as: string, mode: 'simple' | 'parse' = 'simple'): Promise<Plan> {
  const plan = await shop.planLong(sql, { as, mode });
  if (plan === undefined) throw new Error('nothing changed meanwhile');
  return plan;
}

/** The item at `index` is another one. */
function but(index: number, other: string, usual: (at: number) => string): (at: number) => string {
  return (at) => (at === index ? other : usual(at));
}

const ones = many(5_000, '1', '+');
const branch = (at: number) => `when id = ${at} then name `;

/** Each is judged at once, or the planner says that it has to be planned apart. */
const texts: readonly (readonly [name: string, sql: string, reason: string])[] = [
  ['a CASE of 500 branches', `select case ${many(500, branch, '')} end from customers`, 'forward'],
  ['a CASE of 5,000 branches', `select case ${many(5_000, branch, '')} end from customers`, 'forward'],
  ['a sum of 10,000 terms', `select ${ones}+${ones}`, 'forward'],
  ['a text of 10,000 parts', `select ${many(5_000, "note || 'a'", '||')} from orders`, 'forward'],
  ['10,000 conditions', `select 1 from orders where ${many(10_000, 'id = 1', ' or ')}`, 'forward'],
  ['60,000 values in IN', `select * from orders where id in (${many(60_000, String)})`, 'forward'],
  ['65,535 parameters', `insert into orders (id) values ${many(65_535, (at) => `($${at + 1})`)}`, 'forward'],
  ['20,000 rows', `insert into orders values ${many(20_000, (at) => `(${at}, ${at}, ${at}.5, 'a')`)}`, 'forward'],
  ['49,000 statements', many(49_000, (at) => `insert into orders (id) values (${at})`, ';'), 'forward'],
  ['a literal of 4 MB', `insert into orders (note) values ('${'x'.repeat(4 << 20)}')`, 'forward'],
  ['a masked column behind a sum', `select ${ones} + length(ssn) from customers`, 'masked-column-use'],
  ['one in the middle of it', `select ${ones} + length(ssn) + ${ones} from customers`, 'masked-column-use'],
  ['one before it', `select length(ssn) + ${ones} from customers`, 'masked-column-use'],
  ['an unproven operator in a chain', `select ${ones} + (1 ### 2)`, 'unproven-operator'],
  ['one at the end of it', `select ${ones} ### 1`, 'unproven-operator'],
  [
    'a masked column in row 15,000',
    `insert into orders (id, note) values ${many(
      20_000,
      but(15_000, '(1, (select ssn from customers))', () => "(1, 'a')"),
    )}`,
    'masked-column-use',
  ],
  [
    'a function in value 40,000 of IN',
    `select * from orders where note in (${many(
      60_000,
      but(40_000, 'leak_one(1)', () => "'a'"),
    )})`,
    'unproven-function',
  ],
  [
    'a masked column in branch 4,000',
    `select case ${many(5_000, but(4_000, 'when id = 1 then ssn ', branch), '')} end from customers`,
    'masked-column-use',
  ],
  [
    'a masked table in statement 30,000',
    many(
      50_000,
      but(30_000, 'copy customers to stdout', () => 'select 1'),
      ';',
    ),
    'masked-column-use',
  ],
  [
    'a syntax error in statement 30,000',
    many(
      50_000,
      but(30_000, 'selec 1', () => 'select 1'),
      ';',
    ),
    'syntax-error',
  ],
  ['brackets 5,000 deep', `select ${many(20_000, '1')}, ${'('.repeat(5_000)}1${')'.repeat(5_000)}`, 'text-too-deep'],
  ['a sum of 100,000 terms', `select ${many(100_000, '1', '+')}`, 'text-too-deep'],
];

describe('long texts', () => {
  it.each(texts)('%s', async (_, sql, reason) => {
    expect(['text-not-at-once', 'text-too-deep', reason]).toContain(reasonOf(shop.plan(sql)));
    expect(reasonOf(await planLong(sql, 'web'))).toBe(reason);
  });

  it('a syntax error tells its place in the whole text', async () => {
    const before = many(20_000, 'select 1', ';');
    expect(await planLong(`${before}; selec 1`, 'web')).toMatchObject({ position: before.length + 3 });
  });

  it('a text that is no more than one statement can be prepared, several can not', async () => {
    const values = `insert into orders (id) values ${many(20_000, '($1)')}`;
    expect(await planLong(values, 'web', 'parse')).toMatchObject({ verdict: 'forward', prepared: { text: values } });
    expect(reasonOf(await planLong(`${values}; select 1`, 'web', 'parse'))).toBe('several-statements');
  });

  it('what one statement makes, the next ones know', async () => {
    const made = `create temp table mine (id int); ${many(2_000, 'insert into mine values (1)', ';')}; drop table mine`;
    expect(await planLong(made, 'admin')).toMatchObject({ verdict: 'forward' });
    const unmade = await planLong(`${many(5_000, 'select 1', ';')}; select * from mine`, 'web');
    expect(reasonOf(unmade)).toBe('unknown-relation');
  });

  it('more tokens than the target takes are refused, with what to do', async () => {
    const plan = await planLong(`insert into orders (id) values ${many(600_000, '(1)')}`, 'web');
    expect(plan).toMatchObject({ reason: 'text-too-long', hint: expect.stringContaining('limits.words') });
  });

  it('the event loop goes around while a long text is planned', async () => {
    let turns = 0;
    let going = true;
    const turn = () => {
      turns += 1;
      if (going) setImmediate(turn);
    };
    turn();
    await planLong(
      many(49_000, (at) => `insert into orders (id) values (${at})`, ';'),
      'web',
    );
    going = false;
    expect(turns).toBeGreaterThan(100);
  });
});

it('a text planned in pieces means what it means as a whole', async () => {
  const statement = fc.constantFrom(
    ...['select * from orders', 'select ssn from customers', 'insert into orders (id) values (1), (2), (1 + 1)', ''],
    ...['delete from orders where id in (1, 2, 3)', 'create temp table t (a int)', 'insert into t values (1)', 'begin'],
    ...[
      'savepoint s',
      'rollback to s',
      'commit',
      'select 1 + 2 + id - 3 * id from orders',
      'set search_path to public',
    ],
    ...['select upper(ssn) from customers', 'select sum(id) from orders where id between 1 and 2', '/* ; */ select 1'],
  );
  const user = fc.constantFrom('web', 'plain', 'admin');
  await fc.assert(
    fc.asyncProperty(fc.array(statement, { maxLength: 6 }), user, async (all, as) => {
      const sql = all.join('; ');
      const whole = shop.plan(sql, { as });
      const pieces = await planLong(sql, as);
      if (whole.verdict === 'refuse') expect(pieces).toMatchObject({ verdict: 'refuse', reason: whole.reason });
      else expect(pieces).toMatchObject({ verdict: 'forward', statements: whole.statements });
    }),
    { numRuns: 300 },
  );
});
