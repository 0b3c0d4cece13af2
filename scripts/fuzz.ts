/**
 * `npm run fuzz -- [--target PART] [--executions N] [--minutes M] [--seed TEXT] [--fast] [--keep]`: runs the fuzz targets whose path holds
 * PART, N executions each or for M minutes. Led by what code the inputs reach; with `--fast` not led, from the same corpus, and many
 * times as fast, since counted code is never optimised. Prints the input (hex) that broke a target or took seconds, and ends with 1 then.
 * `--keep` writes the inputs that reached something new to `test/fuzz/corpus`, cut down to what they take.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Report, runCampaign, writeCorpus } from '../test/fuzz/campaign.ts';
import { openCoverage } from '../test/fuzz/coverage.ts';
import { type FuzzTarget, loadTargets } from '../test/fuzz/targets.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    executions: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: 'fuzz' },
    fast: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const SOURCES = ['/src/', '/sdk/src/'];
const HANG_MS = 20_000;
const SLOW_MS = 2_000;
const WATCHED_BYTES = 64 * 1024;

// Before the targets are loaded: only what is compiled after this is counted by the block.
const coverage = values.fast ? undefined : openCoverage(SOURCES);
if (values.fast) Error.stackTraceLimit = 0; // A stack for each refusal is what most time would go to.
for (const target of await loadTargets(values.target)) {
  const watchdog = startWatchdog(target.name);
  const report = runCampaign(target, {
    executions: Number(values.executions),
    timeMs: Number(values.minutes) * 60_000,
    seed: values.seed,
    watch: watchdog.watch,
    ...(coverage && { coverage }),
  });
  await watchdog.stop();
  show(target, report);
  if (values.keep && coverage) print(`  corpus: ${writeCorpus(target, report.found, coverage)} files`);
}

function show(target: FuzzTarget, { executions, elapsedMs, found, slowest, broken }: Report): void {
  print(
    `${target.name}: ${executions} executions in ${Math.round(elapsedMs / 1000)} s (${Math.round((executions / elapsedMs) * 1000)} a second), ` +
      `${found.length} reached something new, slowest ${Math.round(slowest.ms)} ms, ${broken.length} broken`,
  );
  for (const { input } of broken) print(`  ${failureOf(target, input)}\n  input ${Buffer.from(input).toString('hex')}`);
  if (slowest.ms > SLOW_MS) print(`  slow input ${Buffer.from(slowest.input).toString('hex')}`);
  if (broken.length > 0 || slowest.ms > SLOW_MS) process.exitCode = 1;
}

function failureOf(target: FuzzTarget, input: Uint8Array): string {
  Error.stackTraceLimit = 10;
  try {
    target.fuzz(input);
    return 'broke once, and not again: the target remembers something';
  } catch (error) {
    return error instanceof Error ? `${error.stack}` : String(error);
  }
}

/** Ends the process, naming the input, when one execution does not end: nothing in the same thread could. */
function startWatchdog(name: string): { watch: (input: Uint8Array) => void; stop: () => Promise<unknown> } {
  const shared = new SharedArrayBuffer(8 + WATCHED_BYTES);
  const state = new Int32Array(shared, 0, 2);
  const copy = new Uint8Array(shared, 8);
  const worker = new Worker(
    `const { workerData: { shared, name, hangMs } } = require('node:worker_threads');
    const state = new Int32Array(shared, 0, 2);
    let seen = -1;
    setInterval(() => {
      const now = Atomics.load(state, 0);
      if (now === seen) {
        const input = Buffer.from(new Uint8Array(shared, 8)).subarray(0, state[1]).toString('hex');
        require('node:fs').writeSync(1, name + ': no end in sight\\n  input ' + input + '\\n');
        process.kill(process.pid, 'SIGKILL');
      }
      seen = now;
    }, hangMs);`,
    { eval: true, workerData: { shared, name, hangMs: HANG_MS } },
  );
  return {
    watch(input) {
      copy.set(input.subarray(0, WATCHED_BYTES));
      state[1] = Math.min(input.length, WATCHED_BYTES);
      Atomics.add(state, 0, 1);
    },
    stop: () => worker.terminate(),
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
