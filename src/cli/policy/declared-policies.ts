import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { IdentityAttributes } from '../../model/index.ts';
import type { CompiledPolicies, FormOf, PolicySource } from '../../policy/index.ts';

/** Policies that are asked, and what there is beside them. */
export interface AskedPolicies {
  /** How a sentence names them: `in force`, or `in the files`. */
  readonly where: string;
  readonly compiled: CompiledPolicies;
  /** The texts that hold them, by name. */
  readonly sources: readonly PolicySource[];
  /** What is known of the parsed form of their policies, for whoever puts others beside them. */
  readonly formOf: FormOf;
  /** By target, the databases it serves, or the routes that it has, where that is known. */
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
  /** What each target is declared as. */
  readonly specs: ReadonlyMap<string, unknown>;
  /** That entries give, and what these say of them; undefined when there are too many to be asked about one by one. */
  readonly identities: ReadonlyMap<string, IdentityAttributes> | undefined;
}

/** Declared targets, by name. */
export function specsOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
): ReadonlyMap<string, unknown> {
  return new Map(resources.flatMap(({ kind, name, spec }) => (kind === 'Target' ? [[name, spec]] : [])));
}

/** What a declared target speaks; undefined where it is not declared, or does not say. */
export function protocolOfTarget(specs: ReadonlyMap<string, unknown>, target: string): string | undefined {
  const spec = specs.get(target);
  return Value.Check(TARGET, spec) ? spec.protocol : undefined;
}

/** The texts of declared policies. */
export function sourcesOf(
  resources: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[],
): readonly PolicySource[] {
  return resources.flatMap(({ kind, name, spec }) =>
    kind === 'Policy' && Value.Check(POLICY, spec) ? [{ name, text: spec.cedar }] : [],
  );
}

const POLICY = Type.Object({ cedar: Type.String() });
const TARGET = Type.Object({ protocol: Type.String() });
