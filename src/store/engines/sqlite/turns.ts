import { abortError } from '../../../std/index.ts';
import { StoreError } from '../../errors.ts';

/** One transaction of a group: it runs between a savepoint and its release, and settles after the commit of the whole group. */
export interface GroupJob {
  /** Runs in its savepoint; rejecting means that only this job is undone. */
  run(): Promise<void>;
  /** The group was committed. */
  committed(): void;
  /** The job, or the commit of its group, failed. */
  failed(error: unknown): void;
}

/** What a group needs of the database; all of it is synchronous. */
export interface GroupDatabase {
  begin(): void;
  savepoint(): void;
  releaseSavepoint(): void;
  undoSavepoint(): void;
  commit(): void;
  rollback(): void;
  /** False once SQLite has undone the transaction by itself, as it does when the disk is full. */
  inTransaction(): boolean;
}

/**
 * Shares the one connection, first come first served. Transactions that wait one behind the other run one after the other, each in
 * a savepoint, and share one commit and so one fsync; nobody is told of success, and no statement outside sees anything, before that commit.
 */
export interface Turns {
  /** Waits for the connection; the caller must call what it gets when it is done. */
  statement(): Promise<() => void>;
  transaction(job: GroupJob, signal: AbortSignal | undefined): void;
  /** Refuses whatever waits and all that comes; resolves when the connection is free. */
  close(): Promise<void>;
}

/** Creates {@link Turns}. */
export function createTurns(database: GroupDatabase): Turns {
  const waiting = new Set<Waiter>();
  let busy = false;
  let closed: (() => void) | undefined;

  const next = () => {
    if (busy) return;
    const first = waiting.values().next().value;
    if (!first) return closed?.();
    busy = true;
    waiting.delete(first);
    if (first.kind === 'statement') first.grant(leave);
    else void runGroup(first).finally(leave);
  };
  const leave = () => {
    busy = false;
    next();
  };

  const nextInGroup = (count: number): TransactionWaiter | undefined => {
    const first = waiting.values().next().value;
    if (first?.kind !== 'transaction' || count >= GROUP_MAX) return undefined;
    waiting.delete(first);
    return first;
  };

  const runGroup = async (leader: TransactionWaiter) => {
    const done: GroupJob[] = [];
    try {
      database.begin();
      for (let waiter: TransactionWaiter | undefined = leader; waiter; waiter = nextInGroup(done.length)) {
        waiter.started();
        if (await runOne(database, waiter.job)) done.push(waiter.job);
      }
      if (done.length > 0) database.commit();
      else database.rollback();
    } catch (error) {
      // `begin` failed, or the whole group was undone: nothing of it happened, and each member must know.
      if (database.inTransaction()) database.rollback();
      leader.started();
      for (const job of new Set([leader.job, ...done])) job.failed(error);
      return;
    }
    for (const job of done) job.committed();
  };

  const enter = (waiter: Waiter): void => {
    if (closed) throw new StoreError('ERR_STORE_CLOSED', 'the store is not open');
    if (waiting.size >= WAITING_MAX) {
      throw new StoreError('ERR_STORE_QUEUE_FULL', `${WAITING_MAX} statements and transactions wait already`);
    }
    waiting.add(waiter);
    next();
  };

  return {
    statement: () =>
      new Promise((grant, reject) => {
        enter({ kind: 'statement', grant, refuse: reject });
      }),
    transaction(job, signal) {
      const onAbort = () => {
        waiting.delete(waiter);
        job.failed(signal ? abortError(signal) : undefined);
      };
      const waiter: TransactionWaiter = {
        kind: 'transaction',
        job,
        started: () => signal?.removeEventListener('abort', onAbort),
        refuse(error) {
          signal?.removeEventListener('abort', onAbort);
          job.failed(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        enter(waiter);
      } catch (error) {
        waiter.refuse(error);
      }
    },
    close: () =>
      new Promise((resolve) => {
        closed = resolve;
        for (const waiter of waiting) waiter.refuse(new StoreError('ERR_STORE_CLOSED', 'the store was stopped'));
        waiting.clear();
        next();
      }),
  };
}

/** True when the job's statements are in the group; throws when SQLite has undone the group. */
async function runOne(database: GroupDatabase, job: GroupJob): Promise<boolean> {
  database.savepoint();
  try {
    await job.run();
  } catch (error) {
    job.failed(error);
    if (!database.inTransaction()) throw error;
    database.undoSavepoint();
    return false;
  }
  database.releaseSavepoint();
  return true;
}

interface StatementWaiter {
  readonly kind: 'statement';
  grant(leave: () => void): void;
  refuse(error: unknown): void;
}

interface TransactionWaiter {
  readonly kind: 'transaction';
  readonly job: GroupJob;
  started(): void;
  refuse(error: unknown): void;
}

type Waiter = StatementWaiter | TransactionWaiter;

/** The first of a group waits for its last: more members would make it wait longer than the fsync they save. */
const GROUP_MAX = 64;
/** At some thousand statements a second this is seconds of waiting: more would only wait to time out. */
const WAITING_MAX = 10_000;
