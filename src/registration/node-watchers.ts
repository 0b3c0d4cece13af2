import { formatSelector } from '../model/index.ts';
import type { EntryChange, EntryIndex } from './entry-index.ts';
import { hasAll, textsOf } from './entry-index.ts';
import type { NodeView } from './types.ts';

/** Who waits for changes of which node. */
export interface NodeWatchers {
  add(node: NodeView, listener: (revision: number) => void): () => void;
  /** Calls each listener that the changes concern, once. */
  notify(index: EntryIndex, changes: readonly EntryChange[], revision: number): void;
  notifyAll(revision: number): void;
}

/** Creates {@link NodeWatchers}. `failed` is told of a listener that throws. */
export function createNodeWatchers(failed: (error: unknown) => void): NodeWatchers {
  const byNode = new Map<string, Set<Watcher>>();
  const bySelector = new Map<string, Set<Watcher>>();

  const matching = function* (selectors: readonly string[]): Iterable<Watcher> {
    // Whoever has all of them is in each of these sets: the smallest is enough.
    let smallest: ReadonlySet<Watcher> | undefined;
    for (const text of selectors) {
      const set = bySelector.get(text);
      if (!set) return;
      if (!smallest || set.size < smallest.size) smallest = set;
    }
    yield* smallest ?? [];
  };

  const call = (watchers: Iterable<Watcher>, revision: number) => {
    for (const watcher of watchers) {
      try {
        watcher.listener(revision);
      } catch (error) {
        failed(error); // The others must hear of the change all the same.
      }
    }
  };

  return {
    add(node, listener) {
      const watcher: Watcher = { listener, selectors: textsOf(node.selectors) };
      insert(byNode, node.id.uri, watcher);
      for (const text of watcher.selectors) insert(bySelector, text, watcher);
      return () => {
        discard(byNode, node.id.uri, watcher);
        for (const text of watcher.selectors) discard(bySelector, text, watcher);
      };
    },
    notify(index, changes, revision) {
      if (byNode.size === 0) return;
      const concerned = new Set<Watcher>();
      const aliasesSeen = new Set<string>();
      for (const change of changes) {
        index.reach(change, {
          node(uri) {
            for (const watcher of byNode.get(uri) ?? []) concerned.add(watcher);
          },
          alias(entry) {
            const texts = entry.selectors.map(formatSelector);
            // The entries of one alias, changed together, ask once.
            const key = JSON.stringify(texts);
            if (aliasesSeen.has(key)) return;
            aliasesSeen.add(key);
            for (const watcher of matching(texts)) {
              if (hasAll(watcher.selectors, entry.selectors)) concerned.add(watcher);
            }
          },
        });
      }
      call(concerned, revision);
    },
    notifyAll(revision) {
      call(
        [...byNode.values()].flatMap((watchers) => [...watchers]),
        revision,
      );
    },
  };
}

interface Watcher {
  readonly listener: (revision: number) => void;
  readonly selectors: ReadonlySet<string>;
}

function insert(sets: Map<string, Set<Watcher>>, key: string, watcher: Watcher): void {
  const known = sets.get(key);
  if (known) known.add(watcher);
  else sets.set(key, new Set([watcher]));
}

function discard(sets: Map<string, Set<Watcher>>, key: string, watcher: Watcher): void {
  const known = sets.get(key);
  known?.delete(watcher);
  if (known?.size === 0) sets.delete(key);
}
