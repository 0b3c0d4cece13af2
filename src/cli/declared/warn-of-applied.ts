import { policySchema } from '../../app/declared-rules.ts';
import type { Declared } from '../../config/index.ts';
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
