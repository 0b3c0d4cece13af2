import { beforeAll, describe, expect, it } from 'vitest';
import { askedAsWritten } from './as-written.ts';
import { loadParser } from './text/parse.ts';

// Goal: without its database, a statement asks of policy what the gateway would ask, as far as its own names tell; what was assumed is said.

beforeAll(loadParser);

const place = { target: 'shop', database: 'shop' };

function asked(sql: string): readonly string[] {
  const told = askedAsWritten(sql, place);
  if (!told.ok) return [`refused: ${told.why}`];
  return told.questions.map(({ action, resource, context }) => {
    const { columns, hasWhere, ...more } = context;
    const facts = columns === undefined ? [] : [JSON.stringify(columns), hasWhere === true ? 'where' : 'all'];
    const others = Object.entries(more).map(([name, value]) => `${name}=${String(value)}`);
    return [action.slice('postgres:'.length), resource.id.slice('shop/shop/'.length), ...facts, ...others].join(' ');
  });
}

function notes(sql: string): readonly string[] {
  const told = askedAsWritten(sql, place);
  return told.ok ? told.notes : [];
}

describe('the questions', () => {
  it('about all columns of a table are those that are known of it, and say that there may be more', () => {
    const columnsOf = ({ id }: { readonly id: string }) => (id.endsWith('/customers') ? ['email', 'ssn'] : []);
    const told = (sql: string) => {
      const found = askedAsWritten(sql, place, columnsOf);
      return found.ok ? found.questions.slice(1).map(({ context, open = [] }) => [context['columns'], ...open]) : [];
    };
    expect(told('select * from customers where name = $1')).toEqual([[['email', 'name', 'ssn'], 'columns']]);
    expect(told('select o.*, c.id from orders o, customers c')).toEqual([[[], 'columns'], [['id']]]);
    expect(told('insert into notes select * from customers')).toContainEqual([['email', 'ssn'], 'columns']);
    expect(told('select id from customers')).toEqual([[['id']]]);
  });

  it('begin with that for the session', () => {
    expect(askedAsWritten('select 1', place)).toMatchObject({
      ok: true,
      questions: [{ action: 'postgres:connect', resource: { type: 'Postgres::Database', id: 'shop/shop' } }],
      notes: [],
    });
  });

  it.each([
    ['select count(*), lower(name) from customers', ['select public/customers ["name"] all']],
    [
      'update orders set state = $1 where id = 1 returning total',
      ['select public/orders ["id","total"] where', 'update public/orders ["state"] where'],
    ],
    [
      'select c.name, o.total from sales.customers c join orders o on o.customer = c.id',
      ['select sales/customers ["id","name"] all', 'select public/orders ["customer","total"] all'],
    ],
    ['with x as (select id from orders) select id from x', ['select public/orders ["id"] all']],
    [
      'insert into orders (id, total) select id, 1 from customers',
      ['insert public/orders ["id","total"] all', 'select public/customers ["id"] all'],
    ],
    [
      'insert into orders as o (id) values (1) on conflict (id) do update set total = excluded.total',
      ['select public/orders ["id"] all', 'insert public/orders ["id"] all', 'update public/orders ["total"] where'],
    ],
    [
      'merge into orders o using customers c on o.id = c.id when matched then update set total = c.name',
      [
        'select public/orders ["id"] where',
        'select public/customers ["id","name"] where',
        'update public/orders ["total"] all',
      ],
    ],
    ['copy orders (id) to stdout', ['select public/orders ["id"] all']],
    ['truncate orders', ['truncate public/orders [] all']],
    ['delete from "Odd/Name"', ['delete public/Odd%2FName [] all']],
    ['select 1; drop table customers', ['ddl public/customers']],
    ['call tools.close_month()', ['call tools/close_month']],
    ['select tools.close(2)', ['call tools/close']],
    ['set role reader', ['set-role  role=reader']],
    ["select pg_read_file('x')", ['admin ']],
  ])('of %s', (sql, questions) => {
    expect(asked(sql).slice(1)).toEqual(questions);
  });

  it.each(['selct 1', 'select from where', 'select 1; selct'])('are none of what is no SQL: %s', (sql) => {
    expect(asked(sql)).toEqual([expect.stringMatching(/^refused: syntax error at/)]);
  });
});

describe('what was assumed', () => {
  it.each([
    ['select id from customers', ['tables without a schema are taken for those of public']],
    ['select id from sales.customers', []],
    [
      'select * from sales.customers',
      ['* is taken for the columns that the statement and the policies name; the table may have more'],
    ],
    [
      'select total from a.customers c join b.orders o on o.customer = c.id',
      ['columns without a table are taken for those of the first one that is read: total'],
    ],
    ['select lower(a.x), tools.close(a.x) from s.a', ['taken for functions of PostgreSQL itself: lower']],
  ])('of %s is said', (sql, expected) => {
    expect(notes(sql)).toEqual(expected);
  });
});
