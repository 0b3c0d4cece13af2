/** PostgreSQL as Debian packages it: the tools, and a server of the same version, because pg_dump refuses a newer one. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { serverOwner, spawnIdentity } from '../../support/postgres-cluster.ts';
import { createClusterProcess } from '../../support/postgres-process.ts';
import { freePorts } from '../../support/processes.ts';
import { psqlBinary } from '../../support/psql.ts';

/** Folder with psql, pg_dump, pgbench, initdb and postgres; undefined when they are not all there. */
export function debianPostgres(): string | undefined {
  const bin = path.dirname(psqlBinary() ?? '');
  return TOOLS.every((name) => fs.existsSync(path.join(bin, name))) ? bin : undefined;
}

export interface DebianServer {
  readonly port: number;
  readonly socketDir: string;
  stop(): Promise<void>;
}

/**
 * Starts a server that believes everyone on this machine, with the database `shop` of the role `shop_app`, and runs SQL in it as that role.
 * `serverArgs` are further arguments of `postgres`.
 */
export async function startDebianServer(
  bin: string,
  sql: string,
  serverArgs: readonly string[] = [],
): Promise<DebianServer> {
  const owner = serverOwner();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-debian-pg-'));
  const [dataDir, socketDir] = [path.join(folder, 'data'), path.join(folder, 's')];
  fs.chmodSync(folder, 0o755);
  for (const [made, mode] of [
    [dataDir, 0o700],
    [socketDir, 0o755],
  ] as const) {
    fs.mkdirSync(made, { mode });
    if (owner.uid !== undefined) fs.chownSync(made, owner.uid, owner.gid);
  }
  const args = ['-D', dataDir, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync'];
  const made = spawnSync(path.join(bin, 'initdb'), args, { ...spawnIdentity(owner), cwd: '/', encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  const server = createClusterProcess({ owner, folder, dataDir, socketDir, bin, args: serverArgs });
  try {
    const [port = 0] = await freePorts(1);
    await server.start(port);
    await runAs('postgres', 'postgres', { socketDir, port }, 'create role shop_app login');
    await runAs('postgres', 'postgres', { socketDir, port }, 'create database shop owner shop_app');
    await runAs('shop_app', 'shop', { socketDir, port }, sql);
    return { port, socketDir, stop: server.destroy };
  } catch (error) {
    await server.destroy();
    throw error;
  }
}

async function runAs(user: string, database: string, at: { socketDir: string; port: number }, sql: string) {
  const client = new pg.Client({ user, database, host: at.socketDir, port: at.port });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

const TOOLS = ['psql', 'pg_dump', 'pg_restore', 'pgbench', 'initdb', 'postgres'];
