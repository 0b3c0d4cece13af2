import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import {
  bind,
  execute,
  extended,
  message,
  openRawClient,
  parse,
  query,
  sync,
} from '../../../../../test/support/raw-session.ts';
import { noObligations } from '../../../../model/index.ts';
import { startTarget } from '../testing/harness.ts';

// Goal: what the gateway says of a database is what its sessions find, whatever the database's own defaults are; and clients of any served
// encoding are read as the server reads them, from the first text to the last, whatever changes in between.

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ users: { gate: 'secret' } });
  for (const encoding of ['LATIN1', 'SQL_ASCII'])
    await server.query(
      `create database ${encoding} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`,
    );
  await server.query('create database strings');
  await server.query(
    `create table "é" as select 'free' as name; create table "Ã©" as select 'closed' as name;
     create function other_encoding(name text) returns text language sql as 'select set_config(''client_encoding'', name, false)';
     grant select on "é", "Ã©" to gate`,
  );
  await server.query('alter database strings set standard_conforming_strings = off');
});
afterAll(() => server?.stop());

test.each([
  'latin1',
  'sql_ascii',
  'strings',
])('the database %s is served, and a look at it says so', async (database) => {
  const { host, port } = server;
  const config = { host, port, database, user: 'gate', password: 'env:PW' };
  const gate = await startTarget({ config, env: { 'env:PW': 'secret' } });
  try {
    expect(await gate.target.check(AbortSignal.timeout(10_000))).toBeUndefined();
    const client = await openRawClient(gate.port);
    client.send(query('select 1'));
    expect(await client.ready()).toEqual(expect.arrayContaining(['D:1', 'C:SELECT 1', 'Z:I']));
    client.close();
  } finally {
    await gate.close();
  }
});

/** A session of a login that may not read the table Ã©, whose bytes in UTF-8 are also those of é in LATIN1. */
async function session(
  options: { encoding?: string; database?: string; masks?: boolean } = {},
): Promise<Awaited<ReturnType<typeof openRawClient>>> {
  const { host, port } = server;
  const gate = await startTarget({
    config: { host, port, database: options.database ?? 'postgres', user: 'gate', password: 'env:PW' },
    env: { 'env:PW': 'secret' },
    policy: {
      decide: (_, resource) =>
        resource.id.includes('%C3%83') || resource.id.includes('Ã')
          ? { allow: false, reason: 'no-permit', policies: [] }
          : { allow: true, policies: ['p'], obligations: noObligations },
    },
  });
  open.push(gate);
  const parameters: [string, string][] = [['user', 'web']];
  if (options.encoding !== undefined) parameters.push(['client_encoding', options.encoding]);
  return openRawClient(gate.port, { parameters });
}
const open: Awaited<ReturnType<typeof startTarget>>[] = [];
afterEach(async () => {
  for (const gate of open.splice(0)) await gate.close();
});

/** A Query or Parse of those very bytes: each character is one. */
const bytes = (text: string) => message('Q', Buffer.from(`${text}\0`, 'latin1'));
const parseBytes = (text: string) => message('P', '', Buffer.from(`${text}\0`, 'latin1'), 0);
const FREE = ['D:free', 'C:SELECT 1', 'Z:I'];
const DENIED = [expect.stringMatching(/^E:42501:/), 'Z:I'];
/** é in LATIN1, and in UTF-8. */
const [ONE, TWO] = ['\xe9', '\xc3\xa9'];

test('a client that asks for UTF8 by its old name is told the old name', async () => {
  const client = await session({ encoding: 'UNICODE' });
  client.send(query('show client_encoding'));
  expect(await client.ready()).toContain('D:UNICODE');
  client.close();
});

