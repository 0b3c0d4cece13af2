import type { Machine } from './machine.ts';

/** One bench. */
export interface Bench {
  /** As its file is called. */
  readonly name: string;
  /** One line: what is measured against what. */
  readonly summary: string;
  /** True when it needs PostgreSQL, other programs or minutes: the unit tests leave it out. */
  readonly heavy?: boolean;
  /** Measures, and returns a row for each goal (and rows without a goal for what is only good to know). Leaves nothing behind. */
  run(context: BenchContext): Promise<readonly BenchResult[]>;
}

export interface BenchContext {
  /** True: as few operations as show that the bench works. The figures mean nothing. */
  readonly quick: boolean;
  /** Rounds to take: at least five, one when quick. */
  readonly rounds: number;
  /** False for a case that was not asked for (`--only`). */
  wants(name: string): boolean;
  /** Tells whoever waits how far it is. */
  say(text: string): void;
}

/** One line of the result. */
export interface BenchResult {
  readonly case: string;
  readonly subject: string;
  /** What it is compared with; empty when with nothing but the goal. */
  readonly peer: string;
  readonly value: number;
  readonly peerValue: number | null;
  readonly unit: string;
  /** As the goal words it; null when there is nothing to compare with. */
  readonly ratio: number | null;
  /** `>= 0.8` or `<= 1.5`, about the ratio or, without one, about the value; empty when the row is only for information. */
  readonly goal: string;
  readonly holds: boolean;
}

/** What `--json` prints on its last line. */
export interface BenchReport {
  readonly bench: string;
  readonly machine: Machine;
  readonly results: readonly BenchResult[];
}
