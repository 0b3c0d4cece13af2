/**
 * The door of all benches: what a bench is, how it measures, how it prints.
 *
 * It promises fair figures on a machine that is not quiet: subjects take turns within each round (A B A B …), a figure is the median over
 * the rounds, and a ratio is the median of the rounds' own ratios, so that what slows one round down slows both sides. CPU time stands
 * beside elapsed time, since only it is the same on a busy machine. It must not know any subject.
 *
 * A bench is one file `bench/<name>.ts` that exports `bench: Bench`; `scripts/bench.ts` finds it by its folder. What several files of one
 * bench share lies in a folder below.
 */
export type { Bench, BenchContext, BenchReport, BenchResult } from './harness/bench.ts';
export { type Machine, machine } from './harness/machine.ts';
export {
  cpuOfProcessUs,
  interleave,
  median,
  medianRatio,
  percentile,
  type Sample,
  type Samples,
  timed,
  timedLoop,
} from './harness/measure.ts';
export { formatResults, result } from './harness/results.ts';
