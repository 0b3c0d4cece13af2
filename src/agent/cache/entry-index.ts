import { compareSelectors, formatSelector, type Selector } from '../../model/index.ts';
import type { AgentEntry } from './types.ts';

/** Finds the entries that apply to a process: those whose selectors it shows, all of them. */
export interface EntryIndex {
  /** Entries that apply, the default identity first. The order and the hints are those of {@link orderIdentities}. */
  match(selectors: readonly Selector[]): readonly AgentEntry[];
}

/**
 * Creates an {@link EntryIndex}. Each entry is filed under one of its selectors, the one with the fewest entries, so a lookup
 * reads only entries that share something with the caller: flat cost however many entries the node has.
 */
export function createEntryIndex(entries: Iterable<AgentEntry>): EntryIndex {
  const all = [...entries].map((entry) => ({ entry, texts: entry.selectors.map(formatSelector) }));
  const uses = new Map<string, number>();
  for (const { texts } of all) for (const text of texts) uses.set(text, (uses.get(text) ?? 0) + 1);
  const filed = new Map<string, typeof all>();
  for (const item of all) {
    let rarest: string | undefined;
    for (const text of item.texts) {
      if (rarest === undefined || (uses.get(text) ?? 0) < (uses.get(rarest) ?? 0)) rarest = text;
    }
    if (rarest === undefined) continue; // An entry without selectors would apply to every process: it applies to none.
    const drawer = filed.get(rarest);
    if (drawer) drawer.push(item);
    else filed.set(rarest, [item]);
  }
  // A caller shows the same list with each call, and entries change far less often than callers call.
  const matches = new WeakMap<readonly Selector[], readonly AgentEntry[]>();
  return {
    match(selectors) {
      const known = matches.get(selectors);
      if (known) return known;
      const shown = new Set(selectors.map(formatSelector));
      const found: AgentEntry[] = [];
      for (const text of shown) {
        for (const item of filed.get(text) ?? [])
          if (item.texts.every((each) => shown.has(each))) found.push(item.entry);
      }
      const ordered = orderIdentities(found);
      matches.set(selectors, ordered);
      return ordered;
    },
  };
}

/**
 * The order in which a workload sees its identities; the first is its default. An entry with the hint `default` comes first, then
 * the oldest, ties by id: adding an entry never changes what a running workload takes for its identity. Hints are unique in one
 * answer, so of several entries with one hint the oldest keeps it and the others lose it.
 */
export function orderIdentities(entries: readonly AgentEntry[]): AgentEntry[] {
  const byAge = entries.toSorted((a, b) => a.createdAtS - b.createdAtS || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const taken = new Set<string>();
  const ordered = byAge.map((entry) => {
    if (entry.hint === '' || !taken.has(entry.hint)) {
      taken.add(entry.hint);
      return entry;
    }
    return { ...entry, hint: '' };
  });
  const first = ordered.findIndex((entry) => entry.hint === DEFAULT_HINT);
  return first <= 0 ? ordered : [...ordered.splice(first, 1), ...ordered];
}

/** One text for a set of selectors, whatever order they came in: callers with the same key are the same to the cache. */
export function selectorKey(selectors: readonly Selector[]): string {
  return selectors
    .toSorted(compareSelectors)
    .map((selector) => JSON.stringify(formatSelector(selector)))
    .join();
}

const DEFAULT_HINT = 'default';
