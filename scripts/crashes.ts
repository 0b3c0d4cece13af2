/**
 * `npm run crashes -- [--rounds N] [--seed TEXT] [--first N]`: kill -9 of server, agent, gateway and PostgreSQL in turn, under load of SQL and HTTP; after
 * each round the database, the API, the ledgers and what the clients were told must agree. Prints a line for each round; ends with 1 when any
 * round showed something wrong, and leaves the logs of that stack beside the seed that repeats it.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { describeRound } from '../test/scenarios/crashes/plan.ts';
import { type CrashRun, type RoundReport, startCrashRun } from '../test/scenarios/crashes/run.ts';

const ROUNDS_A_STACK = 25;
const PROBLEMS_SHOWN = 20;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: process.env['CRASH_SEED'] ?? '1' },
    first: { type: 'string', default: '0' },
  },
});
const first = Number(values.first);
const end = first + Number(values.rounds);
const totals = { rounds: 0, wrong: 0, acknowledged: 0, unknown: 0, backMs: [] as number[] };
let run: CrashRun | undefined;
for (let number = first; number < end; number++) {
  run ??= await startCrashRun(values.seed);
  const report = await run.round(number);
  print(report);
  totals.rounds++;
  totals.acknowledged += report.acknowledged;
  totals.unknown += report.unknown;
  totals.backMs.push(report.backMs);
  if (report.wrong.length > 0) {
    totals.wrong++;
    const file = path.join(os.tmpdir(), `crashes-${values.seed}-${number}.log`);
    fs.writeFileSync(file, `${report.wrong.join('\n')}\n${run.logs()}`);
    process.stdout.write(`  logs in ${file}; again with --seed ${values.seed} --first ${number} --rounds 1\n`);
  }
  // A ledger of many rounds takes longer to verify than to write; and what went wrong once would be found in every later round.
  if (report.wrong.length === 0 && (number + 1) % ROUNDS_A_STACK > 0 && number + 1 < end) continue;
  await run[Symbol.asyncDispose]();
  run = undefined;
}
const sorted = totals.backMs.toSorted((a, b) => a - b);
const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
process.stdout.write(
  `${totals.rounds} rounds, seed ${values.seed}: ${totals.wrong} wrong; ${totals.acknowledged} rows acknowledged, ${totals.unknown} outcomes unknown; back after ${at(0.5)} ms (median), ${at(0.95)} ms (p95), ${at(1)} ms (longest)\n`,
);
if (totals.wrong > 0) process.exitCode = 1;

function print({ round, wrong, backMs, acknowledged, unknown, codes, gaveUp, slowestMs }: RoundReport): void {
  const met = Object.entries(codes).map(([code, count]) => `${code}×${count}`);
  const ended = gaveUp.length > 0 ? `; ended by themselves: ${gaveUp.join(', ')}` : '';
  process.stdout.write(
    `${describeRound(round)}: back in ${Math.round(backMs)} ms, ${acknowledged} rows, ${unknown} unknown, slowest answer ${Math.round(slowestMs)} ms, met ${met.join(' ') || 'nothing'}${ended}\n`,
  );
  for (const problem of wrong.slice(0, PROBLEMS_SHOWN)) process.stdout.write(`  WRONG ${problem}\n`);
}
