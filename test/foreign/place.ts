/** Where a suite runs: at a PostgreSQL of Debian's, or at the same behind the gateway. */
import * as net from 'node:net';
import * as path from 'node:path';
import pg from 'pg';
import { debianPostgres, startDebianServer } from '../interop/drivers/debian-postgres.ts';
import { ALLOW_ALL, startStack } from '../support/stack.ts';
import type { Database } from './suite.ts';

/** `all`: policy permits all. `mask`: it does too, and masks one column of a table that no suite touches. */
export const MODES = ['direct', 'all', 'mask'] as const;
export type Mode = (typeof MODES)[number];

export interface Place extends AsyncDisposable {
  /** Leads libpq and its kin there, by a Unix socket. */
  readonly env: Readonly<Record<'PGHOST' | 'PGPORT' | 'PGUSER' | 'PGDATABASE' | 'PGSSLMODE', string>>;
  /** The same on 127.0.0.1, for clients that know no sockets. */
  readonly port: number;
  /** Leads to the same server, never by the gateway. */
  readonly beside: Readonly<Record<'PGHOST' | 'PGPORT', string>>;
  /** Folder of PostgreSQL's own programs. */
  readonly bin: string;
  /** The gateway's log; nothing when there is no gateway. */
  logs(): string;
}

export interface PlaceOptions {
  readonly mode: Mode;
  readonly databases: readonly Database[];
  /** Role that everything is done as: `postgres`, or one that owns its databases and is nothing more. */
  readonly login?: 'postgres' | 'shop_app';
  readonly serverArgs?: readonly string[];
  /** Databases that will be made there. */
  readonly creates?: readonly string[];
}

export async function openPlace(options: PlaceOptions): Promise<Place> {
  const { mode, databases, login = 'postgres', creates = [] } = options;
  const bin = debianPostgres();
  if (bin === undefined) throw new Error('psql, pgbench, pg_dump and a server are needed: install postgresql');
  const server = await startDebianServer(bin, '', ['-c', 'max_connections=200', ...(options.serverArgs ?? [])]);
  try {
    for (const database of databases) await createDatabase(server, database, login);
    const [first = { name: 'shop' }, ...others] = databases;
    const env = { PGUSER: login, PGDATABASE: first.name, PGSSLMODE: 'disable' };
    const beside = { PGHOST: server.socketDir, PGPORT: String(server.port) };
    if (mode === 'direct')
      return {
        ...{ env: { ...beside, ...env }, beside, port: server.port, bin },
        ...{ logs: () => '', [Symbol.asyncDispose]: server.stop },
      };
    const stack = await startStack({
      ...{ store: 'sqlite', isSearched: false, policies: policies(mode, databases) },
      target: {
        ...{ port: server.port, user: login, password: undefined, database: first.name },
        databases: [...others.map(({ name }) => name), ...creates, ...(login === 'postgres' ? ['postgres'] : [])],
      },
    });
    const bridge = await openBridge(path.join(stack.socketDir, '.s.PGSQL.5432'));
    const close = async () => {
      bridge.close();
      await stack.stop();
      await server.stop();
    };
    const place = { PGHOST: stack.socketDir, PGPORT: '5432', ...env };
    const logs = () => stack.roles.gateway.logs();
    return { env: place, beside, port: bridge.port, bin, logs, [Symbol.asyncDispose]: close };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function policies(mode: Mode, databases: readonly Database[]): Record<string, string> {
  if (mode !== 'mask') return { 'web-all': ALLOW_ALL };
  const masks = databases.map(
    ({ name }) => `
    @id("elsewhere-${name}")
    @mask("secret:redact")
    permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select",
      resource == Postgres::Table::"shop/${name}/elsewhere/people");`,
  );
  return { 'web-all': ALLOW_ALL, elsewhere: masks.join('\n') };
}

/** Makes a database with the table that masks are about; it is there without masks too, so that catalogs are the same. */
async function createDatabase(
  at: { socketDir: string; port: number },
  { name, seed = '' }: Database,
  login: string,
): Promise<void> {
  const run = async (database: string, sql: string) => {
    const client = new pg.Client({ user: 'postgres', database, host: at.socketDir, port: at.port });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  if (name !== 'shop')
    await run('postgres', `create database ${pg.escapeIdentifier(name)} template template0 owner ${login}`);
  const unrelated = `create schema elsewhere authorization ${login}; create table elsewhere.people (id int, secret text);
    alter table elsewhere.people owner to ${login}; insert into elsewhere.people values (1, 'nobody reads this');`;
  await run(name, `${unrelated} ${seed}`);
}

/** A TCP port of this process that leads to a Unix socket: who connects there is this process to the agent. */
function openBridge(socket: string): Promise<{ port: number; close(): void }> {
  return new Promise((resolve, reject) => {
    const bridge = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = net.connect({ path: socket, allowHalfOpen: true });
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    bridge.once('error', reject);
    bridge.listen(0, '127.0.0.1', () => {
      const address = bridge.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      resolve({ port, close: () => bridge.close() });
    });
  });
}
