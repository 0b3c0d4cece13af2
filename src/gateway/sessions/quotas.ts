import type { Quota, ReachedLimit } from '../../model/index.ts';
import type { Clock } from '../../std/index.ts';

/** A limit that was reached. */
export interface ReachedQuota extends ReachedLimit {
  readonly policy: string;
  /** Until it may be worth another try, milliseconds; undefined where that hangs on others. */
  readonly retryMs: number | undefined;
}

/**
 * What identities have done here of what their permits limit over time: each permit's limit is counted for each identity at each target, by this
 * gateway alone, or together with those behind the same door (`Companions`). In any sixty seconds there are no more operations than the limit
 * says; what was done is forgotten by the second.
 */
export interface Quotas {
  /** Takes so many operations of each `rate`, or none of any: then says which is used up. */
  take(who: QuotaHolder, taken: readonly TakenQuota[]): Answer<ReachedQuota | undefined>;
  /** Takes one session of each `sessions`, or none of any. */
  enter(who: QuotaHolder, quotas: readonly Quota[]): Answer<Place | ReachedQuota>;
}

/** At once, or once others were asked. */
export type Answer<T> = T | Promise<T>;

export interface TakenQuota {
  readonly quota: Quota;
  readonly times: number;
}

/** Something of which there may be only so many. `leave` gives it back; more than once does nothing more. */
export interface Place {
  readonly leave: () => void;
}

/** Quotas that are counted here, so that nobody has to be waited for. */
export interface OwnQuotas extends Quotas {
  take(who: QuotaHolder, taken: readonly TakenQuota[]): ReachedQuota | undefined;
  enter(who: QuotaHolder, quotas: readonly Quota[]): Place | ReachedQuota;
}

export interface QuotaHolder {
  readonly identity: string;
  readonly target: string;
}

export function createQuotas(clock: Clock): OwnQuotas {
  const rates = new Map<string, RecentCount>();
  const sessions = new Map<string, number>();
  let sweptS = 0;

  /** What is forgotten holds no memory: identities come and go. */
  function sweep(nowS: number) {
    if (nowS - sweptS < WINDOW_S) return;
    sweptS = nowS;
    for (const [key, recent] of rates) if (recent.within(nowS) === 0) rates.delete(key);
  }

  return {
    take(who, taken) {
      const wanted = new Map<string, { readonly quota: Quota; times: number }>();
      for (const { quota, times } of taken) {
        if (quota.unit !== 'rate') continue;
        const key = keyOf(who, quota);
        const known = wanted.get(key);
        if (known === undefined) wanted.set(key, { quota, times });
        else known.times += times;
      }
      if (wanted.size === 0) return undefined;
      const nowS = Math.floor(clock.monotonicMs() / 1000);
      sweep(nowS);
      for (const [key, { quota, times }] of wanted) {
        const done = rates.get(key);
        if ((done?.within(nowS) ?? 0) + times <= quota.most) continue;
        const canEver = done !== undefined && times <= quota.most;
        return { ...quota, retryMs: canEver ? done.roomInS(nowS, quota.most - times) * 1000 : undefined };
      }
      for (const [key, { times }] of wanted) {
        const done = rates.get(key) ?? new RecentCount();
        done.within(nowS);
        done.add(nowS, times);
        rates.set(key, done);
      }
      return undefined;
    },

    enter(who, quotas) {
      const counted = quotas.filter(({ unit }) => unit === 'sessions');
      for (const quota of counted)
        if ((sessions.get(keyOf(who, quota)) ?? 0) >= quota.most) return { ...quota, retryMs: undefined };
      const keys = counted.map((quota) => keyOf(who, quota));
      for (const key of keys) sessions.set(key, (sessions.get(key) ?? 0) + 1);
      return {
        leave() {
          for (const key of keys.splice(0)) {
            const left = (sessions.get(key) ?? 1) - 1;
            if (left > 0) sessions.set(key, left);
            else sessions.delete(key);
          }
        },
      };
    },
  };
}

/** How often something happened in each of the last seconds. */
class RecentCount {
  /** One more than a window: the second that has begun is not over, so the oldest counts whole. */
  readonly #bySecond = new Float64Array(WINDOW_S + 1);
  #newestS = 0;
  #sum = 0;

  /** @param nowS whole seconds that never go back */
  within(nowS: number): number {
    const gone = Math.min(nowS - this.#newestS, this.#bySecond.length);
    for (let i = 1; i <= gone; i++) {
      const at = (this.#newestS + i) % this.#bySecond.length;
      this.#sum -= this.#bySecond[at] ?? 0;
      this.#bySecond[at] = 0;
    }
    this.#newestS = Math.max(this.#newestS, nowS);
    return this.#sum;
  }

  add(nowS: number, times: number): void {
    const at = nowS % this.#bySecond.length;
    this.#bySecond[at] = (this.#bySecond[at] ?? 0) + times;
    this.#sum += times;
  }

  /** Seconds until no more than `most` are left, from 1 on. */
  roomInS(nowS: number, most: number): number {
    let left = this.#sum;
    for (let i = 1; i <= this.#bySecond.length; i++) {
      left -= this.#bySecond[(nowS + i) % this.#bySecond.length] ?? 0;
      if (left <= most) return i;
    }
    return this.#bySecond.length;
  }
}

/** None of these has a line break in it. */
function keyOf({ identity, target }: QuotaHolder, { policy }: Quota): string {
  return `${identity}\n${target}\n${policy}`;
}

const WINDOW_S = 60;
