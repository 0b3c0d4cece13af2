// Goal: with a mask on one table, psql shows of all others, and of the database, what it shows without the gateway.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, it as always, beforeAll, expect } from 'vitest';
import { mayLackPsql, psqlBinary } from '../../../../../test/support/psql.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { cedarPolicy } from '../testing/cedar-policy.ts';
import { startTarget } from '../testing/harness.ts';

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);`;

const SEED = `
  create table people (id int primary key, ssn text); insert into people values (1, 'CANARY');
  create table customers (id serial primary key, name text not null default 'x', n int check (n > 0), at timestamptz default now());
  create index on customers (lower(name));
  create table orders (id int primary key, customer int references customers);
  create table parts (id int, day date) partition by range (day);
  create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01');
  create view shown as select id, name from customers;
  create type mood as enum ('a', 'b'); create domain positive as int check (value > 0);
  create function twice(int) returns int language sql as 'select $1 * 2'; comment on table customers is 'hello';
  create statistics few on id, customer from orders; create publication everything for table customers;
  grant all on all tables in schema public to gate; grant all on all tables in schema public to postgres;`;

const COMMANDS = [
  ...[
    '\\d',
    '\\d+ customers',
    '\\d orders',
    '\\d+ parts',
    '\\d+ parts_1',
    '\\d+ shown',
    '\\d customers_id_seq',
    '\\da',
    '\\db',
  ],
  ...[
    '\\dC',
    '\\dconfig work_mem',
    '\\dD+',
    '\\ddp',
    '\\des+',
    '\\det+',
    '\\dew+',
    '\\df+ twice',
    '\\dg+',
    '\\di+',
    '\\dL',
    '\\dm',
  ],
  ...[
    '\\dn+',
    '\\do ###',
    '\\dp',
    '\\dP+',
    '\\drds',
    '\\dRp+',
    '\\dRs',
    '\\ds+',
    '\\dt+',
    '\\dT+',
    '\\dv+',
    '\\dx+',
    '\\dX',
    '\\dy',
    '\\l+',
  ],
  ...['\\sf twice', '\\sv shown', '\\z', 'select count(*) from pg_prepared_statements', 'select name from pg_cursors'],
  ...['select gid from pg_prepared_xacts', 'select relname, n_live_tup >= 0 from pg_stat_user_tables order by 1'],
  ...['select count(pid) > 0 from pg_stat_activity', 'select pg_terminate_backend(null), pg_cancel_backend(null)'],
  'select column_name, data_type from information_schema.columns where table_name = $$orders$$ order by 1',
];

const it = always.skipIf(mayLackPsql());
const run = promisify(execFile);
let server: AppDatabase;
let gate: Awaited<ReturnType<typeof startTarget>>;

beforeAll(async () => {
  server = await startAppDatabase(SEED);
  gate = await startTarget({
    ...server.target,
    policy: cedarPolicy(POLICIES),
  });
});
afterAll(async () => {
  await gate?.close();
  await server?.stop();
});

async function shown(port: number): Promise<string> {
  const psql = psqlBinary() ?? 'psql';
  const commands = COMMANDS.flatMap((command) => ['-c', `\\echo ${command.replaceAll('$$', '')}`, '-c', command]);
  const place = ['-X', '-h', '127.0.0.1', '-p', String(port), '-U', 'gate', ...commands, 'app'];
  const { stdout, stderr } = await run(psql, place, { env: { ...process.env, PGPASSWORD: 'secret' } });
  return `${stdout}${stderr}`;
}

it('psql describes everything as without masks', async () => {
  const text = await shown(gate.port);
  expect(text).toBe(await shown(server.port));
  expect(text).not.toContain('CANARY');
});
