import { describe, expect, it } from 'vitest';
import { trendOf } from './trend.ts';

/** A reading each ten seconds for an hour. */
const hour = (bytes: (seconds: number) => number) =>
  Array.from({ length: 360 }, (_, i) => ({ seconds: i * 10, bytes: bytes(i * 10) }));
/** What garbage adds, again and again. */
const garbage = (seconds: number) => (seconds % 170) * 1e5;

describe('memory', () => {
  it('that is taken in the beginning only is flat, whatever garbage lies above it', () => {
    expect(trendOf(hour((s) => Math.min(s, 900) * 1e5 + garbage(s))).isFlat).toBe(true);
  });
  it('that grows a little all the time is not', () => {
    const { isFlat, grownBytes } = trendOf(hour((s) => 80e6 + s * 1e4 + garbage(s)));
    expect(isFlat).toBe(false);
    expect(grownBytes).toBeGreaterThan(15e6);
  });
  it('of which nothing was read is flat', () => {
    expect(trendOf([])).toMatchObject({ startBytes: 0, isFlat: true });
  });
});
