/** What {@link parseDurationMs} takes, but for the empty text. */
export const DURATION_PATTERN = '^(\\d{1,9}d)?(\\d{1,9}h)?(\\d{1,9}m)?(\\d{1,9}s)?(\\d{1,9}ms)?$';

/** Parses `90s`, `15m`, `1h`, `7d`, `250ms` (one or more such parts, largest first, as in `1h30m`) into milliseconds; undefined when malformed. */
export function parseDurationMs(text: string): number | undefined {
  if (!WHOLE_DURATION.test(text) || text === '') return undefined;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[dhms])/g)) {
    totalMs += Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isSafeInteger(totalMs) ? totalMs : undefined;
}

/** The shortest form that {@link parseDurationMs} reads back: `5400000` → `1h30m`. */
export function formatDurationMs(durationMs: number): string {
  let restMs = Math.max(0, Math.round(durationMs));
  if (restMs === 0) return '0s';
  let text = '';
  for (const [unit, unitMs] of Object.entries(UNIT_MS)) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return text;
}

/** A time for people, to the second: `2026-12-01T08:00:00Z`. */
export function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

const WHOLE_DURATION = new RegExp(DURATION_PATTERN);
const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
