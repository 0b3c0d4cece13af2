import { describe, expect, it } from 'vitest';
import { createManualClock } from './clock.ts';
import { createLog } from './log.ts';
import { createSampledLog } from './sampled-log.ts';

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const clock = createManualClock(0);
  const log = createLog({ level: 'debug', write: (line) => void lines.push(JSON.parse(line)) });
  return { clock, lines, sampled: createSampledLog({ clock, log }) };
}

describe('a sampled log', () => {
  it('writes ten lines of a million, counts the rest, and says how many when the interval ends', async () => {
    const { clock, lines, sampled } = setUp();
    for (let n = 0; n < 1_000_000; n++) sampled.warn('caller.refused', { n });
    expect(lines.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await clock.advance(9_999);
    expect(lines).toHaveLength(10);
    await clock.advance(1);
    expect(lines).toHaveLength(11);
    expect(lines[10]).toMatchObject({ level: 'warn', event: 'caller.refused', unshown: 999_990 });
    sampled.warn('caller.refused', { n: 'again' });
    expect(lines[11]).toMatchObject({ n: 'again' });
  });

  it('gives each event its own share, and says nothing where nothing was left out', async () => {
    const { clock, lines, sampled } = setUp();
    for (let n = 0; n < 50; n++) sampled.info('a');
    sampled.error('b');
    expect(lines[10]).toMatchObject({ event: 'b', level: 'error' });
    await clock.advance(10_000);
    expect(lines.slice(11)).toMatchObject([{ event: 'a', unshown: 40 }]);
    expect(clock.pending()).toBe(0);
  });

  it('gives its children no share of their own, so that one for each caller does not undo it', async () => {
    const { clock, lines, sampled } = setUp();
    for (let n = 0; n < 12; n++) sampled.child({ caller: n }).info('a');
    expect(lines.map(({ caller }) => caller)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await clock.advance(10_000);
    expect(lines.slice(10)).toMatchObject([{ event: 'a', unshown: 2 }]);
    expect(lines[10]).not.toHaveProperty('caller');
  });

  it('waits for nothing while nothing happens, and writes what it counted when it is stopped', () => {
    const { clock, lines, sampled } = setUp();
    expect(clock.pending()).toBe(0);
    for (let n = 0; n < 12; n++) sampled.info('a');
    expect(clock.pending()).toBe(1);
    sampled.stop();
    expect(lines.at(-1)).toMatchObject({ event: 'a', unshown: 2 });
    expect(clock.pending()).toBe(0);
  });
});
