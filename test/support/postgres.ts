/**
 * A real PostgreSQL for tests, from the binaries that npm installs: own data, own port, gone when the test process is.
 *
 * `const pg = await startPostgres(); … await pg.stop();` takes about a fifth of a second once the machine has the template of an
 * empty cluster (in the temporary folder). As root the server runs as uid 65534, since PostgreSQL refuses root. Works when npm
 * ran no install scripts, and cleans up even after the test process was killed.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { createCluster, type Owner, serverOwner } from './postgres-cluster.ts';
import { createClusterProcess } from './postgres-process.ts';

export interface PostgresOptions {
  /** Further arguments of `postgres`, such as `['-c', 'max_connections=20']`; they win over ours. `fsync` is off unless set here. */
  readonly args?: readonly string[];
  /** Further arguments of `initdb`; the server then starts a second later, having no template. */
  readonly initArgs?: readonly string[];
  /** Login roles to create: name → password. */
  readonly users?: Readonly<Record<string, string>>;
  /** Databases to create besides `postgres`; owned by the superuser. */
  readonly databases?: readonly string[];
  /** PEM texts; the server then offers TLS. With `clientCa` it can ask clients for a certificate. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** The whole pg_hba.conf; by default every connection needs scram-sha-256. */
  readonly hba?: string;
}

export interface TestPostgres {
  /** Folder of the unix socket `.s.PGSQL.<port>`. */
  readonly socketDir: string;
  /** `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  readonly dataDir: string;
  /** Of the postmaster now running. */
  readonly pid: number;
  /** `postgres://…` of the superuser over TCP, without TLS. */
  readonly url: string;
  /** Runs SQL as the superuser (over the unix socket) and returns the rows of the last statement. */
  query(sql: string, parameters?: readonly unknown[], database?: string): Promise<readonly Row[]>;
  /** Shuts down and removes all files. May be called twice. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster; its children follow. The data stays for `restart`. */
  kill9(): Promise<void>;
  /** Stops (unless killed) and starts again on the same data and port. */
  restart(): Promise<void>;
  /** What the server wrote to standard error lately. */
  logs(): string;
}

type Row = Readonly<Record<string, unknown>>;

/** Starts a PostgreSQL server and waits until it accepts connections. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  const owner = serverOwner();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-pg-'));
  const dataDir = path.join(folder, 'data');
  const socketDir = path.join(folder, 's');
  fs.chmodSync(folder, 0o755);
  fs.mkdirSync(socketDir, { mode: 0o755 });
  if (owner.uid !== undefined) fs.chownSync(socketDir, owner.uid, owner.gid);
  const cluster = createCluster({ owner, folder, dataDir, initArgs: options.initArgs ?? [] });
  writeServerFiles(dataDir, owner, options);
  const server = createClusterProcess({
    owner,
    folder,
    dataDir,
    socketDir,
    bin: cluster.bin,
    args: serverArgs(options),
  });
  const { password } = cluster;
  const query: TestPostgres['query'] = async (sql, parameters = [], database = SUPERUSER) => {
    const client = new pg.Client({ host: socketDir, port: server.port(), user: SUPERUSER, password, database });
    client.on('error', () => {}); // A server killed under a test's query rejects the query; that is enough.
    await client.connect();
    try {
      const result = await client.query(sql, [...parameters]);
      // Several statements in one text come back as an array, which the driver's types do not say.
      const results = (Array.isArray(result) ? result : [result]) as pg.QueryResult<Row>[];
      return results.at(-1)?.rows ?? [];
    } finally {
      await client.end();
    }
  };
  try {
    await server.start(await freePort());
    for (const [name, secret] of Object.entries(options.users ?? {})) {
      await query(`create role ${pg.escapeIdentifier(name)} login password ${pg.escapeLiteral(secret)}`);
    }
    for (const name of options.databases ?? []) await query(`create database ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    await server.destroy();
    throw error;
  }
  return {
    socketDir,
    host: HOST,
    superuser: SUPERUSER,
    password,
    dataDir,
    query,
    get port() {
      return server.port();
    },
    get pid() {
      return server.pid();
    },
    get url() {
      return `postgres://${SUPERUSER}:${password}@${HOST}:${server.port()}/postgres?sslmode=disable`;
    },
    stop: () => server.destroy(),
    kill9: () => server.end('SIGKILL'),
    async restart() {
      await server.end('SIGINT');
      await server.start(server.port());
    },
    logs: () => server.logs(),
  };
}

function serverArgs(options: PostgresOptions): string[] {
  const tls = options.tls === undefined ? [] : ['-c', 'ssl=on'];
  const clientCa = options.tls?.clientCa === undefined ? [] : ['-c', 'ssl_ca_file=client-ca.crt'];
  return [...tls, ...clientCa, ...(options.args ?? [])];
}

function writeServerFiles(dataDir: string, owner: Owner, options: PostgresOptions): void {
  const write = (name: string, text: string) => {
    const file = path.join(dataDir, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    if (owner.uid !== undefined) fs.chownSync(file, owner.uid, owner.gid);
  };
  write('pg_hba.conf', options.hba ?? DEFAULT_HBA);
  if (options.tls === undefined) return;
  write('server.crt', options.tls.cert);
  write('server.key', options.tls.key);
  if (options.tls.clientCa !== undefined) write('client-ca.crt', options.tls.clientCa);
}

/** A port that nothing listens on; another process may still take it first, and then the start fails with the server's own message. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

const HOST = '127.0.0.1';
const SUPERUSER = 'postgres';
const DEFAULT_HBA = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256', ''].join('\n');
