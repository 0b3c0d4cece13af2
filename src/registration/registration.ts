import { spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { Entry } from '../model/index.ts';
import { type Clock, createListeners, type Log, messageOf, type Random, type Service } from '../std/index.ts';
import type { Store, TransactionEffects } from '../store/index.ts';
import { CHANGES_TOPIC, type ChangeFeed, createChangeFeed, type FeedTarget } from './change-feed.ts';
import { type Announce, createDeclaration } from './declaration.ts';
import { createEntryIndex, type EntryChange, isCurrent } from './entry-index.ts';
import { attributesById, countEntries, entriesById, findEntry, listEntries } from './entry-queries.ts';
import { entryOf } from './entry-rows.ts';
import { RegistrationError } from './errors.ts';
import { createExpirySchedule } from './expiry.ts';
import type { RegistrationTables } from './migrations.ts';
import { createNodeWatchers } from './node-watchers.ts';
import { createPrincipals } from './principals.ts';
import { ENTRIES_PER_BATCH_MAX, type Registration } from './types.ts';
import { createEntries, deleteEntries, deleteExpired, updateEntries, type Written } from './write-entries.ts';

/** What registration needs. */
export interface RegistrationDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trustDomain: TrustDomain;
  /** Whether the bundle of a foreign trust domain is known: entries may federate only with such. */
  readonly knowsTrustDomain: (trustDomain: TrustDomain) => boolean;
  /**
   * Is told of all entries that a transaction has made or changed, within it: what it writes stands if they do. What it throws undoes the transaction, and
   * whoever asked for it hears it.
   */
  readonly written?: (
    trx: Kysely<RegistrationTables>,
    entries: readonly Entry[],
    effects: TransactionEffects,
  ) => Promise<void>;
}

/** Creates registration over a migrated store. `start` loads the entries. */
export function createRegistration(deps: RegistrationDeps): Registration & Service {
  const { store, clock, random, log, trustDomain, knowsTrustDomain } = deps;
  const db = store.db<RegistrationTables>();
  const rules = { trustDomain, knowsTrustDomain };
  const nowS = () => Math.floor(clock.now() / 1000);
  const view = createView(deps);
  const feed = createChangeFeed({ store, clock, log, target: view.target });
  const announce: Announce = async (trx, { revision, puts }, effects) => {
    if (revision !== undefined) effects.notify(CHANGES_TOPIC, String(revision));
    if (puts.length > 0) await deps.written?.(trx, puts, effects);
  };

  /** Runs a write in one transaction, announces it, and waits until this process shows it. */
  const write = async <Result>(
    work: (trx: Kysely<RegistrationTables>) => Promise<Written<Result>>,
    options: { signal?: AbortSignal } = {},
  ): Promise<readonly Result[]> => {
    const written = await store.transaction<RegistrationTables, Written<Result>>(
      async (trx, effects) => {
        const done = await work(trx);
        await announce(trx, done, effects);
        return done;
      },
      { ...options, order: 'registration' },
    );
    await show(feed, written);
    return written.results;
  };

  const removeExpired = async (ids: readonly string[]) => {
    for (let start = 0; start < ids.length; start += ENTRIES_PER_BATCH_MAX) {
      const chunk = ids.slice(start, start + ENTRIES_PER_BATCH_MAX);
      await write((trx) => deleteExpired(trx, chunk, nowS()));
    }
  };
  view.onExpired((ids) => {
    removeExpired(ids).catch((error: unknown) => {
      // They are not handed out any more all the same; the rows go at the next try.
      log.error('registration.expiry.failed', { reason: messageOf(error), entries: ids.length });
      view.expireAgain(ids, nowS() + EXPIRY_RETRY_S);
    });
  });

  return {
    async batchCreate(inputs, options) {
      checkBatch(inputs.length);
      return write((trx) => createEntries(trx, inputs, { ...rules, random, nowS: nowS() }), options);
    },
    async batchUpdate(updates, options) {
      checkBatch(updates.length);
      return write((trx) => updateEntries(trx, updates, rules), options);
    },
    async batchDelete(ids, options) {
      checkBatch(ids.length);
      return write((trx) => deleteEntries(trx, ids), options);
    },
    declare: (inputs, remove = []) =>
      createDeclaration(
        { inputs, remove },
        { ...deps, ...rules, nowS, announce, show: (written) => show(feed, written) },
      ),
    async entriesIn(trx, ids) {
      const found: Entry[] = [];
      for (let start = 0; start < ids.length; start += ENTRIES_PER_BATCH_MAX) {
        // Registration's tables are there once it has migrated.
        const tables = trx as Kysely<RegistrationTables>;
        const rows = await entriesById(tables, ids.slice(start, start + ENTRIES_PER_BATCH_MAX));
        found.push(...rows.map((row) => entryOf(row)));
      }
      return found;
    },
    get: (id) => findEntry(db, id),
    list: (request) => listEntries(db, request),
    attributesOf: (ids) => attributesById(db, ids),
    count: (filter = {}) => countEntries(db, filter),
    ...view.questions,
    start: (signal) => feed.start(signal),
    async stop() {
      await feed.stop();
      view.stop();
    },
  };
}

