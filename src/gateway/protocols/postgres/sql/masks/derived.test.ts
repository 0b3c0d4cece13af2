// Goal: where policy says `@derived("null")`, a masked column that is worked with is NULL, of its own type and name; what is shown as it is keeps its
// mask, and nothing that is written or stored is ever such a NULL. What can't be NULL with certainty stays refused.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { positionInOwnText } from '../index.ts';
import { createShop, type Shop, type ShopServer, shopPolicies, startShopServer } from '../testing/shop.ts';

let server: ShopServer;
let shop: Shop;
let client: pg.Client;

beforeAll(async () => {
  server = await startShopServer();
  client = server.client;
  shop = createShop(server.catalog);
});
afterAll(() => server?.stop());

/** What is sent in the place of that text; its refusal's reason. */
function sent(sql: string, as = 'reports'): string {
  const plan = shop.plan(sql, { as });
  return plan.verdict === 'refuse' ? plan.reason : (plan.rewritten?.sql ?? sql);
}

const SSN = '((null::"public"."customers")."ssn")';
const EMAIL = '((null::"public"."customers")."email")';

describe('a masked column is NULL', () => {
  it.each([
    ['select upper(email) from customers', `select upper(${EMAIL}) from customers`],
    [
      "select c . email||'x', count(C.SSN) from customers c group by 1",
      `select ${EMAIL}||'x', count(${SSN}) from customers c group by 1`,
    ],
    ['select email, upper(email) as up from customers', `select email, upper(${EMAIL}) as up from customers`],
    ['select public.customers."ssn"::text from public.customers', `select ${SSN}::text from public.customers`],
    ["select id from customers where email = 'x'", `select id from customers where ${EMAIL} = 'x'`],
    [
      'select id from customers order by email desc nulls last, id',
      `select id from customers order by ${EMAIL} desc nulls last, id`,
    ],
    ['select email from customers order by email', `select email from customers order by ${EMAIL}`],
    ['select id, email from customers order by 2', `select id, email from customers order by ${EMAIL}`],
    ['select * from customers order by 3 + 0, 4', `select * from customers order by 3 + 0, ${EMAIL}`],
    [
      'select upper(email) as email from customers order by email',
      `select upper(${EMAIL}) as email from customers order by email`,
    ],
    ['select count(*) from customers group by email', `select count(*) from customers group by ${EMAIL}`],
    [
      'select upper(email), count(*) from customers group by email',
      `select upper(${EMAIL}), count(*) from customers group by ${EMAIL}`,
    ],
    [
      'select count(*) from customers having max(ssn) is null',
      `select count(*) from customers having max(${SSN}) is null`,
    ],
    ['select distinct email from customers', `select distinct ${EMAIL} from customers`],
    ['select distinct on (email) id from customers', `select distinct on (${EMAIL}) id from customers`],
    [
      'select name from employees union select email from customers',
      `select name from employees union select ${EMAIL} from customers`,
    ],
    [
      'select o.id from orders o join customers c on c.ssn = o.note',
      `select o.id from orders o join customers c on ${SSN} = o.note`,
    ],
    [
      'select id in (select length(ssn) from customers) from orders',
      `select id in (select length(${SSN}) from customers) from orders`,
    ],
    ['select (select email from customers limit 1)', `select (select ${EMAIL} from customers limit 1)`],
    ['select array(select email from customers)', `select array(select ${EMAIL} from customers)`],
    [
      'select 1 where exists (select from customers where ssn is null)',
      `select 1 where exists (select from customers where ${SSN} is null)`,
    ],
    [
      'select rank() over (partition by ssn order by email) from customers',
      `select rank() over (partition by ${SSN} order by ${EMAIL}) from customers`,
    ],
    [
      'with c as (select id, ssn as x from customers) select initcap(x) from c',
      `with c as (select id, ssn as x from customers) select initcap((select (null::"public"."customers")."ssn" as "x")) from c`,
    ],
    [
      'with recursive c as (select ssn from customers) select * from c',
      `with recursive c as (select ${SSN} from customers) select * from c`,
    ],
    [
      'select upper(tax_number) from customer_all',
      'select upper(((null::"public"."customer_all")."tax_number")) from customer_all',
    ],
    [
      'select t.x from customers c, lateral (select upper(c.ssn) as x) t',
      `select t.x from customers c, lateral (select upper(${SSN}) as x) t`,
    ],
    [
      'select w from customers, unnest(string_to_array(ssn, null)) w',
      `select w from customers, unnest(string_to_array(${SSN}, null)) w`,
    ],
    ['select ssn_tail || 1 from customers', `select ((null::"public"."customers")."ssn_tail") || 1 from customers`],
    ['select secret is null from events_1', `select ((null::"public"."events_1")."secret") is null from events_1`],
    ['copy (select email from customers) to stdout', `copy (select ${EMAIL} from customers) to stdout`],
    [
      'declare k cursor for select email, upper(ssn) from customers',
      `declare k cursor for select ${EMAIL}, upper(${SSN}) from customers`,
    ],
    ["select '→ü', email||'→' from customers; select 1", `select '→ü', ${EMAIL}||'→' from customers; select 1`],
  ])('%s', async (sql, expected) => {
    expect(sent(sql, 'web')).toBe('masked-column-use');
    expect(sent(sql)).toBe(expected);
    // The server takes it; as an admin's it is sent unchanged.
    await client.query('begin');
    await client.query(expected.replace('to stdout', "to program 'cat >/dev/null'"));
    await client.query('rollback');
    expect(sent(sql, 'admin')).toBe(sql);
  });

  it('of its own type, name and collation in the answer', async () => {
    const own = await startShopServer(`
      create table "Größe" ("E Mail" text, "say ""x""" date, plain int);
      create domain short as varchar(3) not null check (value <> ''); create type addr as (street text, no int);
      create table odd (id int, s short, a addr, list text[], n numeric(6, 2), c char(4) collate "C", at timestamptz(2))`);
    const masked = createShop(
      own.catalog,
      String.raw`@mask("odd.s:null, odd.a:null, odd.list:null, odd.n:null, odd.c:null, odd.at:null, \"Größe\".\"E Mail\":null, \"Größe\".\"say \"\"x\"\"\":null")
      @derived("null") permit (principal, action, resource);`,
    );
    const look = async (sql: string) => {
      const { fields } = await own.client.query(sql);
      return fields.map(({ name, dataTypeID }) => [name, dataTypeID]);
    };
    for (const sql of [
      'select s::text, coalesce(s), (a).street, list[1], array_length(list, 1), n + 1, n::numeric, c || 1, at::date, nullif(n, n) from odd',
      'select (list)[1], array[s], max(n), (select at from odd limit 1), at at time zone $$UTC$$ from odd group by s, at, list',
      'select x.q::text, (select x.q) from odd as x(p, q)',
      'select "E Mail" collate "C", "Größe"."say ""x""" - 1, "E Mail"::varchar from "Größe"',
      'select c < s, c = all(list) from odd',
    ]) {
      const plan = masked.plan(sql);
      expect(plan.verdict === 'forward' ? '' : plan.message).toBe('');
      const written = plan.verdict === 'forward' ? plan.rewritten?.sql : undefined;
      expect(await look(written ?? '')).toEqual(await look(sql));
    }
    await own.stop();
  });

  it('for the policies that say so of each mask on it', () => {
    const under = (policies: string) => {
      const plan = createShop(server.catalog, policies).plan('select upper(ssn) from customers');
      return plan.verdict === 'refuse' ? plan.reason : 'NULL';
    };
    const all = 'permit (principal, action, resource);';
    expect(under(`@mask("ssn:null") @derived("null") ${all}`)).toBe('NULL');
    expect(under(`@mask("ssn:null") @derived("null") ${all} @mask("email:null") ${all}`)).toBe('NULL');
    expect(under(`@mask("ssn:null") @derived("null") ${all} @mask("ssn:redact") ${all}`)).toBe('masked-column-use');
    // Not even one that might hold in another statement.
    const elsewhere =
      '@mask("ssn:redact") permit (principal, action == Action::"postgres:select", resource) when { context.hasWhere };';
    expect(under(`@mask("ssn:null") @derived("null") ${all} ${elsewhere}`)).toBe('masked-column-use');
    // What was asked is judged, not only what is sent.
    const never =
      'forbid (principal, action == Action::"postgres:select", resource is Postgres::Table) when { context.columns.contains("ssn") };';
    expect(under(`@mask("ssn:null") @derived("null") ${all} ${never}`)).toBe('policy-denied');
  });

  it('tells what was asked, and which columns are NULL', () => {
    const plan = shop.plan('select upper(ssn), email from customers c where c.email is null', { as: 'reports' });
    const shown = shop.plan('select ssn, email, 1 from customers c', { as: 'reports' });
    if (plan.verdict !== 'forward' || shown.verdict !== 'forward') throw new Error('refused');
    expect(plan.rewritten?.columns).toEqual(['public.customers.email', 'public.customers.ssn']);
    expect(plan.statements[0]?.derived).toEqual(plan.rewritten?.columns);
    expect(plan.statements[0]?.touches).toEqual(shown.statements[0]?.touches);
    expect(plan.statements[0]?.masks?.columnsMasked).toBe(1);
    expect(plan.prepared?.text).toBe(plan.rewritten?.sql);
    expect(shown.rewritten).toBeUndefined();
    expect(shown.statements[0]?.derived).toBeUndefined();
  });

  it('whatever values stand beside it', () => {
    const cached = createShop(server.catalog, shopPolicies, 1 << 20);
    for (const value of ["'a'", "'bb'", "'a'"]) {
      const plan = cached.plan(`select ${value}, upper(ssn) from customers`, { as: 'reports' });
      expect(plan.verdict === 'forward' && plan.rewritten?.sql).toBe(`select ${value}, upper(${SSN}) from customers`);
    }
  });

  it('where a place in the text sent is one in the text asked', () => {
    const sql = "select '→ü😀', email||'→', name from customers c where c.ssn = '1'";
    const plan = shop.plan(sql, { as: 'reports' });
    const rewritten = plan.verdict === 'forward' ? plan.rewritten : undefined;
    if (rewritten === undefined) throw new Error('not rewritten');
    const placeIn = (text: string, part: string) => Array.from(text.slice(0, text.indexOf(part))).length + 1;
    for (const part of ["'→ü", "||'→'", 'name', "= '1'"])
      expect(positionInOwnText(rewritten, placeIn(rewritten.sql, part))).toBe(placeIn(sql, part));
    for (const [inside, part] of [
      ['"email")', 'email'],
      ['null::"public"."customers")."ssn"', 'c.ssn'],
      [SSN, 'c.ssn'],
    ] as const)
      expect(positionInOwnText(rewritten, placeIn(rewritten.sql, inside))).toBe(placeIn(sql, part));
  });
});

