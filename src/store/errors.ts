import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong in the store. */
export const errorTable = {
  ERR_STORE_CONFIG: {
    status: 500,
    exit: 'config',
    meaning: 'The store is configured with something it can not use.',
    remedy: 'Correct the key that the message names; the reference page of the engine lists what is allowed.',
  },
  ERR_STORE_FILE: {
    status: 500,
    exit: 'config',
    meaning: 'The database file or its folder is not safe to use: wrong kind, owner or mode, or no database at all.',
    remedy:
      'Correct owner and mode as the message says; the file must be 0600 and belong to the user that runs the server.',
  },
  ERR_STORE_LOCKED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'Another process has this database file open.',
    remedy: 'Stop the other process. Several servers need the postgres engine.',
  },
  ERR_STORE_NEWER: {
    status: 500,
    exit: 'config',
    meaning:
      'The database was migrated by a newer release, in a way that this one can not go on with, or holds what only the newer one understands.',
    remedy: 'Run the release that the message names, or restore the backup taken before the upgrade.',
  },
  ERR_STORE_MIGRATION: {
    status: 500,
    exit: 'config',
    meaning: 'A migration failed; nothing of it was kept.',
    remedy: 'Read the cause in the log. The release before it still runs on this database.',
  },
  ERR_STORE_UNAVAILABLE: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The database can not be reached, or the connection broke before the answer.',
    remedy: 'Look at the database server and the network; the store reconnects by itself.',
  },
  ERR_STORE_CONFLICT: {
    status: 503,
    exit: 'unavailable',
    meaning: 'A transaction met concurrent changes each time it was tried.',
    remedy: 'Try again; if it lasts, look for one writer that changes the same rows all the time.',
  },
  ERR_STORE_CONSTRAINT: {
    status: 409,
    exit: 'internal',
    meaning: 'A row would break a rule of its table: unique, foreign key, not null or check.',
    remedy: 'Look for a duplicate of what was written.',
  },
  ERR_STORE_TIMEOUT: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The database did not answer a statement in time.',
    remedy: 'Look for locks and load on the database.',
  },
  ERR_STORE_QUEUE_FULL: {
    status: 503,
    exit: 'unavailable',
    meaning: 'Too many statements wait for the database already.',
    remedy: 'Lower the load, or move from sqlite to postgres.',
  },
  ERR_STORE_IO: {
    status: 503,
    exit: 'io',
    meaning: 'The database could not read or write its file: disk full, or a fault of the disk.',
    remedy: 'Make room or replace the disk. What was acknowledged before is kept.',
  },
  ERR_STORE_NOTIFY_SIZE: {
    status: 500,
    exit: 'internal',
    meaning: 'A notification is larger than every engine can carry.',
    remedy: 'Report it: notifications carry only what changed, never the change itself.',
  },
  ERR_STORE_LEASE: {
    status: 503,
    exit: 'unavailable',
    meaning:
      'What this process was doing alone is not its own any more: it was paused for too long, and another one does it.',
    remedy: 'Nothing, unless it lasts: then see why this process, or the database, stands still for seconds.',
  },
  ERR_STORE_CLOSED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The store, or the transaction, is not open: not started yet, stopped, or finished.',
    remedy: 'Nothing while the server stops; otherwise report it.',
  },
} as const satisfies ErrorTable;

/** A failure of the store. */
export class StoreError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
