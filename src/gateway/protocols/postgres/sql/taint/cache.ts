import type { BudgetedCache } from '../../../../../std/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Decider } from '../plan.ts';
import type { Place } from '../resources.ts';
import type { Taint } from '../walk/analysis.ts';
import { Probes } from './probes.ts';
import { createTaint } from './taint.ts';

/** What is known of one principal's masks: under one version of policy, and of the newest version of the catalog alone. */
export interface KnownTaint {
  readonly policyVersion: number;
  readonly probes: Probes;
  taint: Taint;
}

/** Keeps what is masked for a principal as long as policy stands, and lets it follow the catalog; working it out asks policy about many tables. */
export function createTaintCache(place: Place, known: BudgetedCache<KnownTaint>) {
  return {
    taintOf({ catalog, decider }: { catalog: Catalog; decider: Decider }): Taint {
      const { version: policyVersion, principalKey } = decider;
      const before = known.take(principalKey);
      if (before?.policyVersion === policyVersion && !before.probes.catchUp(catalog)) return before.taint;
      const probes = before?.policyVersion === policyVersion ? before.probes : new Probes(place, decider);
      probes.catchUp(catalog);
      const taint = createTaint({ place, catalog, probes });
      known.keep(principalKey, { policyVersion, probes, taint }, probes.bytes);
      return taint;
    },
  };
}
