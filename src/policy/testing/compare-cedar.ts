import { parseSpiffeId } from '@countersign/sdk/identity';
import { expect } from 'vitest';
import { type DecisionRequest, NO_ATTRIBUTES } from '../../model/index.ts';
import { parsePolicy } from '../loading/cedar.ts';
import { splitPolicies } from '../loading/split.ts';
import { parseObligations } from '../obligations/obligations.ts';
import { compilePolicy } from '../policy-set/compile-policy.ts';
import { createPolicySet } from '../policy-set/decide.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import type { CompiledPolicies } from '../types.ts';
import { cedarDecides } from './cedar-oracle.ts';
import { batch, shopSchema, web } from './shop.ts';

/** `web` and another one as their entries say what they are, and one of which entries say nothing. */
export const TOLD = [
  identityEntity(parseSpiffeId(web.id), { owner: 'a', environment: 'prod', labels: { team: 'red', a: '' } }),
  identityEntity(parseSpiffeId(web.id), { owner: '', environment: 'café', labels: { constructor: 'red' } }),
  identityEntity(parseSpiffeId(batch.id), NO_ATTRIBUTES),
];

/** Our engine answers as Cedar's, and explains what it answers. */
export function compare(set: CompiledPolicies, one: DecisionRequest): void {
  const decision = set.decide(one);
  const { allow, policies } = decision;
  const reason = allow ? {} : { reason: decision.reason };
  const texts = set.policies.map(({ text }) => text).join('\n');
  expect({ allow, policies, ...reason }, `${texts}\n${JSON.stringify(one)}`).toEqual(cedarDecides(one, set));
  // Explaining takes another way through the policies and has to come out at the same place.
  const explained = set.explain(one);
  expect(explained.decision).toEqual(decision);
  const outcome = allow || decision.reason !== 'policy-error' ? 'matched' : 'error';
  for (const id of policies) expect(explained.policies.find((policy) => policy.id === id)?.outcome, id).toBe(outcome);
}

/** Skips the validator, and with it the attribute index that relies on it. */
export function unvalidated(text: string): CompiledPolicies {
  const policies = splitPolicies({ name: 'p', text }).map((policy, index) => {
    const parsed = parsePolicy(policy.text);
    if ('finding' in parsed) throw new Error(`${parsed.finding.message}: ${policy.text}`);
    const { json } = parsed;
    const summary = {
      id: json.annotations?.['id'] ?? `p#${index + 1}`,
      effect: json.effect,
      position: policy.position(0),
      description: undefined,
      reason: undefined,
      expiresMs: undefined,
      text: policy.text,
    };
    return compilePolicy(
      { json, summary, obligations: parseObligations(json.annotations ?? {}, json.effect) },
      shopSchema,
    );
  });
  return createPolicySet({ policies, schema: shopSchema, digest: '', isValidated: false });
}
