import { describe, expect, it } from 'vitest';
import { createLog, createManualClock } from '../std/index.ts';
import { createSampledLog } from './sampled-log.ts';

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const clock = createManualClock(0);
  const log = createLog({ level: 'debug', write: (line) => void lines.push(JSON.parse(line)) });
  return { clock, lines, sampled: createSampledLog(clock, log) };
}

describe('a sampled log', () => {
  it('writes ten lines of an event, counts the rest, and says how many when the interval ends', async () => {
    const { clock, lines, sampled } = setUp();
    for (let n = 0; n < 1_000_000; n++) sampled.warn('caller.refused', { n });
    expect(lines.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await clock.advance(10_000);
    expect(lines).toHaveLength(11);
    expect(lines[10]).toMatchObject({ level: 'warn', event: 'caller.refused', unshown: 999_990 });
    sampled.warn('caller.refused', { n: 'again' });
    expect(lines[11]).toMatchObject({ n: 'again' });
  });

  it('gives each event its own share, and says nothing where nothing was left out', async () => {
    const { clock, lines, sampled } = setUp();
    for (let n = 0; n < 50; n++) sampled.info('a');
    sampled.child({ part: 'x' }).error('b');
    expect(lines[10]).toMatchObject({ event: 'b', part: 'x', level: 'error' });
    await clock.advance(10_000);
    expect(lines.filter(({ event }) => event === 'b')).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });
});
