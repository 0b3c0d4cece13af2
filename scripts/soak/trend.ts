/** One look at a process. */
export interface Reading {
  readonly seconds: number;
  readonly bytes: number;
}

/** How something has gone since the warm-up. */
export interface Trend {
  /** The least of the first window, and what the line through the least of each adds until the end. */
  readonly startBytes: number;
  readonly grownBytes: number;
  readonly isFlat: boolean;
}

/**
 * Where memory goes once it is warm: the first third is left out; of the rest the least of each window counts, since what lies above it is
 * garbage that was not collected yet. Flat is what grows by less than a tenth, and a few MB, over the whole.
 */
export function trendOf(readings: readonly Reading[]): Trend {
  const end = readings.at(-1)?.seconds ?? 0;
  const warm = readings.filter(({ seconds }) => seconds >= end * WARM_UP_SHARE);
  const size = Math.max(1, Math.ceil(warm.length / WINDOWS));
  const least = Array.from({ length: Math.ceil(warm.length / size) }, (_, i) =>
    Math.min(...warm.slice(i * size, (i + 1) * size).map(({ bytes }) => bytes)),
  );
  const [startBytes = 0] = least;
  const grownBytes = slopeOf(least) * (least.length - 1);
  return { startBytes, grownBytes, isFlat: grownBytes <= startBytes * GROWTH_SHARE_MAX + GROWTH_BYTES_MAX };
}

/** Of the line with the least squares, a step. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  let [above, below] = [0, 0];
  for (const [i, value] of values.entries()) {
    above += (i - middle) * (value - mean);
    below += (i - middle) ** 2;
  }
  return below === 0 ? 0 : above / below;
}

const WARM_UP_SHARE = 1 / 3;
const WINDOWS = 8;
const GROWTH_SHARE_MAX = 0.1;
const GROWTH_BYTES_MAX = 4e6;
