import type { Taint } from './analysis.ts';
import type { Catalog } from './catalog.ts';
import type { Decider } from './plan.ts';

/** Keeps what is masked for a principal as long as policy and snapshot stand; working it out asks policy about many tables. */
export function createTaintCache(create: (facts: { catalog: Catalog; decider: Decider }) => Taint) {
  const taints = new Map<string, Taint>();
  return {
    taintOf({ catalog, decider }: { catalog: Catalog; decider: Decider }): Taint {
      const key = JSON.stringify([decider.version, decider.principalKey, catalog.version]);
      const known = taints.get(key);
      if (known !== undefined) return known;
      const taint = create({ catalog, decider });
      if (taints.size >= TAINTS_MAX) taints.clear();
      taints.set(key, taint);
      return taint;
    },
  };
}

/** Principals that use one target at a time; each taint holds its masked columns only. */
const TAINTS_MAX = 1_000;
