import type { CacheBudget, Heap, Log } from '../../std/index.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** Keeps the process alive when its heap is nearly full: what can be worked out again goes, then the session that holds most. */
export interface MemoryGuard {
  /** Sessions ended by it, since the start. */
  readonly ended: number;
  stop(): void;
}

/**
 * Watches from now on. It looks when everything was collected that nobody holds: before that, a heap is often full of what is not needed any
 * more. Whoever dies of a full heap takes all sessions along, of all targets.
 */
export function createMemoryGuard(deps: {
  readonly heap: Heap;
  readonly caches: CacheBudget;
  readonly budget: MemoryBudget;
  readonly log: Log;
}): MemoryGuard {
  const { heap, caches, budget, log } = deps;
  let ended = 0;
  let isPressed = false;
  const look = () => {
    const { usedBytes, limitBytes } = heap;
    if (usedBytes < limitBytes * PRESSED_SHARE) {
      isPressed = false;
      return;
    }
    const numbers = { usedBytes, limitBytes, cacheBytes: caches.bytes, heldBytes: budget.bytes };
    caches.clear();
    if (!isPressed) {
      isPressed = true;
      // What that gave back shows at the next collection, which is near by now.
      log.warn('gateway.memory.caches_dropped', numbers);
      if (usedBytes < limitBytes * FULL_SHARE) return;
    }
    if (budget.cutLargest()) ended++;
    log.error('gateway.memory.short', { ...numbers, ended });
  };
  const stop = heap.onCollected(look);
  return {
    get ended() {
      return ended;
    },
    stop,
  };
}

/** Of the limit; beyond it collections follow each other ever faster. */
const PRESSED_SHARE = 0.8;
/** There is not much time left. */
const FULL_SHARE = 0.9;
