/** What a foreign suite is: a folder of `suites/` says where it comes from, what its units are and how to run them somewhere. */
import type { Place } from './place.ts';

export interface Suite {
  readonly name: string;
  /** Databases it wants, all in UTF8; the first is where clients go that name none. */
  readonly databases: readonly Database[];
  /** Databases that it creates itself and connects to: the gateway's target serves them too. */
  readonly creates?: readonly string[];
  /** Who does it all: the superuser, unless it is `shop_app`, who owns the databases. */
  readonly login?: 'postgres' | 'shop_app';
  /** Further arguments of the server, as `['-c', 'max_prepared_transactions=10']`. */
  readonly serverArgs?: readonly string[];
  /** `passes`: a test passes or fails by itself. `same`: it is the same test when it prints what it prints directly. */
  readonly judge: 'passes' | 'same';
  /** Tests that count how fast an answer comes, each with what it counts: they run, and are not held against what ran directly. */
  readonly races?: Readonly<Record<string, string>>;
  /** Fetches it, unless a folder with its source is given, and builds it, once; resolves to the folder that `units` and `run` want. */
  fetch(cache: string, given?: string): Promise<string>;
  /** What can be run by itself: files, mostly. A slice is some of them. */
  units(source: string): Promise<readonly string[]>;
  /** Runs those units there; resolves to all tests in them by name. */
  run(options: RunOptions): Promise<ReadonlyMap<string, Outcome>>;
}

export interface Database {
  readonly name: string;
  /** SQL for it, run by the superuser before anything else. */
  readonly seed?: string;
}

export interface RunOptions {
  readonly source: string;
  readonly units: readonly string[];
  readonly place: Place;
  /** An empty folder for whatever it writes. */
  readonly work: string;
}

export interface Outcome {
  readonly status: 'passed' | 'failed' | 'skipped';
  /** What it printed: the reason of a failure, or, where sameness is judged, everything. */
  readonly text: string;
}