it('a label that is called like a masked column is what ORDER BY and DISTINCT ON mean, as nothing else does', async () => {
  const order = 'select id, name as ssn from customers order by ssn desc';
  expect(sent(order, 'web')).toBe(order);
  expect((await client.query(order)).rows).toEqual([
    { id: 2, ssn: 'Bob' },
    { id: 1, ssn: 'Ann' },
  ]);
  const distinct = "select distinct on (ssn) id, 'x' as ssn from customers order by ssn, id";
  expect(sent(distinct, 'web')).toBe(distinct);
  expect((await client.query(distinct)).rows).toEqual([{ id: 1, ssn: 'x' }]);
  for (const sql of [
    "select count(*), 'x' as ssn from customers group by ssn",
    "select id, 'x' as ssn from customers order by ssn || ''",
    'select id, name as ssn from customers order by customers.ssn',
    "select id, rank() over (order by ssn), 'x' as ssn from customers",
  ])
    expect(sent(sql, 'web')).toBe('masked-column-use');
});

describe('it stays refused', () => {
  it.each([
    // What is written, or stored, or changes something.
    'update customers set note = email',
    "update customers set note = 'x' where email = 'x'",
    "delete from customers where email = 'x'",
    'delete from orders where not exists (select from customers where ssn = orders.note)',
    'insert into orders (note) select email from customers',
    'insert into orders (note) select upper(email) from customers',
    'insert into orders (note) values ((select email from customers limit 1))',
    'with w as (insert into orders (note) select email from customers returning id) select * from w',
    'with w as (delete from orders returning id) select upper(email) from customers',
    'copy (with w as (delete from orders returning id) select upper(email) from customers) to stdout',
    'update customers set name = name returning upper(email)',
    'merge into orders o using customers c on c.id = o.id when matched then update set note = c.email',
    'merge into orders o using customers c on c.ssn = o.note when matched then delete',
    'insert into customers (id) values (1) on conflict (ssn) do nothing',
    'insert into customers (id) values (1) on conflict (id) do update set note = customers.email',
    'create table copied as select upper(email) from customers',
    'select upper(email) into copied from customers',
    'create view shown as select upper(email) from customers',
    'create materialized view kept as select upper(email) from customers',
    'prepare p as select upper(email) from customers',
    'prepare p as with w as (insert into orders (note) select email from customers) select 1',
    "select nextval('pg_catalog.pg_class_oid'), upper(email) from customers",
    "select pg_notify('channel', email) from customers",
    'explain select upper(email) from customers',
    // What would have to be both shown and grouped by.
    'select email, count(*) from customers group by email',
    'select email, count(*) from customers group by 1',
    'select id, c.email from customers c group by id, c.email',
    // Places that aren't plain to see, or are no column.
    'select c from customers c',
    'select to_json(c) from customers c',
    'select row(c.*) from customers c',
    'select count(c) from customers c',
    'select upper(c/**/.email) from customers c',
    'select upper(U&"email") from customers',
    'select id from customers c join customer_all a using (id, name) join customers d using (ssn)',
    'select 1 from customers natural join customer_copy',
    'select name from employees union select * from (select ssn from customers) s',
    'select distinct * from customers',
    'select shout from customer_upper',
    'select (c).email from customers c',
    'copy customers (email) to stdout',
  ])('%s', (sql) => {
    const plan = shop.plan(sql, { as: 'reports' });
    expect(plan.verdict === 'refuse' ? 'refused' : (plan.rewritten?.sql ?? 'sent')).toBe('refused');
  });
});
