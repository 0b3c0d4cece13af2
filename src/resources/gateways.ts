import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Random, type Service } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createGatewayConnections, type Write } from './gateway-connections.ts';
import { createGatewayOwners } from './gateway-owners.ts';
import { createGatewayReports } from './gateway-reports.ts';
import { instanceKey, presentOf, viewOf } from './gateway-rows.ts';
import { createLiveView, type LiveView } from './live-view.ts';
import type { ResourcesTables } from './migrations.ts';
import { compareText } from './planning/plan.ts';
import type { GatewayView, Resources } from './types.ts';

/** The gateways that were seen, on any server. */
export interface Gateways extends Service {
  report: Resources['reportGateway'];
  keepReport: Resources['keepReport'];
  reported: Resources['reportedGateways'];
  all: Resources['gateways'];
  onChange: Resources['onGateways'];
  forget: Resources['forgetGateway'];
  servers: Resources['servers'];
}

/**
 * Creates {@link Gateways}. A row is of one instance, and belongs to the server that it came to last: what another says of it late, which it left
 * for this one, changes nothing.
 */
export function createGateways(deps: { store: Store; clock: Clock; random: Random; log: Log }): Gateways {
  const { store } = deps;
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
  const restore = (all?: 'all') => connections.restore(all ? undefined : view.current()?.gone);
  const owners = createGatewayOwners({ ...deps, owner, write, restore });
  const connections = createGatewayConnections({ ...deps, owner, write: owners.write, keep: reports.keep });
  let unsubscribe = () => {};
  return {
    report: connections.report,
    keepReport: connections.keepReport,
    reported: reports.all,
    all: () => view.current()?.gateways ?? [],
    servers: owners.servers,
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
      await owners.start(signal);
      unsubscribe = view.onChange(() => {
        restore().catch((error: unknown) =>
          // It is tried again at the next look of this server's at the others.
          deps.log.warn('resources.gateways.not_restored', { problem: messageOf(error) }),
        );
      });
    },
    async stop() {
      unsubscribe();
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
  /** Instances that are connected to no server, by key. */
  readonly gone: ReadonlySet<string>;
}

/** All of it in one statement, so that revision and gateways belong together. */
async function readGateways(db: Kysely<ResourcesTables>): Promise<Known> {
  const rows = await db
    .selectFrom('resources_state')
    .leftJoin('resources_gateways', (join) => join.onTrue())
    .select(['resources_state.revision', 'spiffe_id', 'address', 'instance', 'connected', 'since_ms', 'state'])
    .where('resources_state.id', '=', GATEWAYS_STATE)
    .execute();
  const instances = rows.flatMap(({ spiffe_id, address, instance, connected, since_ms, state }) =>
    spiffe_id === null || address === null || connected === null || since_ms === null || state === null
      ? []
      : [{ spiffe_id, address, instance: instance ?? '', connected, since_ms, state }],
  );
  const gone = instances.flatMap(({ spiffe_id, connected, ...one }) =>
    connected === 1 ? [] : [instanceKey({ ...one, spiffeId: spiffe_id })],
  );
  const gateways = presentOf(instances).map(viewOf);
  gateways.sort((a, b) => compareText(a.spiffeId, b.spiffeId) || compareText(a.address, b.address));
  return { revision: rows[0]?.revision ?? 0, gateways, gone: new Set(gone) };
}

const TOPIC = 'resources.gateways';
const GATEWAYS_STATE = 2;
