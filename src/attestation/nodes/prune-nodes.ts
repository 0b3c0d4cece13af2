import { parseSpiffeId, type SpiffeId } from '@countersign/sdk/identity';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import type { AttestationTables } from './migrations.ts';

/** Forgets nodes that have not been there for long. */
export interface NodePruning extends Service {
  /** Looks at all nodes once; resolves to how many were forgotten. */
  prune(): Promise<number>;
}

/**
 * Creates {@link NodePruning}: machines come and go, and nothing else takes the record of one away. Forgotten is what could do nothing but
 * attest anew: its last SVID ended {@link KEPT_MS} ago. A banned node is kept, or it could come back by attesting. `forget` gets some at a
 * time, with whether they can give their proof again, and deletes those that are as they were.
 */
export function createNodePruning(deps: {
  store: Store;
  clock: Clock;
  log: Log;
  forget: (nodes: readonly PastNode[], beforeS: number) => Promise<number>;
}): NodePruning {
  const { store, clock, log } = deps;
  let timer: Timer | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const pageAfter = async (after: string, beforeS: number) =>
    store
      .db<AttestationTables>()
      .selectFrom('attestation_nodes')
      .select(['id', 'reattestable'])
      .where('id', '>', after)
      .where('serial', '!=', '')
      .where('not_after_s', '<', beforeS)
      .where('new_not_after_s', '<', beforeS)
      .orderBy('id')
      .limit(NODES_AT_ONCE)
      .execute();

  const prune = async (): Promise<number> => {
    const beforeS = Math.floor((clock.now() - KEPT_MS) / 1000);
    let forgotten = 0;
    for (let after = ''; !stopped; ) {
      const rows = await pageAfter(after, beforeS);
      const nodes = rows.map(({ id, reattestable }) => ({ id: parseSpiffeId(id), canReattest: reattestable === 1 }));
      if (nodes.length > 0) forgotten += await deps.forget(nodes, beforeS);
      const last = rows.at(-1);
      if (last === undefined || rows.length < NODES_AT_ONCE) break;
      after = last.id;
      // Others wait for the store, too.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (forgotten > 0) log.info('attestation.nodes.forgotten', { nodes: forgotten });
    return forgotten;
  };
  const pruneAfter = (delayMs: number) => {
    timer = clock.after(delayMs, () => {
      running = prune()
        .catch((error: unknown) => log.warn('attestation.nodes.not_forgotten', { problem: messageOf(error) }))
        .finally(() => {
          if (!stopped) pruneAfter(EVERY_MS);
        });
    });
  };
  return {
    prune,
    async start() {
      pruneAfter(FIRST_MS);
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
  };
}

/** A node whose SVIDs have ended. */
export interface PastNode {
  readonly id: SpiffeId;
  /** False where its proof was for one time: nothing will ever be that node again. */
  readonly canReattest: boolean;
}

/** Long enough to look for a machine that is missed; what it did is in the ledger. */
const KEPT_MS = 30 * 86_400_000;
const EVERY_MS = 3_600_000;
/** When agents have come back after a start. */
const FIRST_MS = 60_000;
/** One transaction of some milliseconds. */
const NODES_AT_ONCE = 500;
