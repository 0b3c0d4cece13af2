import type { SpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { Entry } from '../model/index.ts';
import { type Clock, type Log, messageOf, type Service, type Timer, throwIfAborted } from '../std/index.ts';
import type { Store } from '../store/index.ts';
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
  const { store, clock, log } = deps;
  const stopping = new AbortController();
  const reader = createChangeReader({ ...deps, stopping: stopping.signal });
  let unsubscribe = () => {};
  let retry: Timer | undefined;
  let poll: Timer | undefined;

  /** Catches up for nobody in particular: failing, it tries again until it works. */
  const catchUpSoon = () => {
    retry?.cancel();
    retry = undefined;
    if (stopping.signal.aborted) return;
    reader.catchUp().catch((error: unknown) => {
      if (stopping.signal.aborted) return;
      // The entries known so far stay in force: losing the database must not take identities away from all workloads.
      log.error('registration.feed.failed', { reason: messageOf(error) });
      retry?.cancel();
      retry = clock.after(RETRY_MS, catchUpSoon);
    });
  };
  const pollAgain = () => {
    poll = clock.after(POLL_MS, () => {
      catchUpSoon();
      pollAgain();
    });
  };

  return {
    async start(signal) {
      throwIfAborted(signal);
      // Before the first read, so that no change falls between.
      unsubscribe = store.subscribe(CHANGES_TOPIC, (payload) => {
        if (payload === '' || Number(payload) > reader.applied()) catchUpSoon();
      });
      await reader.load();
      await reader.catchUp();
      // Only other processes change entries unseen, and an embedded store has none.
      if (store.dialect === 'postgres') pollAgain();
    },
    async stop() {
      stopping.abort();
      unsubscribe();
      retry?.cancel();
      poll?.cancel();
      await reader.idle();
    },
    async committed(firstRevision, batch) {
      reader.offer(firstRevision, batch);
      while (reader.applied() < batch.revision && !stopping.signal.aborted) await reader.catchUp();
    },
  };
}

interface ChangeReader {
  /** The revision up to which the target knows everything; -1 before the first load. */
  applied(): number;
  load(): Promise<void>;
  /** Resolves once the target has all that was committed when it was called. One run serves all who call meanwhile. */
  catchUp(): Promise<void>;
  /** Takes the batch if it follows directly on what the target has. */
  offer(firstRevision: number, batch: FeedBatch): void;
  idle(): Promise<void>;
}

function createChangeReader(deps: { store: Store; log: Log; target: FeedTarget; stopping: AbortSignal }): ChangeReader {
  const { log, target, stopping } = deps;
  const db = deps.store.db<RegistrationTables>();
  let applied = -1;
  let running: Promise<void> | undefined;
  let wanted = false;
  const state = () => db.selectFrom('registration_state').selectAll().where('id', '=', 1).executeTakeFirstOrThrow();

  const load = async () => {
    // Read first: what changes while the pages are read comes again with the changes after this revision.
    const { revision } = await state();
    const entries = await readAll(db, stopping);
    if (stopping.aborted) return;
    applied = revision;
    target.loaded(entries, revision);
  };

  /** True when there may be more. */
  const readOnce = async (): Promise<boolean> => {
    const after = applied;
    const { pruned_through } = await state();
    if (after < pruned_through) {
      log.warn('registration.feed.reload', { after, prunedThrough: pruned_through });
      await load();
      return true;
    }
    const changes = await db
      .selectFrom('registration_changes')
      .selectAll()
      .where('revision', '>', after)
      .orderBy('revision')
      .limit(CHANGES_PER_READ)
      .execute();
    const last = changes.at(-1)?.revision;
    if (last === undefined) return false;
    const ids = [...new Set(changes.map((change) => change.entry_id))];
    const puts = (await entriesById(db, ids)).map((row) => entryOf(row));
    // Meanwhile `offer` may have gone ahead: what was read may be older than what it handed over.
    if (applied !== after) return true;
    const present = new Set(puts.map((entry) => entry.id));
    applied = last;
    target.changed({ puts, removals: ids.filter((id) => !present.has(id)), revision: last });
    return changes.length === CHANGES_PER_READ;
  };

  const run = async () => {
    try {
      while (wanted && !stopping.aborted) {
        wanted = false;
        while ((await readOnce()) && !stopping.aborted);
      }
    } finally {
      running = undefined;
    }
  };

  return {
    applied: () => applied,
    load,
    catchUp() {
      wanted = true;
      running ??= run();
      return running;
    },
    offer(firstRevision, batch) {
      if (applied !== firstRevision - 1) return;
      applied = batch.revision;
      target.changed(batch);
    },
    async idle() {
      await running?.catch(() => {}); // It was told to stop: how it ended means nothing any more.
    },
  };
}

/** All entries, in pages so that neither the event loop nor other statements wait for long. */
async function readAll(db: Kysely<RegistrationTables>, stopping: AbortSignal): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const parents = new Map<string, SpiffeId>();
  for (let after = ''; !stopping.aborted; ) {
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
const RETRY_MS = 1000;
/** A lost notification is found within this, at the cost of one small query. */
const POLL_MS = 5000;
