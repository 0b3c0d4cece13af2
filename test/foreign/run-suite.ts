/** Runs a suite in some modes and compares them with what it does directly. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { type Comparison, compare } from './compare.ts';
import { type Mode, openPlace } from './place.ts';
import type { Outcome, Suite } from './suite.ts';

export interface SuiteRun {
  readonly cache: string;
  readonly modes: readonly Exclude<Mode, 'direct'>[];
  /** Only units that match. */
  readonly only?: RegExp;
  /** So many of the units, drawn with that seed. */
  readonly slice?: { readonly size: number; readonly seed: number };
  /** A folder with the suite's source, in place of fetching it. */
  readonly source?: string;
  /** Where outcomes and logs of the modes are left. */
  readonly keep?: string;
  /** Takes what ran directly from there, when it is there, in place of running it again. */
  readonly again?: boolean;
  readonly say?: (line: string) => void;
}

export interface SuiteReport {
  readonly suite: string;
  readonly units: number;
  readonly directly: { readonly passed: number; readonly failed: number; readonly skipped: number };
  readonly modes: Readonly<Partial<Record<Mode, Comparison>>>;
}

export async function runSuite(suite: Suite, options: SuiteRun): Promise<SuiteReport> {
  const { cache, modes, only, slice, say = () => {} } = options;
  fs.mkdirSync(cache, { recursive: true });
  const source = await suite.fetch(cache, options.source);
  const all = (await suite.units(source)).filter((unit) => only?.test(unit) ?? true);
  const units = slice === undefined ? all : draw(all, slice);
  const runIn = async (mode: Mode) => {
    const outcomes = await runMode(suite, { mode, source, units, keep: options.keep });
    say(`${suite.name} ${mode}: ${JSON.stringify(count(outcomes))}`);
    return outcomes;
  };
  const known =
    options.again && options.keep !== undefined ? path.join(options.keep, `${suite.name}-direct.jsonl`) : '';
  const direct = fs.existsSync(known) ? readKept(known, units) : await runIn('direct');
  const compared: Partial<Record<Mode, Comparison>> = {};
  for (const mode of modes) compared[mode] = compare(suite, direct, await runIn(mode));
  return { suite: suite.name, units: units.length, directly: count(direct), modes: compared };
}

async function runMode(
  suite: Suite,
  options: { mode: Mode; source: string; units: readonly string[]; keep: string | undefined },
): Promise<ReadonlyMap<string, Outcome>> {
  const { mode, source, units, keep } = options;
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-foreign-'));
  fs.chmodSync(work, 0o777);
  await using place = await openPlace({ mode, ...suite });
  const outcomes = withoutPath(await suite.run({ source, units, place, work }), work);
  if (keep !== undefined) {
    fs.mkdirSync(keep, { recursive: true });
    const lines = [...outcomes].map(([name, outcome]) => JSON.stringify({ name, ...outcome }));
    fs.writeFileSync(path.join(keep, `${suite.name}-${mode}.jsonl`), `${lines.join('\n')}\n`);
    fs.writeFileSync(path.join(keep, `${suite.name}-${mode}.gateway.log`), place.logs());
  }
  fs.rmSync(work, { recursive: true, force: true });
  return outcomes;
}

/** Outputs that name the run's own folder would differ by it; the names are equally long. */
function withoutPath(outcomes: ReadonlyMap<string, Outcome>, work: string): ReadonlyMap<string, Outcome> {
  return new Map(
    [...outcomes].map(([name, { status, text }]) => [name, { status, text: text.replaceAll(work, 'WORK') }]),
  );
}

/** Outcomes as they were left; of the units, where a unit is a test. */
function readKept(file: string, units: readonly string[]): ReadonlyMap<string, Outcome> {
  const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
  const all = lines.map((line) => {
    // Written by `runMode` alone.
    const { name, ...outcome } = JSON.parse(line) as Outcome & { name: string };
    return [name, outcome] as const;
  });
  const wanted = all.filter(([name]) => units.includes(name));
  return new Map(wanted.length > 0 ? wanted : all);
}

function count(outcomes: ReadonlyMap<string, Outcome>) {
  const of = (status: Outcome['status']) =>
    [...outcomes.values()].filter((outcome) => outcome.status === status).length;
  return { passed: of('passed'), failed: of('failed'), skipped: of('skipped') };
}

/** The same units for the same seed, in the suite's own order. */
function draw(units: readonly string[], { size, seed }: { size: number; seed: number }): string[] {
  const drawn = new Set(
    units
      .map((unit) => ({ unit, rank: hash(`${seed}:${unit}`) }))
      .toSorted((a, b) => a.rank - b.rank)
      .slice(0, size)
      .map(({ unit }) => unit),
  );
  return units.filter((unit) => drawn.has(unit));
}

/** FNV-1a, finished so that neighbours lie far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0;
}
