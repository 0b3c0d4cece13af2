/** `ratchet.json`: how many tests that are good directly are not so through the gateway. The counts may fall, never rise. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Mode } from './place.ts';
import type { SuiteReport } from './run-suite.ts';

type Ratchet = Readonly<
  Record<string, Readonly<Partial<Record<Mode, { readonly tests: number; readonly bad: number }>>>>
>;

const FILE = path.join(import.meta.dirname, 'ratchet.json');

/** What has risen, in words; empty when nothing has. */
export function holdRatchet(report: SuiteReport): string[] {
  const allowed = readRatchet()[report.suite] ?? {};
  return counts(report).flatMap(([mode, { bad }]) => {
    const most = allowed[mode]?.bad;
    return most === undefined || bad <= most
      ? []
      : [`${report.suite}, ${mode}: ${bad} differ, of which ${most} are known`];
  });
}

/** Writes what the report counted. */
export function updateRatchet(report: SuiteReport): void {
  const before = readRatchet();
  const after = { ...before, [report.suite]: { ...before[report.suite], ...Object.fromEntries(counts(report)) } };
  const sorted = Object.fromEntries(Object.entries(after).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  fs.writeFileSync(FILE, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

function counts({ modes }: SuiteReport) {
  // Keys of a record are of its type.
  const entries = Object.entries(modes) as [Mode, { tests: number; good: number }][];
  return entries.map(([mode, { tests, good }]) => [mode, { tests, bad: tests - good }] as const);
}

function readRatchet(): Ratchet {
  // Written by `updateRatchet` alone.
  return JSON.parse(fs.readFileSync(FILE, 'utf8')) as Ratchet;
}
