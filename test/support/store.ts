/** A real SQLite store in a temporary folder, for tests of features: `await using test = await openTestStore(migrations);`. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { type Clock, createSilentLog, createSystemClock, type Log, type Service } from '../../src/std/index.ts';
import { member as sqlite } from '../../src/store/engines/sqlite/index.ts';
import type { Migration, Store } from '../../src/store/index.ts';

export interface TestStore extends AsyncDisposable {
  /** The open store; after `reopen` another one. */
  readonly store: Store & Service;
  readonly file: string;
  /** Stops the store and opens the same file again, migrated, as a restarted server does. */
  reopen(): Promise<void>;
  /** Stops the store and removes its files. */
  close(): Promise<void>;
}

/** Opens a store with those migrations applied. */
export async function openTestStore(
  migrations: readonly Migration[],
  deps: { clock?: Clock; log?: Log } = {},
): Promise<TestStore> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-store-'));
  const file = path.join(folder, 'test.db');
  const open = async () => {
    const opened = await sqlite.open(
      { file },
      { clock: deps.clock ?? createSystemClock(), log: deps.log ?? createSilentLog() },
    );
    await opened.start(new AbortController().signal);
    await opened.migrate(migrations);
    return opened;
  };
  let store = await open();
  const close = async () => {
    await store.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return {
    get store() {
      return store;
    },
    file,
    async reopen() {
      await store.stop();
      store = await open();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