/** Waits until this process shows what was committed. */
async function show(feed: ChangeFeed, { puts, removals, revision }: Written<unknown>): Promise<void> {
  if (revision === undefined) return;
  await feed.committed(revision - puts.length - removals.length + 1, { puts, removals, revision });
}

/** What is answered from memory. */
type Questions = Pick<
  Registration,
  'authorizedEntries' | 'entryFor' | 'entriesOf' | 'principals' | 'revision' | 'onChange' | 'watchNode'
>;

/** The entries in memory, who watches them, and when they expire. */
function createView(deps: { clock: Clock; log: Log; trustDomain: TrustDomain }) {
  const { clock, log, trustDomain } = deps;
  const serverUri = spiffeIdOf(trustDomain, '/spire/server').uri;
  const failed = (error: unknown) => log.error('registration.listener.failed', { reason: messageOf(error) });
  const listeners = createListeners<number>(failed); // The others must hear of the change all the same.
  const watchers = createNodeWatchers(failed);
  const { principals, ...identities } = createPrincipals(failed);
  let onExpired: (ids: readonly string[]) => void = () => {};
  const expiry = createExpirySchedule(clock, (ids) => onExpired(ids));
  let index = createEntryIndex(serverUri);
  let revision = -1;

  const target: FeedTarget = {
    loaded(entries, at) {
      index = createEntryIndex(serverUri);
      expiry.clear();
      for (const entry of entries) {
        index.put(entry);
        expiry.add(entry.id, entry.expiresAtS);
      }
      revision = at;
      log.info('registration.loaded', { entries: index.size, revision });
      identities.loaded(entries, at);
      watchers.notifyAll(revision);
      listeners.tell(revision);
    },
    changed({ puts, removals, revision: at }) {
      const changes: EntryChange[] = removals.map((id) => index.remove(id));
      for (const id of removals) expiry.add(id, 0);
      for (const entry of puts) {
        changes.push(index.put(entry));
        expiry.add(entry.id, entry.expiresAtS);
      }
      revision = at;
      identities.changed(changes, (id) => index.bySpiffeId(id), at);
      watchers.notify(index, changes, revision);
      listeners.tell(revision);
    },
  };
  const ready = () => {
    if (revision < 0) throw new RegistrationError('ERR_REGISTRATION_NOT_READY', 'the entries are not loaded yet');
    return index;
  };
  const nowS = () => Math.floor(clock.now() / 1000);
  const questions: Questions = {
    authorizedEntries: (nodeId, nodeSelectors) => ready().authorized(nodeId, nodeSelectors, nowS()),
    entryFor: (entryId, nodeId, nodeSelectors) =>
      ready().authorizedOne({ entryId, nodeId, nodeSelectors, nowS: nowS() }),
    entriesOf: (spiffeId) => [...ready().bySpiffeId(spiffeId)].filter((entry) => isCurrent(entry, nowS())),
    principals,
    revision: () => Math.max(revision, 0),
    onChange: listeners.add,
    watchNode: watchers.add,
  };
  return {
    target,
    questions,
    onExpired(listener: typeof onExpired) {
      onExpired = listener;
    },
    expireAgain(ids: readonly string[], atS: number) {
      // One that was given a later end meanwhile has its note.
      for (const id of ids) if ((index.byId(id)?.expiresAtS ?? atS) < atS) expiry.add(id, atS);
    },
    stop() {
      expiry.stop();
      revision = -1;
    },
  };
}

function checkBatch(count: number): void {
  if (count <= ENTRIES_PER_BATCH_MAX) return;
  throw new RegistrationError(
    'ERR_REGISTRATION_REQUEST',
    `a batch of ${count} entries was sent, allowed are ${ENTRIES_PER_BATCH_MAX}`,
  );
}

const EXPIRY_RETRY_S = 10;
