/** `ratchet.json`: how many tests that are good directly are not so through the gateway. The counts may fall, never rise. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Comparison } from './compare.ts';
import type { Mode } from './place.ts';
import type { SuiteReport } from './run-suite.ts';

interface Known {
  readonly tests: number;
  readonly bad: number;
  /** Their names, while they are few enough to be read. */
  readonly differ?: readonly string[];
}

type Ratchet = Readonly<Record<string, Readonly<Partial<Record<Mode, Known>>>>>;

const FILE = path.join(import.meta.dirname, 'ratchet.json');

/** What has risen, in words; empty when nothing has. */
export function holdRatchet(report: SuiteReport): string[] {
  const allowed = readRatchet()[report.suite] ?? {};
  return counts(report).flatMap(([mode, { bad, differ }]) => {
    const known = allowed[mode];
    if (known === undefined || bad <= known.bad) return [];
    const fresh = known.differ === undefined ? [] : (differ ?? []).filter((name) => !known.differ?.includes(name));
    return [`${report.suite}, ${mode}: ${bad} differ, of which ${known.bad} are known ${fresh.join(', ')}`];
  });
}

/** Tests that are known to differ; undefined where nothing was counted, or there are too many to be known by name. */
export function knownByName(suite: string, mode: Mode): readonly string[] | undefined {
  return readRatchet()[suite]?.[mode]?.differ;
}

/** Writes what the report counted. */
export function updateRatchet(report: SuiteReport): void {
  const before = readRatchet();
  const after = { ...before, [report.suite]: { ...before[report.suite], ...Object.fromEntries(counts(report)) } };
  const sorted = Object.fromEntries(Object.entries(after).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  fs.writeFileSync(FILE, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

function counts({ modes }: SuiteReport): (readonly [Mode, Known])[] {
  // Keys of a record are of its type.
  const entries = Object.entries(modes) as [Mode, Comparison][];
  return entries.map(([mode, { tests, good, kinds }]) => {
    const differ = kinds.flatMap((kind) => kind.tests).toSorted();
    return [mode, { tests, bad: tests - good, ...(differ.length <= NAMES_MAX ? { differ } : {}) }] as const;
  });
}

function readRatchet(): Ratchet {
  // Written by `updateRatchet` alone.
  return JSON.parse(fs.readFileSync(FILE, 'utf8')) as Ratchet;
}

const NAMES_MAX = 40;
