import type { SpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import { type AttestedNode, containsAll, formatSelector, type Selector } from '../../model/index.ts';
import type { Store } from '../../store/index.ts';
import { AttestationError } from '../errors.ts';
import type { AttestationTables, NodeRow } from './migrations.ts';
import { nodeOf } from './node-rows.ts';

/** All conditions must hold. */
export interface NodeFilter {
  readonly attestationType?: string;
  readonly banned?: boolean;
  readonly canReattest?: boolean;
  readonly expiresBeforeS?: number;
  readonly selectors?: {
    readonly values: readonly Selector[];
    readonly match: 'exact' | 'subset' | 'superset' | 'any';
  };
}

export interface NodePage {
  readonly nodes: readonly AttestedNode[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** The node with that id as the database has it. */
export async function findNode(store: Store, id: SpiffeId): Promise<AttestedNode | undefined> {
  const row = await store
    .db<AttestationTables>()
    .selectFrom('attestation_nodes')
    .selectAll()
    .where('id', '=', id.uri)
    .executeTakeFirst();
  return row && nodeOf(row);
}

/** See `Nodes.list`. A page token is the id of the last node of the page before. */
export async function listNodes(
  store: Store,
  request: { filter?: NodeFilter; pageSize?: number; pageToken?: string },
): Promise<NodePage> {
  const { filter = {}, pageSize = 0, pageToken = '' } = request;
  if (!Number.isInteger(pageSize) || pageSize < 0)
    throw new AttestationError('ERR_NODE_REQUEST', `page_size is ${pageSize}, allowed are 0 to ${PAGE_SIZE_MAX}`);
  const size = pageSize === 0 ? PAGE_SIZE_MAX : Math.min(pageSize, PAGE_SIZE_MAX);
  const nodes: AttestedNode[] = [];
  for await (const node of nodesAfter(store, pageToken, filter)) {
    // One more than asked tells whether another page follows.
    if (nodes.length === size) return { nodes, nextPageToken: nodes.at(-1)?.spiffeId.uri ?? '' };
    nodes.push(node);
  }
  return { nodes, nextPageToken: '' };
}

/** The number of nodes that pass the filter. */
export async function countNodes(store: Store, filter: NodeFilter): Promise<number> {
  let total = 0;
  for await (const _ of nodesAfter(store, '', filter)) total++;
  return total;
}

/** Changes columns of one node, where `condition` holds; false when no row was changed. */
export async function updateNode(
  trx: Kysely<AttestationTables>,
  id: SpiffeId,
  values: Partial<Omit<NodeRow, 'id'>>,
  condition?: readonly ['serial' | 'new_serial', '=' | '!=', string],
): Promise<boolean> {
  let query = trx.updateTable('attestation_nodes').set(values).where('id', '=', id.uri);
  if (condition) query = query.where(condition[0], condition[1], condition[2]);
  return (await query.executeTakeFirst()).numUpdatedRows > 0n;
}

async function* nodesAfter(store: Store, start: string, filter: NodeFilter): AsyncGenerator<AttestedNode> {
  for (let after = start; ; ) {
    let query = store
      .db<AttestationTables>()
      .selectFrom('attestation_nodes')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE_SIZE_MAX);
    if (filter.attestationType !== undefined) query = query.where('attestation_type', '=', filter.attestationType);
    if (filter.canReattest !== undefined) query = query.where('reattestable', '=', filter.canReattest ? 1 : 0);
    if (filter.banned !== undefined) query = query.where('serial', filter.banned ? '=' : '!=', '');
    if (filter.expiresBeforeS !== undefined) query = query.where('not_after_s', '<', filter.expiresBeforeS);
    const rows = await query.execute();
    for (const row of rows) {
      const node = nodeOf(row);
      if (selectorsPass(node, filter)) yield node;
    }
    const last = rows.at(-1);
    if (!last || rows.length < PAGE_SIZE_MAX) return;
    after = last.id;
  }
}

function selectorsPass(node: AttestedNode, filter: NodeFilter): boolean {
  if (!filter.selectors) return true;
  const { values, match } = filter.selectors;
  const wanted = new Set(values.map(formatSelector));
  switch (match) {
    case 'exact':
      return containsAll(node.selectors, values) && containsAll(values, node.selectors);
    case 'subset':
      return containsAll(values, node.selectors);
    case 'superset':
      return containsAll(node.selectors, values);
    case 'any':
      return node.selectors.some((selector) => wanted.has(formatSelector(selector)));
  }
}

const PAGE_SIZE_MAX = 1000;
