import { describe, expect, it } from 'vitest';
import { createCacheBudget, createSilentLog } from '../../std/index.ts';
import { createMemoryBudget } from './memory-budget.ts';
import { createMemoryGuard } from './memory-guard.ts';

// Goal: a heap that fills up costs what can be had again, then the session that holds most, never the process.

function start() {
  const budget = createMemoryBudget(Number.MAX_SAFE_INTEGER);
  const caches = createCacheBudget(1_000_000);
  const cut: string[] = [];
  let look = () => {};
  const heap = {
    usedBytes: 0,
    limitBytes: 1_000,
    onCollected(listener: () => void) {
      look = listener;
      return () => {
        look = () => {};
      };
    },
  };
  const guard = createMemoryGuard({ heap, caches, budget, log: createSilentLog() });
  const cache = caches.open<number>('verdicts');
  cache.keep('key', 1, 100);
  for (const [name, bytes] of [['small', 10] as const, ['large', 5_000] as const, ['middle', 300] as const])
    budget.open(() => void cut.push(name)).hold(bytes);
  const collect = (usedBytes: number) => {
    heap.usedBytes = usedBytes;
    look();
    return { cut: [...cut], kept: cache.take('key') };
  };
  return { guard, collect, cache };
}

describe('after a full collection', () => {
  it('a heap with room costs nothing', () => {
    const { collect } = start();
    expect(collect(799)).toEqual({ cut: [], kept: 1 });
  });

  it('a heap that is nearly full costs the caches, and only if that was not enough the session that holds most', () => {
    const { collect, guard } = start();
    expect(collect(810)).toEqual({ cut: [], kept: undefined });
    expect(collect(805).cut).toEqual(['large']);
    expect(collect(801).cut).toEqual(['large', 'middle']);
    expect(collect(500).cut).toEqual(['large', 'middle']);
    expect(guard.ended).toBe(2);
  });

  it('what the caches gave back spares the sessions', () => {
    const { collect, cache } = start();
    collect(850);
    expect(collect(600).cut).toEqual([]);
    cache.keep('key', 1, 100);
    expect(collect(850)).toEqual({ cut: [], kept: undefined });
  });

  it('a heap that is about to burst costs both at once', () => {
    const { collect } = start();
    expect(collect(950)).toEqual({ cut: ['large'], kept: undefined });
  });

  it('with no session that holds anything nothing more is done, however often', () => {
    const { collect, guard } = start();
    for (let i = 0; i < 10; i++) collect(999);
    expect(guard.ended).toBe(3);
    guard.stop();
    expect(collect(999).cut).toHaveLength(3);
  });
});
