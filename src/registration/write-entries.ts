import type { Kysely } from 'kysely';
import type { Entry } from '../model/index.ts';
import type { Random } from '../std/index.ts';
import { entriesById } from './entry-queries.ts';
import { entryOf, factsOf, likenessOf, rowOf } from './entry-rows.ts';
import type { RegistrationTables } from './migrations.ts';
import { checkEntryId, type EntryContent, type EntryRules, InvalidEntry, parseEntryContent } from './parse-entry.ts';
import type { DeleteResult, EntryField, EntryInput, EntryResult, EntryUpdate } from './types.ts';

/** What one transaction changed: `revision` is the last it took, one for each change, or undefined when there were none. */
export interface Written<Result> {
  readonly results: readonly Result[];
  readonly puts: readonly Entry[];
  readonly removals: readonly string[];
  readonly revision: number | undefined;
}

type Trx = Kysely<RegistrationTables>;

/** See `Registration.batchCreate`. To be called in a transaction of the order of registration. */
export async function createEntries(
  trx: Trx,
  inputs: readonly EntryInput[],
  context: EntryRules & { random: Random; nowS: number },
): Promise<Written<EntryResult>> {
  const wanted = inputs.map((input) => attemptParse(() => newEntry(input, context)));
  const valid = wanted.filter((item): item is Entry => !(item instanceof InvalidEntry));
  const likenesses = valid.map(likenessOf);
  const known = await knownEntries(trx, { ids: valid.map((entry) => entry.id), likenesses });
  const puts: Entry[] = [];
  const results = wanted.map((entry): EntryResult => {
    if (entry instanceof Error) return { status: 'invalid', message: entry.message };
    const existing = known.byId.get(entry.id) ?? known.byLikeness.get(likenessOf(entry));
    if (existing) return { status: 'already-exists', entry: existing, message: alreadyExists(existing, entry) };
    known.byId.set(entry.id, entry);
    known.byLikeness.set(likenessOf(entry), entry);
    puts.push(entry);
    return { status: 'ok', entry };
  });
  for (const chunk of chunks(puts, ROWS_PER_INSERT)) {
    await trx.insertInto('registration_entries').values(chunk.map(rowOf)).execute();
  }
  await insertFacts(trx, puts);
  const revision = await logChanges(
    trx,
    puts.map((entry) => entry.id),
  );
  return { results, puts, removals: [], revision };
}

/** See `Registration.batchUpdate`. Items are applied one after the other: a later one sees what an earlier one did. */
export async function updateEntries(
  trx: Trx,
  updates: readonly EntryUpdate[],
  rules: EntryRules,
): Promise<Written<EntryResult>> {
  const results: EntryResult[] = [];
  const puts = new Map<string, Entry>();
  for (const update of updates) {
    const result = await updateOne(trx, update, rules);
    results.push(result);
    if (result.status === 'ok') puts.set(result.entry.id, result.entry);
  }
  const changed = [...puts.keys()];
  return { results, puts: [...puts.values()], removals: [], revision: await logChanges(trx, changed) };
}

/** See `Registration.batchDelete`. */
export async function deleteEntries(trx: Trx, ids: readonly string[]): Promise<Written<DeleteResult>> {
  const found = new Set((await entriesById(trx, [...new Set(ids)])).map((row) => row.id));
  const removals: string[] = [];
  const results = ids.map((id): DeleteResult => {
    if (id === '') return { status: 'invalid', id, message: 'id is empty' };
    if (!found.delete(id)) return { status: 'not-found', id, message: `no entry has id ${id.slice(0, 255)}` };
    removals.push(id);
    return { status: 'ok', id };
  });
  return { results, puts: [], removals, revision: await removeAll(trx, removals) };
}

/** Deletes those of the entries that have expired by `nowS`: the clock that found them may have been another. */
export async function deleteExpired(trx: Trx, ids: readonly string[], nowS: number): Promise<Written<never>> {
  const rows = await trx
    .selectFrom('registration_entries')
    .select('id')
    .where('id', 'in', ids)
    .where('expires_at_s', '>', 0)
    .where('expires_at_s', '<=', nowS)
    .execute();
  const removals = rows.map((row) => row.id);
  return { results: [], puts: [], removals, revision: await removeAll(trx, removals) };
}

async function removeAll(trx: Trx, ids: readonly string[]): Promise<number | undefined> {
  if (ids.length === 0) return undefined;
  // The facts go with their entries.
  await trx.deleteFrom('registration_entries').where('id', 'in', ids).execute();
  return logChanges(trx, ids);
}

function newEntry(input: EntryInput, context: EntryRules & { random: Random; nowS: number }): Entry {
  const id = input.id ?? '';
  if (id !== '') checkEntryId(id);
  const content = parseEntryContent(input, context);
  return { ...content, id: id === '' ? randomUuid(context.random) : id, revisionNumber: 0, createdAtS: context.nowS };
}

