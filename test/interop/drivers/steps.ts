/** What every driver has to do, in this order; the clients in `node`, `python`, `java`, `go` and `rust` know the steps by these names. */
export type StepName = keyof typeof STEPS;

/** Lines that each step must print; undefined = what the client prints when it is connected to the database itself. */
export const STEPS = {
  connect: ['shop'],
  simple: ['1|anvil', '2|bolt', '3|crank'],
  parameters: ['42|ünï!|true|NULL'],
  'types-text': undefined,
  'types-binary': undefined,
  /** A row of types that the database's owner made: what a driver must look up in the catalog, it looks up. */
  'types-own': undefined,
  /** Once, then anew on another connection. */
  prepared: ['anvil', 'bolt', 'crank', 'anvil', 'bolt', 'crank'],
  /** A statement, one that breaks a unique key, a third, without waiting in between. This is what comes when each has its own Sync. */
  pipeline: ['1', '23505', '2'],
  /** A failure is rolled back to its savepoint, what came before and after it is committed. */
  transaction: ['23505', '2'],
  /** 10,000 lines, then one that is none. */
  'copy-in': ['10000|50005000', '22P02'],
  'copy-out': ['147788'],
  cancel: ['57014', '1'],
  listen: ['news:fresh'],
  /** A million rows, read as they come. */
  million: ['1000000', '500000500000'],
  /** Refused in the simple and the extended protocol; then one that is not. */
  denied: ['42501', '42501', '1'],
} as const satisfies Readonly<Record<string, readonly string[] | undefined>>;

/** Steps whose answers must be those of the database to the byte. */
export function isComparable(step: StepName): boolean {
  return step !== 'denied' && step !== 'million'; // A million rows are compared by their sum: there is nothing else in them.
}

/** SQL for the target: what the steps work on. */
export const SEED = `
  create table items (id int primary key, name text not null, price int not null);
  insert into items values (1, 'anvil', 300), (2, 'bolt', 2), (3, 'crank', 45);
  create type mood as enum ('sad', 'ok', 'happy');
  create type place as (street text, number int);
  create table homes (id int primary key references items, mood mood, home place);
  insert into homes values (1, 'happy', '("Main St",1)'), (2, null, null);
  create table loads (id int, note text);
  create table private (id int, secret text);
  create table kinds (id int primary key, i2 int2, i4 int4, i8 int8, b bool, t text, v varchar(20), f4 float4, f8 float8,
    n numeric(20, 5), z timestamptz, d date, u uuid, y bytea, j jsonb, a int4[], s text[]);
  insert into kinds values
    (1, 7, 70000, 7000000000, true, 'plain', 'short', 1.5, 2.25, 12345.678, '2026-02-03 04:05:06.789+00', '2026-02-03',
      '8f8e4a3c-1111-4222-8333-444455556666', '\\x00ff10', '{"b": [1, null, "x"], "a": {"c": true}}', '{1,2,NULL}', '{one,NULL,"t,wo"}'),
    (3, -32768, -2147483648, -9223372036854775808, false, '', 'ünï', -3.4028235e38, 5e-324, -999999999999999.99999,
      '1970-01-01 00:00:00+00', '0001-01-01', '00000000-0000-0000-0000-000000000000', '', '[]', '{}', '{""}');
  insert into kinds (id) values (2);
  grant select, insert, update, delete on all tables in schema public to shop_app;
`;
