import { EvaluationError } from './evaluation-error.ts';
import { longOf } from './long.ts';
import type { Long } from './values.ts';

/**
 * Milliseconds since 1970 of `2026-11-22`, `2026-11-22T13:00:00Z`, `…00.123Z` or with an offset `+0100` in place of the Z.
 * @throws EvaluationError
 */
export function parseDatetime(text: string): Long {
  const match = DATETIME.exec(text);
  if (match === null)
    throw new EvaluationError('a datetime is YYYY-MM-DD, or that and Thh:mm:ss(.SSS) with Z or an offset ±hhmm');
  const field = (index: number) => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second, ms] = [1, 2, 3, 4, 5, 6, 7].map(field) as SevenNumbers; // Seven in, seven out.
  const offsetHours = field(9);
  const offsetMinutes = field(10);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month))
    throw new EvaluationError('this day is in no calendar');
  if (hour > 23 || minute > 59 || second > 59) throw new EvaluationError('this time is on no clock');
  if (offsetHours > 23 || offsetMinutes > 59) throw new EvaluationError('an offset is less than 24 hours');
  const local =
    daysSinceEpoch(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ms;
  const offset = offsetHours * HOUR_MS + offsetMinutes * MINUTE_MS;
  return match[8] === '-' ? local + offset : local - offset;
}

/** Milliseconds of `1d2h3m4s5ms`: each part at most once, in this order, at least one. @throws EvaluationError */
export function parseDuration(text: string): Long {
  const match = text.length > TEXT_MAX ? null : DURATION.exec(text);
  const parts = match?.slice(2) ?? [];
  if (match === null || parts.every((part) => part === undefined))
    throw new EvaluationError('a duration is an integer for each of d, h, m, s and ms, in this order, at least one');
  let total = 0n;
  const sign = match[1] === '-' ? -1n : 1n;
  // Each step is held to 64 bits, as Cedar does it: a part that overflows is an error even where the sum would not.
  for (const [index, unit] of [DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, 1].entries()) {
    const part = BigInt(longOf(BigInt(parts[index] ?? 0) * sign * BigInt(unit)));
    total = BigInt(longOf(total + part));
  }
  return longOf(total);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar: years counted from March, so that leap days end them. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - DAYS_TO_1970;
}

type SevenNumbers = [number, number, number, number, number, number, number];

const DATETIME = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{3}))?(?:Z|([+-])(\d{2})(\d{2})))?$/;
const DURATION = /^(-?)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
/** Five parts of twenty digits and their units: more is only leading zeros. */
const TEXT_MAX = 128;
const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** From 0000-03-01 to 1970-01-01. */
const DAYS_TO_1970 = 719_468;
