import { type CliInput, flagOption, textOption, UsageError } from '../command.ts';
import { entryOptions, kindOf } from '../ledger/entry-options.ts';
import { spanOf } from '../ledger/parse-time.ts';

/** Options by which entries of the record are found. */
export const recordOptions = [
  ['--who <id>', 'whose: a SPIFFE ID, or its path from / on'],
  ['--object <name>', 'what was reached, by the last parts of its name: customers, public.customers, /v1/things'],
  ...entryOptions,
  ['--status <status>', 'how it ended, such as failed or over-limit'],
  ['--code <code>', "the protocol's own code, such as 42501"],
  ['--session <id>', 'of one session'],
  ['--masked', 'only what was masked'],
  ['--node <id>', 'sessions of processes on that node: a SPIFFE ID, or its path from / on'],
  ['--rows-min <count>', 'answers of at least so many rows or items'],
  ['--rows-max <count>', 'answers of at most so many'],
  ['--bytes-min <count>', 'answers of at least so many bytes'],
  ['--bytes-max <count>', 'answers of at most so many'],
] as const;

/** And when. */
export const spanOptions = [
  ['--since <time>', 'not before: a time such as 2026-12-01T08:00:00Z, or so long ago, such as 1d'],
  ['--until <time>', 'not after: as for --since'],
] as const;

/** The filter that the options say, as REST takes it. @throws UsageError */
export function recordFilter(input: CliInput, nowMs: number) {
  const text = (name: string, option = name) => {
    const value = textOption(input, option);
    if (value === '') throw new UsageError(`an empty --${option} finds nothing; leave it out, or say what it is`);
    return value === undefined ? {} : { [name]: value };
  };
  const kind = kindOf(input);
  return {
    ...{ ...text('identity', 'who'), ...text('object'), ...text('target'), ...text('action'), ...text('session') },
    ...{ ...text('column'), ...text('policy'), ...text('reason'), ...text('status'), ...text('shape') },
    ...{ ...text('code'), ...text('node') },
    ...(kind === undefined ? {} : { kind }),
    ...(flagOption(input, 'masked') ? { masked: true } : {}),
    ...countsOf(input),
    ...spanOf(input, nowMs),
  };
}

/** Sizes of answers that the options say. @throws UsageError */
export function countsOf(input: CliInput): { readonly [name in (typeof COUNTS)[number]]?: number } {
  const counts: { [name in (typeof COUNTS)[number]]?: number } = {};
  for (const name of COUNTS) {
    const value = textOption(input, name);
    if (value === undefined) continue;
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (!/^\d{1,15}$/.test(value)) throw new UsageError(`--${option} is a whole number of at most 15 digits`);
    counts[name] = Number(value);
  }
  return counts;
}

const COUNTS = ['rowsMin', 'rowsMax', 'bytesMin', 'bytesMax'] as const;
