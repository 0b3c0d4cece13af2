import { policySchema } from '../../app/policy-schema.ts';
import type { Declared } from '../../config/index.ts';
import type { GatewayFinding } from '../../model/index.ts';
import { type PolicyProblem, unmatchedNames } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { namesAtServer } from './names-at-server.ts';
import type { PolicyFilesReport } from './policy-files.ts';
import { inFiles } from './warn-of-names.ts';

/**
 * Warns of names in declared policies that nothing will match once all of `declared` is applied.
 * @throws RpcError
 */
export async function warnOfNames(
  client: RpcClient,
  { declared, policies }: { readonly declared: readonly Declared[]; readonly policies: PolicyFilesReport },
  options: Parameters<typeof namesAtServer>[2],
): Promise<readonly PolicyProblem[]> {
  if (policies.compiled === undefined || policies.compiled.policies.length === 0) return [];
  const known = await namesAtServer(client, declared, options);
  return inFiles(unmatchedNames(policies.compiled, policySchema, known), policies);
}

/** Whether a gateway finds what these warnings have told before it was applied: that a target has no such route, or whatever its protocol names. */
export function toldBefore(warnings: readonly PolicyProblem[]): (finding: GatewayFinding) => boolean {
  const told = new Set(warnings.flatMap(({ code, message }) => (code === 'ERR_POLICY_NAME' ? [message] : [])));
  return ({ condition, what, found }) => {
    const [, word, name] = / names (\w+) ("(?:[^"\\]|\\.)*"), which is not there/.exec(found) ?? [];
    const target = JSON.stringify(what.replace(/^target /, ''));
    return condition === 'names' && told.has(`target ${target} has no ${word} ${name}`);
  };
}
