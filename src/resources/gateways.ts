import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Random, type Service, type Timer } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createGatewayConnections, type Write } from './gateway-connections.ts';
import { createGatewayOwners } from './gateway-owners.ts';
import { createGatewayReports } from './gateway-reports.ts';
import { presentOf, viewOf } from './gateway-rows.ts';
import { createLiveView, type LiveView } from './live-view.ts';
import type { ResourcesTables } from './migrations.ts';
import { compareText } from './plan.ts';
import type { GatewayView, Resources } from './types.ts';

/** The gateways that were seen, on any server. */
export interface Gateways extends Service {
  report: Resources['reportGateway'];
  keepReport: Resources['keepReport'];
  reported: Resources['reportedGateways'];
  all: Resources['gateways'];
  onChange: Resources['onGateways'];
  forget: Resources['forgetGateway'];
}

/**
 * Creates {@link Gateways}. A row is of one instance, and belongs to the server that reported it connected last: the late farewell of another, which it left
 * for this one, changes nothing.
 */
export function createGateways(deps: { store: Store; clock: Clock; random: Random; log: Log }): Gateways {
  const { store, clock } = deps;
  const owner = deps.random.bytes(16).toString('hex');
  const db = store.db<ResourcesTables>();
  const view = createLiveView<Known>({
    ...deps,
    topic: TOPIC,
    read: () => readGateways(db),
    revisionOf: (known) => known.revision,
  });
  const reports = createGatewayReports(deps);
  const write = createWrite(store, view);
  const connections = createGatewayConnections({ ...deps, owner, write, keep: reports.keep });
  const owners = createGatewayOwners({ ...deps, owner, write, reassert: connections.reassert });
  let expiry: Timer | undefined;
  /**
   * The one process of an embedded store has just begun. Agents come back to it before gateways do, and must not be told that there are none;
   * whoever is told of one that is gone for good finds that out.
   */
  const forgetLost = () =>
    write((trx) => disconnectOthers(trx, owner, clock.now())).catch((error: unknown) =>
      deps.log.warn('resources.gateways.not_forgotten', { problem: messageOf(error) }),
    );

  return {
    report: connections.report,
    keepReport: connections.keepReport,
    reported: reports.all,
    all: () => view.current()?.gateways ?? [],
    onChange: (listener) => view.onChange((known) => listener(known.gateways)),
    forget: (spiffeId, address) =>
      write(async (trx) => {
        const { numDeletedRows } = await trx
          .deleteFrom('resources_gateways')
          .where('spiffe_id', '=', spiffeId)
          .where('address', '=', address)
          .executeTakeFirstOrThrow();
        return numDeletedRows > 0n;
      }),
    async start(signal) {
      await view.start(signal);
      if (store.dialect === 'postgres') await owners.start(signal);
      else expiry = clock.after(BACK_WITHIN_MS, () => void forgetLost());
    },
    async stop() {
      expiry?.cancel();
      connections.stop();
      await owners.stop();
      await view.stop();
    },
  };
}

/** Runs `work`; when it changed something, takes the next revision and tells all servers. */
function createWrite(store: Store, view: LiveView<Known>): Write {
  return async (work) => {
    const revision = await store.transaction<ResourcesTables, number | undefined>(
      async (trx, effects) => {
        if (!(await work(trx))) return undefined;
        const row = await trx
          .updateTable('resources_state')
          .set((set) => ({ revision: set('revision', '+', 1) }))
          .where('id', '=', GATEWAYS_STATE)
          .returning('revision')
          .executeTakeFirstOrThrow();
        effects.notify(TOPIC, String(row.revision));
        return row.revision;
      },
      { order: 'resources.gateways' },
    );
    if (revision !== undefined) await view.reach(revision);
    return revision !== undefined;
  };
}

interface Known {
  readonly revision: number;
  readonly gateways: readonly GatewayView[];
}

/** Of gateways that were connected to others, it is true no more. */
async function disconnectOthers(trx: Kysely<ResourcesTables>, owner: string, nowMs: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('resources_gateways')
    .set({ connected: 0, since_ms: nowMs })
    .where('connected', '=', 1)
    .where('owner', '!=', owner)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** All of it in one statement, so that revision and gateways belong together. */
async function readGateways(db: Kysely<ResourcesTables>): Promise<Known> {
  const rows = await db
    .selectFrom('resources_state')
    .leftJoin('resources_gateways', (join) => join.onTrue())
    .select(['resources_state.revision', 'spiffe_id', 'address', 'connected', 'since_ms', 'state'])
    .where('resources_state.id', '=', GATEWAYS_STATE)
    .execute();
  const instances = rows.flatMap(({ spiffe_id, address, connected, since_ms, state }) =>
    spiffe_id === null || address === null || connected === null || since_ms === null || state === null
      ? []
      : [{ spiffe_id, address, connected, since_ms, state }],
  );
  const gateways = presentOf(instances).map(viewOf);
  gateways.sort((a, b) => compareText(a.spiffeId, b.spiffeId) || compareText(a.address, b.address));
  return { revision: rows[0]?.revision ?? 0, gateways };
}

/** Gateways try again every ten seconds at least. */
const BACK_WITHIN_MS = 15_000;
const TOPIC = 'resources.gateways';
const GATEWAYS_STATE = 2;