async function updateOne(trx: Trx, update: EntryUpdate, rules: EntryRules): Promise<EntryResult> {
  const [row] = await entriesById(trx, [update.id]);
  if (!row) return { status: 'not-found', message: `no entry has id ${update.id.slice(0, 255)}` };
  const before = entryOf(row);
  const content = attemptParse(() => parseEntryContent(merge(before, update), rules));
  if (content instanceof Error) return { status: 'invalid', message: content.message };
  const after: Entry = {
    ...content,
    id: before.id,
    createdAtS: before.createdAtS,
    revisionNumber: before.revisionNumber + 1,
  };
  const likeness = likenessOf(after);
  if (likeness !== row.likeness) {
    const { byLikeness } = await knownEntries(trx, { ids: [], likenesses: [likeness] });
    const existing = byLikeness.get(likeness);
    if (existing) return { status: 'already-exists', entry: existing, message: alreadyExists(existing, after) };
  }
  await trx.updateTable('registration_entries').set(rowOf(after)).where('id', '=', after.id).execute();
  if (factsOf(before).join('\n') !== factsOf(after).join('\n')) {
    await trx.deleteFrom('registration_facts').where('entry_id', '=', after.id).execute();
    await insertFacts(trx, [after]);
  }
  return { status: 'ok', entry: after };
}

/** The entry as its author would have written it, with the masked fields taken from the update. A masked field that is missing is emptied. */
function merge(before: EntryContent, { entry, mask }: EntryUpdate): EntryInput {
  const empty = { spiffeId: '', parentId: '', selectors: [] };
  const old: EntryInput = { ...before, spiffeId: before.spiffeId.uri, parentId: before.parentId.uri };
  // Who says nothing of attributes leaves them: the SPIRE API can't say anything of them.
  if (mask === undefined) return { ...empty, attributes: before.attributes, ...entry };
  const masked: EntryField[] = [...mask];
  const without = Object.fromEntries(Object.entries(old).filter(([field]) => !mask.has(field as EntryField))); // Fields of EntryInput.
  const taken = Object.fromEntries(
    masked.filter((field) => entry[field] !== undefined).map((field) => [field, entry[field]]),
  );
  return { ...empty, ...without, ...taken };
}

interface KnownEntries {
  readonly byId: Map<string, Entry>;
  readonly byLikeness: Map<string, Entry>;
}

async function knownEntries(
  trx: Trx,
  wanted: { ids: readonly string[]; likenesses: readonly string[] },
): Promise<KnownEntries> {
  const byId = new Map<string, Entry>();
  const byLikeness = new Map<string, Entry>();
  const rows = [...(await entriesById(trx, wanted.ids))];
  if (wanted.likenesses.length > 0) {
    rows.push(
      ...(await trx
        .selectFrom('registration_entries')
        .selectAll()
        .where('likeness', 'in', wanted.likenesses)
        .execute()),
    );
  }
  for (const row of rows) {
    const entry = entryOf(row);
    byId.set(row.id, entry);
    byLikeness.set(row.likeness, entry);
  }
  return { byId, byLikeness };
}

async function insertFacts(trx: Trx, entries: readonly Entry[]): Promise<void> {
  const facts = entries.flatMap((entry) => factsOf(entry).map((fact) => ({ entry_id: entry.id, fact })));
  for (const chunk of chunks(facts, ROWS_PER_INSERT)) {
    await trx.insertInto('registration_facts').values(chunk).execute();
  }
}

/**
 * Gives each change the next revision. The state row stays locked until the commit, so revisions become visible in order and
 * without a gap: whoever reads up to one has seen all before it. Returns the last one.
 */
async function logChanges(trx: Trx, ids: readonly string[]): Promise<number | undefined> {
  if (ids.length === 0) return undefined;
  const { revision, pruned_through } = await trx
    .updateTable('registration_state')
    .set((set) => ({ revision: set('revision', '+', ids.length) }))
    .where('id', '=', 1)
    .returning(['revision', 'pruned_through'])
    .executeTakeFirstOrThrow();
  const first = revision - ids.length + 1;
  const rows = ids.map((entry_id, place) => ({ revision: first + place, entry_id }));
  for (const chunk of chunks(rows, ROWS_PER_INSERT)) {
    await trx.insertInto('registration_changes').values(chunk).execute();
  }
  if (revision - pruned_through > CHANGES_KEPT + CHANGES_PRUNED_AT_ONCE) await prune(trx, revision - CHANGES_KEPT);
  return revision;
}

async function prune(trx: Trx, through: number): Promise<void> {
  await trx.deleteFrom('registration_changes').where('revision', '<=', through).execute();
  await trx.updateTable('registration_state').set({ pruned_through: through }).where('id', '=', 1).execute();
}

function attemptParse<T>(parse: () => T): T | InvalidEntry {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidEntry) return error;
    throw error;
  }
}

function alreadyExists(existing: Entry, wanted: Entry): string {
  return existing.id === wanted.id
    ? `an entry has the id ${existing.id} already`
    : `entry ${existing.id} has the same SPIFFE ID, parent and selectors`;
}

/** @see RFC 9562 §5.4 */
function randomUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function* chunks<T>(items: readonly T[], size: number): Iterable<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** SQLite binds at most 32,766 values in one statement; a row of entries has 19. */
const ROWS_PER_INSERT = 500;
/** A server that missed more than this loads all entries anew. */
const CHANGES_KEPT = 100_000;
const CHANGES_PRUNED_AT_ONCE = 10_000;
