import { describe, expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { parseTime } from './parse-time.ts';

const nowMs = Date.UTC(2026, 11, 1, 12);
const parse = (text: string) => parseTime(text, { nowMs, what: '--since' });

describe('a time as people give it', () => {
  it.each([
    ['2026-12-01T08:00:00Z', Date.UTC(2026, 11, 1, 8)],
    ['2026-12-01T08:00+01:00', Date.UTC(2026, 11, 1, 7)],
    ['2026-12-01', Date.UTC(2026, 11, 1)],
    ['90m', nowMs - 90 * 60_000],
    ['1d', nowMs - 86_400_000],
  ])('%s is read', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it.each(['yesterday', '2026-13-01', '2026-12-01T08:00:00', '08:00', '', '-1d'])('%j is a wrong use', (text) => {
    expect(() => parse(text)).toThrow(UsageError);
  });
});
