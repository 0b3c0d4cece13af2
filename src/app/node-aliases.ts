import type { SpiffeId } from '@countersign/sdk/identity';
import type { Selector } from '../model/index.ts';
import { ENTRIES_PER_BATCH_MAX, type Registration } from '../registration/index.ts';

/** The aliases of nodes, which are entries: made with a node, and taken away with one that is gone for good. */
export function createNodeAliases(
  registration: Pick<Registration, 'batchCreate' | 'batchDelete' | 'authorizedEntries'>,
) {
  return {
    async createAlias(node: SpiffeId, alias: SpiffeId, entryId: string): Promise<void> {
      await registration.batchCreate([
        { id: entryId, spiffeId: alias.uri, parentId: node.uri, selectors: ofNode(node) },
      ]);
    },
    /** Only what `createAlias` makes: an entry that an operator hung below a node is his to take away. */
    async removeAliases(nodes: readonly SpiffeId[]): Promise<void> {
      const ids = nodes.flatMap((node) =>
        registration
          .authorizedEntries(node, [])
          .filter(({ parentId, selectors }) => parentId.uri === node.uri && isOfNode(node, selectors))
          .map(({ id }) => id),
      );
      for (let start = 0; start < ids.length; start += ENTRIES_PER_BATCH_MAX)
        await registration.batchDelete(ids.slice(start, start + ENTRIES_PER_BATCH_MAX));
    },
  };
}

function ofNode(node: SpiffeId) {
  return [{ type: 'spiffe_id', value: node.uri }];
}

function isOfNode(node: SpiffeId, [one, ...more]: readonly Selector[]): boolean {
  return more.length === 0 && one?.type === 'spiffe_id' && one.value === node.uri;
}
