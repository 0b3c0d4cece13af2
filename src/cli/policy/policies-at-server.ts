import { Control } from '@countersign/sdk/contract';
import { policySchema } from '../../app/declared-rules.ts';
import { type CompiledPolicies, checkPolicies, PolicyError } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { namesDeclared } from '../declared/known-names.ts';
import { principalsAt } from '../declared/names-at-server.ts';
import { policyErrorOf } from '../declared/policy-files.ts';
import { specOf } from '../declared/specs.ts';
import { type AskedPolicies, sourcesOf, specsOf } from './declared-policies.ts';

/** Those in force, with the revision that they are of. @throws PolicyError, RpcError */
export async function policiesAt(
  client: RpcClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<AskedPolicies & { readonly revision: bigint }> {
  const { resources, revision } = await client.unary(Control.method.listResources, { kind: '' }, options);
  const declared = resources.map(({ kind, name, specJson }) => ({ kind, name, spec: specOf(specJson) }));
  return {
    where: 'in force',
    compiled: compiledOf(declared),
    sources: sourcesOf(declared),
    targets: namesDeclared(declared).targets,
    specs: specsOf(declared),
    identities: await principalsAt(client, options),
    revision,
  };
}

/** The policies in force at the server: all of them, or those of documents that mention a word. @throws PolicyError, RpcError */
export async function policiesInForce(
  client: RpcClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  mentioning = '',
): Promise<CompiledPolicies> {
  const { resources } = await client.unary(Control.method.listResources, { kind: 'Policy' }, options);
  const wanted = resources.filter(({ specJson }) => specJson.includes(mentioning));
  return compiledOf(wanted.map(({ kind, name, specJson }) => ({ kind, name, spec: specOf(specJson) })));
}

/** @throws PolicyError where another version's server has taken what this one can't read */
function compiledOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
): CompiledPolicies {
  const sources = sourcesOf(resources);
  const { compiled, problems } = checkPolicies(sources, policySchema);
  if (compiled !== undefined) return compiled;
  const error = policyErrorOf(problems);
  throw new PolicyError(
    error?.code ?? 'ERR_POLICY_INVALID',
    `the policies in force can't be read by this version of countersign; use that of the server\n${error?.message ?? ''}`,
  );
}
