import { readFileSync } from 'node:fs';
import { Bundle, Control, Entry } from '@countersign/sdk/contract';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { ConfigError, parseChecked } from '../../config/index.ts';
import type { ProtocolMember } from '../../gateway/index.ts';
import { protocols } from '../../gateway/protocols/registry.generated.ts';
import { agreedAttributes, type IdentityAttributes, NO_ATTRIBUTES } from '../../model/index.ts';
import type { KnownNames } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { memberById } from '../../std/index.ts';
import { entryAttributes } from '../entries/entry-attributes.ts';
import { attributesOf, idText } from '../entries/entry-text.ts';

/** A declared resource, as far as names go. */
interface Resource {
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
  const resources = files.flatMap((file): Resource[] => {
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

/** Asks the server what it has beside what is declared; with `prune`, it will have no other target or policy. @throws RpcError */
export async function namesAtServer(
  client: RpcClient,
  declared: readonly Resource[],
  options: {
    readonly prune: boolean;
    readonly trustDomain: string;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<KnownNames> {
  const { prune, trustDomain, ...call } = options;
  const listed = prune ? [] : (await client.unary(Control.method.listResources, { kind: '' }, call)).resources;
  const isDeclared = new Set(declared.map(({ kind, name }) => `${kind} ${name}`));
  const kept = listed
    .filter(({ kind, name }) => !isDeclared.has(`${kind} ${name}`))
    .map(({ kind, name, specJson }): Resource => ({ kind, name, spec: JSON.parse(specJson) }));
  const identities = await identitiesAt(client, call);
  for (const { spiffeId } of entriesOf(declared)) identities?.add(spiffeId);
  return {
    targets: targetsOf([...kept, ...declared]),
    trustDomains: new Set([trustDomain, ...(await federatedAt(client, call))]),
    identities,
  };
}

/** Targets of declared resources, each with the databases it serves, and the identities of declared entries. */
export function namesDeclared(resources: readonly Resource[]): {
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
  readonly identities: ReadonlyMap<string, IdentityAttributes>;
} {
  const entries = entriesOf(resources).map((entry) => [entry.spiffeId, attributesOf(entry)] as const);
  return { targets: targetsOf(resources), identities: agreed(entries) };
}

/** What all entries of an identity say alike, by identity. */
function agreed(entries: readonly (readonly [string, IdentityAttributes])[]): ReadonlyMap<string, IdentityAttributes> {
  const found = new Map<string, IdentityAttributes[]>();
  for (const [id, attributes] of entries) found.set(id, [...(found.get(id) ?? []), attributes]);
  return new Map(Array.from(found, ([id, all]) => [id, agreedAttributes(all)]));
}

/** Every identity that an entry gives, and what it is to policies; undefined when there are more than it is worth asking for. @throws RpcError */
export async function principalsAt(
  client: RpcClient,
  call: Call,
): Promise<ReadonlyMap<string, IdentityAttributes> | undefined> {
  const entries: (readonly [string, IdentityAttributes])[] = [];
  const isWhole = await eachEntryPage(client, call, async (page) => {
    const said = await entryAttributes(
      client,
      page.map(({ id }) => id),
      call,
    );
    for (const { id, spiffeId } of page) entries.push([spiffeId, said.get(id) ?? NO_ATTRIBUTES]);
  });
  return isWhole ? agreed(entries) : undefined;
}

type Call = { readonly signal: AbortSignal; readonly timeoutMs: number };

/** Every identity that an entry gives; undefined when there are more than it is worth asking for. @throws RpcError */
export async function identitiesAt(client: RpcClient, call: Call): Promise<Set<string> | undefined> {
  const identities = new Set<string>();
  const isWhole = await eachEntryPage(client, call, async (page) => {
    for (const { spiffeId } of page) identities.add(spiffeId);
  });
  return isWhole ? identities : undefined;
}

/** False when there are too many. */
async function eachEntryPage(
  client: RpcClient,
  call: Call,
  take: (page: readonly { readonly id: string; readonly spiffeId: string }[]) => Promise<void>,
): Promise<boolean> {
  let pageToken = '';
  for (let page = 0; page < ENTRY_PAGES_MAX; page++) {
    const answer = await client.unary(
      Entry.method.listEntries,
      { outputMask: { spiffeId: true }, pageSize: ENTRIES_A_PAGE, pageToken },
      call,
    );
    await take(answer.entries.map(({ id, spiffeId }) => ({ id, spiffeId: idText(spiffeId) })));
    pageToken = answer.nextPageToken;
    if (pageToken === '') return true;
  }
  return false;
}

async function federatedAt(client: RpcClient, call: Call): Promise<string[]> {
  const found: string[] = [];
  let pageToken = '';
  do {
    const answer = await client.unary(
      Bundle.method.listFederatedBundles,
      { outputMask: { x509Authorities: false, jwtAuthorities: false }, pageToken },
      call,
    );
    found.push(...answer.bundles.map(({ trustDomain }) => trustDomain));
    pageToken = answer.nextPageToken;
  } while (pageToken !== '');
  return found;
}

function targetsOf(resources: readonly Resource[]): Map<string, readonly string[] | undefined> {
  return new Map(
    resources.flatMap(({ kind, name, spec }) => (kind === 'Target' ? [[name, namesServed(spec)] as const] : [])),
  );
}

function namesServed(spec: unknown): readonly string[] | undefined {
  if (!Value.Check(TARGET, spec)) return undefined;
  const { protocol, ...config } = spec;
  return memberById<ProtocolMember>(protocols, protocol)?.namesServed?.(config);
}

function entriesOf(resources: readonly Resource[]) {
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
const ENTRIES_A_PAGE = 500;
/** Twenty thousand entries; a plan that reads more takes longer than the hint is worth. */
const ENTRY_PAGES_MAX = 40;
