import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { maskedAttributes } from './stub-sql.ts';

/** A real server with a database `app`, and the gateway's own login to it. */
export interface AppDatabase extends TestPostgres {
  /** What a target is told of it. */
  readonly target: {
    readonly config: Readonly<Record<string, unknown>>;
    /** Its password, by reference. */
    readonly env: Readonly<Record<string, string>>;
  };
}

/** Starts it; `seed` is SQL of the superuser, who grants `gate` what it may do. */
export async function startAppDatabase(seed: string): Promise<AppDatabase> {
  const server = await startPostgres({ users: { gate: 'secret' }, databases: ['app'] });
  await server.query(seed, [], 'app');
  const { host, port } = server;
  const config = { host, port, database: 'app', user: 'gate', password: 'env:PW' };
  return { ...server, target: { config, env: { 'env:PW': 'secret' } } };
}

/** Starts one with people, whose `ssn` the stub planner masks where it is told to mask, and notes. */
export async function startPeople(): Promise<AppDatabase> {
  const server = await startAppDatabase(
    `create table people (id int primary key, name text, ssn text);
     insert into people values (1, 'Ann', '123-45-6789'), (2, 'Bob', null), (3, 'Cyd', '987-65-4321');
     create table notes (id int primary key, body text);
     grant all on people, notes to gate`,
  );
  const [row] = await server.query(`select 'people'::regclass::oid::int as oid`, [], 'app');
  maskedAttributes.set(`${Number(row?.['oid'])}:3`, 'redact');
  return server;
}
