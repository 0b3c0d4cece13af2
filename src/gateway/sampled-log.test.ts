import { expect, test } from 'vitest';
import { createManualClock, type Log } from '../std/index.ts';
import { createSampledLog } from './sampled-log.ts';

function recording() {
  const lines: string[] = [];
  const write = (event: string, fields: object = {}) => void lines.push(`${event} ${JSON.stringify(fields)}`);
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log };
  return { lines, log };
}

test('a million events are ten lines and one that counts the others', async () => {
  const clock = createManualClock(0);
  const { lines, log } = recording();
  const sampled = createSampledLog({ clock, log });
  for (let i = 0; i < 1_000_000; i++) sampled.note('info', 'refused', { i });
  expect(lines.length).toBe(10);
  expect(lines[0]).toBe('refused {"i":0}');
  await clock.advance(10_000);
  expect(lines.slice(10)).toEqual(['refused {"unshown":999990}']);
});

test('each kind has its own share, and each interval a new one', async () => {
  const clock = createManualClock(0);
  const { lines, log } = recording();
  const sampled = createSampledLog({ clock, log });
  for (let i = 0; i < 11; i++) sampled.note('info', 'one', {});
  sampled.note('warn', 'other', {});
  expect(lines.length).toBe(11);
  await clock.advance(10_000);
  sampled.note('info', 'one', {});
  expect(lines.slice(11)).toEqual(['one {"unshown":1}', 'one {}']);
  expect(clock.pending()).toBe(1);
});

test('nothing waits when nothing happens, and the end tells what was counted', () => {
  const clock = createManualClock(0);
  const { lines, log } = recording();
  const sampled = createSampledLog({ clock, log });
  expect(clock.pending()).toBe(0);
  for (let i = 0; i < 12; i++) sampled.note('info', 'one', {});
  sampled.stop();
  expect(lines.at(-1)).toBe('one {"unshown":2}');
  expect(clock.pending()).toBe(0);
});
