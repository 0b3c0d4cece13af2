import type { Entry } from '../model/index.ts';

/** Entries under a text key. A key with one entry, which most have, holds it without a collection around it. */
export interface EntrySets {
  add(key: string, entry: Entry): void;
  remove(key: string, entry: Entry): void;
  of(key: string): Iterable<Entry>;
  has(key: string): boolean;
  countOf(key: string): number;
}

/** Creates empty {@link EntrySets}. */
export function createEntrySets(): EntrySets {
  const sets = new Map<string, Entry | Map<string, Entry>>();
  return {
    add(key, entry) {
      const known = sets.get(key);
      if (known === undefined) sets.set(key, entry);
      else if (known instanceof Map) known.set(entry.id, entry);
      else if (known.id === entry.id) sets.set(key, entry);
      else {
        sets.set(
          key,
          new Map([
            [known.id, known],
            [entry.id, entry],
          ]),
        );
      }
    },
    remove(key, entry) {
      const known = sets.get(key);
      if (known instanceof Map) {
        known.delete(entry.id);
        if (known.size === 0) sets.delete(key);
      } else if (known?.id === entry.id) sets.delete(key);
    },
    of(key) {
      const known = sets.get(key);
      if (known === undefined) return NONE;
      return known instanceof Map ? known.values() : [known];
    },
    has: (key) => sets.has(key),
    countOf(key) {
      const known = sets.get(key);
      return known instanceof Map ? known.size : known === undefined ? 0 : 1;
    },
  };
}

const NONE: readonly Entry[] = [];
