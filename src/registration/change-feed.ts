import type { SpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { Entry } from '../model/index.ts';
import type { Clock, Log, Service } from '../std/index.ts';
import { createFollower, type FollowStep, type Store } from '../store/index.ts';
import { entriesById } from './entry-queries.ts';
import { ENTRY_COLUMNS, entryOf } from './entry-rows.ts';
import type { RegistrationTables } from './migrations.ts';

/** Changes up to and including `revision`. */
export interface FeedBatch {
  readonly puts: readonly Entry[];
  readonly removals: readonly string[];
  readonly revision: number;
}

/** Where the feed hands over what it read. */
export interface FeedTarget {
  /** The first state, or all of it again after too much was missed: replaces whatever was there. */
  loaded(entries: readonly Entry[], revision: number): void;
  /** What changed since. An entry may be put as it was some changes later: those follow. */
  changed(batch: FeedBatch): void;
}

/** Follows the change log of entries without a gap. */
export interface ChangeFeed extends Service {
  /**
   * Hands over what this process just committed (revisions `firstRevision` to `batch.revision`), without reading it back, when nothing is missing
   * before it. Resolves once the target has everything up to it.
   */
  committed(firstRevision: number, batch: FeedBatch): Promise<void>;
}

/** The topic on which every commit is announced, with its last revision as payload. */
export const CHANGES_TOPIC = 'registration.changes';

/** Creates a {@link ChangeFeed}. */
export function createChangeFeed(deps: { store: Store; clock: Clock; log: Log; target: FeedTarget }): ChangeFeed {
  const reader = createChangeReader(deps);
  const { refresh, stop, ...follower } = createFollower(deps, {
    ...{ topic: CHANGES_TOPIC, pollMs: POLL_MS },
    ...{ load: reader.load, read: reader.read },
    isKnown: (payload) => Number(payload) <= reader.applied(),
  });
  let isStopped = false;
  return {
    async start(signal) {
      await follower.start(signal);
      await refresh(); // Pages were read one after the other.
    },
    async stop() {
      isStopped = true;
      await stop();
    },
    async committed(firstRevision, batch) {
      reader.offer(firstRevision, batch);
      while (reader.applied() < batch.revision && !isStopped) await refresh();
    },
  };
}

interface ChangeReader {
  /** The revision up to which the target knows everything; -1 before the first load. */
  applied(): number;
  load(signal: AbortSignal): Promise<void>;
  read(): Promise<FollowStep>;
  /** Takes the batch if it follows directly on what the target has. */
  offer(firstRevision: number, batch: FeedBatch): void;
}

function createChangeReader({ store, target }: { store: Store; target: FeedTarget }): ChangeReader {
  const db = store.db<RegistrationTables>();
  let applied = -1;
  const state = () => db.selectFrom('registration_state').selectAll().where('id', '=', 1).executeTakeFirstOrThrow();
  return {
    applied: () => applied,
    async load(signal) {
      // Read first: what changes while the pages are read comes again with the changes after this revision.
      const { revision } = await state();
      const entries = await readAll(db, signal);
      if (signal.aborted) return;
      applied = revision;
      target.loaded(entries, revision);
    },
    async read() {
      const after = applied;
      const { pruned_through } = await state();
      if (after < pruned_through) return 'gap';
      const changes = await db
        .selectFrom('registration_changes')
        .selectAll()
        .where('revision', '>', after)
        .orderBy('revision')
        .limit(CHANGES_PER_READ)
        .execute();
      const last = changes.at(-1)?.revision;
      if (last === undefined) return 'all';
      const ids = [...new Set(changes.map((change) => change.entry_id))];
      const puts = (await entriesById(db, ids)).map((row) => entryOf(row));
      // Meanwhile `offer` may have gone ahead: what was read may be older than what it handed over.
      if (applied !== after) return 'more';
      const present = new Set(puts.map((entry) => entry.id));
      applied = last;
      target.changed({ puts, removals: ids.filter((id) => !present.has(id)), revision: last });
      return changes.length === CHANGES_PER_READ ? 'more' : 'all';
    },
    offer(firstRevision, batch) {
      if (applied !== firstRevision - 1) return;
      applied = batch.revision;
      target.changed(batch);
    },
  };
}

/** All entries, in pages so that neither the event loop nor other statements wait for long. */
async function readAll(db: Kysely<RegistrationTables>, signal: AbortSignal): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const parents = new Map<string, SpiffeId>();
  for (let after = ''; !signal.aborted; ) {
    const rows = await db
      .selectFrom('registration_entries')
      .select(ENTRY_COLUMNS)
      .where('id', '>', after)
      .orderBy('id')
      .limit(ROWS_PER_PAGE)
      .execute();
    for (const row of rows) entries.push(entryOf(row, parents));
    const last = rows.at(-1);
    if (!last || rows.length < ROWS_PER_PAGE) break;
    after = last.id;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return entries;
}

/** One query brings at most this many entries. */
const CHANGES_PER_READ = 500;
const ROWS_PER_PAGE = 2000;
/** A lost notification is found within this, at the cost of one small query. */
const POLL_MS = 5000;
