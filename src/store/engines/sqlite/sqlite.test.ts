import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog, createSystemClock, type Service } from '../../../std/index.ts';
import type { Store } from '../../store.ts';
import { member } from './index.ts';

interface Tables {
  t: { id: number; text: string };
}

const signal = new AbortController().signal;
let folder: string;
let file: string;
const opened: Service[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-sqlite-'));
  file = path.join(folder, 'a.db');
});
afterEach(async () => {
  for (const service of opened.splice(0)) await service.stop();
  fs.rmSync(folder, { recursive: true });
});

async function open(clock = createSystemClock()): Promise<Store & Service> {
  const store = await member.open({ file, lockWaitMs: 0 }, { clock, log: createSilentLog() });
  opened.push(store);
  await store.start(signal);
  return store;
}

async function openWithTable(): Promise<Store & Service> {
  const store = await open();
  await store.migrate([
    {
      name: '0001-t',
      async up(db) {
        await db.schema
          .createTable('t')
          .addColumn('id', 'integer', (column) => column.primaryKey())
          .addColumn('text', 'text')
          .execute();
      },
    },
  ]);
  return store;
}

describe('the database file', () => {
  it('is made 0600, its log too, in a folder made 0700', async () => {
    file = path.join(folder, 'new', 'a.db');
    await openWithTable();
    const modes = [path.dirname(file), file, `${file}-wal`].map((name) => (fs.statSync(name).mode & 0o777).toString(8));
    expect(modes).toEqual(['700', '600', '600']);
  });

  it('is for one process: another one is refused at once, and so is a second store of this one', async () => {
    await open();
    await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_LOCKED' });
    const script = `
      const { DatabaseSync } = require('node:sqlite');
      try { new DatabaseSync(process.argv[1]).exec('select * from sqlite_schema; begin immediate'); console.log('entered'); }
      catch (error) { console.log(error.message); }`;
    const other = spawnSync(process.execPath, ['-e', script, file], { encoding: 'utf8' });
    expect(other.stdout).toBe('database is locked\n');
  });

  it('is free again when its store has stopped', async () => {
    await (await open()).stop();
    await open();
  });

  it.each([
    ['readable by the group', () => fs.writeFileSync(file, '', { mode: 0o640 }), /mode 0640, allowed is 0600/],
    ['a symbolic link', () => fs.symlinkSync('/etc/hosts', file), /not a plain file/],
    ['in a folder that others may write to', () => fs.chmodSync(folder, 0o777), /others may write/],
    ['not a database', () => fs.writeFileSync(file, 'x'.repeat(8192), { mode: 0o600 }), /not a usable database/],
    ['of another application', () => writeForeign(), /another application/],
  ])('is refused when it is %s', async (_what, prepare, message) => {
    prepare();
    await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_FILE', message: expect.stringMatching(message) });
  });

  it('is refused when it belongs to another user', async ({ skip }) => {
    if (process.getuid?.() !== 0) return skip('only root can give a file away');
    fs.writeFileSync(file, '', { mode: 0o600 });
    fs.chownSync(file, 65534, 65534);
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_STORE_FILE',
      message: expect.stringMatching(/belongs to uid 65534/),
    });
  });

  function writeForeign(): void {
    const database = new DatabaseSync(file);
    database.exec('create table theirs (id)');
    database.close();
    fs.chmodSync(file, 0o600);
  }
});

describe('a full disk', () => {
  it('fails every transaction that shares the commit, keeps what was acknowledged, and recovers with room', async () => {
    const store = await openWithTable();
    await sql`pragma max_page_count = 40`.execute(store.db());
    const insert = (id: number, chars: number) =>
      store.transaction<Tables, void>(async (trx) => {
        await trx
          .insertInto('t')
          .values({ id, text: 'x'.repeat(chars) })
          .execute();
      });
    await insert(1, 10);
    const outcomes = await Promise.allSettled([insert(2, 10), insert(3, 400_000), insert(4, 10)]);
    const kept = (await store.db<Tables>().selectFrom('t').select('id').orderBy('id').execute()).map((row) => row.id);
    const told = outcomes.flatMap((outcome, place) => (outcome.status === 'fulfilled' ? [place + 2] : []));
    expect(kept).toEqual([1, ...told]);
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORE_IO' } });
    await sql`pragma max_page_count = 4000`.execute(store.db());
    await insert(5, 400_000);
  });
});

describe('a transaction that never ends', () => {
  it('is given up after 30 s, undone, and lets the others go on', async () => {
    const clock = createManualClock(0);
    const store = await open(clock);
    const stuck = store.transaction(() => new Promise<void>(() => {}));
    const next = store.transaction(async () => 'next');
    const refused = expect(stuck).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' });
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(29_999);
    await clock.advance(1);
    await refused;
    expect(await next).toBe('next');
  });
});
