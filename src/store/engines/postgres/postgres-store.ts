import { PostgresAdapter, PostgresQueryCompiler } from 'kysely';
import pg from 'pg';
import { type Clock, type Log, messageOf, type Service, throwIfAborted } from '../../../std/index.ts';
import { createEngineStore } from '../../engine-port.ts';
import { StoreError } from '../../errors.ts';
import type { GivenFiles, Store } from '../../store.ts';
import { Client } from './client.ts';
import { createPostgresConnection, type PostgresConnection } from './connection.ts';
import { type ConnectionTarget, parseConnectionUrl, resolveReference } from './connection-url.ts';
import { createNotificationListener } from './notification-listener.ts';
import { storeErrorOf } from './postgres-errors.ts';
import { type ConnectionSource, createTransactions } from './transactions.ts';

/** What the operator chose; `url` is a reference. */
export interface PostgresStoreConfig {
  readonly url: string;
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/** The store in a PostgreSQL database, for any number of processes. */
export function createPostgresStore(deps: {
  clock: Clock;
  log: Log;
  config: PostgresStoreConfig;
  files: GivenFiles;
}): Store & Service {
  const { clock, log, config, files } = deps;
  let opened: { pool: pg.Pool; clients: ReadonlySet<Client>; listener: Service } | undefined;

  const connections: ConnectionSource = {
    async acquire(queryTimeoutMs) {
      if (!opened) throw new StoreError('ERR_STORE_CLOSED', 'the store is not open');
      const { pool } = opened;
      if (pool.waitingCount >= WAITING_MAX) {
        throw new StoreError('ERR_STORE_QUEUE_FULL', `${WAITING_MAX} statements wait for a connection already`);
      }
      try {
        return createPostgresConnection(await pool.connect(), queryTimeoutMs);
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
  const core = createEngineStore(
    {
      dialect: 'postgres',
      isShared: true,
      sql: { adapter: () => new PostgresAdapter(), compiler: () => new PostgresQueryCompiler() },
      turns: {
        acquire: () => connections.acquire(config.statementTimeoutMs + ANSWER_GRACE_MS),
        // Only what `acquire` gave comes back.
        release: async (connection) => (connection as PostgresConnection).giveBack(false),
      },
      atomically: createTransactions({ clock, log, channel: CHANNEL, connections }),
    },
    { clock, log },
  );

  const onPayload = (text: string) => {
    const newline = text.indexOf('\n');
    // Anybody who may connect may notify; what is not ours is ignored.
    if (newline > 0) core.deliver({ topic: text.slice(0, newline), payload: text.slice(newline + 1) });
  };

  return {
    ...core,
    async start(signal) {
      throwIfAborted(signal);
      const settings = clientSettings(config, files);
      const clients = new Set<Client>();
      const pool = new pg.Pool({
        ...settings,
        max: config.connectionsMax,
        idleTimeoutMillis: IDLE_MS_MAX,
        Client: class extends Client {
          constructor(given?: pg.ClientConfig) {
            super(given);
            clients.add(this);
            this.on('end', () => clients.delete(this));
          }
        },
      });
      // The pool drops a connection that breaks while idle; the next statement gets a new one.
      pool.on('error', (error) => log.warn('store.connection.lost', { reason: messageOf(error) }));
      const connect = () => new Client(clientSettings(config, files));
      const listener = createNotificationListener({
        clock,
        log,
        channel: CHANNEL,
        connect,
        onPayload,
        onReconnected: () => core.deliverAnything(),
      });
      opened = { pool, clients, listener };
      await checkServer(connections, log);
      await listener.start(signal);
    },
    async stop() {
      if (!opened) return;
      const { pool, clients, listener } = opened;
      opened = undefined;
      await listener.stop();
      const late = clock.after(GOODBYE_MS_MAX, () => {
        for (const client of clients) client.cut();
      });
      await pool.end().finally(() => late.cancel());
    },
  };
}

function clientSettings(config: PostgresStoreConfig, files: GivenFiles): pg.ClientConfig {
  const read = () => parseConnectionUrl(resolveReference(config.url, files.readSecretFile), files);
  const target = read();
  return {
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    // Read again for each connection, so that a rotated password needs no restart.
    password: () => passwordOf(read()),
    ssl: target.tls,
    application_name: 'countersign',
    connectionTimeoutMillis: config.connectTimeoutMs,
    statement_timeout: config.statementTimeoutMs,
    idle_in_transaction_session_timeout: config.statementTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

function passwordOf(target: ConnectionTarget): string {
  return target.password?.revealText() ?? '';
}

/** Refuses a server that can't keep the store's promises. */
async function checkServer(connections: ConnectionSource, log: Log): Promise<void> {
  const connection = await connections.acquire(CHECK_MS_MAX);
  try {
    const { rows } = await connection.run(
      `select current_setting('server_version_num')::int as version, pg_is_in_recovery() as replica,
       current_setting('synchronous_commit') as synchronous, current_setting('fsync') as fsync`,
    );
    const { version, replica, synchronous, fsync } = rows[0] ?? {};
    if (version < VERSION_MIN) {
      throw new StoreError('ERR_STORE_CONFIG', `the database server is version ${version}, needed is ${VERSION_MIN}`);
    }
    if (replica) throw new StoreError('ERR_STORE_UNAVAILABLE', 'the database server is a read-only replica');
    if (synchronous === 'off') {
      throw new StoreError(
        'ERR_STORE_CONFIG',
        'synchronous_commit is off: acknowledged changes could be lost; set it to on',
      );
    }
    if (fsync === 'off') log.warn('store.fsync.off', { advice: 'a power cut may destroy the database' });
  } finally {
    connection.giveBack(false);
  }
}

const CHANNEL = 'countersign';
const VERSION_MIN = 150_000;
const WAITING_MAX = 10_000;
const IDLE_MS_MAX = 60_000;
const KEEP_ALIVE_MS = 15_000;
const CHECK_MS_MAX = 10_000;
/** A database that does not end its side of a connection must not keep this process from ending. */
const GOODBYE_MS_MAX = 2000;
/** See transactions.ts. */
const ANSWER_GRACE_MS = 5000;
