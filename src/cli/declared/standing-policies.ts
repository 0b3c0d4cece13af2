import { Control } from '@countersign/sdk/contract';
import { policySchema } from '../../app/policy-schema.ts';
import type { Declared } from '../../config/index.ts';
import { checkPolicies, type Hindrance } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { specOf } from './specs.ts';

/** What stands at the server beside the policies of files. */
export interface StandingPolicies {
  /** Each with the ids of the policies that it holds. */
  readonly others: readonly { readonly name: string; readonly ids: readonly string[] }[];
  /** Forbids among them that reach into what permits of the files allow. */
  readonly hindrances: readonly (Hindrance & { readonly name: string })[];
}

/** Finds it; nothing for files that declare no policy, which are about other things. @throws RpcError */
export async function standingPolicies(
  client: RpcClient,
  declared: readonly Declared[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<StandingPolicies> {
  const own = declared.filter(({ kind }) => kind === 'Policy');
  if (own.length === 0) return { others: [], hindrances: [] };
  const { resources } = await client.unary(Control.method.listResources, { kind: 'Policy' }, options);
  const names = new Set(own.map(({ name }) => name));
  const others = resources.filter(({ name }) => !names.has(name));
  const sources = [
    ...own.map(({ name, spec }) => ({ name, text: String(spec['cedar']) })),
    ...others.map(({ name, specJson }) => ({ name, text: String(specOf(specJson)['cedar']) })),
  ];
  // A set that this version can't read, or that does not go together, is the server's to refuse.
  const { compiled } = checkPolicies(sources, policySchema);
  const all = compiled?.policies ?? [];
  const nameOf = new Map(all.map(({ id, position }) => [id, position.source]));
  const isOwn = ({ position }: { readonly position: { readonly source: string } }) => names.has(position.source);
  const found = compiled?.hindrances({
    permits: new Set(all.filter(isOwn).map(({ id }) => id)),
    forbids: new Set(all.filter((policy) => !isOwn(policy)).map(({ id }) => id)),
  });
  return {
    others: others.map(({ name }) => ({
      name,
      ids: all.filter(({ position }) => position.source === name).map(({ id }) => id),
    })),
    hindrances: (found ?? []).map((one) => ({ ...one, name: nameOf.get(one.forbid) ?? '' })),
  };
}

/** Lines for people. */
export function formatStanding({ others, hindrances }: StandingPolicies): readonly string[] {
  const lines = hindrances.slice(0, SHOWN_MAX).map(({ forbid, name, permit, actions, isCertain }) => {
    const verb = isCertain ? 'refuses' : 'may refuse some of';
    return `forbid ${forbid} (Policy ${name}, not in these files) ${verb} what permit ${permit} allows: ${actions.join(', ')}`;
  });
  if (hindrances.length > SHOWN_MAX) lines.push(`… and ${hindrances.length - SHOWN_MAX} more like these`);
  if (others.length === 0) return lines;
  const named = others.slice(0, SHOWN_MAX).map(({ name, ids }) => {
    const isSame = ids.length === 0 || (ids.length === 1 && (ids[0] === name || ids[0] === `${name}#1`));
    return isSame ? name : `${name} (${ids.join(', ')})`;
  });
  const more = others.length > SHOWN_MAX ? ', …' : '';
  const count = others.length === 1 ? '1 other policy stands' : `${others.length} other policies stand`;
  return [...lines, `${count}: ${named.join(', ')}${more}; --prune deletes what these files do not declare`];
}

/** A screenful. */
const SHOWN_MAX = 20;
