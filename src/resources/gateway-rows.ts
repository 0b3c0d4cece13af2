import type { Kysely, Selectable } from 'kysely';
import type { GatewayState } from '../model/index.ts';
import { ResourcesError } from './errors.ts';
import type { ResourcesTables } from './migrations.ts';
import type { GatewayInstance, GatewayView } from './types.ts';

/** One instance as it is written. What a gateway said is left as it is where it is not given. */
export type GatewayRow = Omit<Row, 'reported' | 'findings'> & Partial<Pick<Row, 'reported' | 'findings'>>;
type Row = Selectable<ResourcesTables['resources_gateways']>;

/**
 * Writes one instance. One that `hasCome`, with a connection that has just begun, is its server's from now on; what else a server has to say of one that is
 * connected to another by now is old, however alive the connection looks from there: changes nothing. `isChanged`: that was new; `shared`: how many
 * others of its SPIFFE ID were connected when it came.
 */
export async function writeGateway(
  trx: Kysely<ResourcesTables>,
  row: GatewayRow,
  { hasCome }: { readonly hasCome: boolean },
): Promise<{ readonly isChanged: boolean; readonly shared: number }> {
  const before = await ofInstance(trx, row).selectAll().executeTakeFirst();
  if (!before) {
    if (row.connected === 0) return UNCHANGED;
    const shared = await countConnected(trx, row.spiffe_id);
    if (shared >= INSTANCES_OF_ONE_MAX) {
      const problem = `${shared} gateways of ${row.spiffe_id} are connected, allowed are ${INSTANCES_OF_ONE_MAX}`;
      throw new ResourcesError('ERR_RESOURCES_LIMIT', problem);
    }
    await makeRoom(trx, row.since_ms);
    await trx.insertInto('resources_gateways').values(row).execute();
    await forgetGone(trx, row);
    return { isChanged: true, shared };
  }
  if (before.owner !== row.owner && (row.connected === 0 || (before.connected === 1 && !hasCome))) return UNCHANGED;
  const isUnsaid = row.reported === null && before.reported !== null;
  const isNew = row.connected !== before.connected || row.owner !== before.owner;
  if (!isNew && !isUnsaid && row.state === before.state) return UNCHANGED;
  // Moving to another server is no interruption worth a new date.
  const since_ms = row.connected === before.connected ? before.since_ms : row.since_ms;
  await trx
    .updateTable('resources_gateways')
    .set({ ...row, since_ms })
    .where('spiffe_id', '=', row.spiffe_id)
    .where('address', '=', row.address)
    .where('instance', '=', row.instance)
    .execute();
  await forgetGone(trx, row);
  return { isChanged: true, shared: 0 };
}

/** The gateways of servers that are gone are so, too; true when there was one. */
export async function disconnectOwners(
  trx: Kysely<ResourcesTables>,
  gone: readonly string[],
  nowMs: number,
): Promise<boolean> {
  if (gone.length === 0) return false;
  await trx.deleteFrom('resources_servers').where('owner', 'in', gone).execute();
  const { numUpdatedRows } = await trx
    .updateTable('resources_gateways')
    .set({ connected: 0, since_ms: nowMs })
    .where('connected', '=', 1)
    .where('owner', 'in', gone)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Those that are connected, to any server. */
export async function readInstances(db: Kysely<ResourcesTables>): Promise<readonly GatewayInstance[]> {
  const rows = await db
    .selectFrom('resources_gateways')
    .select(['spiffe_id', 'address', 'instance'])
    .where('connected', '=', 1)
    .execute();
  return rows.map(({ spiffe_id, address, instance }) => ({ spiffeId: spiffe_id, address, instance }));
}

/** Tells one instance from all others; none of the parts has a space in it. */
export function instanceKey({ spiffeId, address, instance }: GatewayInstance): string {
  return `${spiffeId} ${address} ${instance}`;
}

/** Of each address what is there of its instances: all that are connected, else the one that left last. */
export function presentOf<Of extends Pick<Row, 'spiffe_id' | 'address' | 'connected' | 'since_ms'>>(
  rows: readonly Of[],
): readonly (readonly [Of, ...Of[]])[] {
  const places = new Map<string, [Of, ...Of[]]>();
  for (const row of rows) {
    const key = `${row.spiffe_id} ${row.address}`;
    const known = places.get(key);
    const [first] = known ?? [];
    if (known === undefined || first === undefined || isBefore(first, row)) places.set(key, [row]);
    else if (first.connected === 1 && row.connected === 1) known.push(row);
  }
  return [...places.values()];
}

/** What is true of an address, by its instances: where one serves, agents find somebody there, whatever another one says. */
export function viewOf(instances: readonly [ViewedRow, ...ViewedRow[]]): GatewayView {
  const [{ spiffe_id, address, connected }] = instances;
  const states = new Set(instances.map(({ state }) => state));
  return {
    ...{ spiffeId: spiffe_id, address, connected: connected === 1 },
    sinceMs: Math.min(...instances.map(({ since_ms }) => since_ms)),
    state: BEST_FIRST.find((state) => states.has(state)) ?? 'serving',
  };
}

type ViewedRow = Pick<Row, 'spiffe_id' | 'address' | 'connected' | 'since_ms' | 'state'>;

function isBefore(one: Pick<Row, 'connected' | 'since_ms'>, other: Pick<Row, 'connected' | 'since_ms'>): boolean {
  if (one.connected !== other.connected) return one.connected === 0;
  return one.connected === 0 && one.since_ms < other.since_ms;
}

function ofInstance(trx: Kysely<ResourcesTables>, { spiffe_id, address, instance }: GatewayRow) {
  return trx
    .selectFrom('resources_gateways')
    .where('spiffe_id', '=', spiffe_id)
    .where('address', '=', address)
    .where('instance', '=', instance);
}

async function countConnected(trx: Kysely<ResourcesTables>, spiffeId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('resources_gateways')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('spiffe_id', '=', spiffeId)
    .where('connected', '=', 1)
    .executeTakeFirstOrThrow();
  return count;
}

/** At an address where one is connected nobody is missed; else the one that left last is all there is to know. */
async function forgetGone(
  trx: Kysely<ResourcesTables>,
  { spiffe_id, address, instance, connected }: GatewayRow,
): Promise<void> {
  const one = await trx
    .selectFrom('resources_gateways')
    .select('instance')
    .where('spiffe_id', '=', spiffe_id)
    .where('address', '=', address)
    .where('connected', '=', 1)
    .executeTakeFirst();
  const gone = trx
    .deleteFrom('resources_gateways')
    .where('spiffe_id', '=', spiffe_id)
    .where('address', '=', address)
    .where('connected', '=', 0);
  await (one === undefined && connected === 0 ? gone.where('instance', '!=', instance) : gone).execute();
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

const UNCHANGED = { isChanged: false, shared: 0 };
const BEST_FIRST: readonly GatewayState[] = ['serving', 'starting', 'leaving'];
const GATEWAYS_MAX = 10_000;
/** So that whoever has one of these identities leaves room for the others. */
const INSTANCES_OF_ONE_MAX = 1_000;
/** So that not each new one looks for room. */
const FORGOTTEN_AT_ONCE = 100;
const FORGET_AFTER_MS = 30 * 86_400_000;
