// Goal: a name means to the planner what it means to PostgreSQL in that session, or the text is refused. The database is real.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applySessionEffects, endTransaction, failSessionFacts, noSessionFacts, settleSessionFacts } from '../index.ts';
import { inSession, only, reasonOf, touchesOf } from '../testing/plans.ts';
import { createShop, readCatalog, type Shop, type ShopServer, startShopServer } from '../testing/shop.ts';

let started: ShopServer;
let shop: Shop;

beforeAll(async () => {
  started = await startShopServer();
  shop = createShop(started.catalog);
});
afterAll(() => started?.stop());

describe('settings that choose an index', () => {
  it.each([
    'set enable_seqscan to off',
    'set random_page_cost = 0',
    "set local enable_sort = 'off'",
    'set cursor_tuple_fraction = 1',
  ])('%s: from then on no relation with masked columns is touched, whose rows would come in the order of masked values', (sql) => {
    const masked = [
      'select name from customers',
      'table customer_names',
      'select id from events_1',
      'delete from customers where id = 1 returning id',
      'select 1; select name from customers',
    ];
    for (const reader of masked) {
      expect(reasonOf(shop.plan(reader)), reader).toBe('forward');
      const undone = [sql, 'rollback', 'reset all', 'reset enable_seqscan', 'rollback to a', reader];
      expect(inSession(shop, undone, 'web').map(reasonOf).at(-1), reader).toBe('masked-column-use');
    }
    const others = [
      'select note from orders',
      'insert into orders values (1)',
      'discard all',
      'select name from customers',
    ];
    expect(inSession(shop, [sql, ...others], 'web').map(reasonOf)).toEqual(Array(5).fill('forward'));
    expect(inSession(shop, [sql, 'select ssn from customers'], 'admin').map(reasonOf)).toEqual(['forward', 'forward']);
  });

  it('a transaction is committed all the same, unless triggers of the database’s own wait for that', async () => {
    const texts = ['begin', 'set local enable_seqscan = off', 'select note from orders', 'commit', 'end'];
    expect(inSession(shop, texts, 'web').map(reasonOf)).toEqual(Array(5).fill('forward'));
    const { client } = started;
    await client.query(
      `create function late() returns trigger language plpgsql as 'begin return new; end';
       create constraint trigger late after insert on orders deferrable for each row execute function late()`,
    );
    const late = createShop(await readCatalog(client, 2));
    await client.query('drop function late cascade');
    expect(inSession(late, texts.slice(0, 4), 'web').map(reasonOf).at(-1)).toBe('masked-column-use');
    expect(inSession(late, ['begin', 'commit'], 'web').map(reasonOf)).toEqual(['forward', 'forward']);
  });

  it('a cursor, a prepared statement and a text that sets them first show no masked relation either', () => {
    const texts = ['prepare p as select name from customers', 'set enable_seqscan = off', 'execute p'];
    expect(inSession(shop, texts, 'web').map(reasonOf)).toEqual(['forward', 'forward', 'masked-column-use']);
    const cursor = ['declare c cursor for select name from customers', 'set enable_seqscan = off', 'fetch c'];
    expect(inSession(shop, cursor, 'web').map(reasonOf)).toEqual(['forward', 'forward', 'masked-column-use']);
    expect(reasonOf(shop.plan('set enable_seqscan = off; select name from customers'))).toBe('masked-column-use');
  });

  it.each([
    "select set_config('enable_sort', $1, false)",
    "create table t (a text default set_config('enable_sort', 'off', false))",
    'set debug_print_plan = on',
    'set client_min_messages = debug5',
  ])('%s is refused: nobody here would know when, or it shows how rows are found', (sql) => {
    expect(reasonOf(shop.plan(sql))).toBe('setting-refused');
    expect(reasonOf(shop.plan(sql, { as: 'admin' }))).toBe('forward');
  });

  it('can be reset', () => {
    expect(reasonOf(shop.plan('reset enable_seqscan'))).toBe('forward');
    expect(reasonOf(shop.plan("set statement_timeout = '1s'"))).toBe('forward');
  });
});

