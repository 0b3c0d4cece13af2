import type { Random } from '../std/index.ts';

/** Growing pauses between attempts. */
export interface Backoff {
  /** The next pause in milliseconds; longer each time, up to the maximum. */
  nextMs(): number;
  /** Called after a success: the next pause is the first one again. */
  reset(): void;
}

/**
 * Creates a {@link Backoff}: `firstMs` growing by half, jittered by ±10 %, never over `maxMs` before jitter. With `leastMs` each is anything between
 * that and what it has grown to: whole fleets that fail together then spread by themselves, and none of them has to wait for long.
 */
export function createBackoff(random: Random, options: { firstMs: number; maxMs: number; leastMs?: number }): Backoff {
  const { leastMs } = options;
  let baseMs = options.firstMs;
  return {
    nextMs() {
      const pauseMs = leastMs === undefined ? jitter(random, baseMs) : leastMs + random.fraction() * (baseMs - leastMs);
      baseMs = Math.min(baseMs * GROWTH, options.maxMs);
      return pauseMs;
    },
    reset() {
      baseMs = options.firstMs;
    },
  };
}

/** `valueMs` ±10 %: keeps a fleet that started together from acting together. */
export function jitter(random: Random, valueMs: number): number {
  return valueMs * (1 - JITTER + 2 * JITTER * random.fraction());
}

/** When to renew what lives from `fromMs` to `untilMs`: at half its life, ±10 % of that half. */
export function halfLifeMs(random: Random, fromMs: number, untilMs: number): number {
  return fromMs + jitter(random, Math.max(0, untilMs - fromMs) / 2);
}

const GROWTH = 1.5;
const JITTER = 0.1;
