/**
 * What the product does when things go wrong around it: nothing passes that was not decided and recorded, nothing acknowledged is lost, each
 * failure says what it is, and all goes on by itself once the cause is gone.
 *
 * A clock that jumps is not tried here: processes take the machine's clock, which a test must not turn. The parts that keep time are
 * tested with clocks of their own, beside their code.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../src/ledger/index.ts';
import { eventually } from '../support/eventually.ts';
import { mayLackPsql } from '../support/psql.ts';
import { ALLOW_ALL, type Stack, startStack } from '../support/stack.ts';
import { ROLES } from '../support/stack-folder.ts';
import { agentWay } from '../support/ways.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ seed: SEED });
});
afterAll(() => stack?.stop());

describe('a wrong configuration', () => {
  it.each([
    ['an unknown key', 'gateway: { listne: "127.0.0.1:1" }', /bad\.yaml:2:\d+.*listne/],
    ['a value of the wrong kind', 'gateway: { sessionsMax: many }', /bad\.yaml:2:\d+.*sessionsMax/],
    ['broken YAML', 'gateway: { listen: "', /bad\.yaml:\d+:\d+/],
  ])('is named with its place, and ends the role with 78: %s', async (_, line, message) => {
    const file = path.join(stack.folder.path, 'bad.yaml');
    fs.writeFileSync(file, `trustDomain: example.org\n${line}\n`);
    const finished = await stack.cli(['gateway', '--config', file]);
    expect(finished.stderr).toMatch(message);
    expect(finished).toMatchObject({ code: 78, stdout: '' });
  });
});

describe('a wrong password of the target', () => {
  it('refuses new sessions without saying what it was, and is gone with the right one', async () => {
    const before = await connect();
    await putSecret('wrong-password-canary');
    const failure = await connect().catch((error: pg.DatabaseError) => error);
    expect(failure).toMatchObject({ code: '28P01', message: 'the gateway could not log in to target shop' });
    expect(JSON.stringify(failure)).not.toMatch(/canary|shop_app/);
    expect(await ask(before)).toBe('ok');
    await before.end();
    await putSecret(stack.secrets.target);
    await using after = closing(await connect());
    expect(await ask(after.client)).toBe('ok');
  });
});

describe('a target that goes down', () => {
  it('ends its sessions with a reason, refuses new ones, and is used again once it is back', async () => {
    const open = await connect();
    const ended = new Promise<string | undefined>((resolve) => {
      open.once('error', (error: pg.DatabaseError) => resolve(error.code));
    });
    await stack.postgres.kill9();
    expect(await ended).toMatch(/^(57P0[12]|08006)$/);
    expect(await connect().catch((error: pg.DatabaseError) => error.code)).toBe('08006');
    await stack.postgres.restart();
    await eventually('a session', async () => (await ask(await connect())) === 'ok');
    await stack.roles.server.ready(); // Its store was in the same cluster.
    expect(await stack.cli(['entry', 'list'])).toMatchObject({ code: 0 });
  });
});

describe('a server that is away', () => {
  it('leaves open sessions, new sessions and new processes as they were, even when the agent is restarted meanwhile', async () => {
    await using open = closing(await connect());
    await stack.roles.server.end('SIGKILL');
    expect(await ask(open.client)).toBe('ok');
    await using next = closing(await connect());
    expect(await ask(next.client)).toBe('ok');

    expect(await stack.roles.agent.end('SIGTERM')).toBe(0);
    stack.roles.agent.start();
    await stack.roles.agent.ready();
    await eventually('a session through the restarted agent', async () => (await ask(await connect())) === 'ok');
    const shown = await stack.cli(['svid', 'show', '--json'], { user: stack.users.web });
    expect(JSON.parse(shown.stdout)).toMatchObject({ spiffeId: 'spiffe://example.org/web' });

    stack.roles.server.start();
    await stack.roles.server.ready();
    expect((await stack.cli(['target', 'list'])).stdout).toContain('shop');
  });
});

describe('a policy that changes', () => {
  it('holds for the next statement of an open session', async () => {
    await using open = closing(await connect());
    expect(await ask(open.client, 'select v from words')).toBe('ok');
    const forbid = '@id("no-words")\nforbid(principal, action, resource == Postgres::Table::"shop/shop/public/words");';
    await stack.apply({ 'words.cedar': forbid });
    expect(await ask(open.client, 'select v from words')).toBe('42501');
    expect(await ask(open.client, { name: 'kept', text: 'select 1' })).toBe('ok');
    await stack.apply({ 'words.cedar': `${ALLOW_ALL.replace('web-all', 'web-again')}` });
    expect(await ask(open.client, 'select v from words')).toBe('ok');
  });

  it('holds for a statement that was prepared before', async () => {
    await using open = closing(await connect());
    const prepared = { name: 'p', text: 'select v from words' };
    expect(await ask(open.client, prepared)).toBe('ok');
    await stack.apply({
      'words.cedar': '@id("no-reads")\nforbid(principal, action in Action::"postgres:read", resource);',
    });
    expect(await ask(open.client, prepared)).toBe('42501');
    await stack.apply({ 'words.cedar': `${ALLOW_ALL.replace('web-all', 'web-again')}` });
  });

  it('that is broken is refused as a whole, and the old ones stay', async () => {
    const finished = await stack.apply({
      'words.cedar': 'permit(principal, action == Action::"postgres:slect", resource);',
    });
    expect(finished.code).not.toBe(0);
    expect(finished.stderr).toContain('postgres:slect');
    await using open = closing(await connect());
    expect(await ask(open.client)).toBe('ok');
  });
});

describe.skipIf(mayLackPsql())('an entry that is deleted', () => {
  it('gives no new session', async ({ skip }) => {
    skip(!stack.users.separate, 'needs root, for a second user');
    const { stranger: user } = stack.users;
    const guest = ['--id', 'guest', '--spiffe-id', 'spiffe://example.org/web', '--selector', `unix:uid:${user}`];
    const parent = ['--parent-id', 'spiffe://example.org/countersign/nodes'];
    expect(await stack.cli(['entry', 'create', ...guest, ...parent])).toMatchObject({ code: 0, stderr: '' });
    await eventually('the guest gets in', async () => (await stack.psql('select 1', { user })).stdout === '1\n');
    expect(await stack.cli(['entry', 'delete', 'guest'])).toMatchObject({ code: 0 });
    const refused = await eventually('the guest is refused', async () => {
      const finished = await stack.psql('select 1', { user });
      return finished.code !== 0 && finished;
    });
    expect(refused.stderr).toContain('no identity issued');
  });
});

describe('a gateway that is killed under load', () => {
  it('has everything in its ledger that a client was told, and calls unknown what nobody can know', async () => {
    const acknowledged = await loadUntil(async () => {
      const entries = await eventually('a good number of operations', async () => {
        const all = await stack.ledger();
        return all.filter(isInsert).length > 300 && all;
      });
      await stack.roles.gateway.end('SIGKILL');
      return entries.length;
    });
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
    const entries = await stack.ledger();
    for (const [table, count] of acknowledged.entries()) {
      const intents = entries.filter((entry) => isInsert(entry) && touches(entry, `load_${table}`));
      const [row] = await stack.dba(`select count(*)::int as n from load_${table}`);
      const rows = Number(row?.['n']);
      expect(rows).toBeGreaterThanOrEqual(count);
      expect(intents.length).toBeGreaterThanOrEqual(rows);
      expect(rows - count).toBeLessThanOrEqual(1); // At most the one that nobody was told of.
    }
    const outcomes = new Map(
      entries.filter(({ kind }) => kind === 'outcome').map((entry) => [`${entry.session} ${entry.operation}`, entry]),
    );
    const intents = entries.filter(({ kind }) => kind === 'intent');
    const without = intents.filter(({ session, operation }) => !outcomes.has(`${session} ${operation}`));
    expect(without).toEqual([]);
    const unknown = [...outcomes.values()].filter(({ detail }) => detail['status'] === 'unknown');
    expect(unknown.length).toBeLessThanOrEqual(LOADS);
    await expectWhole();
  });

  it('leaves no query running at the target', async () => {
    const busy = await connect();
    const cut = busy.query('select pg_sleep(3600)').catch(() => {});
    const running = () =>
      stack.dba("select 1 from pg_stat_activity where query = 'select pg_sleep(3600)' and state = 'active'");
    await eventually('the statement runs', async () => (await running()).length === 1);
    await stack.roles.gateway.end('SIGKILL');
    await eventually('the server has ended it', async () => (await running()).length === 0);
    await cut;
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
  });
});

describe('SIGTERM to the gateway', () => {
  it('lets running statements come to their end, takes no new session, and ends with 0', async () => {
    const busy = await connect();
    const answer = ask(busy, 'select pg_sleep(1.5)');
    await eventually('the statement runs', async () => {
      const rows = await stack.dba(
        "select 1 from pg_stat_activity where query = 'select pg_sleep(1.5)' and state = 'active'",
      );
      return rows.length === 1;
    });
    const ended = stack.roles.gateway.end('SIGTERM');
    const refused = await eventually('a new session is refused', () =>
      connect().then(
        async (client) => void (await client.end()),
        (error: pg.DatabaseError) => error,
      ),
    );
    expect(refused.code).toMatch(/^(08006|57P01|57P03)$/);
    expect(await answer).toBe('ok');
    expect(await ended).toBe(0);
    await expectWhole();
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
    await eventually('a session', async () => (await ask(await connect())) === 'ok');
  });
});

describe('the secrets', () => {
  // A used token is part of its node's SPIFFE ID, as in SPIRE; it is worth nothing then. One that may still be used is a secret.
  const secrets = async () => {
    const made = await stack.cli(['node', 'token', '--json']);
    const { token } = JSON.parse(made.stdout) as { token: string }; // As `node token --json` prints it.
    expect(token.length).toBeGreaterThan(20);
    return { target: stack.secrets.target, store: stack.secrets.store, token };
  };

  // A role hides its environment even from its own user.
  it.runIf(process.getuid?.() === 0)(
    'are in no log, ledger, file of the run, command line or environment',
    async () => {
      const values = await secrets();
      await using open = closing(await connect());
      await ask(open.client);
      const pids = ['self', ...ROLES.map((role) => String(stack.roles[role].pid))];
      const processes = pids.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
      // A file that is written anew gets its name at the end: one that is gone by the time that it is read may have been missed under its new one.
      const { files, found } = await eventually('every file is read', () => {
        const all = filesBelow(stack.folder.path).filter((file) => file !== stack.folder.storeUrl);
        const told = [...all, ...processes].flatMap((file) => {
          const bytes = fs.readFileSync(file);
          return Object.entries(values).flatMap(([name, value]) => (holds(bytes, value) ? [`${name} in ${file}`] : []));
        });
        return { files: all, found: told };
      });
      expect(found).toEqual([]);
      expect(files.length).toBeGreaterThan(20);
    },
  );

  it('are in no table of the store', async () => {
    const values = await secrets();
    const ofStore = (sql: string) => stack.postgres.query(sql, [], 'control');
    const tables = await ofStore("select tablename from pg_tables where schemaname = 'public'");
    expect(tables.length).toBeGreaterThan(5);
    for (const { tablename } of tables) {
      const [row] = await ofStore(`select coalesce(string_agg(t::text, ' '), '') as text from "${tablename}" t`);
      const bytes = Buffer.from(String(row?.['text']));
      expect(Object.entries(values).filter(([, value]) => holds(bytes, value))).toEqual([]);
    }
  });

  it('and keys have files that nobody else may read', async () => {
    const open = await eventually('every file is looked at', () =>
      ROLES.flatMap((role) => filesBelow(stack.folder.data[role])).filter(
        (file) => (fs.statSync(file).mode & 0o077) !== 0,
      ),
    );
    expect(open).toEqual([]);
    for (const role of ROLES) expect(fs.statSync(stack.folder.data[role]).mode & 0o777).toBe(0o700);
  });
});

/** Connects through the agent. */
function connect(): Promise<pg.Client> {
  return agentWay(stack).connect();
}

