import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A codec under fire: `fuzz` throws only when the codec is wrong. */
export interface FuzzTarget {
  /** The path of its file in the source tree. */
  readonly name: string;
  /** Where its kept inputs lie. */
  readonly corpusDir: string;
  readonly seeds: readonly Uint8Array[];
  /** Inputs kept from earlier runs, since each reaches code that no other does. */
  readonly corpus: readonly Uint8Array[];
  readonly tokens: readonly Uint8Array[];
  /** True where one execution takes a millisecond, not microseconds. */
  readonly slow: boolean;
  fuzz(input: Uint8Array): void;
}

/**
 * What a `x.fuzz.ts` exports: `fuzz` and `seeds`, and if it wants `tokens` (pieces to build inputs with), `prepare` (what must be loaded
 * first) and `slow`.
 */
interface FuzzModule {
  fuzz?: FuzzTarget['fuzz'];
  seeds?: FuzzTarget['seeds'];
  tokens?: readonly (string | Uint8Array)[];
  prepare?: () => Promise<void>;
  slow?: boolean;
}

/** Every fuzz target of the source tree whose path holds `part`, in the order of paths. */
export async function loadTargets(part = ''): Promise<FuzzTarget[]> {
  const files = globSync('{src,sdk/src}/**/*.fuzz.ts', { cwd: ROOT }).filter((file) => file.includes(part));
  return Promise.all(files.toSorted().map(load));
}

async function load(file: string): Promise<FuzzTarget> {
  const module: FuzzModule = await import(join(ROOT, file));
  if (!module.fuzz || !module.seeds || module.seeds.length === 0)
    throw new Error(`${file} must export fuzz and at least one of seeds`);
  await module.prepare?.();
  const corpusDir = join(import.meta.dirname, 'corpus', corpusName(file));
  return {
    name: file,
    corpusDir,
    seeds: module.seeds,
    corpus: readCorpus(corpusDir),
    tokens: (module.tokens ?? []).map((token) => Buffer.from(token)),
    slow: module.slow ?? false,
    fuzz: module.fuzz,
  };
}

/** `src/wire/x509/x509.fuzz.ts` keeps its corpus in `wire-x509-x509`. */
function corpusName(file: string): string {
  return file
    .replace(/^(sdk\/)?src\//, '$1')
    .replace(/\.fuzz\.ts$/, '')
    .replaceAll('/', '-');
}

function readCorpus(dir: string): Buffer[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .toSorted()
    .map((name) => readFileSync(join(dir, name)));
}

const ROOT = join(import.meta.dirname, '../..');
