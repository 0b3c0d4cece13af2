/**
 * PostgreSQL's own tools, as Debian packages them: psql, pgbench and pg_dump through the agent's socket and by TLS with the files of an
 * SVID. What they do through the gateway must be what they do without it.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type Daemon, type Finished, run } from '../../support/processes.ts';
import { ALLOW_ALL, type Stack, startStack } from '../../support/stack.ts';
import { agentWay, directWay, startSvidFiles } from '../../support/ways.ts';
import { commandIn, mayLack } from '../toolchain.ts';
import { type DebianServer, debianPostgres, startDebianServer } from './debian-postgres.ts';
import { firstDifference, messageCount, startTap } from './tap.ts';

const bin = debianPostgres();
/** Runs a command on a pseudo-terminal. */
const terminal = commandIn(['/usr/bin'], 'script');

describe.skipIf(mayLack(bin))("PostgreSQL's own tools", () => {
  let server: DebianServer;
  let stack: Stack;
  let svid: { folder: string; daemon: Daemon };
  let work: string;

  beforeAll(async () => {
    if (bin === undefined) throw new Error('psql, pgbench, pg_dump and a server are needed: install postgresql');
    server = await startDebianServer(bin, SEED);
    const target = { port: server.port, password: undefined };
    stack = await startStack({ store: 'sqlite', policies: POLICIES, target });
    svid = await startSvidFiles(stack);
    work = stack.folder.privateFolder('tools', stack.users.web);
  });
  afterAll(async () => {
    await svid?.daemon.end('SIGKILL');
    await stack?.stop();
    await server?.stop();
  });

  /** Runs a tool as `web`. */
  const tool = (name: string, args: readonly string[], env: Readonly<Record<string, string>>, stdin = '') =>
    run(path.join(bin ?? '', name), args, {
      user: stack.users.web,
      env: { HOME: work, PGDATABASE: 'shop', PGPASSWORD: 'unused', ...env },
      stdin,
      withinMs: TOOL_MS_MAX,
    });
  /** The same as the role of the gateway, without it. */
  const direct = () => ({ PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: 'shop_app' });
  const WAYS: readonly (readonly [string, () => Readonly<Record<string, string>>])[] = [
    ["through the agent's socket", () => agentWay(stack).env],
    ['by TLS', () => directWay(stack, svid.folder, 'postgres').env],
  ];

  describe('psql', () => {
    it('gets the answers of the database to the byte', async () => {
      const args = ['-X', '-a', '-b', '-f', '-'];
      await using plain = await startTap(path.join(server.socketDir, `.s.PGSQL.${server.port}`));
      await using tap = await startTap(path.join(stack.socketDir, '.s.PGSQL.5432'));
      const script = psqlScript(work);
      const wanted = await tool('psql', args, { PGHOST: plain.socketDir, PGUSER: 'shop_app' }, script);
      const found = await tool('psql', args, { PGHOST: tap.socketDir, PGUSER: 'workload' }, script);
      expect(wanted.stdout).toContain('THE END');
      expect(withoutPids(found)).toEqual(withoutPids(wanted));
      expect(firstDifference(plain.recorded, tap.recorded)).toBeUndefined();
      expect(messageCount(tap.recorded)).toBeGreaterThan(10_000);
    });

    it.each(WAYS)('%s does the same', async (_, way) => {
      const args = ['-X', '-a', '-b', '-f', '-'];
      const script = psqlScript(work);
      const [wanted, found] = [await tool('psql', args, direct(), script), await tool('psql', args, way(), script)];
      expect(withoutPids(found)).toEqual(withoutPids(wanted));
    });

    it.each([
      ['the locale C', { LC_ALL: 'C' }, 'SQL_ASCII'],
      ['LATIN1', { PGCLIENTENCODING: 'LATIN1' }, 'LATIN1'],
    ])('on a terminal in %s reads what it reads of the database', async (_, locale, encoding) => {
      if (terminal === undefined) throw new Error('there is no script: install bsdutils (util-linux)');
      const text = "show client_encoding; select 'gr\u00fcn' as v; set client_encoding to utf8; select 1 as one";
      const command = `${path.join(bin ?? '', 'psql')} -X -A -P pager=off -c "${text}"`;
      const onTerminal = (env: Readonly<Record<string, string>>) =>
        run(terminal, ['-q', '-e', '-c', command, '/dev/null'], {
          user: stack.users.web,
          env: { HOME: work, TERM: 'dumb', PGDATABASE: 'shop', PGPASSWORD: 'unused', ...env, ...locale },
          stdin: '',
          withinMs: TOOL_MS_MAX,
        });
      const found = await onTerminal(agentWay(stack).env);
      expect(found).toEqual(await onTerminal(direct()));
      expect(found).toMatchObject({ code: 0, stdout: expect.stringContaining(`${encoding}\r\n`) });
      expect(found.stdout).toContain('one\r\n1\r\n');
    });

    it('reads the same of names that do not exist, though the gateway says it without asking', async () => {
      const args = ['-X', '-q', '-A', '-t', '-f', '-'];
      const script = UNKNOWN.map((text) => `${text};\n\\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n`).join('');
      const { stdout } = await tool('psql', args, agentWay(stack).env, script);
      expect(stdout).toBe((await tool('psql', args, direct(), script)).stdout);
      expect(stdout.split('\n')).toHaveLength(UNKNOWN.length + 1);
    });

    it.each(WAYS)('%s reads a million rows by a cursor, and goes on after a denial', async (_, way) => {
      const { code, stdout, stderr } = await tool('psql', ['-X', '-q', '-A', '-t', '-f', '-'], way(), MILLION);
      expect(stderr).toBe(
        'psql:<stdin>:3: ERROR:  a policy forbids postgres:select on shop/shop/public/private\nDETAIL:  countersign: policy-denied; policies: no-private\n',
      );
      expect({ code, lines: stdout.split('\n').length, end: stdout.slice(-17) }).toEqual({
        ...{ code: 0, lines: 1_000_002, end: '1000000\ngood one\n' },
      });
    });

    it.each(WAYS)('%s gets half a gigabyte, of which the gateway holds next to nothing', async (_, way) => {
      const before = await heldBytes(stack);
      let [most, over] = [before, false];
      const watching = eventually(
        'the end of the answer',
        async () => {
          most = Math.max(most, await heldBytes(stack));
          return over;
        },
        { withinMs: TOOL_MS_MAX },
      );
      const copied = tool('psql', ['-X', '-q', '-o', '/dev/null', '-c', WIDE], way()).finally(() => {
        over = true;
      });
      expect(await copied).toEqual({ code: 0, stdout: '', stderr: '' });
      await watching;
      expect(most - before).toBeLessThan(HELD_BYTES_MAX);
    });

    it('cancels what runs when it is interrupted', async () => {
      const script = 'select pg_sleep(60);\nselect 1 as after;\n';
      const options = { user: stack.users.web, env: { HOME: work, PGDATABASE: 'shop', ...agentWay(stack).env } };
      let interrupt = () => {};
      const ended = run(path.join(bin ?? '', 'psql'), ['-X', '-A', '-t', '-f', '-'], {
        ...{ ...options, stdin: script },
        started: (child) => {
          interrupt = () => void child.kill('SIGINT');
        },
      });
      await eventually('the statement runs', async () => {
        const { stdout } = await tool('psql', ['-X', '-A', '-t', '-c', SLEEPING], direct());
        return stdout.trim() === '1';
      });
      interrupt();
      expect((await ended).stderr).toContain('canceling statement due to user request');
    });
  });

  describe('pgbench', () => {
    it.each(WAYS)('%s fills its tables and runs its scripts in all protocols', async (_, way) => {
      for (const steps of ['dtgvpf', 'dtGvp']) {
        expect(await tool('pgbench', ['-i', '-q', '-I', steps], way())).toMatchObject({ code: 0 });
      }
      const pipelined = path.join(work, 'pipelined.sql');
      fs.writeFileSync(pipelined, PIPELINED);
      fs.chmodSync(pipelined, 0o644);
      for (const protocol of ['simple', 'extended', 'prepared']) {
        for (const script of ['-btpcb-like', '-bsimple-update', '-bselect-only', `-f${pipelined}`]) {
          if (protocol === 'simple' && script.startsWith('-f')) continue; // It can't pipeline simple queries.
          const result = await tool('pgbench', ['-n', '-c', '4', '-j', '2', '-t', '50', '-M', protocol, script], way());
          expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('processed: 200/200') });
        }
      }
      const { stdout } = await tool('psql', ['-X', '-A', '-t', '-c', BALANCES], direct());
      expect(stdout.trim()).toBe('t|1200');
    });
  });

  describe('pg_dump', () => {
    it.each(WAYS)('%s writes what it writes without the gateway', async (_, way) => {
      for (const args of DUMPS) {
        const [wanted, found] = [await tool('pg_dump', args, direct()), await tool('pg_dump', args, way())];
        expect({ args, ...found }).toEqual({ args, ...wanted });
        expect(wanted).toMatchObject({ code: 0, stdout: expect.stringContaining('visits_2026') });
      }
    });

    it('needs no more than to connect and to read', async () => {
      if (!stack.users.separate) return; // The other identity is told by its user.
      const reader = { user: stack.users.batch, env: { HOME: '/', PGDATABASE: 'shop', ...agentWay(stack).env } };
      const args = ['-n', 'archive', '--restrict-key=same'];
      const found = await run(path.join(bin ?? '', 'pg_dump'), args, reader);
      expect(found).toEqual(await tool('pg_dump', args, direct()));
      const refused = await run(path.join(bin ?? '', 'pg_dump'), [...args, '-n', 'public'], reader);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('shop/shop/public/private') });
    });

    it.each(WAYS)('%s dumps with several connections on one snapshot', async (name, way) => {
      const folder = path.join(work, `dump-${name.length}`);
      expect(await tool('pg_dump', ['-Fd', '-j2', '-n', 'archive', '-f', folder], way())).toMatchObject(GOOD);
      const plain = await tool('pg_dump', ['-n', 'archive'], direct());
      expect(withoutTokens(await tool('pg_restore', ['-f', '-', folder], {}))).toEqual(withoutTokens(plain));
    });

    it('wrote all that is needed: psql restores it through the gateway', async () => {
      const args = ['-n', 'archive', '--restrict-key=same', '--no-owner'];
      const { stdout } = await tool('pg_dump', args, agentWay(stack).env);
      expect(await tool('psql', ['-X', '-q', '-c', 'drop schema archive cascade'], direct())).toMatchObject({
        code: 0,
      });
      const quiet = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', '-'];
      expect(await tool('psql', quiet, agentWay(stack).env, stdout)).toEqual({ code: 0, stdout: '', stderr: '' });
      expect((await tool('pg_dump', args, direct())).stdout).toBe(stdout);
    });
  });
});

