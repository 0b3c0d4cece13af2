import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { AttestedNode } from '../../model/index.ts';
import type { Clock, Log, Random, Service } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { AttestationError } from '../errors.ts';
import { createJoinTokens, type JoinTokens } from './join-tokens.ts';
import type { AttestationTables } from './migrations.ts';
import { countNodes, findNode, listNodes, type NodeFilter, type NodePage, updateNode } from './node-queries.ts';
import { rowOf } from './node-rows.ts';
import { createNodePruning, type PastNode } from './prune-nodes.ts';

/** What a serial number says of the certificate that bears it. `promoted`: it was the renewed one, seen for the first time. */
export type SerialCheck = 'current' | 'promoted' | 'superseded' | 'expired' | 'banned' | 'unknown';

/** The nodes that have attested, and join tokens for those to come. Everything may throw StoreError. */
export interface Nodes extends JoinTokens {
  /** Keeps a node as just attested: its serial is the current one, none is staged. A banned node stays banned: false. */
  recordAttestation(node: AttestedNode): Promise<boolean>;
  find(id: SpiffeId): Promise<AttestedNode | undefined>;
  /** Ordered by id, at most `pageSize` (1 to PAGE_SIZE_MAX, 0 = that maximum). @throws AttestationError ERR_NODE_REQUEST */
  list(request: { filter?: NodeFilter; pageSize?: number; pageToken?: string }): Promise<NodePage>;
  count(filter?: NodeFilter): Promise<number>;
  /** Forgets a node, with its alias when its proof can't be given again: it must attest anew. False when there was none. */
  delete(id: SpiffeId): Promise<boolean>;
  /** Forgets the nodes that left long ago, as happens every hour; resolves to how many. */
  prune(): Promise<number>;
  /** Shuts a node out until it is removed. False when there was none. */
  ban(id: SpiffeId): Promise<boolean>;
  /** Stages a renewed certificate; it becomes the current one when first used, and until then both hold. False when there is no such node or it is banned. */
  stageRenewal(id: SpiffeId, newSerial: string, newNotAfterS: number): Promise<boolean>;
  /** Judges a serial number, promoting the staged one in one atomic step. From memory unless something changed. */
  checkSerial(id: SpiffeId, serial: string): Promise<SerialCheck>;
  /** Keeps what the agent says of itself: at most 255 characters. @throws AttestationError ERR_NODE_REQUEST */
  recordVersion(id: SpiffeId, version: string): Promise<void>;
}

/** Creates the node registry. Another server's changes are seen when its notification comes; a lost connection empties the memory. */
export function createNodes(deps: {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  trustDomain: TrustDomain;
  /** Takes away the aliases that attestation made for those nodes, which are gone for good. To be done before they are forgotten. */
  removeAliases: (nodes: readonly SpiffeId[]) => Promise<void>;
}): Nodes & Service {
  const { store, removeAliases } = deps;
  const known = createNodeMemory((id) => findNode(store, id));
  const pruning = createNodePruning({ ...deps, forget });
  let unsubscribe = () => {};

  async function forget(past: readonly PastNode[], beforeS: number): Promise<number> {
    await removeAliases(past.filter(({ canReattest }) => !canReattest).map(({ id }) => id));
    const gone = await store.transaction<AttestationTables, readonly string[]>(
      async (trx, effects) => {
        const ids = await deletePast(trx, past, beforeS);
        for (const id of ids) effects.notify(TOPIC, id);
        return ids;
      },
      { order: 'attestation' },
    );
    for (const id of gone) known.forget(id);
    return gone.length;
  }

  /** Runs one change of one node; `work` returns false when there is nothing to tell. */
  async function change(id: SpiffeId, work: (trx: Tables) => Promise<boolean>): Promise<boolean> {
    const changed = await store.transaction<AttestationTables, boolean>(
      async (trx, effects) => {
        const done = await work(trx);
        if (done) effects.notify(TOPIC, id.uri);
        return done;
      },
      { order: 'attestation' },
    );
    known.forget(id.uri);
    return changed;
  }

  return {
    async start(signal) {
      unsubscribe = store.subscribe(TOPIC, known.forget);
      await pruning.start(signal);
    },
    async stop() {
      await pruning.stop();
      unsubscribe();
    },
    prune: pruning.prune,
    ...createJoinTokens(deps),
    recordAttestation: (node) => change(node.spiffeId, (trx) => recordNode(trx, node)),
    find: (id) => findNode(store, id),
    list: (request) => listNodes(store, request),
    count: (filter = {}) => countNodes(store, filter),
    async delete(id) {
      const node = await findNode(store, id);
      if (node?.reattestable === false) await removeAliases([id]);
      return change(
        id,
        async (trx) =>
          (await trx.deleteFrom('attestation_nodes').where('id', '=', id.uri).executeTakeFirst()).numDeletedRows > 0n,
      );
    },
    ban: (id) => change(id, (trx) => updateNode(trx, id, { serial: '', new_serial: '', new_not_after_s: 0 })),
    stageRenewal: (id, serial, notAfterS) =>
      change(id, (trx) =>
        updateNode(trx, id, { new_serial: serial, new_not_after_s: notAfterS }, ['serial', '!=', '']),
      ),
    async checkSerial(id, serial) {
      const node = await known.find(id);
      const state = stateOf(node, serial, deps.clock.now());
      if (state !== 'promoted' || !node) return state;
      // The condition makes it one step: of two uses at once, one promotes and the other finds it done.
      const promotion = { serial, not_after_s: node.newNotAfterS, new_serial: '', new_not_after_s: 0 };
      if (await change(id, (trx) => updateNode(trx, id, promotion, ['new_serial', '=', serial]))) return 'promoted';
      const now = stateOf(await findNode(store, id), serial, deps.clock.now());
      return now === 'promoted' ? 'superseded' : now;
    },
    async recordVersion(id, version) {
      if (version.length > VERSION_CHARS_MAX)
        throw new AttestationError('ERR_NODE_REQUEST', `an agent version has at most ${VERSION_CHARS_MAX} characters`);
      if ((await known.find(id))?.agentVersion === version) return;
      await change(id, (trx) => updateNode(trx, id, { agent_version: version }));
    },
  };
}

