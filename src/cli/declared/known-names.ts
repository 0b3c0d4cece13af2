import { readFileSync } from 'node:fs';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { ConfigError, parseChecked } from '../../config/index.ts';
import type { ProtocolMember } from '../../gateway/index.ts';
import { protocols } from '../../gateway/protocols/registry.generated.ts';
import { agreedAttributes, type IdentityAttributes } from '../../model/index.ts';
import type { KnownNames } from '../../policy/index.ts';
import { memberById } from '../../std/index.ts';
import { attributesOf } from '../entries/entry-text.ts';

/** A declared resource, as far as names go. */
export interface NamedResource {
  readonly kind: string;
  readonly name: string;
  readonly spec: unknown;
}

/** What files of resources declare, and why some of them could not be read. */
export interface NamesOfFiles {
  readonly known: KnownNames;
  readonly unread: readonly { readonly file: string; readonly why: string }[];
}

/**
 * The names that YAML files declare. Where none of them declares a target (or an entry), it is not known which there are, and so it is when
 * one can't be read. `trustDomain` is that of the configuration, when there is one.
 */
export function namesOfFiles(files: readonly string[], trustDomain: string | undefined): NamesOfFiles {
  const unread: { file: string; why: string }[] = [];
  const resources = files.flatMap((file): NamedResource[] => {
    const text = readFileSync(file, 'utf8');
    // A folder of policies may hold other YAML, whose form is nobody's business here.
    if (!DECLARES.test(text)) return [];
    try {
      return parseChecked({ file, text, schema: Type.Unknown() }).flatMap(({ value }) =>
        Value.Check(RESOURCE, value) ? [value] : [],
      );
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      unread.push({ file, why: error.message });
      return [];
    }
  });
  const targets = targetsOf(resources);
  const entries = entriesOf(resources);
  const trustDomains = new Set([
    ...(trustDomain === undefined ? [] : [trustDomain]),
    ...entries.flatMap(({ spiffeId, federatesWith = [] }) => [trustDomainOf(spiffeId), ...federatesWith]),
  ]);
  const isWhole = unread.length === 0;
  return {
    unread,
    known: {
      targets: isWhole && targets.size > 0 ? targets : undefined,
      trustDomains: isWhole && trustDomains.size > 0 ? trustDomains : undefined,
      identities: isWhole && entries.length > 0 ? new Set(entries.map(({ spiffeId }) => spiffeId)) : undefined,
    },
  };
}

/** Targets of declared resources, each with the databases it serves, and the identities of declared entries. */
export function namesDeclared(resources: readonly NamedResource[]): {
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
  readonly identities: ReadonlyMap<string, IdentityAttributes>;
} {
  const entries = entriesOf(resources).map((entry) => [entry.spiffeId, attributesOf(entry)] as const);
  return { targets: targetsOf(resources), identities: agreed(entries) };
}

/** What all entries of an identity say alike, by identity. */
export function agreed(
  entries: readonly (readonly [string, IdentityAttributes])[],
): ReadonlyMap<string, IdentityAttributes> {
  const found = new Map<string, IdentityAttributes[]>();
  for (const [id, attributes] of entries) found.set(id, [...(found.get(id) ?? []), attributes]);
  return new Map(Array.from(found, ([id, all]) => [id, agreedAttributes(all)]));
}

function targetsOf(resources: readonly NamedResource[]): Map<string, readonly string[] | undefined> {
  return new Map(
    resources.flatMap(({ kind, name, spec }) => (kind === 'Target' ? [[name, namesServed(spec)] as const] : [])),
  );
}

function namesServed(spec: unknown): readonly string[] | undefined {
  if (!Value.Check(TARGET, spec)) return undefined;
  const { protocol, ...config } = spec;
  return memberById<ProtocolMember>(protocols, protocol)?.namesServed?.(config);
}

function entriesOf(resources: readonly NamedResource[]) {
  return resources.flatMap(({ kind, spec }) => (kind === 'Entry' && Value.Check(ENTRY, spec) ? [spec] : []));
}

/** `example.org` of `spiffe://example.org/web`; whether it is one is said when it is applied. */
function trustDomainOf(spiffeId: string): string {
  return spiffeId.split('/')[2] ?? '';
}

/** Wherever a file of targets or entries says so. */
const DECLARES = /\bkind["']?\s*:\s*["']?(?:Target|Entry)\b/;
const RESOURCE = Type.Object({ kind: Type.String(), name: Type.String(), spec: Type.Unknown() });
const TARGET = Type.Object({ protocol: Type.String() });
const ENTRY = Type.Object({
  spiffeId: Type.String(),
  federatesWith: Type.Optional(Type.Array(Type.String())),
  owner: Type.Optional(Type.String()),
  environment: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
});
