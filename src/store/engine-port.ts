import { AsyncLocalStorage } from 'node:async_hooks';
import type { DatabaseConnection, Kysely } from 'kysely';
import {
  assert,
  type Clock,
  codeOf,
  createListeners,
  type Listeners,
  type Log,
  messageOf,
  raceAbort,
  throwIfAborted,
  timeoutSignal,
} from '../std/index.ts';
import { connectionKysely, type SqlParts, type Turns, turnKysely } from './bound-kysely.ts';
import { StoreError } from './errors.ts';
import { runMigrations } from './migrations.ts';
import { type Dialect, NOTIFY_BYTES_MAX, type Store, type TransactionOptions } from './store.ts';

/** One notification of a transaction. */
export interface Notice {
  readonly topic: string;
  readonly payload: string;
}

/** What one attempt at a transaction leaves to commit. */
export interface Attempt<T> {
  readonly value: T;
  readonly notices: readonly Notice[];
}

/** What an engine supplies; {@link createEngineStore} makes a store of it. */
export interface Engine {
  readonly dialect: Dialect;
  readonly isShared: boolean;
  readonly sql: SqlParts;
  /** Connections for single statements. */
  readonly turns: Turns;
  /**
   * Begins, calls `attempt`, commits with its notices, and returns its value; when it throws, rolls back and rethrows. May do so again
   * after a conflict. Gives each attempt a connection of its own until it settles.
   */
  atomically<T>(
    attempt: (connection: DatabaseConnection) => Promise<Attempt<T>>,
    options: { signal: AbortSignal | undefined; order: string; timeoutMs: number },
  ): Promise<T>;
}

/** A store, and the way for its engine to hand in what was notified. */
export interface EngineStore extends Store {
  deliver(notice: Notice): void;
  /** Tells every subscriber of every topic that anything may have changed. */
  deliverAnything(): void;
}

/** The part of a store that is the same over every engine. */
export function createEngineStore(engine: Engine, deps: { clock: Clock; log: Log }): EngineStore {
  const subscriptions = createSubscriptions(deps.log);
  const scopes = new AsyncLocalStorage<{ active: boolean }>();
  const refuseInside = () => {
    // With one connection it would wait for itself; with several it would read around its own transaction.
    assert(!scopes.getStore()?.active, 'db() or transaction() of the store was used inside a transaction of it');
  };
  const statements = turnKysely(engine.sql, {
    acquire: async () => {
      refuseInside();
      return engine.turns.acquire();
    },
    release: engine.turns.release,
  });

  const transact = async <Tables, T>(
    work: Parameters<Store['transaction']>[0],
    options: TransactionOptions & { timeoutMs: number },
  ): Promise<T> => {
    refuseInside();
    if (options.signal) throwIfAborted(options.signal);
    const attempt = async (connection: DatabaseConnection): Promise<Attempt<unknown>> => {
      const notices = new Map<string, Notice>();
      const view = connectionKysely<Tables>(engine.sql, connection);
      const timeout = timeoutSignal(deps.clock, options.timeoutMs, ...(options.signal ? [options.signal] : []));
      const scope = { active: true };
      const effects = {
        notify(topic: string, payload: string) {
          checkNotice(topic, payload);
          notices.set(JSON.stringify([topic, payload]), { topic, payload });
        },
      };
      try {
        // The caller's table type is a promise about the schema that nothing here depends on.
        const running = scopes.run(scope, () => work(view.kysely as Kysely<unknown>, effects));
        const value = await raceAbort(running, timeout.signal);
        // A statement that failed undoes the whole, even when `work` caught its error: PostgreSQL can't go on, so nobody can.
        if (view.failure() !== undefined) throw view.failure();
        return { value, notices: [...notices.values()] };
      } catch (error) {
        // Whatever `work` made of a conflict, the engine must see the conflict to try again.
        if (codeOf(view.failure()) === 'ERR_STORE_CONFLICT') throw view.failure();
        if (!timeout.isOver) throw error;
        throw new StoreError('ERR_STORE_TIMEOUT', `the transaction took more than ${options.timeoutMs} ms`, {
          cause: error,
        });
      } finally {
        scope.active = false;
        view.close();
        timeout.cancel();
      }
    };
    const { signal, timeoutMs, order = ORDER_DEFAULT } = options;
    const value = await engine.atomically(attempt, { signal, timeoutMs, order });
    return value as T; // What `work` returned: the attempt only carries it.
  };

  return {
    dialect: engine.dialect,
    isShared: engine.isShared,
    db: <Tables>() => statements as Kysely<Tables>, // See above.
    transaction: (work, options = {}) =>
      transact(work as Parameters<Store['transaction']>[0], { ...options, timeoutMs: TRANSACTION_MS_MAX }), // See above.
    subscribe: subscriptions.subscribe,
    deliver: subscriptions.deliver,
    deliverAnything: subscriptions.deliverAnything,
    migrate: (migrations, options) =>
      runMigrations(migrations, {
        release: options?.release ?? '',
        dialect: engine.dialect,
        log: deps.log,
        nowMs: () => deps.clock.now(),
        transact: (work) => transact(work, { order: 'store.migrate', timeoutMs: MIGRATION_MS_MAX }),
      }),
  };
}

function createSubscriptions(log: Log) {
  const byTopic = new Map<string, Listeners<string>>();
  const deliver = ({ topic, payload }: Notice) => byTopic.get(topic)?.tell(payload);
  // The change is committed already, and the other listeners must hear of it.
  const create = (topic: string) =>
    createListeners<string>((error) => log.error('store.listener.failed', { topic, reason: messageOf(error) }));
  return {
    deliver,
    deliverAnything() {
      for (const topic of [...byTopic.keys()]) deliver({ topic, payload: '' });
    },
    subscribe(topic: string, call: (payload: string) => void) {
      const listeners = byTopic.get(topic) ?? create(topic);
      byTopic.set(topic, listeners);
      const stop = listeners.add(call);
      return () => {
        stop();
        if (listeners.size === 0 && byTopic.get(topic) === listeners) byTopic.delete(topic);
      };
    },
  };
}

function checkNotice(topic: string, payload: string): void {
  assert(/^[a-z][a-z0-9.-]*$/.test(topic), 'a topic is lower case letters, digits, dots and dashes');
  const bytes = Buffer.byteLength(topic) + Buffer.byteLength(payload);
  if (bytes <= NOTIFY_BYTES_MAX) return;
  throw new StoreError(
    'ERR_STORE_NOTIFY_SIZE',
    `a notification on ${topic} has ${bytes} bytes, allowed are ${NOTIFY_BYTES_MAX}`,
  );
}

const ORDER_DEFAULT = 'store';
/** Others wait behind a transaction; one that takes this long is stuck. */
const TRANSACTION_MS_MAX = 30_000;
/** An index over a large table may take minutes. */
const MIGRATION_MS_MAX = 600_000;
