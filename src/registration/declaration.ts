import type { Kysely } from 'kysely';
import { assert, type Random } from '../std/index.ts';
import type { Store, TransactionEffects } from '../store/index.ts';
import { entriesById } from './entry-queries.ts';
import { RegistrationError } from './errors.ts';
import type { RegistrationTables } from './migrations.ts';
import type { EntryRules } from './parse-entry.ts';
import {
  type Declaration,
  ENTRIES_DECLARED_MAX,
  ENTRIES_PER_BATCH_MAX,
  type EntryInput,
  type EntryResult,
  type EntryUpdate,
} from './types.ts';
import { createEntries, deleteEntries, updateEntries, type Written } from './write-entries.ts';

/** Tells of what a transaction has written, within it. */
export type Announce = (
  trx: Kysely<RegistrationTables>,
  written: Written<unknown>,
  effects: TransactionEffects,
) => Promise<void>;

/** See `Registration.declare`. `show` waits until this process shows what was committed. */
export function createDeclaration(
  { inputs, remove }: { readonly inputs: readonly EntryInput[]; readonly remove: readonly string[] },
  deps: EntryRules & {
    store: Store;
    random: Random;
    nowS: () => number;
    announce: Announce;
    show: (written: Written<unknown>) => Promise<void>;
  },
): Declaration {
  let last: readonly Written<unknown>[] = [];

  const write = async (trx: Kysely<RegistrationTables>, effects: TransactionEffects) => {
    if (inputs.length + remove.length > ENTRIES_DECLARED_MAX) {
      throw new RegistrationError(
        'ERR_REGISTRATION_REQUEST',
        `${inputs.length + remove.length} entries were declared at once, allowed are ${ENTRIES_DECLARED_MAX}`,
      );
    }
    const written: Written<unknown>[] = [];
    // First, so that one that is declared may be like one that goes.
    for (let start = 0; start < remove.length; start += ENTRIES_PER_BATCH_MAX) {
      const gone = await deleteEntries(trx, remove.slice(start, start + ENTRIES_PER_BATCH_MAX));
      written.push(gone);
      await deps.announce(trx, gone, effects);
    }
    const results = new Map<EntryInput, EntryResult>();
    const note = async (items: readonly EntryInput[], done: Written<EntryResult>) => {
      written.push(done);
      await deps.announce(trx, done, effects);
      for (const [index, item] of items.entries()) {
        const result = done.results[index];
        if (result) results.set(item, result);
      }
    };
    const seen = new Set<string>();
    const wanted = inputs.filter((input) => {
      const id = idOf(input);
      const isFirst = id === '' || !seen.has(id);
      seen.add(id);
      // Else the later of two would win or be refused, by where a batch ends and by what there was before.
      if (!isFirst) results.set(input, { status: 'invalid', message: 'it is declared twice' });
      return isFirst;
    });
    for (let start = 0; start < wanted.length; start += ENTRIES_PER_BATCH_MAX) {
      const batch = wanted.slice(start, start + ENTRIES_PER_BATCH_MAX);
      const rows = await entriesById(trx, batch.map(idOf));
      const present = new Set(rows.map(({ id }) => id));
      const updates = batch.filter((input) => present.has(idOf(input)));
      const creations = batch.filter((input) => !present.has(idOf(input)));
      await note(updates, await updateEntries(trx, updates.map(asUpdate), deps));
      await note(creations, await createEntries(trx, creations, { ...deps, nowS: deps.nowS() }));
    }
    last = written;
    return inputs.map((input) => {
      const result = results.get(input);
      assert(result, 'every declared entry was made, changed or refused');
      return result;
    });
  };

  return {
    // The store lets the caller say which tables there are; these are there once registration has migrated.
    write: (trx, effects) => write(trx as Kysely<RegistrationTables>, effects),
    async rehearse(options) {
      let rehearsed: readonly EntryResult[] = [];
      try {
        await deps.store.transaction<RegistrationTables, never>(
          async (trx, effects) => {
            rehearsed = await write(trx, effects);
            throw new Undone();
          },
          { ...options, order: 'registration' },
        );
      } catch (error) {
        if (!(error instanceof Undone)) throw error; // Being undone is what it is for.
      }
      last = [];
      return rehearsed;
    },
    async committed() {
      for (const written of last) await deps.show(written);
    },
  };
}

function idOf({ id = '' }: EntryInput): string {
  return id;
}

function asUpdate({ id = '', ...entry }: EntryInput): EntryUpdate {
  return { id, entry };
}

/** Undoes a transaction that was only to show what would become of it. */
class Undone extends Error {}
