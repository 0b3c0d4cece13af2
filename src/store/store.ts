import type { Kysely } from 'kysely';
import type { Clock, Log, Member, Secret, Service } from '../std/index.ts';

/** Which SQL an engine speaks; migrations may differ by it, queries should not. */
export type Dialect = 'sqlite' | 'postgres';

/**
 * One step of the schema, applied once, in a transaction of its own. `name` is unique over all features and never changes once
 * released: `0001-authority-journal`. Booleans are integers 0 and 1, times are integers, lists are JSON text, bytes are
 * {@link bytesType}, 64-bit integers are `bigint` columns; all integers must be safe numbers.
 */
export interface Migration {
  readonly name: string;
  /**
   * That servers of a release that does not know it may go on, and be started again, on what it makes: it only adds, and what it adds is null, or there by
   * itself, in rows that they write. Not said: they refuse to start.
   */
  readonly additive?: Additive;
  up(db: Kysely<unknown>, dialect: Dialect): Promise<void>;
}

/** Up to when a release that does not know a migration may pass over what that made. */
export interface Additive {
  /**
   * Where something is that such a release must not pass over once it is written: any row of a table, or any row with a value in that column. Empty: it may
   * pass over all of it, as over an index.
   */
  readonly untilUsed: readonly { readonly table: string; readonly column?: string }[];
}

/** What a transaction can do besides its statements. */
export interface TransactionEffects {
  /**
   * Tells every subscriber of `topic`, in all processes on this database, once the transaction has committed; never when it
   * did not. Equal notifications of one transaction are sent once. The payload says what changed, not the change: at most
   * {@link NOTIFY_BYTES_MAX} bytes with the topic. @throws StoreError ERR_STORE_NOTIFY_SIZE
   */
  notify(topic: string, payload: string): void;
}

export interface TransactionOptions {
  /** Stops waiting for a turn, and prevents the commit when it aborts before. */
  readonly signal?: AbortSignal;
  /**
   * Transactions of one order run one after another over all processes: what the first committed is seen by the next. The
   * default is one order for everything. A feature with writes that touch nobody else's tables names its own and so lets others run beside it.
   */
  readonly order?: string;
}

/** Persistence. Everything in it may throw StoreError ERR_STORE_UNAVAILABLE, _TIMEOUT, _IO, _CLOSED, _QUEUE_FULL. */
export interface Store {
  readonly dialect: Dialect;
  /**
   * Whether other processes may have this database open. Then they may write and die unseen: notifications may be lost with a connection. Meant for
   * the mechanisms of this folder, not for features.
   */
  readonly isShared: boolean;
  /**
   * The tables of one feature, for single statements: each commits by itself and sees only what is committed. Not for use
   * inside `transaction`, which has its own view (asserted).
   * @throws StoreError ERR_STORE_CONSTRAINT when a statement breaks a rule of its table
   */
  db<Tables>(): Kysely<Tables>;
  /**
   * Runs `work` as one serializable transaction: all or nothing, durable when the promise resolves. `work` may run again after a
   * conflict, so it has no effects but its statements and `notify`. Do nothing slow in it: others wait.
   * @throws StoreError ERR_STORE_CONFLICT after too many conflicts, ERR_STORE_CONSTRAINT; whatever `work` throws, after rolling back
   */
  transaction<Tables, T>(
    work: (trx: Kysely<Tables>, effects: TransactionEffects) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T>;
  /**
   * Calls `listener` with each payload notified on `topic` by any process, this one included. Order is commit order. An empty payload
   * means "anything may have changed": it comes after a lost connection was made again. Returns the way to stop.
   */
  subscribe(topic: string, listener: (payload: string) => void): () => void;
  /**
   * Brings the schema up to date, once per process, with the migrations of all features, applied in the order given. Safe when several servers
   * start at once. `release` is noted with each, for those that do not know it.
   * @throws StoreError ERR_STORE_NEWER when the database holds a migration that is not in the list and may not be passed over, ERR_STORE_MIGRATION
   */
  migrate(migrations: readonly Migration[], options?: { readonly release: string }): Promise<void>;
}

/**
 * Reads a file that an operator keeps a secret in, without the newline at its end; undefined when there is none or an empty one. Throws when
 * others can read the file, with a message that says what to do.
 */
export type ReadSecretFile = (path: string) => Secret | undefined;

/**
 * Reads a file that is no secret and decides whom the store trusts, as certificates of authorities do; undefined when there is none. Throws
 * when others could have written it, with a message that says what to do.
 */
export type ReadTrustedFile = (path: string) => Buffer | undefined;

/** The ways to read the files that an operator names. */
export interface GivenFiles {
  readonly readSecretFile: ReadSecretFile;
  readonly readTrustedFile: ReadTrustedFile;
}

/** A kind of database: one folder in `engines/`. */
export interface StoreEngineMember extends Member {
  readonly kind: 'store-engine';
  /**
   * The store for that config (checked against the member's schema here), whose code is loaded now. Opens nothing: `start` does. Relative paths lie below
   * `dataDir`, or the working directory without one. Files that an operator names are read by `files` alone.
   * @throws StoreError ERR_STORE_CONFIG
   */
  open(
    config: unknown,
    deps: { clock: Clock; log: Log; dataDir?: string; files?: GivenFiles },
  ): Promise<Store & Service>;
}

/** The type of a column of bytes. */
export function bytesType(dialect: Dialect): 'blob' | 'bytea' {
  return dialect === 'sqlite' ? 'blob' : 'bytea';
}

/** PostgreSQL carries less than 8,000 bytes in a notification; all engines keep to that. */
export const NOTIFY_BYTES_MAX = 7900;
