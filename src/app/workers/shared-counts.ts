import { createQuotas, type Place, type ReachedQuota, type SessionLimits } from '../../gateway/index.ts';
import type { Clock } from '../../std/index.ts';
import type { Ask, Reply } from './messages.ts';
import type { SharedDoors } from './shared-doors.ts';

/** What all workers of a gateway may have together, counted in one place. */
export interface SharedCounts {
  /** Answers what that worker asks; `id` is the number of its question. */
  answer(worker: number, id: number, ask: Ask): Reply;
  /** Takes back what that question was given. */
  leave(worker: number, id: number): void;
  /** The worker is gone, and its sessions with it. What was done by operations stays done. */
  drop(worker: number): void;
}

export function createSharedCounts({
  clock,
  limits,
  doors,
}: {
  readonly clock: Clock;
  readonly limits: SessionLimits;
  readonly doors: SharedDoors;
}): SharedCounts {
  const quotas = createQuotas(clock);
  const held = new Map<number, Map<number, readonly Place[]>>();
  const keep = (worker: number, id: number, places: readonly Place[]): Reply => {
    const own = held.get(worker) ?? new Map<number, readonly Place[]>();
    held.set(worker, own.set(id, places));
    return { entered: true };
  };
  const ofAll = { policy: 'sessionsMax', unit: 'sessions', most: limits.sessionsMax } as const;
  const ofOne = { policy: 'sessionsPerIdentityMax', unit: 'sessions', most: limits.sessionsPerIdentityMax } as const;
  return {
    answer(worker, id, ask) {
      switch (ask.what) {
        case 'take': {
          const reached = quotas.take(ask.who, ask.taken);
          return reached === undefined ? { taken: true } : { reached };
        }
        case 'enter': {
          const place = quotas.enter(ask.who, ask.quotas);
          return 'leave' in place ? keep(worker, id, [place]) : { reached: place };
        }
        case 'session': {
          // No target has such a name.
          const among = quotas.enter({ identity: '', target: '' }, [ofAll]);
          if (!('leave' in among)) return refused('the gateway has as many sessions as it may have');
          const own = quotas.enter({ identity: ask.identity, target: '' }, [ofOne]);
          if ('leave' in own) return keep(worker, id, [among, own]);
          among.leave();
          return refused(tooManyOf(own));
        }
        case 'door': {
          const place = doors.take(ask.door, worker);
          return 'leave' in place ? keep(worker, id, [place]) : place;
        }
        default:
          return ask satisfies never;
      }
    },
    leave(worker, id) {
      for (const place of held.get(worker)?.get(id) ?? []) place.leave();
      held.get(worker)?.delete(id);
    },
    drop(worker) {
      for (const places of held.get(worker)?.values() ?? []) for (const place of places) place.leave();
      held.delete(worker);
    },
  };
}

function refused(what: string): Reply {
  return { refused: { code: 'limit', what } };
}

function tooManyOf({ most }: ReachedQuota): string {
  return `this identity has ${most} sessions; it may have no more`;
}
