import { parseSpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import { type Clock, createGate, type Log, type Random, type Service } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { ResourcesError } from './errors.ts';
import { createGatewayOwners } from './gateway-owners.ts';
import { createGatewayReports, createReportPace, type ReportPace } from './gateway-reports.ts';
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
 * Creates {@link Gateways}. A row belongs to the server that reported the gateway connected last: the late farewell of another, which it left
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
  /** Connections of each gateway to this server: a new one may come before the old one is known to be gone. */
  const connections = new Map<string, { readonly count: number; readonly pace: ReportPace }>();
  const reports = createGatewayReports(deps);
  const inTurn = createGate({
    runningMax: 1,
    waitersMax: REPORTS_WAITING_MAX,
    full: () => new ResourcesError('ERR_RESOURCES_LIMIT', `${REPORTS_WAITING_MAX} reports of gateways wait already`),
  });
  const none = new AbortController().signal;

  const write = createWrite(store, view);
  const reassert = async (trx: Kysely<ResourcesTables>) => {
    for (const key of connections.keys()) {
      const [id = '', address = ''] = key.split(' ');
      await writeReport(trx, { spiffe_id: id, address, connected: 1, since_ms: clock.now(), owner });
    }
  };
  const owners = createGatewayOwners({ ...deps, owner, write, reassert });

  return {
    async report({ spiffeId, address, connected }) {
      checkAddress(address);
      const id = parseSpiffeId(spiffeId).uri;
      const key = `${id} ${address}`;
      const { count: before, pace } = connections.get(key) ?? { count: 0, pace: createReportPace() };
      const count = Math.max(0, before + (connected ? 1 : -1));
      if (count === 0) connections.delete(key);
      else connections.set(key, { count, pace });
      // What it said belongs to the process that said it; one that comes says it again.
      const unsaid = connected && before === 0 ? { reported: null, findings: null } : {};
      // One after the other, and each writes what is true when its turn comes: the last one written is the last that happened.
      await inTurn.run(async () => {
        const sinceMs = clock.now();
        const isConnected = connections.has(key) ? 1 : 0;
        const row = { spiffe_id: id, address, connected: isConnected, since_ms: sinceMs, owner, ...unsaid };
        await write((trx) => writeReport(trx, row));
      }, none);
    },
    async keepReport(gateway, report) {
      const connection = connections.get(`${gateway.spiffeId} ${gateway.address}`);
      if (connection === undefined)
        throw new ResourcesError('ERR_RESOURCES_GATEWAY', `no gateway at ${gateway.address} watches this server`);
      await reports.keep(gateway, report, connection.pace);
    },
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
      // The one process of an embedded store has just begun: no gateway can be connected to it.
      if (store.dialect === 'sqlite') await write((trx) => disconnectAll(trx, clock.now()));
      await view.start(signal);
      if (store.dialect === 'postgres') await owners.start(signal);
    },
    async stop() {
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

type Write = (work: (trx: Kysely<ResourcesTables>) => Promise<boolean>) => Promise<boolean>;

interface Known {
  readonly revision: number;
  readonly gateways: readonly GatewayView[];
}

/** What a gateway said is left as it is where it is not given. */
type GatewayRow = Omit<ResourcesTables['resources_gateways'], 'reported' | 'findings'> &
  Partial<Pick<ResourcesTables['resources_gateways'], 'reported' | 'findings'>>;

/** True when the report changed something. */
async function writeReport(trx: Kysely<ResourcesTables>, row: GatewayRow): Promise<boolean> {
  const before = await trx
    .selectFrom('resources_gateways')
    .selectAll()
    .where('spiffe_id', '=', row.spiffe_id)
    .where('address', '=', row.address)
    .executeTakeFirst();
  if (!before) {
    if (row.connected === 0) return false;
    await makeRoom(trx, row.since_ms);
    await trx.insertInto('resources_gateways').values(row).execute();
    return true;
  }
  if (row.connected === 0 && before.owner !== row.owner) return false;
  const isUnsaid = row.reported === null && before.reported !== null;
  if (row.connected === before.connected && row.owner === before.owner && !isUnsaid) return false;
  // Moving to another server is no interruption worth a new date.
  const since_ms = row.connected === before.connected ? before.since_ms : row.since_ms;
  await trx
    .updateTable('resources_gateways')
    .set({ ...row, since_ms })
    .where('spiffe_id', '=', row.spiffe_id)
    .where('address', '=', row.address)
    .execute();
  return true;
}

/**
 * Forgets gateways that left long ago, and those that left first when there are too many: each may advertise any address, and a new one must
 * not be kept out by what restarts at other addresses have left behind. Refused is one too many of those that are there.
 */
async function makeRoom(trx: Kysely<ResourcesTables>, nowMs: number): Promise<void> {
  await trx
    .deleteFrom('resources_gateways')
    .where('connected', '=', 0)
    .where('since_ms', '<', nowMs - FORGET_AFTER_MS)
    .execute();
  const { count } = await trx
    .selectFrom('resources_gateways')
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  if (count < GATEWAYS_MAX) return;
  const left = await trx
    .selectFrom('resources_gateways')
    .select('since_ms')
    .where('connected', '=', 0)
    .orderBy('since_ms')
    .limit(FORGOTTEN_AT_ONCE)
    .execute();
  const last = left.at(-1);
  if (last === undefined)
    throw new ResourcesError('ERR_RESOURCES_LIMIT', `${count} gateways are connected, allowed are ${GATEWAYS_MAX}`);
  await trx
    .deleteFrom('resources_gateways')
    .where('connected', '=', 0)
    .where('since_ms', '<=', last.since_ms)
    .execute();
}

async function disconnectAll(trx: Kysely<ResourcesTables>, nowMs: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('resources_gateways')
    .set({ connected: 0, since_ms: nowMs })
    .where('connected', '=', 1)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** All of it in one statement, so that revision and gateways belong together. */
async function readGateways(db: Kysely<ResourcesTables>): Promise<Known> {
  const rows = await db
    .selectFrom('resources_state')
    .leftJoin('resources_gateways', (join) => join.onTrue())
    .select(['resources_state.revision', 'spiffe_id', 'address', 'connected', 'since_ms'])
    .where('resources_state.id', '=', GATEWAYS_STATE)
    .execute();
  const gateways: GatewayView[] = [];
  for (const { spiffe_id, address, connected, since_ms } of rows) {
    if (spiffe_id === null || address === null || since_ms === null) continue;
    gateways.push({ spiffeId: spiffe_id, address, connected: connected === 1, sinceMs: since_ms });
  }
  gateways.sort((a, b) => compareText(a.spiffeId, b.spiffeId) || compareText(a.address, b.address));
  return { revision: rows[0]?.revision ?? 0, gateways };
}

function checkAddress(address: string): void {
  const port = Number(/^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})$/.exec(address)?.[1] ?? 0);
  if (port >= 1 && port <= 65_535) return;
  throw new ResourcesError('ERR_RESOURCES_ADDRESS', 'a gateway advertises an address that is no host:port');
}

const TOPIC = 'resources.gateways';
const GATEWAYS_STATE = 2;
const GATEWAYS_MAX = 10_000;
/** So that not each new one looks for room. */
const FORGOTTEN_AT_ONCE = 100;
const FORGET_AFTER_MS = 30 * 86_400_000;
const REPORTS_WAITING_MAX = 10_000;
