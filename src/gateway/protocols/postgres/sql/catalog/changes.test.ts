// Goal: one catalog of a database follows every change to it, whoever made it, and builds again only what has changed.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../../test/support/postgres.ts';
import { assert } from '../../../../../std/index.ts';
import { type CatalogMirror, createCatalogMirror } from '../index.ts';
import { openClient, readCatalog, refreshCatalog } from '../testing/shop.ts';
import type { Catalog } from './catalog.ts';

let server: TestPostgres;
let client: pg.Client;
let other: pg.Client;
let mirror: CatalogMirror;
let catalog: Catalog;

const seed = `
  create schema a; create schema b;
  create table people (id int primary key, name text, ssn text);
  create table orders (id int primary key, person int references people);
  create table days (id int, day int) partition by range (day);
  create table days_1 partition of days for values from (0) to (10);
  create view names as select id, name from people;
  create view pairs as select n.name, o.id from names n join orders o on o.person = n.id;
  create function twice(int) returns int language sql as 'select $1 * 2';
  create type odd as (x int);
  create function to_odd(int) returns odd language sql as 'select row($1)::odd';
  create table filler_1 (a int); create table filler_2 (a int, b text); create sequence numbers;
`;

beforeAll(async () => {
  server = await startPostgres({ databases: ['empty'] });
  client = await openClient(server, 'postgres');
  other = await openClient(server, 'postgres');
});
afterAll(async () => {
  await client.end();
  await other.end();
  await server.stop();
});
beforeEach(async () => {
  await other.query('rollback'); // Of one that failed in the middle.
  await client.query('rollback; drop schema if exists a, b cascade; drop schema public cascade; create schema public');
  await client.query(seed);
  mirror = createCatalogMirror();
  await refreshCatalog(client, mirror);
  assert(mirror.catalog !== undefined, 'it was read just now');
  catalog = mirror.catalog;
});

/** Everything that a catalog knows, in an order of its own. */
function contentsOf(of: Catalog): unknown {
  const { functions } = of;
  const name = (relation: { schema: string; name: string }) => `${relation.schema}.${relation.name}`;
  const sorted = (list: Iterable<unknown>) => Array.from(list, (one) => JSON.stringify(one)).sort();
  return {
    path: [of.database, of.searchPath, of.searchPathSetting],
    system: ['pg_catalog', 'information_schema'].map((schema) => sorted(of.systemRelations(schema) ?? [])),
    relations: Array.from(of.relations.values(), (relation) => ({
      ...relation,
      found: of.relation(relation.schema, relation.name)?.oid,
      schema: of.hasSchema(relation.schema) && relation.schema,
      reads: sorted(of.dependencies(relation.oid).map((read) => [name(read.relation), read.columns.toSorted()])),
      parents: sorted(of.parents(relation.oid).map(name)),
      children: sorted(of.children(relation.oid).map(name)),
      referencing: sorted(of.referencing(relation.oid).map(name)),
    })).sort((a, b) => a.oid - b.oid),
    functions: sorted(Array.from(functions.functions.values()).flat()),
    operators: sorted(Array.from(functions.operators.values()).flat()),
    casts: sorted(functions.casts),
    builtins: [sorted(functions.builtins), sorted(functions.builtinTypes)],
  };
}

/** A catalog that followed is the one that somebody who comes now reads. */
async function follow(): Promise<boolean> {
  const isOther = await refreshCatalog(client, mirror);
  expect(mirror.catalog).toBe(catalog);
  expect(contentsOf(catalog)).toEqual(contentsOf(await readCatalog(client, 1)));
  return isOther;
}

const people = () => catalog.relation('public', 'people')?.columns.map(({ name }) => name);

