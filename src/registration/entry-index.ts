import type { SpiffeId } from '@countersign/sdk/identity';
import { type Entry, formatSelector, type Selector } from '../model/index.ts';
import { createEntrySets, type EntrySets } from './entry-sets.ts';

/** An entry before and after a change; one of them is missing when it was created or deleted. */
export interface EntryChange {
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

/** All entries in memory, arranged so that a question costs what its answer does. Pure: it is told the time. */
export interface EntryIndex {
  readonly size: number;
  byId(id: string): Entry | undefined;
  bySpiffeId(id: SpiffeId): Iterable<Entry>;
  put(entry: Entry): EntryChange;
  remove(id: string): EntryChange;
  /** See `Registration.authorizedEntries`. */
  authorized(nodeId: SpiffeId, nodeSelectors: readonly Selector[], nowS: number): readonly Entry[];
  /** See `Registration.entryFor`. */
  authorizedOne(options: {
    entryId: string;
    nodeId: SpiffeId;
    nodeSelectors: readonly Selector[];
    nowS: number;
  }): Entry | undefined;
  /**
   * Whom a change concerns: calls `node` with each ID that could be a node's above the entry, and `alias` with each alias entry above it.
   * May name too many, never too few, given all changes of a batch after all of them were made.
   */
  reach(change: EntryChange, found: { node(uri: string): void; alias(entry: Entry): void }): void;
}

/** Creates an empty index. `serverUri` is the parent that makes an entry an alias. */
export function createEntryIndex(serverUri: string): EntryIndex {
  const entries = new Map<string, Entry>();
  const children = createEntrySets();
  const identities = createEntrySets();
  const aliases = createAliasSets();

  const unlink = (entry: Entry) => {
    children.remove(entry.parentId.uri, entry);
    identities.remove(entry.spiffeId.uri, entry);
    if (entry.parentId.uri === serverUri) aliases.remove(entry);
  };

  const remove = (id: string): EntryChange => {
    const before = entries.get(id);
    if (before) {
      unlink(before);
      entries.delete(id);
    }
    return { before, after: undefined };
  };

  return {
    get size() {
      return entries.size;
    },
    byId: (id) => entries.get(id),
    bySpiffeId: (id) => identities.of(id.uri),
    put(entry) {
      const { before } = remove(entry.id);
      entries.set(entry.id, entry);
      children.add(entry.parentId.uri, entry);
      identities.add(entry.spiffeId.uri, entry);
      if (entry.parentId.uri === serverUri) aliases.add(entry);
      return { before, after: entry };
    },
    remove,
    authorized(nodeId, nodeSelectors, nowS) {
      const parents = [nodeId.uri];
      for (const alias of aliases.matching(nodeSelectors)) {
        if (isCurrent(alias, nowS)) parents.push(alias.spiffeId.uri);
      }
      return descendants(children, parents, nowS);
    },
    authorizedOne({ entryId, nodeId, nodeSelectors, nowS }) {
      const entry = entries.get(entryId);
      if (!entry || !isCurrent(entry, nowS)) return undefined;
      if (entry.parentId.uri === nodeId.uri) return entry;
      const present = textsOf(nodeSelectors);
      const parents = [entry.parentId.uri];
      const seen = new Set<string>();
      for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
        if (parent === nodeId.uri) return entry;
        if (seen.has(parent)) continue;
        seen.add(parent);
        for (const above of identities.of(parent)) {
          if (!isCurrent(above, nowS)) continue;
          if (above.parentId.uri !== serverUri) parents.push(above.parentId.uri);
          else if (hasAll(present, above.selectors)) return entry;
        }
      }
      return undefined;
    },
    reach(change, found) {
      const seen = new Set<string>();
      const parents: string[] = [];
      const climb = (entry: Entry) => {
        if (entry.parentId.uri === serverUri) found.alias(entry);
        else parents.push(entry.parentId.uri);
      };
      if (change.before) climb(change.before);
      if (change.after) climb(change.after);
      for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
        if (seen.has(parent)) continue;
        seen.add(parent);
        found.node(parent);
        for (const above of identities.of(parent)) climb(above);
      }
    },
  };
}

/** All current entries below the parents, each once: an entry has one parent. */
function descendants(children: EntrySets, parents: string[], nowS: number): readonly Entry[] {
  const found: Entry[] = [];
  const seen = new Set<string>();
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    if (seen.has(parent)) continue;
    seen.add(parent);
    for (const entry of children.of(parent)) {
      if (!isCurrent(entry, nowS)) continue;
      found.push(entry);
      if (children.has(entry.spiffeId.uri)) parents.push(entry.spiffeId.uri);
    }
  }
  return found;
}

/** True unless the entry has expired. */
export function isCurrent(entry: Entry, nowS: number): boolean {
  return entry.expiresAtS === 0 || entry.expiresAtS > nowS;
}

/** True when all of `wanted` are among the texts. */
export function hasAll(present: ReadonlySet<string>, wanted: readonly Selector[]): boolean {
  return wanted.every((selector) => present.has(formatSelector(selector)));
}

export function textsOf(selectors: readonly Selector[]): ReadonlySet<string> {
  return new Set(selectors.map(formatSelector));
}

/** Each alias is kept under one of its selectors, the least common so far: a node looks only where it could match. */
function createAliasSets() {
  const sets = createEntrySets();
  const keys = new Map<string, string>();
  return {
    add(entry: Entry) {
      const texts = entry.selectors.map(formatSelector);
      const key = texts.reduce((least, text) => (sets.countOf(text) < sets.countOf(least) ? text : least));
      keys.set(entry.id, key);
      sets.add(key, entry);
    },
    remove(entry: Entry) {
      const key = keys.get(entry.id);
      if (key === undefined) return;
      keys.delete(entry.id);
      sets.remove(key, entry);
    },
    *matching(selectors: readonly Selector[]): Iterable<Entry> {
      if (keys.size === 0) return;
      const present = textsOf(selectors);
      for (const text of present) {
        for (const entry of sets.of(text)) if (hasAll(present, entry.selectors)) yield entry;
      }
    },
  };
}
