import { type Clock, codeOf, createLimiter, type Limiter, type Log, sha256, sleep } from '../../../std/index.ts';
import type { Attempt, Engine } from '../../engine-port.ts';
import { StoreError } from '../../errors.ts';
import type { PostgresConnection } from './connection.ts';

/** Lends connections; each is to be given back. */
export interface ConnectionSource {
  acquire(queryTimeoutMs: number): Promise<PostgresConnection>;
}

/**
 * Serializable transactions, tried again after a conflict. Those of one order hold an advisory lock of the session from before they
 * begin until after they commit, so that each begins with all that the one before it committed: a lock taken inside would leave it
 * with an older snapshot. In this process they line up first, so that waiting for the lock takes one connection only.
 *
 * What meets conflicts again and again is at last carried out while no other transaction is, of whatever order: many short ones could
 * stand in the way of a long one for ever. For that each holds a second lock, shared; the one in need holds it alone.
 */
export function createTransactions(deps: {
  clock: Clock;
  log: Log;
  channel: string;
  connections: ConnectionSource;
}): Engine['atomically'] {
  const { clock, log } = deps;
  const gates = new Map<string, Limiter>();
  const gateOf = (order: string): Limiter => {
    const known = gates.get(order);
    if (known) return known;
    const gate = createLimiter({
      runningMax: 1,
      waitersMax: WAITING_MAX,
      full: () => new StoreError('ERR_STORE_QUEUE_FULL', `${WAITING_MAX} transactions wait already`),
    });
    gates.set(order, gate);
    return gate;
  };
  return (attempt, options) => {
    const signal = options.signal ?? NEVER;
    return gateOf(options.order).run(async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await attemptOnce(attempt, { ...deps, ...options, isAlone: tries >= ALONE_FROM_TRY });
        } catch (error) {
          if (codeOf(error) !== 'ERR_STORE_CONFLICT' || tries >= TRIES_MAX) throw error;
          log.debug('store.transaction.conflict', { order: options.order, tries });
          await sleep(clock, Math.min(RETRY_MS * 2 ** tries, RETRY_MS_MAX), signal);
        }
      }
    }, signal);
  };
}

async function attemptOnce<T>(
  attempt: (connection: PostgresConnection) => Promise<Attempt<T>>,
  options: { connections: ConnectionSource; channel: string; order: string; timeoutMs: number; isAlone: boolean },
): Promise<T> {
  const { connections, channel, order, timeoutMs, isAlone } = options;
  const connection = await connections.acquire(timeoutMs + ANSWER_GRACE_MS);
  const lock = lockKey(order);
  let clean = false;
  try {
    // The order's first: whoever waits for the lock of all then holds nothing that those who share it wait for.
    await connection.run('select pg_advisory_lock($1)', [lock]);
    await connection.run(`select pg_advisory_lock${isAlone ? '' : '_shared'}($1)`, [ALL_ORDERS]);
    await connection.run('begin isolation level serializable');
    await connection.run(`set local statement_timeout = ${timeoutMs}`);
    try {
      const { value, notices } = await attempt(connection);
      if (notices.length > 0) {
        const payloads = notices.map((notice) => `${notice.topic}\n${notice.payload}`);
        // In the order given: `unnest` keeps that of the array.
        await connection.run('select pg_notify($1, payload) from unnest($2::text[]) as payload', [channel, payloads]);
      }
      const { command } = await connection.run('commit');
      // An aborted transaction answers COMMIT with ROLLBACK and no error.
      if (command !== 'COMMIT') throw new StoreError('ERR_STORE_CONFLICT', 'the database undid the transaction');
      clean = true;
      return value;
    } catch (error) {
      // A statement may still be running when `attempt` gave up waiting: then the connection is not worth waiting for either.
      if (!GAVE_UP.has(nameOf(error))) {
        await connection.run('rollback');
        clean = true;
      }
      throw error;
    }
  } finally {
    const unlocked = clean && (await unlock(connection, lock, isAlone));
    connection.giveBack(!unlocked);
  }
}

/** False when it did not work; closing the connection then gives up the lock. */
async function unlock(connection: PostgresConnection, lock: string, isAlone: boolean): Promise<boolean> {
  try {
    const { rows } = await connection.run(
      `select pg_advisory_unlock($1) and pg_advisory_unlock${isAlone ? '' : '_shared'}($2) as unlocked`,
      [lock, ALL_ORDERS],
    );
    return rows[0]?.unlocked === true;
  } catch {
    return false; // The outcome of the transaction is known already and must not be hidden by this.
  }
}

function nameOf(error: unknown): string {
  return codeOf(error) === 'ERR_STORE_TIMEOUT' ? 'TimeoutError' : error instanceof Error ? error.name : '';
}

/** A signed 64-bit number, as advisory locks are named, that no other application is likely to use. */
function lockKey(order: string): string {
  return sha256(Buffer.from(`countersign store order ${order}`))
    .readBigInt64BE()
    .toString();
}

const ALL_ORDERS = lockKey(' all'); // No order's name begins with a space.
const NEVER = new AbortController().signal;
const GAVE_UP: ReadonlySet<string> = new Set(['AbortError', 'TimeoutError']);
/** As many as wait for SQLite at most. */
const WAITING_MAX = 10_000;
const TRIES_MAX = 10;
/** From this one on a transaction is alone; conflicts are then those with statements outside of transactions. */
const ALONE_FROM_TRY = 6;
const RETRY_MS = 2;
const RETRY_MS_MAX = 500;
/** The server gives up on a statement by itself; this much later nothing will come any more. */
const ANSWER_GRACE_MS = 5000;
