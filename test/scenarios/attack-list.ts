/**
 * Ways to get at a masked column, or past a forbidden DELETE, as one text each. `web` may do everything on the target but delete, and sees
 * `customers.ssn` masked; the table belongs to the DBA, who also made a view, a function, a rule and a trigger that leak.
 */
export interface Attack {
  readonly name: string;
  /** Statements sent one after the other, in one session. */
  readonly statements: readonly string[];
  /** `masked`: answered, the value replaced. `refused`: 42501 or another error of ours. Both, where only the leak matters. */
  readonly answer?: 'masked' | 'refused';
}

/** The attacks that were measured against another gateway's masking and rules; those that need the extended protocol are beside the others' tests. */
export const MEASURED: readonly Attack[] = [
  attack('1 the column itself', 'masked', 'select ssn from customers'),
  attack('2 an alias', 'masked', 'select ssn as x from customers'),
  attack('3 upper(ssn)', 'refused', 'select upper(ssn) from customers'),
  attack('3 row_to_json', 'refused', 'select row_to_json(c) from customers c'),
  attack('3 a SQL function of the DBA', 'refused', 'select leak_sql(1)'),
  attack('4 reverse(ssn)', 'refused', 'select reverse(ssn) from customers'),
  attack('5 COPY of the table', 'refused', 'copy customers to stdout'),
  attack('5 COPY of a query', 'refused', 'copy (select ssn from customers) to stdout'),
  attack('5 COPY of a query in binary', 'refused', 'copy (select ssn from customers) to stdout (format binary)'),
  attack('6 an error that quotes the value', 'refused', 'select ssn::int from customers'),
  attack(
    '7 a notice that quotes the value',
    'refused',
    "do $$ declare r record; begin for r in select ssn from customers loop raise notice '%', r.ssn; end loop; end $$",
  ),
  attack('11 DELETE inside DO', 'refused', 'do $$ begin delete from customers; end $$'),
  attack('12 DELETE behind a comment of 1 KiB', 'refused', `/*${'x'.repeat(1024)}*/ delete from customers`),
  attack('12 DELETE behind a comment of 1 MiB', 'refused', `/*${'x'.repeat(2 ** 20)}*/ delete from customers`),
  attack('12 DELETE behind a comment of 9 MiB', 'refused', `/*${'x'.repeat(9 * 2 ** 20)}*/ delete from customers`),
];

