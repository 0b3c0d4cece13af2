import { Bundle, Control, Entry } from '@countersign/sdk/contract';
import { type IdentityAttributes, NO_ATTRIBUTES } from '../../model/index.ts';
import type { KnownNames } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { entryAttributes } from '../entries/entry-attributes.ts';
import { idText } from '../entries/entry-text.ts';
import { agreed, type NamedResource, namesDeclared } from './known-names.ts';

/** Asks the server what it has beside what is declared; with `prune`, it will have no other target or policy. @throws RpcError */
export async function namesAtServer(
  client: RpcClient,
  declared: readonly NamedResource[],
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
    .map(({ kind, name, specJson }): NamedResource => ({ kind, name, spec: JSON.parse(specJson) }));
  const identities = await identitiesAt(client, call);
  for (const spiffeId of namesDeclared(declared).identities.keys()) identities?.add(spiffeId);
  return {
    targets: namesDeclared([...kept, ...declared]).targets,
    trustDomains: new Set([trustDomain, ...(await federatedAt(client, call))]),
    identities,
  };
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

const ENTRIES_A_PAGE = 500;
/** Twenty thousand entries; a plan that reads more takes longer than the hint is worth. */
const ENTRY_PAGES_MAX = 40;
