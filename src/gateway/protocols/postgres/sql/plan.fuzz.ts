import { assert, createCacheBudget } from '../../../../std/index.ts';
import { createPlanner, loadParser, maskColumns, noSessionFacts, type Plan } from './index.ts';
import { buildCatalog, catalogItems, maskingPolicies } from './testing/catalog-rows.ts';
import { createShop } from './testing/shop.ts';
import { shapeOf } from './text/shape.ts';

const shop = createShop(buildCatalog(catalogItems(), 1), maskingPolicies);
/** Its mask is for a column that `customers` has not. */
const misspelt = createShop(shop.catalog, maskingPolicies.replace('customers.ssn', 'customers.snn'));

/** Its masked columns read as NULL inside of expressions. */
const derived = createShop(shop.catalog, maskingPolicies.replaceAll('@mask(', '@derived("null") @mask('));

/** The parser must be there before the first run. */
export const prepare = loadParser;

/**
 * Plans any text as a client with masks. It must not throw; a refusal has a SQLSTATE; a masked answer column always has its mask; and
 * the same text has the same plan. Under a mask that misses its column nothing of the table is forwarded. Where masked columns may be NULL, what is sent is
 * a text that is forwarded to a client for whom they may not.
 */
export function fuzz(input: Uint8Array): void {
  const sql = Buffer.from(input).toString();
  const plan = shop.plan(sql);
  const again = shop.plan(sql);
  assert(JSON.stringify(plan) === JSON.stringify(again), 'the same text has two plans');
  checkShape(sql);
  checkMisspelt(sql);
  checkDerived(sql, plan);
  const parsed = shop.plan(sql, { mode: 'parse' });
  if (plan.verdict === 'refuse') {
    assert(/^[0-9A-Z]{5}$/.test(plan.sqlstate), 'a refusal without SQLSTATE');
    assert(parsed.verdict === 'refuse', 'refused as Query and forwarded as Parse');
    return;
  }
  assert(
    parsed.verdict === 'forward' || parsed.reason === 'several-statements',
    'forwarded as Query and refused as Parse',
  );
  for (const { masks, isMasking, withhold, touches, fingerprint } of plan.statements) {
    assert(isMasking, 'masks are not in force');
    const touchesMasked = touches.some(({ resource }) => /\/customer(s|_all)$/.test(resource));
    assert(!touchesMasked || withhold !== 'nothing', 'texts about a masked table are not withheld');
    assert(/^[0-9a-f]{16}$/.test(fingerprint), 'no fingerprint');
    if (masks === undefined) continue;
    const ssn = [{ tableOid: 20_001, attributeNumber: 3 }];
    const kinds = maskColumns(masks, ssn);
    assert(kinds === 'unproven' || kinds[0] === 'redact', 'a masked column without its mask');
  }
}

function checkDerived(sql: string, plan: Plan): void {
  const other = derived.plan(sql);
  // Which of its masks would be NULL is told of each, whether or not any was needed.
  const same = (one: Plan) =>
    JSON.stringify(JSON.parse(seen(one)), (name, value) => (name === 'derived' ? undefined : value));
  if (plan.verdict === 'forward') assert(same(other) === same(plan), 'a text that needs no NULL has another plan');
  if (other.verdict === 'refuse' || other.rewritten === undefined) return;
  assert(shop.plan(other.rewritten.sql).verdict === 'forward', 'what is sent would be refused to a client');
  assert(plan.verdict === 'refuse' && plan.reason === 'masked-column-use', 'NULL where nothing was refused for a mask');
}

function checkMisspelt(sql: string): void {
  const plan = misspelt.plan(sql);
  if (plan.verdict === 'refuse') return;
  const touched = plan.statements.flatMap(({ touches }) => touches.map(({ resource }) => resource));
  assert(
    !touched.some((resource) => /^shop\/shop\/public\/customer(s|_all)$/.test(resource)),
    'a table is touched whose mask misses its column',
  );
}

/** Another text of the same shape gets from a planner that knows the first what a fresh one says of it. */
function checkShape(sql: string): void {
  const shape = shapeOf(sql);
  if (shape === undefined || shape.literals.length === 0) return;
  const other = shape.text.replaceAll('\u0001', '31415').replaceAll('\u0002', "'it''s'");
  const planner = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(1 << 20) });
  const request = {
    mode: 'simple',
    catalog: shop.catalog,
    decider: shop.decider('web'),
    session: noSessionFacts,
  } as const;
  planner.plan({ ...request, sql });
  assert(
    seen(planner.plan({ ...request, sql: other })) === seen(shop.plan(other)),
    'a verdict by shape is another one',
  );
}

/** Without the parsed text, which is a sample of the shape. */
function seen(plan: Plan): string {
  return JSON.stringify(
    plan.verdict === 'forward' ? plan.statements.map(({ masks, ...rest }) => [rest, masks?.columnsMasked]) : plan,
  );
}

export const seeds: readonly Uint8Array[] = [
  'select id, ssn from customers where id = $1 order by id',
  'with x as (select * from customers) select x.ssn from x; select 1',
  'insert into orders (id, note) values (1, $1) on conflict (id) do update set note = excluded.note returning *',
  'update customers set name = lower(name) where id in (select id from orders)',
  "copy (select note from orders) to stdout; set statement_timeout = '1s'",
  'select c.*, (select count(*) from orders o where o.id = c.id) from customers c left join customer_all v using (id)',
  'prepare p as select ssn from customers; execute p; deallocate all',
  'begin; declare c cursor for select note from orders; fetch 1 from c; commit',
  "merge into orders o using customers c on o.id = c.id when matched then update set note = 'x'",
  'create table t (a int primary key, b text default lower($$X$$)); select * from t',
  "select upper(ssn) || 'x', count(c.ssn) from customers c where ssn = $1 group by c.ssn order by max(ssn), 1",
  'select distinct ssn from customers union select (select tax_number from customer_all limit 1) from orders order by ssn',
  "select name, 5, 'x' from customers where id = 42 and name in ('a', 'it''s') limit 10 offset 3",
  "select json_object('a': note), row_number() over w from orders window w as (partition by id)",
].map((text) => Buffer.from(text));

/** A text is parsed thrice. */
export const slow = true;
export const tokens: readonly string[] = [
  ...[
    'select ',
    'from ',
    'where ',
    'ssn',
    'customers',
    'orders',
    'note',
    '*',
    ' as ',
    'with x as (',
    ') ',
    '(select ',
    'returning *',
    ';',
  ],
  ...[
    'union all ',
    ' join ',
    'lateral ',
    'values (',
    "'x'",
    '$1',
    '::text',
    'upper(',
    'row(',
    'array[',
    'case when ',
    ' end',
    'over (',
  ],
  ...[
    'copy ',
    'execute ',
    'declare ',
    'set ',
    'explain ',
    'for update',
    'group by ',
    'having ',
    'order by ',
    'limit 1',
    'distinct ',
  ],
  ...[
    'natural ',
    'using (id)',
    'c.ssn',
    '(c).ssn',
    'public.',
    'pg_catalog.',
    'exists (',
    ' in (',
    '"',
    '$$',
    '--',
    '/*',
    '*/',
    "E'\\",
    'U&"',
  ],
];
