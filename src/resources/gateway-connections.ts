import { parseSpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { GatewayReport, GatewayState } from '../model/index.ts';
import { type Clock, createGate } from '../std/index.ts';
import { ResourcesError } from './errors.ts';
import { createReportPace, type ReportPace } from './gateway-reports.ts';
import type { ResourcesTables } from './migrations.ts';
import type { Resources } from './types.ts';

/** The gateways that watch this server, and their rows in the store. */
export interface GatewayConnections {
  report: Resources['reportGateway'];
  keepReport: Resources['keepReport'];
  /** Writes all of them once more, to a store in which this server was taken for gone. */
  reassert(trx: Kysely<ResourcesTables>): Promise<void>;
}

/** Runs a change of gateways, and tells all servers of it; true from `work` means that there was one. */
export type Write = (work: (trx: Kysely<ResourcesTables>) => Promise<boolean>) => Promise<boolean>;

/** Creates those of the server that calls itself `owner`; `keep` keeps what they say. */
export function createGatewayConnections(deps: {
  clock: Clock;
  owner: string;
  write: Write;
  keep: (gateway: { spiffeId: string; address: string }, report: GatewayReport, pace: ReportPace) => Promise<void>;
}): GatewayConnections {
  const { clock, owner, write } = deps;
  const connections = new Map<string, Connection>();
  const inTurn = createGate({
    runningMax: 1,
    waitersMax: REPORTS_WAITING_MAX,
    full: () => new ResourcesError('ERR_RESOURCES_LIMIT', `${REPORTS_WAITING_MAX} reports of gateways wait already`),
  });
  const none = new AbortController().signal;
  const rowOf = (key: string): GatewayRow => {
    const [id = '', address = ''] = key.split(' ');
    const known = connections.get(key);
    const row = { spiffe_id: id, address, since_ms: clock.now(), owner };
    // As what comes next: it may be to a server, or be a gateway, that knows nothing of states.
    return { ...row, connected: known === undefined ? 0 : 1, state: known?.state ?? 'serving' };
  };
  /** One after the other, and each writes what is true when its turn comes: the last one written is the last that happened. */
  const writeNow = (key: string, said: Pick<GatewayRow, 'reported' | 'findings'>) =>
    inTurn.run(async () => {
      const row = { ...rowOf(key), ...said };
      await write((trx) => writeReport(trx, row));
    }, none);
  return {
    async report({ spiffeId, address, connected, state = 'serving' }) {
      checkAddress(address);
      const key = keyOf({ spiffeId: parseSpiffeId(spiffeId).uri, address });
      const known = connections.get(key);
      const count = Math.max(0, (known?.count ?? 0) + (connected ? 1 : -1));
      if (count === 0) connections.delete(key);
      else if (known === undefined) connections.set(key, { count, state, pace: createReportPace() });
      else Object.assign(known, { count, ...(connected ? { state } : {}) });
      // What it said belongs to the process that said it; one that comes says it again.
      await writeNow(key, connected && known === undefined ? { reported: null, findings: null } : {});
    },
    async keepReport(gateway, report) {
      const key = keyOf(gateway);
      const known = connections.get(key);
      if (known === undefined)
        throw new ResourcesError('ERR_RESOURCES_GATEWAY', `no gateway at ${gateway.address} watches this server`);
      await deps.keep(gateway, report, known.pace);
      if (known.state === report.state) return;
      known.state = report.state;
      await writeNow(key, {});
    },
    async reassert(trx) {
      for (const key of connections.keys()) await writeReport(trx, rowOf(key));
    },
  };
}

/** Tells one gateway from all others; neither part has a space in it. */
function keyOf({ spiffeId, address }: { readonly spiffeId: string; readonly address: string }): string {
  return `${spiffeId} ${address}`;
}

/** A gateway that watches this server. */
interface Connection {
  /** Its streams: a new one may come before the old one is known to be gone. */
  count: number;
  state: GatewayState;
  readonly pace: ReportPace;
}

/** What a gateway said is left as it is where it is not given. */
type GatewayRow = Omit<Row, 'reported' | 'findings' | 'state'> &
  Partial<Pick<Row, 'reported' | 'findings'>> & { readonly state: GatewayState };
type Row = ResourcesTables['resources_gateways'];

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
  const isNew = row.connected !== before.connected || row.owner !== before.owner;
  if (!isNew && !isUnsaid && row.state === before.state) return false;
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

function checkAddress(address: string): void {
  const port = Number(/^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})$/.exec(address)?.[1] ?? 0);
  if (port >= 1 && port <= 65_535) return;
  throw new ResourcesError('ERR_RESOURCES_ADDRESS', 'a gateway advertises an address that is no host:port');
}

const GATEWAYS_MAX = 10_000;
/** So that not each new one looks for room. */
const FORGOTTEN_AT_ONCE = 100;
const FORGET_AFTER_MS = 30 * 86_400_000;
const REPORTS_WAITING_MAX = 10_000;
