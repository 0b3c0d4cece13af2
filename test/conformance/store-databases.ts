import { createSilentLog, createSystemClock, memberById, type Service } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import type { Migration, Store, StoreEngineMember } from '../../src/store/index.ts';

/** An empty database of an engine. */
export interface Database {
  readonly config: unknown;
  /** Environment that another process needs to open it. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** Where databases of an engine are made. */
export interface Databases {
  createDatabase(): Promise<Database>;
  close(): Promise<void>;
}

/** Each engine brings its own way to make databases, in `testing/conformance.ts` of its folder. */
export async function openDatabases(engine: string): Promise<Databases> {
  const { conformance }: { conformance: { open(): Promise<Databases> } } = await import(
    `../../src/store/engines/${engine}/testing/conformance.ts`
  );
  return conformance.open();
}

/** A store over a database, started, as one process has it; migrated where migrations are given. */
export async function openStore(
  engine: string,
  database: Database,
  migrations?: readonly Migration[],
): Promise<Store & Service> {
  const member = memberById(storeEngines, engine) as StoreEngineMember; // Each member's own type is narrower.
  const store = await member.open(database.config, { clock: createSystemClock(), log: createSilentLog() });
  await store.start(new AbortController().signal);
  if (migrations !== undefined) await store.migrate(migrations);
  return store;
}
