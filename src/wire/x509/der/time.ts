import { X509Error } from '../errors.ts';
import { TAG } from './reader.ts';

/**
 * Reads UTCTime or GeneralizedTime content with seconds and `Z`; epoch seconds. Whether the right one of the two was used is
 * {@link isTimeAsProfiled}'s question.
 */
export function parseTime(tag: number, content: Buffer): number {
  const text = content.toString('latin1');
  const isUtc = tag === TAG.utcTime;
  if (!isUtc && tag !== TAG.generalizedTime)
    throw new X509Error('ERR_CERTIFICATE', 'a time is UTCTime or GeneralizedTime');
  if (!(isUtc ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text)) {
    throw new X509Error('ERR_CERTIFICATE', 'a time must have seconds and end in Z');
  }
  const yearDigits = isUtc ? 2 : 4;
  const shortYear = Number(text.slice(0, yearDigits));
  const year = isUtc ? shortYear + (shortYear < 50 ? 2000 : 1900) : shortYear;
  const at = (offset: number) => Number(text.slice(yearDigits + offset, yearDigits + offset + 2));
  const [month, day, hour, minute, second] = [at(0), at(2), at(4), at(6), at(8)];
  const validDay = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  if (!validDay || hour > 23 || minute > 59 || second > 59) {
    throw new X509Error('ERR_CERTIFICATE', `no such time: ${text}`);
  }
  return daysFromEpoch(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049. */
export function isTimeAsProfiled(tag: number, epochS: number): boolean {
  return tag === TAG.utcTime || epochS >= GENERALIZED_FROM_S;
}

/** The text of a Time: `YYMMDDHHMMSSZ` through 2049, `YYYYMMDDHHMMSSZ` from 2050. */
export function formatTime(epochS: number): string {
  if (!Number.isSafeInteger(epochS) || epochS < 0 || epochS > TIME_MAX_S) {
    throw new X509Error('ERR_CERTIFICATE_WRITE', `a certificate time must lie between 1970 and 9999, not ${epochS}`);
  }
  const days = Math.floor(epochS / DAY_S);
  const rest = epochS - days * DAY_S;
  const { year, month, day } = dateOfDays(days);
  const yearText = year < GENERALIZED_FROM_YEAR ? two(year % 100) : String(year).padStart(4, '0');
  return `${yearText}${two(month)}${two(day)}${two(Math.floor(rest / 3600))}${two(Math.floor((rest % 3600) / 60))}${two(rest % 60)}Z`;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that leap days come last. */
function daysFromEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const marchMonth = (month + 9) % 12;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return 365 * marchYear + leapDays + Math.floor((marchMonth * 306 + 5) / 10) + day - 1 - EPOCH_DAYS;
}

function dateOfDays(days: number): { year: number; month: number; day: number } {
  let year = 1970 + Math.floor(days / 365.2425);
  if (daysFromEpoch(year, 1, 1) > days) year--;
  else if (daysFromEpoch(year + 1, 1, 1) <= days) year++;
  let month = 12;
  while (daysFromEpoch(year, month, 1) > days) month--;
  return { year, month, day: days - daysFromEpoch(year, month, 1) + 1 };
}

function daysInMonth(year: number, month: number): number {
  return month === 12 ? 31 : daysFromEpoch(year, month + 1, 1) - daysFromEpoch(year, month, 1);
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

const DAY_S = 86_400;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;
const GENERALIZED_FROM_YEAR = 2050;
/** 2050-01-01T00:00:00Z. */
const GENERALIZED_FROM_S = 2_524_608_000;
/** 9999-12-31T23:59:59Z: the last time that the four digits can say. */
const TIME_MAX_S = 253_402_300_799;
