import type { Kysely } from 'kysely';
import type { Clock, Log } from '../std/index.ts';
import { createLeases, type Lease, type SeenLeases, type Store } from '../store/index.ts';

/** That this server is there, as all servers see it. */
export interface ServerLease {
  /** Takes it, or puts its end off; true when it had to be taken anew, since another server has taken this one for gone. @throws StoreError */
  renew(): Promise<boolean>;
  /** How often that was so. */
  timesLost(): number;
  /** How long ago that was found the last time; undefined: never. */
  lostForMs(): number | undefined;
  /** For how long others have not heard that it is there. */
  unheardMs(): number;
  /** In a transaction: makes sure that no server has taken this one for gone. @throws StoreError ERR_STORE_LEASE */
  guard(trx: Kysely<never>): Promise<void>;
  /** All servers that have a lease: `gone` are those whose time is over, as far as this one may judge. @throws StoreError */
  look(): Promise<SeenLeases & { readonly gone: readonly Lease[] }>;
  /** In a transaction: takes the leases of those away that are gone, and resolves to those that are gone still. */
  removeGone(trx: Kysely<never>, gone: readonly Lease[]): Promise<readonly Lease[]>;
}

/**
 * Creates the lease of the server that calls itself `owner`. A server that stood still, or was away from its database, finds the others' time over,
 * though they were away as it was and have merely not come back yet; so does everyone when the clock of the database goes forward at once. Such a
 * server takes nobody for gone until all who live had time to renew.
 */
export function createServerLease({ store, clock, log, owner }: ServerLeaseDeps): ServerLease {
  const leases = createLeases({ store, clock });
  const steadiness = createSteadiness(clock);
  let lease: Lease | undefined;
  let timesLost = 0;
  let lostAtMs: number | undefined;
  let heardAtMs = clock.monotonicMs();
  const putOff = async (): Promise<boolean> => {
    if (lease === undefined) return false;
    const askedAtMs = clock.monotonicMs();
    const databaseMs = await leases.renew(lease);
    if (databaseMs === undefined) return false;
    steadiness.renewed(databaseMs);
    heardAtMs = askedAtMs;
    return true;
  };
  const renew = async (): Promise<boolean> => {
    if (await putOff()) return false;
    const wasHeld = lease !== undefined;
    lease = await leases.hold({ kind: KIND, name: owner, holder: owner, ttlMs: SERVER_GONE_MS });
    await putOff();
    if (!wasHeld) return false;
    timesLost++;
    lostAtMs = clock.monotonicMs();
    log.warn('resources.server.was_gone', {
      next: 'look what held this server up: the machine, its event loop or the way to the database',
    });
    return true;
  };
  let renewing: Promise<boolean> | undefined;
  return {
    renew() {
      // One for all who find it lost: a second taking would end what the first has just got.
      renewing ??= renew().finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
    timesLost: () => timesLost,
    lostForMs: () => (lostAtMs === undefined ? undefined : clock.monotonicMs() - lostAtMs),
    unheardMs: () => clock.monotonicMs() - heardAtMs,
    async guard(trx) {
      if (lease !== undefined) await leases.guard(trx, lease);
    },
    async look() {
      const seen = await leases.look(KIND);
      return { ...seen, gone: steadiness.mayJudge(seen.nowMs) ? seen.over.filter(({ name }) => name !== owner) : [] };
    },
    removeGone: leases.removeOver,
  };
}

interface ServerLeaseDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
}

/** Whether this process and the clock of the database have gone on evenly for a while, told by the process's own clock, which never goes back. */
function createSteadiness(clock: Clock) {
  let last: { readonly atMs: number; readonly databaseMs: number } | undefined;
  let sinceMs = 0;
  const isEven = (databaseMs: number): boolean => {
    if (last === undefined) return false;
    const passedMs = clock.monotonicMs() - last.atMs;
    return passedMs <= GAP_MS_MAX && Math.abs(databaseMs - last.databaseMs - passedMs) <= JUMP_MS_MAX;
  };
  return {
    renewed(databaseMs: number) {
      const atMs = clock.monotonicMs();
      if (!isEven(databaseMs)) sinceMs = atMs;
      last = { atMs, databaseMs };
    },
    mayJudge: (databaseMs: number) => isEven(databaseMs) && clock.monotonicMs() - sinceMs >= STEADY_MS_MIN,
  };
}

/** How often a server says that it is there. */
export const RENEW_MS = 3_000;
/** One that says nothing for so long is gone: three renewals. It may be busy, or without its database, for seven seconds. */
const SERVER_GONE_MS = 10_000;
const KIND = 'resources.server';
/** One renewal that failed, or was late. */
const GAP_MS_MAX = 6_000;
/** What a statement may take longer than the one before. */
const JUMP_MS_MAX = 1_000;
/** Two renewals of everybody else, and some. */
const STEADY_MS_MIN = 8_000;
