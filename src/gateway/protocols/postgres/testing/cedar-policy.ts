import { parseSpiffeId } from '@countersign/sdk/identity';
import { composeSchema, identityEntity, loadPolicies } from '../../../../policy/index.ts';
import type { SessionPolicy } from '../../../sessions/session.ts';
import { member } from '../index.ts';

/** What real policies, in Cedar, decide about `spiffe://example.org/NAME`: for a target of the harness. */
export function cedarPolicy(
  text: string,
  name = 'web',
): Pick<SessionPolicy, 'policySet' | 'principalKey' | 'decide' | 'potentialMasks'> {
  const compiled = loadPolicies([{ name: 'test', text }], composeSchema([member.policySchema]));
  const principal = identityEntity(parseSpiffeId(`spiffe://example.org/${name}`));
  return {
    policySet: { digest: compiled.digest, revision: 1, timeMs: 0 },
    principalKey: principal.id,
    decide: (action, resource, context) => compiled.decide({ principal, action, resource, context }),
    potentialMasks: () => compiled.maskBearing(principal),
  };
}
