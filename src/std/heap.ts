import { totalmem } from 'node:os';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** The memory that this process works in. */
export interface Heap {
  /** In use: behind a collection, what is really held. */
  readonly usedBytes: number;
  /** At which the process ends. */
  readonly limitBytes: number;
  /** Calls after each full collection; returns how to stop. */
  onCollected(listener: () => void): () => void;
}

/** The heap of this process. */
export function createSystemHeap(): Heap {
  return {
    get usedBytes() {
      return getHeapStatistics().used_heap_size;
    },
    get limitBytes() {
      return getHeapStatistics().heap_size_limit;
    },
    onCollected(listener) {
      const observer = new PerformanceObserver((list) => {
        if (list.getEntries().some(isFull)) listener();
      });
      observer.observe({ entryTypes: ['gc'] });
      return () => observer.disconnect();
    },
  };
}

/** Only a full collection leaves nothing but what is held. */
function isFull(entry: PerformanceEntry): boolean {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
  return kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** Bytes of memory that this process may use: of the container it is in, or of the machine. */
export function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  return constrained > 0 && constrained < total ? constrained : total;
}