/** `promoted` where the serial is the staged one: it is to be promoted. */
function stateOf(node: AttestedNode | undefined, serial: string, nowMs: number): SerialCheck {
  if (!node) return 'unknown';
  if (node.serial === '') return 'banned';
  if (node.serial === serial) return node.notAfterS * 1000 > nowMs ? 'current' : 'expired';
  return node.newSerial !== '' && node.newSerial === serial ? 'promoted' : 'superseded';
}

async function recordNode(trx: Tables, node: AttestedNode): Promise<boolean> {
  const before = await trx
    .selectFrom('attestation_nodes')
    .select('serial')
    .where('id', '=', node.spiffeId.uri)
    .executeTakeFirst();
  if (before?.serial === '') return false;
  const row = rowOf({ ...node, newSerial: '', newNotAfterS: 0 });
  await trx
    .insertInto('attestation_nodes')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
  return true;
}

/** Deletes those that still are past: one may have attested since it was looked at. */
async function deletePast(trx: Tables, past: readonly PastNode[], beforeS: number): Promise<readonly string[]> {
  const ids = past.map(({ id }) => id.uri);
  const rows = await trx
    .deleteFrom('attestation_nodes')
    .where('id', 'in', ids)
    .where('serial', '!=', '')
    .where('not_after_s', '<', beforeS)
    .where('new_not_after_s', '<', beforeS)
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}

/** Nodes as last read, so that an agent's call does not ask the database. A change that comes while one is being read wins. */
function createNodeMemory(read: (id: SpiffeId) => Promise<AttestedNode | undefined>) {
  const nodes = new Map<string, AttestedNode>();
  let changes = 0;
  return {
    async find(id: SpiffeId): Promise<AttestedNode | undefined> {
      const present = nodes.get(id.uri);
      if (present) return present;
      const before = changes;
      const node = await read(id);
      if (!node || changes !== before) return node;
      if (nodes.size >= KNOWN_NODES_MAX) nodes.delete(nodes.keys().next().value ?? '');
      nodes.set(id.uri, node);
      return node;
    },
    /** An empty id means that anything may have changed. */
    forget(id: string): void {
      changes++;
      if (id === '') nodes.clear();
      else nodes.delete(id);
    },
  };
}

type Tables = Kysely<AttestationTables>;

const TOPIC = 'attestation.nodes';
const VERSION_CHARS_MAX = 255;
/** Some 1 kB each: 100,000 nodes are 100 MB at the most, read from the store again when needed. */
const KNOWN_NODES_MAX = 100_000;
