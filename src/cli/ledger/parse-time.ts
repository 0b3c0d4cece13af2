import { parseDurationMs } from '../../std/index.ts';
import { type CliInput, textOption, UsageError } from '../command.ts';

/** A time as people give it: RFC 3339 with its zone, a day (from its begin, UTC), or a duration before now. Epoch milliseconds. @throws UsageError */
export function parseTime(text: string, { nowMs, what }: { readonly nowMs: number; readonly what: string }): number {
  const ago = parseDurationMs(text) ?? daysMs(text);
  if (ago !== undefined) return nowMs - ago;
  const atMs = FORM.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    throw new UsageError(
      `${what} ${text} is no time: write 2026-12-01T08:00:00Z, 2026-12-01, or 90m, 12h, 1d for so long ago`,
    );
  return atMs;
}

/** The entries between --since and --until. @throws UsageError */
export function spanOf(input: CliInput, nowMs: number): { readonly sinceMs?: number; readonly untilMs?: number } {
  const [since, until] = [textOption(input, 'since'), textOption(input, 'until')];
  return {
    ...(since === undefined ? {} : { sinceMs: parseTime(since, { nowMs, what: '--since' }) }),
    ...(until === undefined ? {} : { untilMs: parseTime(until, { nowMs, what: '--until' }) }),
  };
}

function daysMs(text: string): number | undefined {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  return days === undefined ? undefined : Number(days) * 86_400_000;
}

const FORM = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;