describe('what looks like a column may call a function', () => {
  it.each([
    ["select ('x'::text).pg_read_file", 'web', 'restricted-function'],
    ["select ('x'::text).pg_read_file", 'plain', 'restricted-function'],
    ["select ('select 1'::text).ts_stat", 'plain', 'restricted-function'],
    ['select ($1::text).pg_ls_dir', 'plain', 'restricted-function'],
    ["select f.pg_read_file from unnest(array['x']) f", 'plain', 'restricted-function'],
    ["select f.pg_read_file from unnest(array['x']) with ordinality f(x, n)", 'plain', 'restricted-function'],
    ["create table t (a text default ('x'::text).pg_read_file)", 'plain', 'restricted-function'],
    ['create table t (a int, check (t.pg_read_file is null))', 'plain', 'restricted-function'],
    ['select (o.id).leak_one from orders o', 'web', 'unproven-function'],
    ['select (o.id).leak_one from orders o', 'plain', 'policy-denied'],
    ['select o.leak_one from orders o', 'plain', 'policy-denied'],
    ['select (1).pg_terminate_backend', 'plain', 'policy-denied'],
    ['select (o.id).abs, o.id, x.n from orders o, json_to_record($1) as x(n int)', 'web', 'forward'],
    ["select ('(1,2)'::odd).x", 'admin', 'forward'],
  ])('%s, for %s: %s', (sql, as, reason) => {
    expect(reasonOf(shop.plan(sql, { as }))).toBe(reason);
  });
});

describe('what shows values of any table is no matter of one table', () => {
  it.each([
    'select most_common_vals from pg_stats',
    'select stavalues1 from pg_catalog.pg_statistic',
    'select query from pg_stat_activity',
    'select query from pg_stat_get_activity(null)',
  ])('%s asks for postgres:admin', (sql) => {
    expect(reasonOf(shop.plan(sql, { as: 'plain' }))).toBe('policy-denied');
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toEqual(['postgres:admin shop/shop']);
  });

  it.each([
    'create rule r as on insert to orders do also delete from customers',
    'create trigger t before insert on orders for each row execute function leak()',
    'create policy p on orders using (exists (select from customers))',
  ])('%s asks for postgres:ddl on the database too', (sql) => {
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toEqual(
      expect.arrayContaining(['postgres:ddl shop/shop/public/orders', 'postgres:ddl shop/shop']),
    );
  });

  it.each(['user_mapping_options', '_pg_user_mappings'])('%s is readable for administrators alone', (view) => {
    const sql = `select * from information_schema.${view}`;
    for (const as of ['plain', 'web']) expect(reasonOf(shop.plan(sql, { as }))).toBe('restricted-relation');
    expect(touchesOf(shop.plan(sql, { as: 'admin' }))).toEqual(['postgres:admin shop/shop']);
  });
});

