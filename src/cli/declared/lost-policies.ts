import { Control } from '@countersign/sdk/contract';
import { policySchema } from '../../app/policy-schema.ts';
import { type CompiledPolicies, checkPolicies } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';

/**
 * The `@id`s of policies that are in force and no longer will be, in order: those of changed and deleted resources that no declared policy
 * has. A resource may hold many policies, and what is gone from a long text is easily overlooked. @throws RpcError
 */
export async function lostPolicies(
  client: RpcClient,
  plan: {
    readonly changes: readonly { readonly kind: string; readonly name: string; readonly action: string }[];
    readonly declared: CompiledPolicies | undefined;
  },
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<readonly string[]> {
  const touched = new Set(
    plan.changes.flatMap(({ kind, name, action }) =>
      kind === 'Policy' && (action === 'update' || action === 'delete') ? [name] : [],
    ),
  );
  if (touched.size === 0) return [];
  const { resources } = await client.unary(Control.method.listResources, { kind: 'Policy' }, options);
  const sources = resources
    .filter(({ name }) => touched.has(name))
    .map(({ name, specJson }) => ({ name, text: textOf(specJson) }));
  // A set that an older version took and this one can't read has lost nothing that was in force here.
  const before = checkPolicies(sources, policySchema).compiled?.policies ?? [];
  const stays = new Set(plan.declared?.policies.map(({ id }) => id));
  // A policy without an @id is called by its place, which moves when one before it goes.
  return before.flatMap(({ id, position }) => (stays.has(id) || id.startsWith(`${position.source}#`) ? [] : [id]));
}

function textOf(specJson: string): string {
  const spec: unknown = JSON.parse(specJson);
  const isPolicy = typeof spec === 'object' && spec !== null && 'cedar' in spec;
  return isPolicy ? String(spec.cedar) : '';
}
