import type { SpiffeId } from '@countersign/sdk/identity';
import { policySchema } from '../../app/policy-schema.ts';
import type { EntityRef } from '../../model/index.ts';
import { checkPolicies, identityEntity, PolicyError } from '../../policy/index.ts';
import { type CliContext, type CliInput, listOption } from '../command.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../connections/server-options.ts';
import { readDeclared } from '../declared/files.ts';
import { namesDeclared } from '../declared/known-names.ts';
import { type AskedPolicies, sourcesOf, specsOf } from './declared-policies.ts';

/** Options of every command that asks policies: by default those in force at the server. */
export const askedOptions = [
  ['-f, --file <path...>', 'ask the policies, targets and entries of these files or folders, not the server'],
  ...serverOptions,
] as const;

/** An identity as its entries make it; of one that none is known to give, nobody has said what it is. */
export function principalAsked({ identities }: Pick<AskedPolicies, 'identities'>, identity: SpiffeId): EntityRef {
  return identityEntity(identity, identities?.get(identity.uri));
}

/** Reads them from the files named with `-f`, else from the server. @throws UsageError, PolicyError, RpcError */
export async function askedPolicies(context: CliContext, input: CliInput): Promise<AskedPolicies> {
  const paths = listOption(input, 'file');
  if (paths.length > 0) {
    const { resources, policies } = readDeclared(paths);
    const compiled = policies.compiled ?? checkPolicies([], policySchema).compiled;
    if (compiled === undefined) throw new PolicyError('ERR_POLICY_INVALID', 'policies could not be loaded');
    const sources = sourcesOf(resources);
    return {
      ...{ where: 'in the files', compiled, sources, specs: specsOf(resources), ...namesDeclared(resources) },
      formOf: () => undefined,
    };
  }
  // What only files are asked for needs no client, which takes longer to load than they do to answer.
  const { withServer } = await import('../connections/server-client.ts');
  const { policiesAt } = await import('./policies-at-server.ts');
  const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
  return withServer(context, input, (client) => policiesAt(client, options));
}
