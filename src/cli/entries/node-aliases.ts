import { Entry } from '@countersign/sdk/contract';
import type { Agent } from '@countersign/sdk/contract/gen/spire/api/types/agent_pb.ts';
import type { Entry as EntryMessage } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { SelectorMatch_MatchBehavior as Match } from '@countersign/sdk/contract/gen/spire/api/types/selector_pb.ts';
import type { CallOptions, RpcClient } from '../../rpc/index.ts';
import type { Clock } from '../../std/index.ts';
import { idText } from './entry-text.ts';

/** A name that entries may have as their parent to hold on a node, and the entry that makes it one. */
export interface NodeAlias {
  readonly spiffeId: string;
  readonly entry: string;
}

/**
 * The aliases of a node, by name: that of its join token, and those of entries below the server whose selectors all hold for the node. What
 * has expired makes none.
 */
export async function aliasesOf(
  client: RpcClient,
  node: Agent,
  { clock, ...options }: CallOptions & { clock: Clock },
): Promise<NodeAlias[]> {
  const { id, selectors } = node;
  if (id === undefined) return [];
  const ofToken = [{ type: 'spiffe_id', value: idText(id) }];
  const server = { trustDomain: id.trustDomain, path: '/spire/server' };
  const found = [
    ...(await entriesOf(client, { byParentId: id, bySelectors: matching(ofToken, Match.MATCH_EXACT) }, options)),
    // An empty filter is refused, and no selectors match no alias.
    ...(selectors.length === 0
      ? []
      : await entriesOf(client, { byParentId: server, bySelectors: matching(selectors, Match.MATCH_SUBSET) }, options)),
  ];
  const nowS = Math.floor(clock.now() / 1000);
  return found
    .filter(({ expiresAt }) => expiresAt === 0n || Number(expiresAt) > nowS)
    .map((entry) => ({ spiffeId: idText(entry.spiffeId), entry: entry.id }))
    .toSorted((a, b) => (a.spiffeId < b.spiffeId ? -1 : 1));
}

function matching(selectors: readonly { type: string; value: string }[], match: Match) {
  return { selectors: selectors.map(({ type, value }) => ({ type, value })), match };
}

async function entriesOf(
  client: RpcClient,
  filter: Parameters<typeof listPage>[1]['filter'],
  options: CallOptions,
): Promise<EntryMessage[]> {
  const entries: EntryMessage[] = [];
  let pageToken = '';
  do {
    const page = await listPage(client, { filter, pageToken }, options);
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

function listPage(
  client: RpcClient,
  request: {
    filter: {
      byParentId: { trustDomain: string; path: string };
      bySelectors: ReturnType<typeof matching>;
    };
    pageToken: string;
  },
  options: CallOptions,
) {
  return client.unary(Entry.method.listEntries, { ...request, pageSize: PAGE }, options);
}

const PAGE = 500;
