import type { TObject } from 'typebox';
import type { ProtocolMember } from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import { checkPolicies, composeSchema, formatProblem } from '../policy/index.ts';
import type { ValidateResource } from '../resources/index.ts';
import { memberById } from '../std/index.ts';

/** Target schemas by protocol id, for declared targets. */
export const targetSchemas: Readonly<Record<string, TObject>> = Object.fromEntries(
  protocols.map(({ id, config }) => [id, config]),
);

/** The schema of policies over all registered protocols. */
export const policySchema = composeSchema(protocols.map((protocol) => protocol.policySchema));

/** Checks one declared resource: a target by its protocol's schema, a policy by Cedar's parser and validator. */
export const validateResource: ValidateResource = (kind, name, spec) => {
  const fields: Record<string, unknown> = typeof spec === 'object' && spec !== null ? { ...spec } : {};
  if (kind === 'Policy') {
    const { cedar, ...rest } = fields;
    if (typeof cedar !== 'string' || Object.keys(rest).length > 0) return ['a policy has one field, cedar, its text'];
    return checkPolicies([{ name, text: cedar }], policySchema)
      .problems.filter(({ severity }) => severity === 'error')
      .map(formatProblem);
  }
  const { protocol, ...config } = fields;
  const member = memberById<ProtocolMember>(protocols, String(protocol));
  if (!member) return [`protocol must be one of ${protocols.map(({ id }) => id).join(', ')}`];
  return member.checkConfig(config);
};
