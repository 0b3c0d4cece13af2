import { describe, expect, test } from 'vitest';
import { descriptorsMax } from '../../std/index.ts';
import { roomFor } from './descriptors.ts';

describe('the room that descriptors leave', () => {
  test.each([
    64, 256, 1_024, 4_096, 20_000, 1_048_576,
  ])('with %i, all that is let in can be served at once', (limit) => {
    const { connectionsMax, sessionsMax, newcomersMax } = roomFor(limit);
    const reserved = Math.min(256, limit / 2);
    expect(newcomersMax + 2 * sessionsMax).toBeLessThanOrEqual(limit - reserved);
    expect(connectionsMax).toBe(newcomersMax + sessionsMax);
    expect(Math.min(newcomersMax, sessionsMax)).toBeGreaterThan(0);
  });

  test('is for 5,000 sessions with 12,000', () => {
    expect(roomFor(12_000).sessionsMax).toBeGreaterThanOrEqual(5_000);
  });

  test('is known here', () => {
    expect(descriptorsMax() ?? 1024).toBeGreaterThanOrEqual(256);
  });
});
