import type { AdmittedOperation } from './pipeline.ts';
import type { TakenQuota } from './quotas.ts';

/** What operations take from what policy allows over time. */
export function wantedOf(operations: readonly AdmittedOperation[]): readonly TakenQuota[] {
  return operations.flatMap(({ judged, times }) => judged.quotas.map((quota) => ({ quota, times })));
}

/** Equal for those that take the same. */
export function textOfWanted(wanted: readonly TakenQuota[]): string {
  return JSON.stringify(wanted.map(({ quota: { policy, unit, most }, times }) => [policy, unit, most, times]));
}