export const FURTHER: readonly Attack[] = [
  attack('star', 'masked', 'select * from customers'),
  attack('TABLE', 'masked', 'table customers'),
  attack('whole row', 'refused', 'select c from customers c'),
  attack('whole row as text', 'refused', 'select c::text from customers c'),
  attack('row constructor', 'refused', 'select row(c.*) from customers c'),
  attack('subquery in the select list', undefined, 'select (select ssn from customers where id = 1)'),
  attack('common table expression', undefined, 'with x as (select ssn as y from customers) select y from x'),
  attack('union', undefined, 'select name from customers union all select ssn from customers'),
  attack('join using', undefined, 'select a.ssn from customers a join customers b using (ssn)'),
  attack('column alias list', undefined, 'select d from customers as t(a, b, c, d)'),
  attack('lateral', undefined, 'select l.v from customers c, lateral (select c.ssn as v) l'),
  attack('aggregate', 'refused', 'select string_agg(ssn, chr(44)) from customers'),
  attack('array', 'refused', 'select array(select ssn from customers)'),
  attack('json_agg', 'refused', 'select json_agg(customers) from customers'),
  attack('case', undefined, 'select case when true then ssn end from customers'),
  attack('concatenation', 'refused', "select ssn || '' from customers"),
  attack('cast to bytea', 'refused', 'select ssn::bytea from customers'),
  attack('min', undefined, 'select min(ssn) from customers'),
  attack('order and distinct', undefined, 'select distinct ssn from customers order by ssn'),
  attack('values', undefined, 'values ((select ssn from customers limit 1))'),
  attack('xml of a query', 'refused', "select query_to_xml('select * from customers', true, true, '')"),
  attack('xml of a table', 'refused', "select table_to_xml('customers', true, true, '')"),
  attack('a view of the DBA', 'masked', 'select * from customers_view'),
  attack('a view of a view', 'masked', 'select v from customers_view_twice'),
  attack('a materialized view of the DBA', undefined, 'select s from customers_kept'),
  attack('a plpgsql function of the DBA', 'refused', 'select leak_plpgsql()'),
  attack('a function in FROM', 'refused', 'select * from leak_rows()'),
  attack('an operator of the DBA', 'refused', 'select 1 ?? 1'),
  attack('PREPARE and EXECUTE', 'refused', 'prepare a as select upper(ssn) from customers', 'execute a'),
  attack('PREPARE of the column', undefined, 'prepare b as select ssn from customers', 'execute b'),
  attack(
    'EXECUTE into a table',
    undefined,
    'prepare c as select ssn from customers',
    'create temp table t as execute c',
    'table t',
  ),
  attack('cursor', undefined, 'begin', 'declare c cursor for select ssn from customers', 'fetch all from c'),
  attack(
    'cursor of an expression',
    'refused',
    'begin',
    'declare c cursor for select upper(ssn) from customers',
    'fetch all from c',
  ),
  attack('holdable cursor', undefined, 'declare c cursor with hold for select ssn from customers', 'fetch all from c'),
  attack('temporary copy', undefined, 'create temp table kept as select * from customers', 'select * from kept'),
  attack('SELECT INTO', undefined, 'select ssn into temp kept from customers', 'select * from kept'),
  attack('INSERT from the table', undefined, 'insert into notes select id, ssn from customers', 'select * from notes'),
  attack('UPDATE of another column', undefined, 'update customers set email = ssn returning email'),
  attack('RETURNING', undefined, 'update customers set name = name returning ssn'),
  attack('RETURNING an expression', 'refused', 'update customers set name = name returning upper(ssn)'),
  attack(
    'ON CONFLICT',
    undefined,
    "insert into customers values (1, 'a', 'b', 'c') on conflict (id) do update set email = customers.ssn returning email",
  ),
  attack(
    'MERGE',
    undefined,
    'merge into notes n using customers c on n.id = c.id when not matched then insert values (c.id, c.ssn)',
    'table notes',
  ),
  attack('temporary view', undefined, 'create temp view w as select upper(ssn) as u from customers', 'select * from w'),
  attack(
    'shadowing the table by a temporary view',
    undefined,
    'create temp view customers as select id, name, email, upper(ssn) as ssn from public.customers',
    'select * from customers',
  ),
  attack(
    'shadowing the table by a temporary table',
    undefined,
    'create temp table customers (ssn text)',
    'insert into pg_temp.customers select ssn from public.customers',
    'select ssn from customers',
  ),
  attack(
    'search_path to a schema with a view of that name',
    'refused',
    'set search_path to evil, public',
    'select ssn from customers',
  ),
  attack(
    'search_path by set_config',
    'refused',
    "select set_config('search_path', 'evil, public', false)",
    'select ssn from customers',
  ),
  attack(
    'search_path set and used in one text',
    'refused',
    'set search_path to evil, public; select ssn from customers',
  ),
  attack(
    'search_path until a rollback',
    undefined,
    'begin',
    'set search_path to evil',
    'rollback',
    'select ssn from customers',
  ),
  attack(
    'a function of the attacker',
    undefined,
    'create function mine() returns text language sql as $$ select string_agg(ssn, chr(44)) from customers $$',
    'select mine()',
  ),
  attack(
    'a cast of the attacker',
    undefined,
    "create function pg_temp.f(text) returns text language plpgsql as $$ begin raise notice '%', $1; return $1; end $$",
    'select pg_temp.f(ssn) from customers',
  ),
  attack('SET ROLE', undefined, 'set role postgres', 'select ssn from customers'),
  attack('SET SESSION AUTHORIZATION', undefined, 'set session authorization postgres', 'select ssn from customers'),
  attack('a custom setting', 'refused', "select set_config('my.v', ssn, false) from customers", 'show my.v'),
  attack('pg_notify', 'refused', 'listen leak', "select pg_notify('leak', ssn) from customers"),
  attack(
    'statistics',
    undefined,
    "select most_common_vals::text, histogram_bounds::text from pg_stats where tablename = 'customers'",
  ),
  attack('statistics below the view', undefined, 'select stavalues1::text from pg_statistic where starelid = 16384'),
  attack('EXPLAIN ANALYZE that casts', 'refused', 'explain (analyze, verbose) select ssn::int from customers'),
  attack('EXPLAIN of a constant-folded function', 'refused', 'explain verbose select leak_sql(1)'),
  attack('a check constraint that quotes the row', undefined, "insert into customers values (3, null, 'e', 'x')"),
  attack('a rule of the DBA', undefined, 'insert into trap values (1)'),
  attack('a trigger of the DBA', undefined, 'insert into trigger_trap values (1)'),
  attack('an inherited table', undefined, 'select ssn from customers_old', 'select * from only customers_old'),
  attack('a partition by its own name', undefined, 'select secret from people_1'),
  attack('a star whose alias is a column too', 'refused', 'select row(c.*)::text from customers c, (values (1)) v(c)'),
  attack('a function of the row, as an attribute', 'refused', 'select c.to_jsonb from customers c'),
  attack(
    'a function of the row of a join, as an attribute',
    'refused',
    'select s.row_to_json from (select * from customers left join notes using (id)) s',
  ),
  attack(
    'a function of the DBA, as an attribute of another table',
    'refused',
    'select n.note_leak from (values (1)) v left join notes n on true',
  ),
  attack(
    'SQL in a string, run by an attribute of the string',
    'refused',
    "select ('select to_tsvector(''simple'', ssn) from public.customers'::text).ts_stat",
  ),
  attack(
    'a name in ON that only the query around has',
    'refused',
    "select (select count(*) from (values ('1')) s(ssn), (values (1)) i(p) join (values (1)) k(q) on ssn::int = 1) from customers c",
  ),
  attack(
    'a name in TABLESAMPLE that only the query around has',
    'refused',
    "select (select count(*) from (values ('1')) s(ssn), notes tablesample system (ssn::real)) from customers c",
  ),
  attack(
    'a name that every table has, but no view',
    'refused',
    'select (select ctid from numbers) from (select ssn as ctid from customers) c',
  ),
  attack(
    'a name that a dropped column leaves to the query around',
    undefined,
    'begin',
    'alter table attic drop column note',
    'select (select note from attic limit 1) from (select ssn as note from customers) c',
  ),
  attack(
    'a name that a dropped table leaves to the masked one',
    undefined,
    'begin',
    'drop table shop_app.people',
    'select upper(secret) from people',
  ),
  attack(
    'a name that a dropped table leaves to the masked one, in one text',
    undefined,
    'begin; drop table shop_app.people; select upper(secret) from people; rollback',
  ),
  attack('a JSON query', 'refused', "select json_query('{}', '$v' passing ssn as v with wrapper) from customers"),
  attack('a JSON array of a query', 'refused', 'select json_array(select ssn from customers)'),
  attack(
    'XMLTABLE',
    'refused',
    "select x.* from customers c, xmltable('/a' passing xmlelement(name a, c.ssn) columns v text path '.') x",
  ),
  attack('an ordered-set aggregate', 'refused', 'select mode() within group (order by ssn) from customers'),
  attack('a window function', 'refused', 'select first_value(ssn) over () from customers'),
  attack('old rows by another name', 'refused', 'update customers set name = name returning with (old as o) o.ssn'),
  attack(
    'MERGE with RETURNING',
    'refused',
    'merge into customers c using (values (1)) s(id) on c.id = s.id when matched then update set name = c.name returning c.ssn',
  ),
  attack('multi-statement text', undefined, 'select 1; select ssn from customers; select 2'),
  attack('multi-statement text with one bad', 'refused', 'select ssn from customers; select upper(ssn) from customers'),
  attack(
    'quoted and escaped names',
    undefined,
    'select "ssn" from "public"."customers"',
    'select U&"\\0073sn" from U&"\\0063ustomers"',
  ),
  attack('a name in capitals with a comment between', undefined, 'select SSN/**/from--\ncustomers'),
  attack('reading server files', 'refused', "select pg_read_file('PG_VERSION')"),
  attack('copying to a program', 'refused', "copy (select 1) to program 'true'"),
  attack('DELETE', 'refused', 'delete from customers'),
  attack(
    'DELETE in a common table expression',
    'refused',
    'with d as (delete from customers returning 1) select count(*) from d',
  ),
  attack('EXPLAIN ANALYZE DELETE', 'refused', 'explain analyze delete from customers'),
  attack('PREPARE DELETE', 'refused', 'prepare d as delete from customers', 'execute d'),
  attack('DELETE behind a SELECT', 'refused', 'select 1; delete from customers'),
  attack(
    'DELETE by MERGE',
    'refused',
    'merge into customers c using (select 1 as id) s on c.id = s.id when matched then delete',
  ),
  attack('DELETE through an updatable view', 'refused', 'delete from customers_view'),
  attack('DELETE by a function', 'refused', 'select wipe()'),
  attack('COPY of DELETE RETURNING', 'refused', 'copy (delete from customers returning 1) to stdout'),
];

