import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import type { ResourcesTables } from './migrations.ts';

/**
 * Tells servers that are gone from those that live, since nobody says goodbye for a server that was killed: its gateways would stay connected
 * for ever. Each server counts its beats in the store; one whose count stands still is gone, and so are the gateways that it reported. The
 * time between two looks is the looker's own: the clocks of servers may differ.
 */
export function createGatewayOwners(deps: {
  clock: Clock;
  log: Log;
  owner: string;
  /** Runs a change of gateways; true from `work` means that there was one. */
  write: (work: (trx: Kysely<ResourcesTables>) => Promise<boolean>) => Promise<boolean>;
  /** Reports once more the gateways that are connected here, to a store in which this server was taken for gone. */
  reassert: (trx: Kysely<ResourcesTables>) => Promise<void>;
}): Service {
  const { clock, log, owner } = deps;
  /** What was last seen of each other server, and when that was. */
  let seen = new Map<string, { readonly beats: number; readonly sinceMs: number }>();
  let timer: Timer | undefined;
  let stopped = false;
  let hasBeaten = false;
  let running: Promise<unknown> = Promise.resolve();

  const look = async (trx: Kysely<ResourcesTables>): Promise<readonly string[]> => {
    const rows = await trx.selectFrom('resources_servers').selectAll().where('owner', '!=', owner).execute();
    const orphans = await trx
      .selectFrom('resources_gateways')
      .select('owner')
      .distinct()
      .where('connected', '=', 1)
      .where('owner', '!=', owner)
      .execute();
    // A server of before this was counted has no row: it stands still at -1.
    const beatsOf = new Map(orphans.map((row) => [row.owner, -1]));
    for (const row of rows) beatsOf.set(row.owner, row.beats);
    const nowMs = clock.monotonicMs();
    seen = new Map(
      Array.from(beatsOf, ([name, beats]) => {
        const before = seen.get(name);
        return [name, before?.beats === beats ? before : { beats, sinceMs: nowMs }];
      }),
    );
    return Array.from(seen).flatMap(([name, { sinceMs }]) => (nowMs - sinceMs >= GONE_MS ? [name] : []));
  };

  const beat = async (trx: Kysely<ResourcesTables>): Promise<boolean> => {
    const { numUpdatedRows } = await trx
      .updateTable('resources_servers')
      .set((set) => ({ beats: set('beats', '+', 1) }))
      .where('owner', '=', owner)
      .executeTakeFirstOrThrow();
    const wasMissing = numUpdatedRows === 0n;
    if (wasMissing) await trx.insertInto('resources_servers').values({ owner, beats: 0 }).execute();
    // It stood still for too long, in a machine that was paused for instance, and another server has taken it for gone.
    if (wasMissing && hasBeaten) await deps.reassert(trx);
    return (await disconnect(trx, await look(trx), clock.now())) || (wasMissing && hasBeaten);
  };

  const beatSoon = (delayMs: number) => {
    timer = clock.after(delayMs, () => {
      running = deps
        .write(beat)
        .then(() => {
          hasBeaten = true;
        })
        .catch((error: unknown) => log.warn('resources.server.no_beat', { problem: messageOf(error) }))
        .finally(() => {
          if (!stopped) beatSoon(BEAT_MS);
        });
    });
  };
  return {
    async start() {
      await deps.write(beat);
      hasBeaten = true;
      beatSoon(BEAT_MS);
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
  };
}

/** The gateways of servers that are gone are so, too; true when there was one. */
async function disconnect(trx: Kysely<ResourcesTables>, gone: readonly string[], nowMs: number): Promise<boolean> {
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

const BEAT_MS = 30_000;
/** Six beats: a gateway is found again within it, since its connection to another server makes that one its owner. */
const GONE_MS = 180_000;
