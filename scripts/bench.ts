/**
 * `npm run bench`: lists the benches. `npm run bench -- NAME [--json] [--quick] [--only CASE,…]` runs one; with `--json` the last line
 * is one object. `npm run bench -- all [--write]` runs every one, each in a process of its own, and writes the table of
 * `docs/internals/performance.md`. Ends with 64 for a name that is none, with 0 whether or not a goal is met.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, type BenchContext, type BenchReport, formatResults, machine } from '../bench/harness.ts';
import { performancePage } from './bench/performance-page.ts';

/** All benches, by name. */
export async function findBenches(): Promise<readonly Bench[]> {
  const found: Bench[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file === 'harness.ts') continue;
    const module: unknown = await import(join(folder, file));
    if (typeof module !== 'object' || module === null || !('bench' in module)) continue;
    const bench = module.bench as Bench; // `bench.test.ts` holds every file to this shape.
    if (`${bench.name}.ts` === file) found.push(bench);
  }
  return found;
}

/** What a bench is run with, from the arguments behind its name. */
export function contextOf(args: readonly string[], say: (text: string) => void): BenchContext {
  const at = args.findIndex((arg) => arg === '--only' || arg.startsWith('--only='));
  const given = args[at]?.startsWith('--only=') ? args[at].slice('--only='.length) : args[at + 1];
  const only = at === -1 ? undefined : new Set(given?.split(','));
  const quick = args.includes('--quick');
  return { quick, rounds: quick ? 1 : ROUNDS, wants: (name) => only === undefined || only.has(name), say };
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...options] = args;
  const benches = await findBenches();
  if (name === undefined) {
    process.stdout.write(list(benches));
    return 0;
  }
  if (name === 'all') return runAll(benches, options);
  const bench = benches.find((one) => one.name === name);
  if (!bench) {
    process.stderr.write(`there is no bench ${JSON.stringify(name)}; there are:\n${list(benches)}`);
    return EX_USAGE;
  }
  const results = await bench.run(contextOf(options, (text) => void process.stderr.write(`${text}\n`)));
  const report: BenchReport = { bench: name, machine: machine(), results };
  process.stdout.write(`${formatResults(results)}\n`);
  if (options.includes('--json')) process.stdout.write(`${JSON.stringify(report)}\n`);
  return 0;
}

/** A fresh process for each: what one leaves in memory must not slow down the next. */
function runAll(benches: readonly Bench[], options: readonly string[]): number {
  const reports: BenchReport[] = [];
  let failed = 0;
  for (const { name } of benches) {
    process.stderr.write(`== ${name}\n`);
    const passed = options.filter((option) => option !== '--write' && option !== '--json');
    const run = spawnSync(process.execPath, [import.meta.filename, name, '--json', ...passed], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    const lines = run.stdout.trimEnd().split('\n');
    if (run.status === 0) {
      reports.push(JSON.parse(lines.at(-1) ?? '') as BenchReport); // The line that main() above has written.
      process.stdout.write(`${lines.slice(0, -1).join('\n')}\n`);
    } else {
      failed++;
      process.stderr.write(`${name} ended with ${run.status ?? run.signal}\n`);
    }
  }
  if (failed === 0 && options.includes('--write')) writeFileSync(page, performancePage(reports));
  if (options.includes('--json')) process.stdout.write(`${JSON.stringify(reports)}\n`);
  return failed === 0 ? 0 : 1;
}

function list(benches: readonly Bench[]): string {
  const width = Math.max(...benches.map(({ name }) => name.length));
  return `${benches.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}\n`).join('')}`;
}

const folder = join(import.meta.dirname, '../bench');
const page = join(import.meta.dirname, '../docs/internals/performance.md');
const ROUNDS = 7;
const EX_USAGE = 64;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

// Benches that start servers may leave timers; the figures are in.
if (import.meta.main) process.exit(await main(process.argv.slice(2)));
