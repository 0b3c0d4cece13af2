import type { Kysely } from 'kysely';
import type { Clock } from '../std/index.ts';
import type { Write } from './gateway-connections.ts';
import { disconnectOwners } from './gateway-rows.ts';
import type { ResourcesTables } from './migrations.ts';

/**
 * Goes along with servers of versions that knew no leases, while servers are upgraded one after the other. Each of those counts its beats in the store,
 * and takes one whose count stands still for gone; so this one counts, too, and judges who has no lease by the same rule. The time between two looks
 * is the looker's own: the clocks of servers may differ.
 */
export function createBeats(deps: { clock: Clock; owner: string; write: Write }): {
  /** Counts, now and then. `leased`: the servers that have a lease, live or over, which are judged by that. */
  beat(leased: ReadonlySet<string>): Promise<void>;
} {
  const { clock, owner } = deps;
  /** What was last seen of each other server, and when that was. */
  let seen = new Map<string, { readonly beats: number; readonly sinceMs: number }>();
  let beatenMs = Number.NEGATIVE_INFINITY;

  const look = async (trx: Kysely<ResourcesTables>, leased: ReadonlySet<string>): Promise<readonly string[]> => {
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
      Array.from(beatsOf).flatMap(([name, beats]) => {
        const before = seen.get(name);
        if (leased.has(name)) return [];
        return [[name, before?.beats === beats ? before : { beats, sinceMs: nowMs }]];
      }),
    );
    return Array.from(seen).flatMap(([name, { sinceMs }]) => (nowMs - sinceMs >= GONE_MS ? [name] : []));
  };
  const count = async (trx: Kysely<ResourcesTables>, leased: ReadonlySet<string>): Promise<boolean> => {
    const { numUpdatedRows } = await trx
      .updateTable('resources_servers')
      .set((set) => ({ beats: set('beats', '+', 1) }))
      .where('owner', '=', owner)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) await trx.insertInto('resources_servers').values({ owner, beats: 0 }).execute();
    return disconnectOwners(trx, await look(trx, leased), clock.now());
  };
  return {
    async beat(leased) {
      if (clock.monotonicMs() - beatenMs < BEAT_MS) return;
      await deps.write((trx) => count(trx, leased));
      beatenMs = clock.monotonicMs();
    },
  };
}

const BEAT_MS = 30_000;
/** Six beats, as in the versions that go by them. */
const GONE_MS = 180_000;