describe('names mean what they mean to this session', () => {
  it('an unknown relation, column or function is its own refusal, with the SQLSTATE of PostgreSQL, where policy does not allow all that it may mean', () => {
    for (const [sql, as, reason, sqlstate] of [
      ['select * from nowhere', 'web', 'unknown-relation', '42P01'],
      ['select * from nowhere', 'nobody', 'unknown-relation', '42P01'],
      ['select nothing from customers', 'web', 'unknown-column', '42703'],
      ['select o.id from orders', 'web', 'unknown-relation', '42P01'],
      ['select no_such(1)', 'web', 'unknown-function', '42883'],
      ['select no_such(1)', 'plain', 'unknown-function', '42883'],
      ['select pg_catalog.no_such(1)', 'admin', 'unknown-function', '42883'],
      ['select * from pg_catalog.no_such', 'admin', 'unknown-relation', '42P01'],
      ['execute nothing', 'admin', 'unknown-prepared', '26000'],
    ] as const) {
      const plan = shop.plan(sql, { as });
      expect(plan.verdict === 'refuse' && [plan.reason, plan.sqlstate], sql).toEqual([reason, sqlstate]);
    }
  });

  it('where policy allows all that an unknown name may mean, the server says what it is', () => {
    for (const [sql, unknown, touches] of [
      [
        'select * from nowhere',
        'relation nowhere',
        ['select shop/shop/pg_temp/nowhere', 'select shop/shop/public/nowhere'],
      ],
      ['select * from other.nowhere', 'relation other.nowhere', ['select shop/shop/other/nowhere']],
      [
        'insert into nowhere values (1)',
        'relation nowhere',
        ['insert shop/shop/pg_temp/nowhere', 'insert shop/shop/public/nowhere'],
      ],
      ['select nothing from orders', 'column "nothing" does not exist', ['select shop/shop/public/orders']],
      ['select no_such(1)', 'function no_such does not exist', ['call shop/shop/public/no_such']],
      ['select other.no_such(1)', 'function other.no_such does not exist', ['call shop/shop/other/no_such']],
    ] as const) {
      const plan = shop.plan(sql, { as: 'admin' });
      expect(plan.verdict === 'forward' && only(plan).unknown, sql).toEqual([unknown]);
      expect(touchesOf(plan), sql).toEqual(touches.map((touch) => `postgres:${touch}`));
    }
  });

  it('an unknown column counts as all columns, since it may be any', () => {
    expect(reasonOf(shop.plan('select id, fresh from employees', { as: 'plain' }))).toBe('policy-denied');
    expect(reasonOf(shop.plan('select id, fresh from orders', { as: 'plain' }))).toBe('forward');
  });

  it('what a transaction made is known in it, and after ROLLBACK TO what it made before the savepoint', () => {
    const texts = [
      'begin; create temp table s (a int)',
      'savepoint x',
      'create temp table u (b int)',
      'rollback to x',
      'insert into s values (1)',
      'insert into u values (1)',
      'rollback',
      'select * from s',
    ];
    expect(inSession(shop, texts, 'web').map(reasonOf)).toEqual([
      ...['forward', 'forward', 'forward', 'forward', 'forward', 'unknown-relation', 'forward', 'unknown-relation'],
    ]);
  });

  it('a function made in the transaction may be meant by every call of its name', () => {
    const texts = ['begin; create function fresh(int) returns int language sql as $$ select 1 $$', 'select fresh(1)'];
    const plans = inSession(shop, texts, 'admin');
    expect(touchesOf(plans[1] ?? shop.plan(''))).toEqual(['postgres:call shop/shop/public/fresh']);
    expect(plans[1]?.verdict === 'forward' && only(plans[1]).unknown).toEqual([]);
    const hidden = applySessionEffects(noSessionFacts, [{ kind: 'create-name', name: 'function abs' }]);
    expect(reasonOf(shop.plan('select abs(1)', { as: 'plain', session: hidden }))).toBe('policy-denied');
    expect(reasonOf(shop.plan('select abs(1)', { as: 'web', session: hidden }))).toBe('unproven-function');
  });

  it('tables made in the session are known before the catalog shows them', () => {
    const plans = inSession(
      shop,
      [
        'create temp table t (a int)',
        'insert into t values (1)',
        'select a from t',
        'create table u (b int); select b from u',
        'select b from public.u',
      ],
      'admin',
    );
    expect(plans.map(reasonOf)).toEqual(['forward', 'forward', 'forward', 'forward', 'forward']);
    expect(touchesOf(plans[2] ?? plans[0] ?? shop.plan(''))).toEqual(['postgres:select shop/shop/pg_temp/t']);
  });

  it('columns added in an open transaction can be used in it', () => {
    const plans = inSession(
      shop,
      [
        'begin; alter table orders add column placed int',
        'update orders set placed = 1 where placed is null',
        'alter table orders rename to orders2',
        'select placed from orders2',
      ],
      'admin',
    );
    expect(plans.map(reasonOf)).toEqual(['forward', 'forward', 'forward', 'forward']);
    // Not knowing which column it is, policy hears of all of them.
    const session = applySessionEffects(noSessionFacts, [
      { kind: 'create', relation: { schema: 'public', name: 'employees', columns: undefined } },
    ]);
    expect(reasonOf(shop.plan('select fresh from employees', { as: 'plain', session }))).toBe('policy-denied');
  });

  it('a temporary table may not hide another one while columns are masked', () => {
    expect(reasonOf(shop.plan('create temp table orders (a int)', { as: 'web' }))).toBe('name-taken');
    expect(reasonOf(shop.plan('create temp view pg_class as select 1', { as: 'admin' }))).toBe('statement-refused');
    const session = applySessionEffects(noSessionFacts, [
      { kind: 'create', relation: { schema: 'pg_temp', name: 'orders', columns: undefined } },
    ]);
    expect(reasonOf(shop.plan('select * from orders', { as: 'web', session }))).toBe('ambiguous-relation');
  });

  it('a temporary table that hides a permanent one: policy is asked about both, until it is dropped', () => {
    const plans = inSession(
      shop,
      ['create temp table orders (a int)', 'select * from orders', 'drop table orders; select * from orders'],
      'admin',
    );
    const both = ['postgres:select shop/shop/pg_temp/orders', 'postgres:select shop/shop/public/orders'];
    expect(touchesOf(plans[1] ?? shop.plan(''))).toEqual(both);
    expect(touchesOf(plans[2] ?? shop.plan(''))).toEqual([
      ...['postgres:ddl shop/shop/pg_temp/orders', 'postgres:ddl shop/shop/public/orders'],
      'postgres:select shop/shop/public/orders',
    ]);
  });

  it('EXECUTE is judged as the statement that it runs', () => {
    const plans = inSession(
      shop,
      [
        'prepare p as select id, ssn from customers',
        'execute p',
        'create table x as execute p',
        'explain execute p',
        'deallocate p',
        'execute p',
      ],
      'web',
    );
    expect(plans.map(reasonOf)).toEqual([
      'forward',
      'forward',
      'masked-column-use',
      'masked-column-use',
      'forward',
      'unknown-prepared',
    ]);
    expect(only(plans[1] ?? shop.plan('')).masks?.columnsMasked).toBe(1);
  });

  it('FETCH is judged as the query that was declared, under the policy of now', () => {
    const [declared] = inSession(shop, ['declare c cursor for select ssn from customers'], 'admin');
    let session = noSessionFacts;
    for (const { effects } of declared?.verdict === 'forward' ? declared.statements : [])
      session = applySessionEffects(session, effects);
    expect(reasonOf(shop.plan('fetch c', { as: 'admin', session }))).toBe('forward');
    expect(reasonOf(shop.plan('fetch c', { as: 'web', session }))).toBe('masked-column-use');
  });

  it.each([
    ['the default', [], ['select shop/shop/public/orders']],
    ['empty', ["select pg_catalog.set_config('search_path', '', false)"], 'unknown-relation'],
    ['the default again', ["set search_path to ''", 'reset search_path'], ['select shop/shop/public/orders']],
    ['another schema', ['set search_path to "Odd/Schema"'], 'unknown-relation'],
    ['a schema that is not there', ['set search_path to nowhere, public'], ['select shop/shop/public/orders']],
    ['SET LOCAL in its transaction', ["begin; set local search_path to ''"], 'unknown-relation'],
    ['SET LOCAL after it', ["begin; set local search_path to ''; commit"], ['select shop/shop/public/orders']],
    [
      'SET in a transaction rolled back',
      ["begin; set search_path to ''; rollback"],
      ['select shop/shop/public/orders'],
    ],
    ['SET in a transaction committed', ["begin; set search_path to ''; commit"], 'unknown-relation'],
    [
      'SET, then back to a savepoint',
      ["begin; savepoint x; set search_path to ''; rollback to x"],
      ['select shop/shop/public/orders'],
    ],
    ['DISCARD ALL', ["set search_path to ''", 'discard all'], ['select shop/shop/public/orders']],
    [
      'EXPLAIN of set_config',
      ["explain select set_config('search_path', '', false)"],
      ['select shop/shop/public/orders'],
    ],
    [
      'PREPARE of set_config',
      ["prepare p as select set_config('search_path', '', false)"],
      ['select shop/shop/public/orders'],
    ],
    [
      'EXECUTE of set_config',
      ["prepare p as select set_config('search_path', '', false)", 'execute p'],
      'unknown-relation',
    ],
  ] as const)('the search path is followed: %s', (_, texts, expected) => {
    const plans = inSession(shop, [...texts, 'select note from orders'], 'web');
    const last = plans.at(-1) ?? shop.plan('');
    if (typeof expected === 'string') expect(reasonOf(last)).toBe(expected);
    else expect(touchesOf(last)).toEqual(expected.map((touch) => `postgres:${touch}`));
  });

  it('a cursor means what its names meant when it was declared', () => {
    const plans = inSession(
      shop,
      ['begin; declare c cursor for select note from orders', 'set search_path to "Odd/Schema"', 'fetch c'],
      'web',
    );
    expect(touchesOf(plans[2] ?? shop.plan(''))).toEqual(['postgres:select shop/shop/public/orders']);
  });

  it.each([
    [`set search_path to '"$user", public'`, ['"$user", public']],
    ['set search_path to "$user, public"', ['$user, public']],
    ['set search_path to public', ['public']],
    ['set search_path to PUBLIC, "Public"', ['public', 'Public']],
    [`select set_config('search_path', '"$user, public"', false)`, ['$user, public']],
    [`select set_config('search_path', '"$user" , PUBLIC', false)`, ['$user', 'public']],
    [`select set_config('search_path', 'ÉT_É', false)`, ['Ét_É']],
    ["set search_path to ''", ['']],
  ])('a path is read as the server reads it: %s', (sql, path) => {
    expect(only(shop.plan(sql, { as: 'admin' })).effects).toEqual([{ kind: 'search-path', path, isLocal: false }]);
  });

  it('a list that the server would not read either is refused', () => {
    const sql = `select set_config('search_path', '"$user",public,', false)`;
    expect(reasonOf(shop.plan(sql, { as: 'admin' }))).toBe('setting-refused');
  });

  it.each([
    ["select 'ö' from missing", 17],
    ["select id, 'ö', missing from customers", 17],
    ['select id from orders where (missing.id)::text is null', 30],
    ['select 1; select 2 from public.missing', 25],
    ["select id, 'ö', missing(id) from orders", 17],
    ['prepare p as select 1 from missing; ', 28],
    ['do $$ begin create table x (a int default missing()); end $$', undefined],
  ])('says where the name stands that can not be found: %s', (sql, position) => {
    const refusal = shop.plan(sql, { as: 'web' });
    expect(refusal).toMatchObject({ verdict: 'refuse' });
    expect(refusal.verdict === 'refuse' && refusal.position).toBe(position);
  });

  it('an extension made just now has its own functions, and no others', () => {
    const table = 'create table d (id uuid default uuid_generate_v4())';
    const made = ['begin; create extension if not exists "uuid-ossp"', table];
    expect(inSession(shop, made, 'web').map(reasonOf)).toEqual(['forward', 'forward']);
    expect(inSession(shop, ['begin; create extension citext', table], 'web').map(reasonOf)).toEqual([
      ...['forward', 'unknown-function'],
    ]);
    const undone = ['begin; create extension "uuid-ossp"', 'rollback', table];
    expect(inSession(shop, undone, 'web').map(reasonOf)).toEqual(['forward', 'forward', 'unknown-function']);
    // What the snapshot shows under one of these names is the database's own.
    const own = ['begin; create extension "uuid-ossp"', 'select leak_one(1)'];
    expect(inSession(shop, own, 'web').map(reasonOf)).toEqual(['forward', 'unproven-function']);
  });

  it('what the identity may alter may have lost its columns: their names may be those of the query around', () => {
    const outward = 'select (select note from orders o limit 1) from (select ssn as note from customers) c';
    const reader = `@id("r") @mask("customers.ssn:redact")
      permit (principal == Identity::"spiffe://example.org/reader", action == Action::"postgres:select", resource);`;
    expect(reasonOf(createShop(started.catalog, reader).plan(outward, { as: 'reader' }))).toBe('forward');
    expect(reasonOf(shop.plan(outward))).toBe('masked-column-use');
    expect(reasonOf(shop.plan(outward.replace('note from', 'o.note from')))).toBe('forward');
    for (const change of ['alter table orders drop column note', 'drop type odd cascade', 'drop schema "Odd/Schema"'])
      expect(inSession(shop, [change, outward], 'web').map(reasonOf)).toEqual(['forward', 'masked-column-use']);
    const system = 'select (select 1 from orders where ctid is null) from (select ssn as ctid from customers) c';
    expect(inSession(shop, [system, 'drop type odd', system], 'web').map(reasonOf)).toEqual([
      ...['forward', 'forward'],
      'masked-column-use',
    ]);
    expect(inSession(shop, ['drop type odd', 'select id, ssn from customers'], 'web').map(reasonOf)).toEqual([
      ...['forward', 'forward'],
    ]);
  });

  it('what the session altered is known again once a snapshot was taken, temporary relations stay', () => {
    const session = applySessionEffects(noSessionFacts, [
      { kind: 'create', relation: { schema: 'pg_temp', name: 't', columns: ['a'] } },
      { kind: 'create', relation: { schema: 'public', name: 'made', columns: ['a'] } },
      { kind: 'move' },
    ]);
    expect(applySessionEffects(session, [{ kind: 'discard' }]).moved).toBe(true);
    expect(settleSessionFacts(session)).toEqual({
      ...session,
      moved: false,
      created: new Map([['pg_temp.t', { schema: 'pg_temp', name: 't', columns: ['a'] }]]),
    });
  });

  it('a setting that may have any value may have that of a parameter or an expression', () => {
    const texts = [
      "select current_setting('jit'), set_config('jit', $1, false)",
      "select pg_catalog.set_config('Application_Name'::text, 'a' || $1, false)",
    ];
    expect(inSession(shop, texts, 'web').map(reasonOf)).toEqual(['forward', 'forward']);
    const masked = "select set_config('application_name', (select ssn from customers limit 1), false)";
    expect(reasonOf(shop.plan(masked, { as: 'web' }))).toBe('masked-column-use');
  });

  it("the information schema's own functions are harmless, as JDBC needs them for keys", () => {
    const keys = 'select (information_schema._pg_expandarray(i.indkey)).n from pg_catalog.pg_index i';
    expect(reasonOf(shop.plan(keys, { as: 'web' }))).toBe('forward');
    const masked = 'select information_schema._pg_expandarray(array[ssn]) from customers';
    expect(reasonOf(shop.plan(masked, { as: 'web' }))).toBe('masked-column-use');
    for (const sql of [
      'select information_schema.another(1)',
      "select public._pg_expandarray('{1}')",
      'select _pg_expandarray(1)',
    ])
      expect(reasonOf(shop.plan(sql, { as: 'web' })), sql).toBe('unknown-function');
  });

  it('subscriptions are readable but for what they connect with', () => {
    const readable = [
      'select count(*) from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())',
      'select subname, subenabled from pg_catalog.pg_subscription order by 1',
    ];
    const refused = [
      'select * from pg_subscription',
      'table pg_subscription',
      'select pg_subscription.* from pg_subscription',
      'select pg_subscription from pg_subscription',
      'select pg_subscription::text from pg_subscription',
      'select (pg_subscription).subconninfo from pg_subscription',
      'select subconninfo(pg_subscription) from pg_subscription',
      'select subconninfo from pg_subscription',
      'select pg_subscription.subconninfo from pg_subscription',
      'select count(*) from pg_subscription where subconninfo like $1',
      'select count(*) from pg_subscription group by subconninfo',
      'select (select subconninfo) from pg_subscription',
      'select s from pg_subscription s',
      'select i from pg_subscription as s(a, b, c, d, e, f, g, h, i, j)',
      'select subname from pg_subscription, pg_class',
      'select subname from pg_subscription natural join pg_class',
      'select 1 from pg_class where exists (select subconninfo from pg_subscription)',
      'select subname from pg_subscription union table pg_subscription',
      'copy pg_subscription to stdout',
      'copy pg_subscription (subname) to stdout',
    ];
    expect(readable.map((sql) => reasonOf(shop.plan(sql)))).toEqual(readable.map(() => 'forward'));
    expect(refused.map((sql) => reasonOf(shop.plan(sql)))).toEqual(refused.map(() => 'restricted-relation'));
  });

  it('a setting may be named by a row of pg_settings, as pg_dump does it', () => {
    const change = (setting: string) =>
      `select set_config(name, 'view, foreign-table', false) from pg_settings ${setting}`;
    const refused = [
      change("where name = 'role'"),
      change("where name = 'search_path'"),
      change("where name <> 'jit'"),
      change('where name = $1'),
      change("where name = 'Jit'"),
      change("where name = 'jit' or true"),
      change("where name = 'jit' limit 0"),
      change(''),
      change("s where name = 'jit'"),
      change(", pg_class where name = 'jit'"),
      `with pg_settings as (select 'role' as name) ${change("where name = 'jit'")}`,
      "select set_config(name, $1, false) from pg_settings where name = 'jit'",
      "select set_config(setting, 'x', false) from pg_settings where name = 'jit'",
      "select set_config(relname, 'x', false) from pg_class where relname = 'jit'",
    ];
    const wanted = change("where name = 'restrict_nonsystem_relation_kind'");
    // Before and after: no verdict on one text may serve another.
    const plans = inSession(shop, [wanted, ...refused, wanted], 'web').map(reasonOf);
    expect(plans).toEqual(['forward', ...refused.map(() => 'setting-refused'), 'forward']);
    // No table of the session's own stands before it.
    expect(reasonOf(shop.plan('create temp table pg_settings (name text)', { as: 'admin' }))).toBe('statement-refused');
  });

  it('sessions are bounded', () => {
    const hold = (count: number, text: string) => {
      const one = { kind: 'SelectStmt', text, index: 0, isQuery: true };
      const prepared = new Map(Array.from({ length: count }, (_, index) => [`p${index}`, one]));
      return reasonOf(shop.plan('prepare q as select 1', { as: 'admin', session: { ...noSessionFacts, prepared } }));
    };
    expect([hold(4_999, ''), hold(5_000, '')]).toEqual(['forward', 'session-limit']);
    const long = ' '.repeat(1 << 20);
    expect([hold(7, long), hold(8, long)]).toEqual(['forward', 'session-limit']);
  });

  it('a text that takes longer than a moment is planned apart', () => {
    const many = (part: string, count: number) => reasonOf(shop.plan(part.repeat(count), { as: 'admin' }));
    expect([many('select 1;', 3_333), many('select 1;', 3_334)]).toEqual(['forward', 'text-not-at-once']);
    const list = (count: number) => `select ${'1,'.repeat(count)}1`;
    expect([many(list(4_999), 1), many(list(5_000), 1)]).toEqual(['forward', 'text-not-at-once']);
    expect(many(`select '${'1;'.repeat(100_000)}'`, 1)).toBe('forward');
  });

  it('each statement says what it changes', () => {
    const begin = only(shop.plan('begin'));
    expect(begin.effects).toEqual([{ kind: 'transaction', verb: 'begin' }]);
    expect(only(shop.plan('create table z (a int)', { as: 'admin' })).changesCatalog).toBe(true);
    expect(only(shop.plan('copy orders from stdin', { as: 'admin' })).copy).toBe('in');
    expect(only(shop.plan('discard all')).effects).toEqual([{ kind: 'discard' }]);
    expect(only(shop.plan('select 1')).writes).toBe(false);
    expect(only(shop.plan("select nextval('s')")).writes).toBe(true);
  });
});

