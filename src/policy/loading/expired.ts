import type { CompiledPolicies, PolicyProblem } from '../types.ts';
import { placeOfAnnotation } from './find-in-text.ts';

/** Warns of each permit that has expired at `nowMs` (epoch milliseconds): it is there, and allows nothing. In order of id. */
export function expiredPolicies(compiled: CompiledPolicies, nowMs: number): readonly PolicyProblem[] {
  return compiled.policies.flatMap((summary): PolicyProblem[] => {
    const { id, expiresMs } = summary;
    if (expiresMs === undefined || nowMs < expiresMs) return [];
    return [
      {
        severity: 'warning',
        code: 'ERR_POLICY_EXPIRED',
        message: `permit ${JSON.stringify(id)} has expired, and allows nothing`,
        help: 'remove it, or give it a later time',
        policy: id,
        position: placeOfAnnotation(summary, 'expires'),
      },
    ];
  });
}
