/**
 * The kind `Policy`: a text of policies in Cedar, which gateways decide by.
 *
 * It promises that a set is taken exactly when every gateway of this version would take it. Of one alone only the form is looked at: what its text
 * says is checked with the others. It must not know what the policies are about.
 */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { formatProblem, type PolicySource } from '../../../policy/index.ts';
import { shortened } from '../../../std/index.ts';
import type { KindMember } from '../../kind.ts';
import type { Resource } from '../../types.ts';

const config = Type.Object(
  { cedar: Type.String({ description: 'Policies in the Cedar language.' }) },
  { additionalProperties: false },
);

export const member: KindMember = {
  kind: 'resource-kind',
  id: 'policy',
  summary: 'Says in Cedar who may do what, and under which obligations.',
  config,
  plural: 'policies',
  isFlat: true,
  open: ({ policies }) => ({
    checkAlone: (spec) => (Value.Check(config, spec) ? [] : ['a policy has one field, cedar, its text']),
    checkTogether(own) {
      const { problems } = policies.check(own.map(sourceOf));
      return problems
        .filter(({ severity }) => severity === 'error')
        .map((problem) => ({ name: problem.position.source, message: shortened(formatProblem(problem)) }));
    },
  }),
};

function sourceOf({ name, spec }: Resource): PolicySource {
  return { name, text: Value.Check(config, spec) ? spec.cedar : '' };
}
