import { Control } from '@countersign/sdk/contract';
import type { SpiffeId } from '@countersign/sdk/identity';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { policySchema } from '../../app/declared-rules.ts';
import type { EntityRef, IdentityAttributes } from '../../model/index.ts';
import {
  type CompiledPolicies,
  checkPolicies,
  identityEntity,
  PolicyError,
  type PolicySource,
} from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { type CliContext, type CliInput, listOption } from '../command.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../connections/server-client.ts';
import { readDeclared } from '../declared/files.ts';
import { namesDeclared, principalsAt } from '../declared/known-names.ts';
import { policyErrorOf } from '../declared/policy-files.ts';
import { specOf } from '../declared/specs.ts';

/** Options of every command that asks policies: by default those in force at the server. */
export const askedOptions = [
  ['-f, --file <path...>', 'ask the policies, targets and entries of these files or folders, not the server'],
  ...serverOptions,
] as const;

/** Policies that are asked, and what there is beside them. */
export interface AskedPolicies {
  /** How a sentence names them: `in force`, or `in the files`. */
  readonly where: string;
  readonly compiled: CompiledPolicies;
  /** The texts that hold them, by name. */
  readonly sources: readonly PolicySource[];
  /** By target, the databases it serves where that is known. */
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
  /** What each target is declared as. */
  readonly specs: ReadonlyMap<string, unknown>;
  /** That entries give, and what these say of them; undefined when there are too many to be asked about one by one. */
  readonly identities: ReadonlyMap<string, IdentityAttributes> | undefined;
}

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
    return { where: 'in the files', compiled, sources, specs: specsOf(resources), ...namesDeclared(resources) };
  }
  const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
  return withServer(context, input, (client) => policiesAt(client, options));
}

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

function specsOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
): ReadonlyMap<string, unknown> {
  return new Map(resources.flatMap(({ kind, name, spec }) => (kind === 'Target' ? [[name, spec]] : [])));
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

function sourcesOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
): readonly PolicySource[] {
  return resources.flatMap(({ kind, name, spec }) =>
    kind === 'Policy' && Value.Check(POLICY, spec) ? [{ name, text: spec.cedar }] : [],
  );
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

const POLICY = Type.Object({ cedar: Type.String() });
