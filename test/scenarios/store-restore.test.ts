/** The store is put back from a backup as the guide for several servers shows: what was revoked since stays so until an operator says otherwise. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DebianServer, debianPostgres, startDebianServer } from '../interop/drivers/debian-postgres.ts';
import { eventually } from '../support/eventually.ts';
import { listed } from '../support/listed.ts';
import { run } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackUsers } from '../support/stack-folder.ts';

const bin = debianPostgres();
let database: DebianServer;
let stack: Stack;
let folder: string;

describe.skipIf(bin === undefined && process.env['CI'] !== 'true')('a store that is put back', () => {
  beforeAll(async () => {
    if (bin === undefined) throw new Error('pg_dump and a server of its version are needed: install postgresql');
    database = await startDebianServer(bin, 'select 1');
    await asDba(`psql -c 'create role countersign_store login' -c 'create database control owner countersign_store'`);
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-restore-'));
    fs.chmodSync(folder, 0o755);
    const url = path.join(folder, 'database-url');
    fs.writeFileSync(url, `postgres://countersign_store@127.0.0.1:${database.port}/control?sslmode=disable`, {
      mode: 0o600,
    });
    const { server } = stackUsers();
    if (server !== undefined) fs.chownSync(url, server, server);
    stack = await startStack({ settings: { server: { store: { postgres: { url: `file:${url}` } } } } });
  });
  afterAll(async () => {
    await stack?.stop();
    await database?.stop();
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  });

  it('lets nobody in again that was revoked since, until it is told to; and loses nothing of the record', async () => {
    const [backup = [], restore = [], revocations = []] = blocksOf('docs/guide/servers.md');
    expect([backup, restore, revocations].map(({ length }) => length)).toEqual([2, 5, 3]);
    expect((await stack.psql('select 1')).code).toBe(0);
    for (const line of backup) await follow(line);

    const adding = await stack.cli([
      'revocation',
      'add',
      '--who',
      '/web',
      '--reason',
      'a drill',
      '--wait',
      '30',
      '--yes',
    ]);
    expect(adding, adding.stderr).toMatchObject({ code: 0 });
    expect((await stack.psql('select 1')).stderr).toMatch(REFUSED);
    const before = await stack.ledger();

    for (const line of restore) await follow(line);
    await eventually('both say what is wrong', async () => (await areStale()).every((is) => is), { withinMs: 120_000 });
    expect((await stack.psql('select 1')).stderr).toMatch(REFUSED);
    await eventually('what was recorded since is there again', async () => {
      if ((await listed(stack, ['record', 'search', '--action', 'Revoke'])).length === 0) return false;
      const log = (await listed(stack, ['record', 'logs'])).find(({ origin }) => String(origin).includes('/gateway/'));
      const found = (await listed(stack, ['record', 'search', '-n', '100000'])).filter(
        (entry) => entry['log'] === log?.['id'],
      );
      const inOrder = found.toReversed().map(({ log: _, ...entry }) => entry); // Newest first.
      expect(inOrder.slice(0, before.length)).toEqual(before);
      return true;
    });
    expect(await listed(stack, ['revocation', 'list'])).toEqual([]);

    for (const line of revocations) await follow(line);
    await eventually('who is not revoked any more is served', async () => (await stack.psql('select 1')).code === 0);
    await eventually('nothing is wrong any more', async () => (await areStale()).every((is) => !is));
  });
});

/** By the gateway, or by an agent that was told already that there is no identity for it. */
const REFUSED = /revoked|no identity issued/;

/** The lines of each block of commands, in their order. */
function blocksOf(guide: string): string[][] {
  const text = fs.readFileSync(path.join(import.meta.dirname, '../..', guide), 'utf8');
  return Array.from(text.matchAll(/```sh\n(.*?)```/gs), ([, block = '']) => block.trim().split('\n'));
}

/** Does what one line of the guide says. */
async function follow(line: string): Promise<void> {
  const { server } = stack.roles;
  if (line === 'sudo systemctl stop countersign-server') return void expect(await server.end('SIGTERM')).toBe(0);
  if (line === 'sudo systemctl start countersign-server') {
    server.start();
    return server.ready();
  }
  if (!line.startsWith('countersign ')) return asDba(line.replace('sudo -u postgres ', ''));
  const words = Array.from(line.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, bare]) => quoted ?? bare ?? '');
  const { code, stderr } = await stack.cli(words.slice(1));
  expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' });
}

/** As the user `postgres` on the database's machine. */
async function asDba(command: string): Promise<void> {
  const env = {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    PGHOST: database.socketDir,
    PGPORT: String(database.port),
  };
  const script = `cd ${folder ?? '/'} && ${command}`;
  const { code, stderr } = await run('bash', ['-c', script], { env: { ...env, PGUSER: 'postgres' } });
  expect({ command, code, stderr: code === 0 ? '' : stderr }).toEqual({ command, code: 0, stderr: '' });
}

/** Whether agent and gateway say that they know of no revocations that they may go by. */
function areStale(): Promise<boolean[]> {
  return Promise.all(
    [stack.folder.http.agent, stack.folder.http.gateway].map(async (http) => {
      const response = await fetch(`http://${http}/ready`);
      return (await response.text()).includes('"revocations"');
    }),
  );
}