/** What the gateway's own objects and buffers take. Not its resident memory: the compiler takes and gives back hundreds of megabytes. */
async function heldBytes({ folder }: Stack): Promise<number> {
  const text = await (await fetch(`http://${folder.http.gateway}/metrics`)).text();
  const sizes = ['heap_size_used', 'external_memory'].map((name) => {
    const [, value] = new RegExp(`^nodejs_${name}_bytes ([0-9.e+]+)$`, 'm').exec(text) ?? [];
    return Number(value);
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Process ids of who sent a notification differ, nothing else. */
function withoutPids({ code, stdout, stderr }: Finished): Finished {
  return { code, stderr, stdout: stdout.replaceAll(/(server process with PID) \d+/g, '$1 x') };
}

/** Newer minor releases put a random token around a dump. */
function withoutTokens({ stdout }: Finished): string {
  return stdout.replace(/^\\(un)?restrict .*$/gm, '').trim();
}

const GOOD = { code: 0, stderr: '' };
const TOOL_MS_MAX = 60_000;
const SLEEPING = `select count(*) from pg_stat_activity where wait_event = 'PgSleep'`;
const POLICIES = {
  'web-all': ALLOW_ALL,
  rules: `
    @id("batch-reads")
    permit(principal == Identity::"spiffe://example.org/batch", action in [Action::"postgres:connect", Action::"postgres:select"],
      resource in Target::"shop");
    @id("no-private")
    forbid(principal, action, resource == Postgres::Table::"shop/shop/public/private");
  `,
};
const SEED = `
  create table items (id int primary key, name text not null, price int not null);
  insert into items values (1, 'anvil', 300), (2, 'bolt', 2), (3, 'crank', 45);
  create table loads (id int, note text);
  create table private (id int, secret text);
  create schema archive;
  set search_path to archive;
  ${fs.readFileSync(path.join(import.meta.dirname, 'dump-schema.sql'), 'utf8')}
`;
/** Options of pg_dump; each text must be the same. */
const DUMPS: readonly (readonly string[])[] = [
  ['-n', 'archive', '--restrict-key=same'],
  ['-n', 'archive', '--restrict-key=same', '--data-only', '--rows-per-insert=2'],
  ['-n', 'archive', '--restrict-key=same', '--schema-only', '--quote-all-identifiers'],
];
const UNKNOWN = [
  'select * from nowhere',
  'select * from nowhere.items',
  'select nothing from items',
  'execute nothing',
  'fetch nothing',
  'selct 1',
  'select 1 +',
];
const MILLION = `\\set FETCH_COUNT 5000
select n from generate_series(1, 1000000) n;
select * from private;
select 'good one';
`;
const WIDE = 'copy (select n, repeat(md5(n::text), 16) from generate_series(1, 1000000) n) to stdout';
/** A quarter of that answer: what is read and not yet collected as garbage counts as well. */
const HELD_BYTES_MAX = 130 * 1024 * 1024;
const PIPELINED = `\\startpipeline
select abalance from pgbench_accounts where aid = 1;
select abalance from pgbench_accounts where aid = 2;
\\endpipeline
`;
/** Every account, teller and branch has what its history says; history has the transactions that write it, of three protocols. */
const BALANCES = `select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history),
  (select count(*) from pgbench_history)`;

/** What psql is used for: what it prints and the bytes it gets are compared. */
function psqlScript(folder: string): string {
  const file = path.join(folder, 'copied.txt');
  return `select id, name from items order by id;
select 1 as one \\; select 2 as two;
\\x on
select * from items where id = 1;
\\x off
\\gdesc
select id, name from items \\gdesc
select id as a, price as b from items where id = 2 \\gset
\\echo :a :b
\\encoding
\\dt
\\d items
\\d+ archive.people
\\d+ archive.visits
\\dv archive.*
\\df+ archive.*
\\dT+ archive.*
\\di archive.*
\\ds archive.*
\\dn+
\\dp items
\\drds
\\dO
\\dx
\\db
\\dD archive.*
\\dX archive.*
\\du
\\l shop
\\sf archive.add_one
\\sv archive.adults
\\prepare
prepare item (int) as select name from items where id = $1;
execute item(1);
execute item(3);
deallocate item;
begin;
insert into items values (100, 'gear', 1);
savepoint a;
insert into items values (1, 'twice', 1);
select 1;
rollback to savepoint a;
insert into items values (101, 'hinge', 1);
release savepoint a;
commit;
select count(*) from items where id >= 100;
delete from items where id >= 100 returning id, name;
\\set ON_ERROR_ROLLBACK on
begin;
select 1/0;
select 'still here';
rollback;
\\set ON_ERROR_ROLLBACK off
insert into loads select n, 'note ' || n from generate_series(1, 10000) n;
\\copy loads to '${file}'
delete from loads;
\\copy loads from '${file}'
select count(*), sum(id), md5(string_agg(note, ',' order by id)) from loads;
delete from loads;
copy loads from stdin csv header;
id,note
1,"a ""quoted"" one"
2,
\\.
copy (select * from loads order by id) to stdout with (format csv, header);
copy loads from stdin;
not a number	x
\\.
copy loads to stdout (format binary);
delete from loads;
listen news;
notify news, 'fresh';
select 'heard';
unlisten *;
select 'a' || 1 from items where id = 'x';
select archive.noisy();
set datestyle to german;
select date '2026-11-22', null::text, array[1, null, 3], '{"a": 1}'::jsonb, 1e300::float8, 'x'::bytea, interval '1 day 2 hours';
show datestyle;
reset datestyle;
set application_name to 'renamed';
declare c cursor with hold for select n from generate_series(1, 10) n;
fetch 3 from c;
move 2 in c;
fetch all from c;
close c;
create temp table mine (a int);
insert into mine values (1), (2);
select a + 0 as a, count(*) over () from mine order by a;
truncate mine;
drop table mine;
drop table if exists nowhere;
explain (costs off) select * from items where id = 1;
values (1, 'a'), (2, 'b');
table items;
with moved as (insert into loads values (7, 'x') returning *) select * from moved;
delete from loads;
select n, repeat('x', n) from generate_series(1, 3000) n;
;
\\echo THE END
`;
}
