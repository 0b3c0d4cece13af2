/**
 * Everything a case measures, running side by side: PostgreSQL with the tables, the product as three processes, two pgbouncers; and
 * the doors through which a client reaches the same database.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse, stringify } from 'yaml';
import { eventually } from '../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { freePorts } from '../../test/support/processes.ts';
import { ALLOW_ALL, type Stack, startStack } from '../../test/support/stack.ts';
import type { Door } from './door.ts';
import { fetchSvid } from './fetch-svid.ts';
import { startPgbouncer } from './pgbouncer.ts';

export const SUBJECTS = ['direct', 'pgbouncer', 'pgbouncer-tls', 'gateway', 'agent'] as const;
export type SubjectName = (typeof SUBJECTS)[number];
export type Durability = 'process' | 'release' | 'strict';

/** One way to the database. */
export interface Subject {
  readonly name: SubjectName;
  readonly door: Door;
  /** Processes between client and database, by role. They change when the gateway is restarted. */
  processes(): Readonly<Record<string, number>>;
}

export interface Bed {
  readonly stack: Stack;
  /** The target of all subjects. */
  readonly postgres: TestPostgres;
  readonly subjects: Readonly<Record<SubjectName, Subject>>;
  readonly bulkRows: number;
  /** Folder that the clients' user may write to. */
  readonly scratch: string;
  /** Restarts the gateway so that reads wait for the ledger in that way. Nothing happens when they do already. */
  setDurability(mode: Durability): Promise<void>;
  restartGateway(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts all of it; `bulkRows` is the size of the large table. */
export async function startBed({ bulkRows }: { bulkRows: number }): Promise<Bed> {
  // The stack's own database is a small one; this has room for a thousand sessions and holds its tables in memory.
  const postgres = await startPostgres({
    args: ['-c', `max_connections=${SESSIONS_MAX}`, '-c', 'shared_buffers=640MB'],
    users: { shop_app: '' },
    databases: ['shop'],
    hba: `host all ${DIRECT_ROLE} 127.0.0.1/32 trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n`,
  });
  const undo: (() => unknown)[] = [() => postgres.stop()];
  const stop = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    await postgres.query(seedSql(bulkRows), [], 'shop');
    const stack = await startStack({
      store: 'sqlite',
      isSearched: false,
      policies: { 'web-all': ALLOW_ALL, 'web-masks': MASKS },
      target: { port: postgres.port },
    });
    undo.push(() => stack.stop());
    await postgres.query(`alter role shop_app password '${stack.secrets.target}'`);
    await eventually('the gateway reaches its database', async () => (await stack.psql('select 1')).code === 0);
    const { users, folder } = stack;
    if (!users.separate) await stack.apply({ 'pgbench.yaml': pgbenchEntry() });
    const client = await fetchSvid(stack, 'client-svid', users.web);
    const server = await fetchSvid(stack, 'bouncer-svid', users.separate ? users.batch : users.web);
    const [plainPort = 0, tlsPort = 0] = await freePorts(2);
    const toServer = { port: postgres.port, database: 'shop', user: 'shop_app', password: stack.secrets.target };
    const plain = await startPgbouncer({
      ...{ folder: folder.privateFolder('bouncer', users.batch), user: users.batch, port: plainPort, server: toServer },
    });
    undo.push(plain.stop);
    const secured = await startPgbouncer({
      ...{
        folder: folder.privateFolder('bouncer-tls', users.batch),
        user: users.batch,
        port: tlsPort,
        server: toServer,
      },
      tls: { cert: server.cert, key: server.key, ca: server.roots },
    });
    undo.push(secured.stop);
    const base = { database: 'shop', user: 'shop_app', tls: undefined, socketDir: undefined };
    const gateway = () => ({ gateway: stack.roles.gateway.pid });
    const subjects: Bed['subjects'] = {
      direct: {
        name: 'direct',
        door: { ...base, port: postgres.port, user: DIRECT_ROLE },
        processes: () => ({}),
      },
      pgbouncer: { name: 'pgbouncer', door: { ...base, port: plainPort }, processes: () => ({ pgbouncer: plain.pid }) },
      'pgbouncer-tls': {
        name: 'pgbouncer-tls',
        door: { ...base, port: tlsPort, tls: client },
        processes: () => ({ pgbouncer: secured.pid }),
      },
      gateway: { name: 'gateway', door: { ...base, port: folder.directPort, tls: client }, processes: gateway },
      agent: {
        name: 'agent',
        door: { ...base, port: 5432, socketDir: stack.socketDir },
        processes: () => ({ ...gateway(), agent: stack.roles.agent.pid }),
      },
    };
    const scratch = folder.privateFolder('bench', users.web);
    return {
      stack,
      postgres,
      subjects,
      scratch,
      bulkRows,
      stop,
      setDurability: durabilitySwitch(stack),
      restartGateway: () => restartGateway(stack),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The tables: pgbench's accounts at scale 10, one for bulk, one wide whose first three columns are masked, one to copy into. */
function seedSql(bulkRows: number): string {
  const hashes = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => `md5((i * ${from + i})::text) as c${from + i}`).join(', ');
  return `
    create role ${DIRECT_ROLE} login;
    create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
    insert into pgbench_accounts select i, (i - 1) / 100000 + 1, 0, '' from generate_series(1, ${ACCOUNTS}) i;
    create unlogged table bulk as select i as id, ${hashes(1, 4)} from generate_series(1, ${bulkRows}) i;
    create unlogged table wide as select 'user' || i || '@example.org' as c1, (4000000000000000 + i)::text as c2, ${hashes(3, 10)}
      from generate_series(1, ${WIDE_ROWS}) i;
    create unlogged table sink (id int, c1 text, c2 text, c3 text, c4 text);
    grant select on pgbench_accounts, bulk, wide to shop_app, ${DIRECT_ROLE};
    grant select, insert on sink to shop_app, ${DIRECT_ROLE};
    analyze pgbench_accounts, bulk, wide;`;
}

async function restartGateway(stack: Stack): Promise<void> {
  await stack.roles.gateway.end('SIGTERM');
  stack.roles.gateway.start();
  await stack.roles.gateway.ready();
  await eventually('the gateway serves again', async () => (await stack.psql('select 1')).code === 0);
}

function durabilitySwitch(stack: Stack): Bed['setDurability'] {
  let now: Durability = 'process';
  return async (mode) => {
    if (mode === now) return;
    const config: unknown = parse(fs.readFileSync(stack.folder.config, 'utf8'));
    if (typeof config !== 'object' || config === null || !('gateway' in config)) throw new Error('no section gateway');
    const gateway = { ...(config.gateway as object), durability: { reads: mode } }; // The stack wrote an object there.
    fs.writeFileSync(stack.folder.config, stringify({ ...config, gateway }));
    await restartGateway(stack);
    now = mode;
  };
}

/** Where all processes have one user, the agent tells pgbench by its path. */
function pgbenchEntry(): string {
  return stringify({
    kind: 'Entry',
    name: 'web-pgbench',
    spec: {
      spiffeId: 'spiffe://example.org/web',
      selectors: [`unix:uid:${process.getuid?.()}`, `unix:path:${pgbenchBinary()}`],
    },
  });
}

/** Debian's /usr/bin/pgbench is a script that looks for the binary; this is the binary itself. */
export function pgbenchBinary(): string {
  const home = '/usr/lib/postgresql';
  const versions = fs.existsSync(home) ? fs.readdirSync(home).toSorted((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((one) => path.join(home, one, 'bin/pgbench')).find((file) => fs.existsSync(file));
  if (found === undefined) throw new Error('pgbench is missing: apt-get install postgresql-contrib (or postgresql-15)');
  return found;
}

const MASKS = `@id("web-masks")
@mask("c1:email, c2:last4, c3:redact")
permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select",
  resource == Postgres::Table::"shop/shop/public/wide");`;
const DIRECT_ROLE = 'bench_direct';
/** A thousand of one case, while those of the case before still end. */
const SESSIONS_MAX = 2300;
/** pgbench's scale 10. */
export const ACCOUNTS = 1_000_000;
export const WIDE_ROWS = 10_000;
