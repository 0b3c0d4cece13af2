import type { Limits, LimitUnit } from '../../model/index.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { AnnotationError } from './annotation-error.ts';

/** One limit as a policy writes it: `word` is a unit, or a protocol's own word for one. */
export interface WrittenLimit {
  readonly word: string;
  readonly form: LimitForm;
  readonly most: number;
}

/** One limit of a permit, in the words of the protocol that keeps it. */
export interface PermitLimit {
  readonly unit: LimitUnit;
  readonly word: string;
  readonly most: number;
}

/** Units by the words that a protocol has for them, of some actions. */
export type LimitWords = ReadonlyMap<string, LimitUnit>;

type LimitForm = keyof typeof forms;

/** Reads `rows=1000, duration=30s, rate=60/min`. @throws AnnotationError */
export function parseLimits(text: string): readonly WrittenLimit[] {
  return text.split(',').map((entry) => {
    const [, word = '', value = ''] = ENTRY.exec(entry) ?? [];
    for (const form of FORMS) {
      const most = forms[form].parse(value);
      if (word !== '' && most !== undefined) return { word, form, most };
    }
    throw new AnnotationError(
      `@limit is a list of unit=most, as in "rows=1000, duration=30s, rate=60/min", most from 1 to ${COUNT_MAX}; ${JSON.stringify(entry.trim())} is none`,
    );
  });
}

/** The units that one of those actions honours, by their words; their own names are words too. */
export function limitWords(schema: PolicySchema, actions: readonly string[]): LimitWords {
  const words = new Map<string, LimitUnit>();
  for (const action of actions)
    for (const [unit, word] of Object.entries(schema.actions.get(action)?.limits ?? {}))
      if (isUnit(unit)) words.set(word, unit).set(unit, unit);
  return words;
}

/** What they mean for a permit of those actions; one that none of them honours is refused. @throws AnnotationError */
export function limitsOn(
  written: readonly WrittenLimit[],
  actions: readonly string[],
  schema: PolicySchema,
): readonly PermitLimit[] {
  const words = limitWords(schema, actions);
  const found = new Map<LimitUnit, PermitLimit>();
  for (const { word, form, most } of written) {
    const unit = words.get(word);
    if (unit === undefined) throw notHonoured(word, actions, schema);
    if (units[unit] !== form)
      throw new AnnotationError(`${word} is written as in ${word}=${forms[units[unit]].example}`, {
        annotation: 'limit',
      });
    if (found.has(unit)) throw new AnnotationError(`it limits ${word} twice`, { annotation: 'limit' });
    found.set(unit, { unit, word: wordOf(unit, words), most });
  }
  return Array.from(found.values());
}

/** All of them: of each unit the least. */
export function leastLimits(all: readonly (readonly { readonly unit: LimitUnit; readonly most: number }[])[]): Limits {
  const least: { [unit in LimitUnit]?: number } = {};
  for (const limits of all) for (const { unit, most } of limits) least[unit] = Math.min(most, least[unit] ?? most);
  return least;
}

/** In the order of the units, with the words of those actions. */
export function limitsWith(limits: Limits, words: LimitWords): readonly PermitLimit[] {
  return UNITS.flatMap((unit) => {
    const most = limits[unit];
    return most === undefined ? [] : [{ unit, word: wordOf(unit, words), most }];
  });
}

/** As `@limit` reads it: `rows=1000`. */
export function writtenLimit({ unit, word, most }: PermitLimit): string {
  return `${word}=${forms[units[unit]].write(most)}`;
}

/** For people: `at most 1000 rows`. */
export function limitText({ unit, word, most }: PermitLimit): string {
  const value = forms[units[unit]].write(most);
  switch (unit) {
    case 'items':
    case 'sessions':
      return `at most ${value} ${word}`;
    case 'bytesIn':
      return `at most ${value} bytes in`;
    case 'bytesOut':
      return `at most ${value} bytes out`;
    case 'duration':
      return `at most ${value} each`;
    case 'rate':
      return `at most ${most} a minute`;
    default:
      return unit satisfies never;
  }
}

function notHonoured(word: string, actions: readonly string[], schema: PolicySchema): AnnotationError {
  const here = wordsIn(limitWords(schema, actions));
  const anywhere = wordsIn(limitWords(schema, Array.from(schema.actions.keys())));
  const help =
    here === '' ? `take it away; limits are kept by other actions: ${anywhere}` : `they honour ${here}; take it away`;
  const honoured = `none of the actions that the permit is about honours ${JSON.stringify(word)}`;
  return new AnnotationError(honoured, { annotation: 'limit', help });
}

/** A protocol's own words alone, where it has them. */
function wordsIn(words: LimitWords): string {
  return Array.from(new Set(Array.from(words.values(), (unit) => wordOf(unit, words)))).join(', ');
}

function wordOf(unit: LimitUnit, words: LimitWords): string {
  for (const [word, of] of words) if (of === unit) return word;
  return unit;
}

function isUnit(text: string): text is LimitUnit {
  return Object.hasOwn(units, text);
}

function count(text: string): number | undefined {
  const most = COUNT.test(text) ? Number(text) : COUNT_MAX + 1;
  return most > COUNT_MAX ? undefined : most;
}

function parseDuration(text: string): number | undefined {
  const [, digits = '', unit = ''] = DURATION.exec(text) ?? [];
  const most = count(digits);
  return most === undefined ? undefined : most * (UNIT_MS.get(unit) ?? 0);
}

function durationText(ms: number): string {
  const [unit, unitMs] = Array.from(UNIT_MS).findLast(([, one]) => ms % one === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}

/** More than this is no limit. */
const COUNT_MAX = 1_000_000_000;
const ENTRY = /^ *([A-Za-z]+)=(\S+) *$/;
const COUNT = /^[1-9]\d*$/;
const DURATION = /^(\d+)(ms|s|m|h)$/;
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

const forms = {
  count: { example: '1000', parse: count, write: String },
  duration: { example: '30s', parse: parseDuration, write: durationText },
  rate: {
    example: '60/min',
    parse: (text: string) => (text.endsWith('/min') ? count(text.slice(0, -'/min'.length)) : undefined),
    write: (most: number) => `${most}/min`,
  },
} as const;
const FORMS = ['count', 'duration', 'rate'] as const;

const units: Readonly<Record<LimitUnit, LimitForm>> = {
  items: 'count',
  bytesIn: 'count',
  bytesOut: 'count',
  duration: 'duration',
  rate: 'rate',
  sessions: 'count',
};
const UNITS: readonly LimitUnit[] = ['items', 'bytesIn', 'bytesOut', 'duration', 'rate', 'sessions'];
