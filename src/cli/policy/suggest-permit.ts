import type { DecisionRequest, EntityRef } from '../../model/index.ts';
import {
  type CompiledPolicies,
  type Demands,
  type Explanation,
  partsOfId,
  scopeReaches,
  tagCondition,
  writePermit,
} from '../../policy/index.ts';
import { nameWords } from './grants.ts';

/** A permit that would allow what was refused, and no more: whole, as it may be put into a file. */
export interface Suggestion {
  readonly id: string;
  readonly cedar: string;
  /** Ids of the permits there whose masks, limit and recording it has too. */
  readonly withDemandsOf: readonly string[];
}

type Asked = Pick<DecisionRequest, 'principal' | 'action' | 'resource'> & { readonly timeMs: number };

/** True where another permit would help: no forbid refuses, and none fails. */
export function isPermitLacking({ decision, policies }: Explanation): boolean {
  if (decision.allow || decision.reason === 'forbidden') return false;
  return decision.policies.every((id) => policies.find((one) => one.id === id)?.effect === 'permit');
}

/**
 * For this identity, action and resource alone, and where policies there decide by tags of it for the values that it has, with the masks and limits that permits
 * there have; `taken`: ids that are suggested already.
 */
export function suggestPermit(compiled: CompiledPolicies, asked: Asked, taken: readonly string[] = []): Suggestion {
  const { action, resource, timeMs } = asked;
  return permitWith(compiled, asked, { demands: compiled.demandsOn({ actions: [action], resource, timeMs }), taken });
}

/** The same with demands of the caller's own. */
export function permitWith(
  compiled: CompiledPolicies,
  { principal, action, resource }: Pick<Asked, 'principal' | 'action' | 'resource'>,
  { demands, taken }: { readonly demands: Demands; readonly taken: readonly string[] },
): Suggestion {
  const id = freeId(compiled, { principal, action, resource }, taken);
  const scope = { op: 'equals', type: resource.type, id: resource.id } as const;
  const when = tagConditions(compiled, resource);
  const cedar = writePermit({ id, demands, principal, actions: [action], resource: scope, when });
  return { id, cedar, withDemandsOf: demands.policies };
}

/** Lines for people: the text, and whose masks and limits it has. */
export function suggestionLines({ cedar, withDemandsOf }: Suggestion): readonly string[] {
  const text = cedar.trimEnd().split('\n');
  if (withDemandsOf.length === 0) return text;
  return [`// masks, limit and recording as ${withDemandsOf.join(', ')} has it`, ...text];
}

/** What is not decided by for others is left open for this one. */
function tagConditions(compiled: CompiledPolicies, resource: EntityRef): readonly string[] {
  const reads = compiled.names().tags.filter(({ scope }) => scopeReaches(scope, resource));
  const tags = Array.from(new Set(reads.map(({ tag }) => tag))).sort();
  return tags.map((tag) => {
    const value = resource.tags !== undefined && Object.hasOwn(resource.tags, tag) ? resource.tags[tag] : undefined;
    return tagCondition(tag, { values: typeof value === 'string' ? [value] : [], isAbsent: value === undefined });
  });
}

/** An id is one policy's alone, whatever names were made of. */
function freeId(
  { policies }: CompiledPolicies,
  {
    principal,
    action,
    resource,
  }: { readonly principal: EntityRef; readonly action: string; readonly resource: EntityRef },
  others: readonly string[],
): string {
  const taken = new Set([...others, ...policies.map(({ id }) => id)]);
  const words = nameWords(principal.id, [action], partsOfId(resource.id).at(-1) ?? '').join('-') || 'permit';
  let id = words;
  for (let count = 2; taken.has(id); count++) id = `${words}-${count}`;
  return id;
}