describe('what a transaction brings back', () => {
  const path = (names: readonly string[]) => ({ kind: 'search-path', path: names, isLocal: false }) as const;
  const begun = applySessionEffects(noSessionFacts, [{ kind: 'transaction', verb: 'begin' }, path(['b'])]);

  it('a block that ends without a COMMIT having completed, since that failed, is rolled back', () => {
    expect(endTransaction(failSessionFacts(begun)).searchPath).toBeUndefined();
    const committed = applySessionEffects(begun, [{ kind: 'transaction', verb: 'commit' }]);
    expect(endTransaction(committed).searchPath).toEqual(['b']);
  });

  it('what no BEGIN has opened is committed with its answer, and undone with its failure', () => {
    const alone = applySessionEffects(noSessionFacts, [path(['b'])]);
    expect(endTransaction(alone).searchPath).toEqual(['b']);
    expect(endTransaction(failSessionFacts(alone)).searchPath).toBeUndefined();
  });

  it('a failed statement in a block changes nothing until the block or a savepoint is rolled back', () => {
    const saved = applySessionEffects(begun, [{ kind: 'transaction', verb: 'savepoint', name: 's' }, path(['c'])]);
    expect(failSessionFacts(saved).searchPath).toEqual(['c']);
    const back = applySessionEffects(failSessionFacts(saved), [
      { kind: 'transaction', verb: 'rollback-to', name: 's' },
    ]);
    expect(back.searchPath).toEqual(['b']);
    expect(applySessionEffects(back, [{ kind: 'transaction', verb: 'rollback' }]).searchPath).toBeUndefined();
  });

  it('savepoints of one name are a stack, also when nothing changed between them', () => {
    const savepoint = { kind: 'transaction', verb: 'savepoint', name: 's' } as const;
    const release = { kind: 'transaction', verb: 'release', name: 's' } as const;
    const stack = applySessionEffects(begun, [savepoint, savepoint, path(['c']), savepoint, release, release]);
    expect(stack.transaction?.savepoints).toHaveLength(1);
    expect(applySessionEffects(stack, [{ kind: 'transaction', verb: 'rollback-to', name: 's' }]).searchPath).toEqual([
      'b',
    ]);
    expect(applySessionEffects(stack, [release]).transaction?.savepoints).toEqual([]);
  });

  it('AND CHAIN opens the next block: what was set stays, and is what the next rollback goes back to', () => {
    const chained = applySessionEffects(begun, [{ kind: 'transaction', verb: 'commit', chains: true }, path(['c'])]);
    expect(applySessionEffects(chained, [{ kind: 'transaction', verb: 'rollback' }]).searchPath).toEqual(['b']);
  });

  it('a cursor ends with its transaction, unless it is held', () => {
    const declare = (name: string, isHeld: boolean) =>
      ({
        kind: 'declare',
        name,
        isHeld,
        prepared: { kind: 'SelectStmt', text: 'select 1', index: 0, isQuery: true },
      }) as const;
    const declared = applySessionEffects(begun, [declare('a', false), declare('b', true)]);
    const after = applySessionEffects(declared, [{ kind: 'transaction', verb: 'commit' }]);
    expect(Array.from(after.cursors.keys())).toEqual(['b']);
  });
});
