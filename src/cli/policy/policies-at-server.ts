import { Control } from '@countersign/sdk/contract';
import type { ParsedPolicies } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { policySchema } from '../../app/policy-schema.ts';
import { type CompiledPolicies, checkParsed, type FormOf, PolicyError, readForms } from '../../policy/index.ts';
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
  const { resources, revision, parsed } = await client.unary(
    Control.method.listResources,
    { kind: '', parsed: true },
    options,
  );
  const declared = resources.map(({ kind, name, specJson }) => ({ kind, name, spec: specOf(specJson) }));
  const formOf = formsOf(parsed);
  return {
    where: 'in force',
    compiled: compiledOf(declared, formOf),
    formOf,
    sources: sourcesOf(declared),
    targets: namesDeclared(declared).targets,
    specs: specsOf(declared),
    identities: await principalsAt(client, options),
    revision,
  };
}

/**
 * The policies in force at the server: all of them, or those of documents that mention a word. `formOf` is for whoever reads the same texts elsewhere.
 * @throws PolicyError, RpcError
 */
export async function policiesInForce(
  client: RpcClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  mentioning = '',
): Promise<{ readonly compiled: CompiledPolicies; readonly formOf: FormOf }> {
  const { resources, parsed } = await client.unary(
    Control.method.listResources,
    { kind: 'Policy', parsed: true },
    options,
  );
  const wanted = resources.filter(({ specJson }) => specJson.includes(mentioning));
  const declared = wanted.map(({ kind, name, specJson }) => ({ kind, name, spec: specOf(specJson) }));
  const formOf = formsOf(parsed);
  return { compiled: compiledOf(declared, formOf), formOf };
}

function formsOf(parsed: ParsedPolicies | undefined): FormOf {
  return readForms(parsed && { by: parsed.by, forms: parsed.policies }, policySchema);
}

/** @throws PolicyError where another version's server has taken what this one can't read */
function compiledOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
  formOf: FormOf,
): CompiledPolicies {
  const sources = sourcesOf(resources);
  const { compiled, problems } = checkParsed(sources, policySchema, formOf);
  if (compiled !== undefined) return compiled;
  const error = policyErrorOf(problems);
  throw new PolicyError(
    error?.code ?? 'ERR_POLICY_INVALID',
    `the policies in force can't be read by this version of countersign; use that of the server\n${error?.message ?? ''}`,
  );
}
