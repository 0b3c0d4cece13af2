/** One run of pgbench, and from it a window in which nothing but transactions happens: no connecting, no first plans. */
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import { run } from '../../test/support/processes.ts';
import { percentile } from '../harness.ts';
import { ACCOUNTS, type Bed, pgbenchBinary, type Subject } from './bed.ts';
import { libpqEnv } from './door.ts';
import { cpuUs } from './process-usage.ts';

export interface PgbenchOptions {
  readonly mode: 'simple' | 'prepared';
  readonly clients: number;
  /** Of the window; the whole run takes about half a second more. */
  readonly windowMs: number;
}

export interface PgbenchRun {
  readonly tps: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU per transaction of each process between client and database, by role. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** Runs pgbench against the subject. @throws Error when it fails, or does too few transactions to say anything */
export async function runPgbench(bed: Bed, subject: Subject, options: PgbenchOptions): Promise<PgbenchRun> {
  const script = path.join(bed.scratch, 'select.sql');
  fs.writeFileSync(
    script,
    `\\set aid random(1, ${ACCOUNTS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n`,
  );
  const prefix = `log-${process.hrtime.bigint()}`;
  const counts = ['-c', String(options.clients), '-j', '1', '-T', String(SECONDS_MAX)];
  const args = [
    '-n',
    '-M',
    options.mode,
    ...counts,
    '-f',
    script,
    '-l',
    '--log-prefix',
    path.join(bed.scratch, prefix),
  ];
  let child: ChildProcess | undefined;
  const ended = run(pgbenchBinary(), args, {
    user: bed.stack.users.web,
    env: libpqEnv(subject.door),
    started: (one) => {
      child = one;
    },
  });
  const failed = ended.then(({ code, stderr }) => {
    throw new Error(`pgbench against ${subject.name} ended with ${code}: ${stderr}`);
  });
  try {
    // The log is written in blocks: its first bytes mean that all clients are at work, and a line behind the window that all of it is there.
    const log = () => {
      const name = fs.readdirSync(bed.scratch).find((one) => one.startsWith(prefix));
      return name === undefined ? '' : fs.readFileSync(path.join(bed.scratch, name), 'latin1');
    };
    await Promise.race([eventually('pgbench runs', () => log() !== ''), failed]);
    await pause(WARM_MS);
    const processes = Object.entries(subject.processes());
    const fromUs = nowUs();
    const before = processes.map(([, pid]) => cpuUs(pid));
    await Promise.race([pause(options.windowMs), failed]);
    const toUs = nowUs();
    const used = processes.map(([, pid], i) => cpuUs(pid) - (before[i] ?? 0));
    const full = eventually('pgbench has written its log', () => latenciesBetween(log(), fromUs, toUs));
    const latencies = await Promise.race([full, failed]);
    if (latencies.length < TRANSACTIONS_MIN)
      throw new Error(`${subject.name}: only ${latencies.length} transactions seen`);
    return {
      tps: latencies.length / ((toUs - fromUs) / 1e6),
      p50Us: percentile(latencies, 0.5),
      p99Us: percentile(latencies, 0.99),
      cpuUs: Object.fromEntries(processes.map(([role], i) => [role, (used[i] ?? 0) / latencies.length])),
    };
  } finally {
    child?.kill('SIGKILL');
    await failed.catch(() => {}); // It was killed just now, or has failed above.
  }
}

/**
 * Latencies of the transactions that ended in that time; undefined while the log does not reach behind it. Fields of a line: client,
 * number, latency in us, script, epoch seconds, and their microseconds.
 */
function latenciesBetween(log: string, fromUs: number, toUs: number): readonly number[] | undefined {
  const found: number[] = [];
  let lastUs = 0;
  for (const line of log.slice(0, log.lastIndexOf('\n')).split('\n')) {
    const [, , latency, , seconds, us] = line.split(' ');
    lastUs = Number(seconds) * 1e6 + Number(us);
    if (lastUs >= fromUs && lastUs < toUs) found.push(Number(latency));
  }
  return lastUs > toUs ? found : undefined;
}

/** By the wall clock, as pgbench writes it. */
function nowUs(): number {
  return Date.now() * 1000;
}

const WARM_MS = 300;
/** It is ended long before. */
const SECONDS_MAX = 50;
const TRANSACTIONS_MIN = 100;
