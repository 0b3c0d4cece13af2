import { readFileSync } from 'node:fs';

/** What one subject did in one round. */
export interface Sample {
  readonly operations: number;
  readonly wallUs: number;
  /** User and system time of what was measured. */
  readonly cpuUs: number;
}

/** What one subject did in all rounds, per operation, in the order of the rounds. */
export interface Samples {
  readonly wallUs: readonly number[];
  readonly cpuUs: readonly number[];
}

/**
 * Lets the subjects take turns, each once in every round, the order turned round in every other one. One round more comes first and is not
 * counted: caches fill and code is compiled in it.
 */
export async function interleave<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, () => Sample | Promise<Sample>>>,
): Promise<Readonly<Record<Name, Samples>>> {
  // Object.keys forgets that these are the keys of the record.
  const names = Object.keys(subjects) as Name[];
  const made = new Map<Name, { wallUs: number[]; cpuUs: number[] }>();
  for (const name of names) made.set(name, { wallUs: [], cpuUs: [] });
  for (let round = 0; round <= rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const sample = await subjects[name]();
      if (round === 0 && rounds > 1) continue;
      made.get(name)?.wallUs.push(sample.wallUs / sample.operations);
      made.get(name)?.cpuUs.push(sample.cpuUs / sample.operations);
    }
  }
  // Object.fromEntries forgets the names, as Object.keys does.
  return Object.fromEntries(made) as unknown as Readonly<Record<Name, Samples>>;
}

/** Runs `work`, which returns how many operations it did, and takes time and CPU of this whole process. */
export async function timed(work: () => number | Promise<number>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  const operations = await work();
  const wallUs = Number(process.hrtime.bigint() - start) / 1000;
  const used = process.cpuUsage(cpu);
  return { operations, wallUs, cpuUs: used.user + used.system };
}

/** Repeats a synchronous operation for about `ms`, looking at the time only every few turns. `operation` gets the number of its turn. */
export function timedLoop(ms: number, operation: (turn: number) => unknown): Promise<Sample> {
  return timed(() => {
    const until = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
    let turns = 0;
    let step = 1;
    for (;;) {
      const before = process.hrtime.bigint();
      for (let index = 0; index < step; index++) operation(turns++);
      const now = process.hrtime.bigint();
      if (now >= until) return turns;
      // About half a millisecond between two looks, so that looking costs nothing even beside operations of 100 ns.
      if (now - before < 250_000n && step < 65_536) step *= 2;
    }
  });
}

/** User and system time of another process with all its threads since it began. Counted in ticks of 10 ms: let it work for a second. */
export function cpuOfProcessUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name may hold blanks and brackets: fields are counted from behind its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** The middle one; of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? Number.NaN)) / 2;
}

/** The median of the rounds' own ratios. */
export function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, round) => value / (below[round] ?? Number.NaN)));
}

/** The value below which that share (0 to 1) of all values lies. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** USER_HZ on Linux, fixed by its ABI. */
const TICK_US = 10_000;