/** What the DBA made before. `%CANARY%` stands for the value that must never be seen. */
export const ATTACK_SEED = `
  create table customers (id int primary key, name text not null, email text, ssn text);
  insert into customers values (1, 'Ada', 'ada@example.com', '%CANARY%'), (2, 'Bob', 'bob@example.com', '%CANARY%');
  create table notes (id int, note text);
  create view customers_view as select id, ssn as s from customers;
  create view customers_view_twice as select s as v from customers_view;
  create materialized view customers_kept as select id, ssn as s from customers;
  create table customers_old () inherits (customers);
  insert into customers_old values (9, 'Old', 'old@example.com', '%CANARY%');
  create function leak_sql(int) returns text language sql stable as $$ select ssn from customers where id = $1 $$;
  create function leak_plpgsql() returns text language plpgsql as $$ begin return (select ssn from customers limit 1); end $$;
  create function leak_rows() returns setof text language sql as $$ select ssn from customers $$;
  create function leak_two(int, int) returns text language sql as $$ select ssn from customers limit 1 $$;
  create operator ?? (leftarg = int, rightarg = int, function = leak_two);
  create function wipe() returns void language sql as $$ delete from customers $$;
  create table trap (id int);
  create rule leak as on insert to trap do also select ssn from customers;
  create function shout() returns trigger language plpgsql as $$ begin raise notice '%', (select ssn from customers limit 1); return new; end $$;
  create table trigger_trap (id int);
  create trigger shout before insert on trigger_trap for each row execute function shout();
  create table people (id int, secret text) partition by range (id);
  create table people_1 partition of people for values from (0) to (100);
  insert into people values (1, '%CANARY%');
  create function note_leak(notes) returns text language sql as $$ select ssn from customers limit 1 $$;
  create view numbers as select 1 as n;
  create table attic (id int, note text);
  insert into attic values (1, 'old');
  alter table attic owner to shop_app;
  create schema shop_app authorization shop_app;
  create table shop_app.people (id int, secret text);
  alter table shop_app.people owner to shop_app;
  create schema evil;
  create view evil.customers as select id, name, email, upper(ssn) as ssn from public.customers;
  analyze customers;
  grant usage on schema evil to shop_app;
  grant all on all tables in schema public, evil to shop_app;
`;

function attack(name: string, answer: Attack['answer'], ...statements: string[]): Attack {
  return { name, statements, ...(answer === undefined ? {} : { answer }) };
}

/** Those of {@link FURTHER} that PostgreSQL itself refuses here, or that show nothing by themselves. */
export const DEAD: readonly string[] = [
  'statistics below the view',
  'EXPLAIN of a constant-folded function',
  'a check constraint that quotes the row',
  'reading server files',
  'copying to a program',
];
