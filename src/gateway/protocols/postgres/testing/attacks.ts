import pg from 'pg';
import { eventually } from '../../../../../test/support/eventually.ts';
import { startAppDatabase } from './app-database.ts';
import { cedarPolicy } from './cedar-policy.ts';
import { startTarget } from './harness.ts';

/**
 * Who says what: `a` and `b` are sessions of the same identity, and `a…` waits for `b`; the owner comes before both; `other` is the gateway's login
 * in its turn, whom no gateway stands before.
 */
export type Step = readonly ['owner' | 'a' | 'a…' | 'b' | 'other', string];

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);`;

const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table people (id int primary key, name text not null, ssn varchar(20), shop int);
  insert into people values (1, 'Ann', 'CANARY-1', 1), (2, 'Bob', 'CANARY-2', 1);
  create table notes (id int, note text); insert into notes values (1, null);`;

interface Attack {
  readonly steps: readonly Step[];
  /** Options of CREATE DATABASE. */
  readonly database?: string;
  /** Others than those that permit all and mask `people.ssn`. */
  readonly policies?: string;
}

/** A real server whose `people.ssn` is masked for an identity that may do whatever else it likes, and holds canaries; or one with another `seed`. */
export async function startAttacks({ seed = SEED }: { readonly seed?: string } = {}) {
  const server = await startAppDatabase('select 1');
  const { host, port } = server;

  /** A statement waits for a lock, or sleeps. */
  async function isWaiting(): Promise<boolean> {
    const [row] = await server.query(
      "select from pg_stat_activity where usename = 'gate' and state = 'active' and application_name <> 'countersign catalog' and wait_event_type in ('Lock', 'Timeout')",
    );
    return row !== undefined;
  }

  async function prepare({ steps, database = '' }: Attack): Promise<void> {
    await server.query('drop database app with (force)');
    await server.query(`create database app ${database}`);
    // What some owners make of it outlives the database.
    await server.query('alter role gate nosuperuser');
    const owned = steps.flatMap(([who, sql]) => (who === 'owner' ? [sql] : [])).join(';');
    await server.query(`${seed} ${owned}`, [], 'app');
  }

  async function play({ steps }: Attack, to: pg.ClientConfig): Promise<string> {
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
    const say = (who: 'a' | 'b', sql: string) =>
      sessions[who].query(sql).then(
        (answers) => void seen.push([answers].flat().map(({ rows }) => rows)),
        (error: unknown) => void seen.push(String(error), Object.entries(Object(error))),
      );
    let pending: Promise<unknown> | undefined;
    for (const [who, sql] of steps) {
      if (who === 'owner') continue;
      // It may fail on what a refused step has not made.
      if (who === 'other') await server.query(`set role gate; ${sql}`, [], 'app').catch(() => {});
      else if (who === 'a…') {
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

  return {
    /** All that comes back to the two sessions: rows, and errors and notices with all their fields. */
    async seenBy(attack: Attack): Promise<string> {
      await prepare(attack);
      const policy = cedarPolicy(attack.policies ?? POLICIES);
      const gate = await startTarget({ ...server.target, policy });
      try {
        return await play(attack, { host: '127.0.0.1', port: gate.port, user: 'web' });
      } finally {
        await gate.close();
      }
    },
    /** The same of sessions of the gateway's login that no gateway stands before. */
    async seenWithout(attack: Attack): Promise<string> {
      await prepare(attack);
      return play(attack, { host, port, user: 'gate', password: 'secret' });
    },
    stop: () => server.stop(),
  };
}