/** `ok`, or the SQLSTATE. */
function ask(client: pg.Client, query: string | pg.QueryConfig = 'select 1'): Promise<string> {
  return client.query(query).then(
    () => 'ok',
    (error: pg.DatabaseError) => error.code ?? error.message,
  );
}

function closing(client: pg.Client): AsyncDisposable & { readonly client: pg.Client } {
  return { client, [Symbol.asyncDispose]: () => client.end() };
}

async function putSecret(value: string): Promise<void> {
  const finished = await stack.cli(['target', 'secret', 'shop-password'], { user: stack.users.gateway, stdin: value });
  expect(finished).toMatchObject({ code: 0, stderr: '' });
}

/** Clients insert as fast as they can, each into its own table, until `stop` is done; returns how many inserts each was told of. */
async function loadUntil(stop: () => Promise<unknown>): Promise<number[]> {
  const counts = Array.from({ length: LOADS }, () => 0);
  const loads = counts.map(async (_, table) => {
    const client = await connect();
    try {
      for (;;) {
        await client.query(`insert into load_${table} values ($1)`, [counts[table]]);
        counts[table] = (counts[table] ?? 0) + 1;
      }
    } catch {
      // The end of the gateway ends the load.
    }
  });
  await stop();
  await Promise.all(loads);
  return counts;
}

function isInsert(entry: LedgerEntry): boolean {
  return entry.kind === 'intent' && entry.action === 'postgres:insert';
}

function touches(entry: LedgerEntry, table: string): boolean {
  return JSON.stringify(entry.detail['questions']).includes(`/${table}"`);
}

async function expectWhole(): Promise<void> {
  const finished = await stack.cli(['ledger', 'verify', '--json'], { user: stack.users.gateway });
  expect(JSON.parse(finished.stdout)).toMatchObject({ ok: true });
}

function filesBelow(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** The value itself, in hex, or in base64 at any of its three offsets. */
function holds(bytes: Buffer, value: string): boolean {
  const base64 = [0, 1, 2].map((offset) => Buffer.from(value).subarray(offset).toString('base64').slice(0, -4));
  return [value, Buffer.from(value).toString('hex'), ...base64].some((shape) => bytes.includes(shape));
}

const LOADS = 4;
const SEED = `
  create table words (v text);
  ${Array.from({ length: LOADS }, (_, table) => `create table load_${table} (n int);`).join(' ')}
  grant all on all tables in schema public to shop_app;
`;
