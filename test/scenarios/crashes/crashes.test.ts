/**
 * kill -9 of server, agent, gateway and PostgreSQL in turn, under load of SQL and HTTP. Each round checks: no acknowledged operation is missing from the
 * ledger or the database, none reached the database or the API without its intent, each intent has an outcome or is called unknown, what belongs
 * together is there together, ledgers verify, everything is back by itself, and clients were told only what lets them try again.
 *
 * Nine rounds here, of each kind one or more; `npm run crashes` does hundreds, and repeats any of them by its seed (`CRASH_SEED`).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeRound, planRound } from './plan.ts';
import { type CrashRun, startCrashRun } from './run.ts';

const seed = process.env['CRASH_SEED'] ?? 'every-day';
const ROUNDS = 9;
let run: CrashRun;

beforeAll(async () => {
  run = await startCrashRun(seed);
});
afterAll(() => run?.[Symbol.asyncDispose]());

describe(`kill -9 under load, seed ${seed}`, () => {
  it.each(Array.from({ length: ROUNDS }, (_, number) => describeRound(planRound(seed, number))))('%s', async (name) => {
    const report = await run.round(Number(/^round (\d+)/.exec(name)?.[1]));
    expect(report.wrong).toEqual([]);
    expect(report.acknowledged).toBeGreaterThan(report.round.afterOperations);
  });
});
