import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { DeclaredKind } from '../config/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import { createPolicyLoader, type ParsedForms } from '../policy/index.ts';
import { type Kind, type KindDeps, type KindMember, kindName, openKinds, type Resource } from '../resources/index.ts';
import { resourceKinds } from '../resources/kinds/registry.generated.ts';
import { policySchema } from './policy-schema.ts';

const members: readonly KindMember[] = resourceKinds;

/** All kinds, as files declare them. */
export const declaredKinds: readonly DeclaredKind[] = members.map((member) => ({
  name: kindName(member),
  beside: member.beside ?? {},
  specOf: (spec) => member.schemaOf?.(spec, { protocols }) ?? member.config,
}));

/** By which call of REST those of each kind are listed; `isFlat`: with the fields of its spec, not the spec as one. */
export const listedKinds = members
  .filter(({ isKeptElsewhere }) => isKeptElsewhere !== true)
  .map((member) => ({
    name: kindName(member),
    // The registry of endpoints is made of the same kinds; all of them answer with name and revision.
    list: `${member.id}.list` as 'target.list' | 'policy.list',
    isFlat: member.isFlat === true,
  }));

/** The kinds that can be declared, with the rules by which what a server takes every gateway of its version can use. */
export function openDeclaredKinds(deps: Pick<KindDeps, 'entries' | 'trustDomain'>): {
  readonly kinds: readonly Kind[];
  /** Policies in the form that answers questions; undefined when they are many, or one of them is wrong. */
  readonly parsePolicies: (policies: readonly Resource[]) => ParsedForms | undefined;
} {
  // Kept, since of ten thousand policies it then looks only at those that are new.
  const policies = createPolicyLoader(policySchema);
  return {
    kinds: openKinds(members, { ...deps, protocols, policies }),
    parsePolicies(declared) {
      const sources = declared.map(({ name, spec }) => ({ name, text: Value.Check(POLICY, spec) ? spec.cedar : '' }));
      const bytes = sources.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
      return bytes > PARSED_BYTES_MAX ? undefined : policies.parsed(sources);
    },
  };
}

/** Some hundreds of policies. A server that has just started parses them between two calls, so more would hold up everybody else. */
const PARSED_BYTES_MAX = 128 * 1024;
const POLICY = Type.Object({ cedar: Type.String() });
