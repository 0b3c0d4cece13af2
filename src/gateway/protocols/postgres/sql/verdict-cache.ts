import type { Plan } from './plan.ts';

/** Verdicts by key, least recently used out first; bounded by entries and by the bytes of their keys. */
export interface VerdictCache {
  take(key: string): Plan | undefined;
  keep(key: string, plan: Plan): void;
}

export function createVerdictCache({
  entriesMax,
  charactersMax,
}: {
  entriesMax: number;
  charactersMax: number;
}): VerdictCache {
  const plans = new Map<string, Plan>();
  let characters = 0;
  const drop = (key: string) => {
    if (plans.delete(key)) characters -= key.length;
  };
  return {
    take(key) {
      const plan = plans.get(key);
      if (plan === undefined) return undefined;
      // A Map keeps the order of insertion: to the end with what was just used.
      plans.delete(key);
      plans.set(key, plan);
      return plan;
    },
    keep(key, plan) {
      if (key.length > keyLengthMax || entriesMax < 1) return;
      drop(key);
      plans.set(key, plan);
      characters += key.length;
      for (const oldest of plans.keys()) {
        if (plans.size <= entriesMax && characters <= charactersMax) break;
        drop(oldest);
      }
    },
  };
}

/** Longer texts are mostly bulk data, seen once; parsing them is what costs, and keeping them would push out what comes again. */
export const keyLengthMax = 16_384;