describe('a change', () => {
  it.each([
    'create table people_2 (id int, ssn text)',
    'create table b.people (other int)',
    'drop view pairs; drop view names',
    'drop table orders cascade',
    'drop table people cascade',
    'drop table people cascade; create table people (name text, id int, ssn text)',
    'alter table people rename to persons',
    'alter table people set schema a',
    'alter schema a rename to c; create table c.people (x int)',
    'alter table filler_1 rename to filler_3; alter table filler_2 rename to filler_1; alter table filler_3 rename to filler_2',
    'alter table people rename column ssn to tax_number',
    'alter table people drop column ssn',
    'alter table people add column more text',
    'alter table people add column tail text generated always as (right(ssn, 4)) stored',
    'alter table people add column tail text generated always as (right(ssn, 4)) stored; alter table people rename column ssn to tax_number',
    'drop view pairs, names; alter table people alter column id type bigint',
    'create or replace view names as select id, ssn as name from people',
    'alter view names rename column name to label',
    'create materialized view kept as select * from people',
    'create rule silent as on insert to filler_1 do also insert into filler_2 values (1)',
    'create table days_2 partition of days for values from (10) to (20)',
    'alter table days detach partition days_1',
    'create table heir () inherits (people)',
    'alter table filler_1 add primary key (a); alter table filler_2 add foreign key (a) references filler_1',
    'alter table orders drop constraint orders_person_fkey',
    'create function twice(int, int) returns int language sql as $$select 1$$',
    'drop function twice(int)',
    'alter function twice(int) rename to double',
    'alter function twice(int) set schema a',
    'create or replace procedure act() language sql as $$select 1$$',
    'create operator ### (leftarg = int, rightarg = int, function = int4pl)',
    'create cast (int as odd) with function to_odd(int)',
    'create extension if not exists citext schema a',
    'alter sequence numbers rename to figures',
    'drop schema public cascade; create schema public',
  ])('is followed: %s', async (sql) => {
    await other.query(sql);
    expect(await follow()).toBe(true);
    expect(await follow()).toBe(false);
  });

  it('of another session is there when it is committed, and never when it is rolled back', async () => {
    await other.query('begin; alter table filler_2 drop column b; create table made (id int)');
    expect(await follow()).toBe(false);
    await other.query('rollback');
    expect(await follow()).toBe(false);
    expect(catalog.relation('public', 'filler_2')?.columns).toHaveLength(2);
    await other.query('begin; create table made (id int); savepoint s; create table undone (id int); rollback to s');
    await other.query('commit');
    expect(await follow()).toBe(true);
    expect([catalog.relation('public', 'made')?.name, catalog.relation('public', 'undone')]).toEqual([
      'made',
      undefined,
    ]);
  });

  it('and the change back are two, whatever was looked at between', async () => {
    const { version } = catalog;
    await other.query('alter table people rename column ssn to tax_number');
    await follow();
    expect(people()).toEqual(['id', 'name', 'tax_number']);
    await other.query('alter table people rename column tax_number to ssn');
    await follow();
    expect(people()).toEqual(['id', 'name', 'ssn']);
    expect(catalog.version).toBe(version + 2);
  });

  it('of the path is followed in a connection that has it', async () => {
    await client.query('set search_path = a, public');
    expect(await follow()).toBe(true);
    expect(catalog.searchPath).toEqual(['a', 'public']);
    await client.query('reset search_path');
  });

  it('builds again only the relations that it changed', async () => {
    const { version } = catalog;
    const before = new Map(catalog.relations);
    await other.query('alter table people add column more text; create table fresh (id int); drop table filler_2');
    await follow();
    const changed = catalog.changesSince(version) ?? new Set();
    for (const [oid, relation] of before) if (!changed.has(oid)) expect(catalog.relations.get(oid)).toBe(relation);
    const names = (of: ReadonlyMap<number, { name: string }>) => Array.from(changed, (oid) => of.get(oid)?.name).sort();
    expect(names(catalog.relations)).toEqual(['fresh', 'people', undefined]);
    expect(names(before)).toEqual(['filler_2', 'people', undefined]);
  });

  it('that only one session sees is none: temporary tables, their keys and heirs', async () => {
    const { version } = catalog;
    await other.query(
      `create temp table people (id int primary key, x text); create temp table refers (id int references people);
       create temp table heir () inherits (people); create temp view v as select * from people`,
    );
    expect(await follow()).toBe(false);
    await other.query('discard temp');
    expect([await follow(), catalog.version]).toEqual([false, version]);
  });

  it('to the server itself is none that could be missed: another database is read as it is', async () => {
    const elsewhere = await openClient(server, 'empty');
    await elsewhere.query('create table if not exists only_here (id int)');
    await refreshCatalog(elsewhere, mirror);
    expect(contentsOf(catalog)).toEqual(contentsOf(await readCatalog(elsewhere, 1)));
    await elsewhere.end();
  });
});

describe('who is behind', () => {
  it('is told what has changed since, however many versions ago, or to look at everything', async () => {
    const { version } = catalog;
    await other.query('create table one (id int)');
    await follow();
    await other.query('create table two (id int)');
    await follow();
    const names = (since: number) =>
      Array.from(catalog.changesSince(since) ?? [], (oid) => catalog.relations.get(oid)?.name);
    expect([names(version), names(version + 1), names(version + 2)]).toEqual([['one', 'two'], ['two'], []]);
    expect(catalog.changesSince(version - 1_000)).toBeUndefined();
    expect(catalog.changesSince(version + 9)).toBeUndefined();
  });
});

describe('what could not be read this time', () => {
  it('counts as unknown, and is read again the next time', async () => {
    await other.query('begin; lock table names');
    await client.query("set lock_timeout = '50ms'");
    const answers = new Map();
    for (const { name, sql, optional } of mirror.questions()) {
      const rows = await client.query({ text: sql, rowMode: 'array' }).catch((error) => {
        if (!optional) throw error;
      });
      if (rows !== undefined)
        answers.set(
          name,
          rows.rows.map((row) => row.map((one: unknown) => one && String(one))),
        );
    }
    expect([answers.has('definitions'), mirror.take(answers)]).toEqual([false, true]);
    expect(catalog.relation('public', 'names')?.definition).toBeUndefined();
    await other.query('rollback');
    expect(await follow()).toBe(true);
    expect(catalog.relation('public', 'names')?.definition).toContain('name');
  });

  it('leaves everything as it was when an answer makes no sense', async () => {
    const before = contentsOf(catalog);
    const { version } = catalog;
    await other.query('create table fresh (id int)');
    const answers = new Map();
    for (const { name, sql } of mirror.questions()) {
      const { rows } = await client.query({ text: sql, rowMode: 'array' });
      answers.set(
        name,
        rows.map((row) => row.map((one: unknown) => one && String(one))),
      );
    }
    answers.set('functions', [['0', 'A'.repeat(44), '["no function"]']]);
    expect(() => mirror.take(answers)).toThrow(/functions/);
    expect([contentsOf(catalog), catalog.version]).toEqual([before, version]);
    expect(await follow()).toBe(true);
  });
});