describe('a client in another encoding than the database', () => {
  test('is read as the server reads it: the same bytes are another name', async () => {
    const client = await session({ encoding: 'LATIN1' });
    client.send(bytes(`select name from "${ONE}"`));
    expect(await client.ready()).toEqual(expect.arrayContaining(FREE));
    client.send(bytes(`select name from "${TWO}"`));
    expect(await client.ready()).toEqual(DENIED);
    client.send(bytes(`select '${ONE}' as v`));
    await client.ready();
    expect(client.received().includes(Buffer.from([0, 1, 0, 0, 0, 1, 0xe9]))).toBe(true);
    client.close();
  });

  test('changes it by SET, SET NAMES, set_config, and goes back by RESET, ROLLBACK, a savepoint, the end of SET LOCAL, and DISCARD', async () => {
    const client = await session();
    const reads = async (text: string, what: string) => {
      client.send(bytes(`select name from "${text}"`));
      expect((await client.ready()).join()).toContain(what);
    };
    const run = async (text: string) => {
      client.send(query(text));
      expect((await client.ready()).filter((one) => one.startsWith('E'))).toEqual([]);
    };
    const isLatin = async () => {
      await reads(ONE, 'D:free');
      await reads(TWO, 'E:42501');
    };
    const isUtf8 = () => reads(TWO, 'D:free');
    await isUtf8();
    for (const set of [
      'set client_encoding to latin1',
      "set names 'iso-8859-1'",
      "select set_config('client_encoding', 'LATIN1', false)",
    ]) {
      await run(set);
      await isLatin();
      await run('reset client_encoding');
      await isUtf8();
    }
    for (const [before, set, after] of [
      ['begin', 'set client_encoding to latin1', 'rollback'],
      ['begin', 'set local client_encoding to latin1', 'commit'],
      ['begin; savepoint s', 'set client_encoding to latin1', 'rollback to s'],
    ] as const) {
      await run(before);
      await run(set);
      client.send(bytes(`select name from "${ONE}"`));
      expect(await client.ready()).toContain('D:free');
      await run(after);
      client.send(bytes(`select name from "${TWO}"`));
      expect(await client.ready()).toContain('D:free');
      await run('rollback');
    }
    await run('set client_encoding to latin1');
    await run('discard all');
    await isUtf8();
    await run("do $$ begin perform other_encoding('LATIN1'); end $$");
    await isLatin();
    client.close();
  });

  test('is not read by guess: what comes right behind a change waits for the answer, or is refused', async () => {
    const client = await session();
    client.send(query('set client_encoding to latin1'), bytes(`select name from "${TWO}"`));
    await client.ready();
    expect(await client.ready()).toEqual(DENIED);
    client.send(query('set client_encoding to utf8'), bytes(`select name from "${TWO}"`));
    await client.ready();
    expect(await client.ready()).toContain('D:free');
    const set = Buffer.concat([parse('set client_encoding to latin1'), bind(), execute()]);
    client.send(set, parseBytes(`select name from "${TWO}"`), bind(), execute(), sync());
    expect((await client.ready()).at(-2)).toMatch(/^E:0A000:a text beyond ASCII/);
    client.send(
      set,
      parse('select 1'),
      bind(),
      execute(),
      sync(),
      parseBytes(`select name from "${TWO}"`),
      bind(),
      execute(),
      sync(),
    );
    expect(await client.ready()).toContain('D:1');
    expect(await client.ready()).toEqual(DENIED);
    client.close();
  });

  test('is brought back with an implicit transaction that fails', async () => {
    const client = await session();
    const set = Buffer.concat([parse('set client_encoding to latin1'), bind(), execute()]);
    client.send(set, parse('select 1/0'), bind(), execute(), sync(), bytes(`select name from "${TWO}"`));
    expect((await client.ready()).at(-2)).toMatch(/^E:22012/);
    expect(await client.ready()).toContain('D:free');
    client.close();
  });

  test('sets it by what is bound to a parameter, and is refused what is not served', async () => {
    const client = await session();
    client.send(extended('select set_config($1, $2, false)', ['client_encoding', 'LATIN1']));
    expect(await client.ready()).toContain('D:LATIN1');
    client.send(bytes(`select name from "${ONE}"`));
    expect(await client.ready()).toContain('D:free');
    for (const name of ['SJIS', 'mule_internal', 'utf16']) {
      client.send(extended("select set_config('client_encoding', $1, false)", [name]));
      expect((await client.ready()).at(-2)).toMatch(/^E:(0A000|22023):/);
      client.send(query(`set client_encoding to '${name}'`));
      expect((await client.ready()).at(-2)).toMatch(/^E:(0A000|22023):/);
    }
    client.close();
  });

  test('whose function sets one that is not served is told why the session ends', async () => {
    const client = await session();
    client.send(query("select other_encoding('SJIS')"));
    expect((await client.end()).at(-1)).toBe('E:0A000:client_encoding SJIS is not served at a database in UTF8');
  });

  test('hears our errors in it', async () => {
    const client = await session({ encoding: 'LATIN1' });
    client.send(bytes(`select * from "nowhere_${ONE}"`));
    await client.ready();
    expect(client.received().includes(Buffer.from(`nowhere_${ONE}`, 'latin1'))).toBe(true);
    client.close();
  });

  test('may name statements and portals in it', async () => {
    const client = await session({ encoding: 'LATIN1' });
    const name = Buffer.from(`${ONE}\0`, 'latin1');
    client.send(
      message('P', name, 'select 1', 0),
      message('B', name, name, 0, 0, 0),
      message('E', name, Buffer.alloc(4)),
      sync(),
    );
    expect(await client.ready()).toContain('D:1');
    client.send(bytes(`execute "${ONE}"`));
    expect(await client.ready()).toContain('D:1');
    client.close();
  });
});

test.each([
  ['UTF8', '22021', 'invalid byte sequence for encoding "UTF8": 0xff'],
  ['SQL_ASCII', '22021', 'invalid byte sequence for encoding "UTF8": 0xff'],
  ['WIN1252', '22P05', 'character with byte sequence 0x81 in encoding "WIN1252" has no equivalent in encoding "UTF8"'],
])('bytes that are nothing in %s are answered as the server answers them, and the session goes on', async (encoding, sqlstate, words) => {
  const client = await session({ encoding });
  const bad = encoding === 'WIN1252' ? '\x81' : '\xff';
  client.send(bytes(`select '${bad}'`));
  expect(await client.ready()).toEqual([`E:${sqlstate}:${words}`, 'Z:I']);
  client.send(parseBytes(`select '${bad}'`), bind(), execute(), sync());
  expect(await client.ready()).toEqual([`E:${sqlstate}:${words}`, 'Z:I']);
  client.send(message('D', Buffer.from(`P${bad}\0`, 'latin1')), sync());
  expect(await client.ready()).toEqual([`E:${sqlstate}:${words}`, 'Z:I']);
  client.send(query('select 1'));
  expect(await client.ready()).toContain('D:1');
  client.close();
});

test('a database that is not in UTF8 serves clients in UTF8, in its own encoding and in none', async () => {
  for (const encoding of ['UTF8', 'LATIN1', 'SQL_ASCII']) {
    const client = await session({ encoding, database: 'latin1' });
    client.send(query('show client_encoding'));
    expect(await client.ready()).toContain(`D:${encoding}`);
    client.send(bytes(`select ascii('${encoding === 'UTF8' ? TWO : ONE}')`));
    expect(await client.ready()).toContain('D:233');
    client.send(query('set client_encoding to latin9'));
    expect((await client.ready()).at(-2)).toMatch(
      /^E:0A000:client_encoding LATIN9 is not served at a database in LATIN1/,
    );
    client.close();
  }
});
