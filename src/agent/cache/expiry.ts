import type { Clock, Service, Timer } from '../../std/index.ts';
import type { SvidCache } from './svid-cache.ts';

/**
 * Has the cache published when an SVID expires, server or not: streams hear that an identity has ended. Looks every ten seconds
 * besides, since the wall clock may have been set.
 */
export function createExpiryWatch(deps: { clock: Clock; cache: Pick<SvidCache, 'nextTimes' | 'publish'> }): Service {
  const { clock, cache } = deps;
  let timer: Timer | undefined;
  const arm = () => {
    const untilMs = cache.nextTimes().expireAtMs - clock.now();
    timer = clock.after(Math.max(0, Math.min(untilMs, LOOK_MS)), () => {
      cache.publish();
      arm();
    });
  };
  return {
    async start() {
      arm();
    },
    async stop() {
      timer?.cancel();
    },
  };
}

const LOOK_MS = 10_000;
