import pg from 'pg';
import { eventually } from '../../../../../test/support/eventually.ts';
import { startAppDatabase } from './app-database.ts';
import { cedarPolicy } from './cedar-policy.ts';
import { startTarget } from './harness.ts';

/** Who says what: `a` and `b` are sessions of the same identity; `a…` isn't waited for. The owner comes before both. */
export type Step = readonly ['owner' | 'a' | 'b' | 'a…', string];

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);
  @id("log") forbid (principal, action, resource) when { resource == Postgres::Table::"db/app/public/log" };`;

/** `shops` and `names` show nothing masked, and lead to `people`: by its key, which changes with theirs, and by being a view of it. */
const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table shops (id int primary key, name text); insert into shops values (1, 'one');
  create table people (id int primary key, name text not null, ssn varchar(20),
    shop int references shops on update cascade check (shop < 100));
  insert into people values (1, 'Ann', 'CANARY-1', 1), (2, 'Bob', 'CANARY-2', 1);
  create view names as select id, name from people;
  create table notes (id int, note text); create table mine (id int primary key); insert into mine values (1);
  create function leak() returns text language sql as 'select ssn from public.people where id = 1';
  create function leaky() returns boolean language plpgsql as 'begin return (select ssn::int from public.people where id = 1) > 0; end';
`;

/** What runs without being named, and is not proven: with it nothing is. */
const UNPROVEN = `
  create domain told as int check (leaky()); create type pair as (v told);
  create table defaulted (id int, x text default leak());
  create function trap() returns trigger language plpgsql as $$ begin raise exception '%', leak(); end $$;
  create table trapped (id int, x text); create trigger trap before insert on trapped for each row execute function trap();
  create type mood as enum ('sad'); create function mood_text(mood) returns text language sql as 'select leak()';
  create table moods (m mood); insert into moods values ('sad');
  reset role; create cast (mood as text) with function mood_text(mood) as assignment; set role gate;`;

/** A real server whose `people.ssn` is masked for an identity that may do whatever else it likes, and holds canaries. */
export async function startAttacks({ isAllProven }: { isAllProven: boolean }) {
  const server = await startAppDatabase('select 1');
  const { host, port } = server;

  async function play(steps: readonly Step[], to: pg.ClientConfig): Promise<string> {
    const seen: unknown[] = [];
    const open = async () => {
      const client = new pg.Client({ database: 'app', ...to });
      client.on('notice', (notice) => void seen.push(notice.message, Object.entries(notice)));
      // The database is dropped under what a failed test leaves open.
      client.on('error', () => {});
      await client.connect();
      return client;
    };
    const sessions = { a: await open(), b: await open() };
    const say = async (who: 'a' | 'b', sql: string) => {
      const answers = await sessions[who].query(sql).catch((error: unknown) => {
        seen.push(String(error), Object.entries(Object(error)));
        return [];
      });
      seen.push([answers].flat().map(({ rows }) => rows));
    };
    let pending: Promise<unknown> | undefined;
    for (const [who, sql] of steps) {
      if (who === 'owner') continue;
      if (who === 'a…') {
        let isOver = false;
        pending = say('a', sql).then(() => {
          isOver = true;
        });
        await eventually('the statement waits', async () => isOver || (await isWaiting()));
      } else await say(who, sql);
    }
    await pending;
    await say('b', 'rollback');
    for (const client of Object.values(sessions)) await client.end();
    return JSON.stringify(seen);
  }

  /** A statement waits for a lock, or sleeps. */
  async function isWaiting(): Promise<boolean> {
    const [row] = await server.query(
      "select from pg_stat_activity where usename = 'gate' and state = 'active' and application_name <> 'countersign catalog' and wait_event_type in ('Lock', 'Timeout')",
    );
    return row !== undefined;
  }

  async function prepare(steps: readonly Step[]): Promise<void> {
    await server.query('drop database app with (force)');
    await server.query('create database app');
    // Roles are not a database's own.
    await server.query('alter role gate nosuperuser');
    const owned = steps.flatMap(([who, sql]) => (who === 'owner' ? [sql] : [])).join(';');
    await server.query(`${SEED} ${isAllProven ? '' : UNPROVEN} ${owned}`, [], 'app');
  }

  return {
    /** All that comes back to the two sessions: rows, and errors and notices with all their fields. */
    async seenBy(steps: readonly Step[]): Promise<string> {
      await prepare(steps);
      const gate = await startTarget({ ...server.target, policy: cedarPolicy(POLICIES) });
      try {
        return await play(steps, { host: '127.0.0.1', port: gate.port, user: 'web' });
      } finally {
        await gate.close();
      }
    },
    /** The same of sessions of the gateway's login that no gateway stands before. */
    async seenWithout(steps: readonly Step[]): Promise<string> {
      await prepare(steps);
      return play(steps, { host, port, user: 'gate', password: 'secret' });
    },
    stop: () => server.stop(),
  };
}

const CAUGHT = 'get stacked diagnostics d = pg_exception_detail;';
const catching = (sql: string, then: string) =>
  `declare d text; begin ${sql}; exception when others then ${CAUGHT} ${then} end`;
/** A block that notes what the error of a statement tells. */
export const block = (sql: string) =>
  `do $b$ ${catching(sql, "insert into notes values (9, sqlerrm || coalesce(d, ''));")} $b$`;
/** A function that answers it. */
export const teller = (name: string, sql: string) =>
  `create function ${name}() returns text language plpgsql as $b$ ${catching(sql, "return sqlerrm || coalesce(d, '');")} $b$`;
/** A trigger that notes it. */
export const telling = (name: string, sql: string) =>
  trigger(name, `${catching(sql, "insert into notes values (9, sqlerrm || coalesce(d, ''));")};`);
export const trigger = (name: string, body: string) =>
  `create function ${name}() returns trigger language plpgsql as $b$ begin ${body} return new; end $b$`;
/** A trigger of the owner's on masked rows. */
export const audit = (body: string): readonly Step[] => [
  ['owner', trigger('audit', body)],
  ['owner', 'create trigger audit before update on people for each row execute function audit()'],
];
export const touch: Step = ['b', 'update people set name = name'];
