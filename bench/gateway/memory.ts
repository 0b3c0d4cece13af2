/** The gateway's memory: per idle session, and at most while a large answer passes. */
import { setTimeout as pause } from 'node:timers/promises';
import { type BenchContext, type BenchResult, result } from '../harness.ts';
import type { Bed, Subject, SubjectName } from './bed.ts';
import { drain } from './drain-client.ts';
import { forgetPeak, peakBytes, residentBytes } from './process-usage.ts';

export async function memory(bed: Bed, context: BenchContext): Promise<readonly BenchResult[]> {
  if (!context.wants('memory')) return [];
  const results: BenchResult[] = [];
  for (const name of MEASURED) {
    const subject = bed.subjects[name];
    // A process that has freed memory keeps it for the next: only a new one shows what it needs.
    await bed.restartGateway();
    context.say(`memory: idle sessions, ${name}`);
    results.push(...(await idle(bed, subject, context.quick ? IDLE_QUICK : IDLE)));
    await bed.restartGateway();
    context.say(`memory: a large read, ${name}`);
    results.push(...(await largeRead(bed, subject)));
  }
  return results;
}

/** Opens as many sessions as the first step says, then more up to the next, and divides what memory was added. */
async function idle(bed: Bed, subject: Subject, steps: readonly number[]): Promise<readonly BenchResult[]> {
  const results: BenchResult[] = [];
  const processes = Object.entries(subject.processes()).map(([role, pid]) => ({
    role,
    pid,
    before: residentBytes(pid),
  }));
  const open = async ([step, ...further]: readonly number[], had: number): Promise<void> => {
    if (step === undefined) return;
    await drain(bed, subject, { kind: 'hold', sessions: step - had }, async () => {
      await pause(SETTLE_MS);
      for (const { role, pid, before } of processes) {
        const value = (residentBytes(pid) - before) / step / 1000;
        results.push(
          result({ case: `memory of ${role} per session, ${step} idle`, subject: subject.name, unit: 'kB', value }),
        );
      }
      await open(further, step);
    });
  };
  await open(steps, 0);
  return results;
}

async function largeRead(bed: Bed, subject: Subject): Promise<readonly BenchResult[]> {
  const processes = Object.entries(subject.processes()).map(([role, pid]) => ({
    role,
    pid,
    before: residentBytes(pid),
  }));
  for (const { pid } of processes) forgetPeak(pid);
  await drain(bed, subject, { kind: 'query', sql: 'select * from bulk', times: 1 });
  const row = (name: string, bytes: number) =>
    result({ case: name, subject: subject.name, unit: 'MB', value: bytes / 1e6 });
  return processes.flatMap(({ role, pid, before }) => [
    row(`memory of ${role} before a large read`, before),
    row(`peak memory of ${role} in a large read`, peakBytes(pid)),
  ]);
}

const MEASURED: readonly SubjectName[] = ['pgbouncer-tls', 'gateway', 'agent'];
const IDLE = [100, 1000];
const IDLE_QUICK = [100];
const SETTLE_MS = 3000;
