/** Holds what a suite did through the gateway against what it did directly. */
import type { Outcome, Suite } from './suite.ts';

export interface Comparison {
  /** Tests that count directly: they passed, or, where sameness is judged, all of them. */
  readonly tests: number;
  /** Those that do so through the gateway. */
  readonly good: number;
  /** The others by what they stumble over, the commonest kind first. */
  readonly kinds: readonly { readonly kind: string; readonly tests: readonly string[] }[];
}

export function compare(
  { judge, races = {} }: Pick<Suite, 'judge' | 'races'>,
  direct: ReadonlyMap<string, Outcome>,
  through: ReadonlyMap<string, Outcome>,
): Comparison {
  const counted = [...direct].filter(
    ([name, { status }]) => (judge === 'same' || status === 'passed') && !Object.hasOwn(races, name),
  );
  const kinds = new Map<string, string[]>();
  for (const [name, wanted] of counted) {
    const found = through.get(name) ?? { status: 'failed', text: 'did not run' };
    if (judge === 'same' ? found.text === wanted.text : found.status === 'passed') continue;
    const kind = judge === 'same' ? firstDifference(wanted.text, found.text) : kindOf(found);
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  const bad = [...kinds].map(([kind, tests]) => ({ kind, tests })).toSorted((a, b) => b.tests.length - a.tests.length);
  return {
    tests: counted.length,
    good: counted.length - bad.reduce((sum, { tests }) => sum + tests.length, 0),
    kinds: bad,
  };
}

/** The first line that differs: what it says through the gateway, after what it says directly. */
function firstDifference(wanted: string, found: string): string {
  const [left, right] = [wanted.split('\n'), found.split('\n')];
  const at = right.findIndex((line, index) => line !== left[index]);
  const index = at < 0 ? right.length : at;
  const error = right.slice(index, index + DIFFERENCE_LINES).find((line) => MESSAGE.test(line));
  return `${general(error ?? right[index] ?? 'ends')} [directly: ${general(left[index] ?? 'ends')}]`;
}

/** What a failure is about: the first line that speaks as PostgreSQL does, else the last. */
function kindOf({ status, text }: Outcome): string {
  if (status === 'skipped') return `skipped: ${general(text)}`;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const ours = lines.find((line) => line.includes('countersign:'));
  const message = lines.find((line) => SERVER_MESSAGE.test(line)) ?? lines.find((line) => MESSAGE.test(line));
  return [message ?? (ours === undefined ? lines.at(-1) : undefined), ours]
    .filter((line) => line !== undefined)
    .map(general)
    .join(' / ');
}

/** A line without what differs from test to test: names in quotes, numbers, places. */
function general(line: string): string {
  return line
    .trim()
    .replaceAll(/"[^"]*"/g, '"…"')
    .replaceAll(/'[^']*'/g, "'…'")
    .replaceAll(/0x[0-9a-f]+/g, 'N')
    .replaceAll(/(?<![A-Z0-9])\d+(?![A-Z0-9]{2})/g, 'N')
    .slice(0, KIND_CHARS_MAX);
}

/** A message of a server's as drivers print it: by its severity or by its code. */
const SERVER_MESSAGE = /\b(ERROR|FATAL): |SQLSTATE|(exceptions|errors)\.[A-Z]\w+: /;
/** Any other that tells of something amiss. */
const MESSAGE = /ERROR|FATAL|[Ee]rror:|Exception|SQLSTATE/;
const DIFFERENCE_LINES = 4;
const KIND_CHARS_MAX = 240;
