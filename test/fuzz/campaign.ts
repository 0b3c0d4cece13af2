import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coverage } from './coverage.ts';
import { createFastRandom } from './fast-random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './targets.ts';

/** How a campaign against one target ended. */
export interface Report {
  readonly executions: number;
  readonly elapsedMs: number;
  readonly broken: readonly { readonly input: Uint8Array; readonly error: unknown }[];
  /** The slowest execution, ms, and its input. */
  readonly slowest: { readonly ms: number; readonly input: Uint8Array };
  /** Inputs that reached what none before had. */
  readonly found: readonly Uint8Array[];
}

/**
 * Runs changed inputs against a target until `executions` or `timeMs` are used up. What reaches code that nothing before has reached is
 * kept and changed further; that is looked for a batch at a time, since asking costs milliseconds.
 */
export function runCampaign(
  target: FuzzTarget,
  options: {
    executions: number;
    timeMs: number;
    seed: string;
    coverage?: Coverage;
    /** Told of each input before it runs. */
    watch?: (input: Uint8Array) => void;
  },
): Report {
  const { coverage } = options;
  const random = createFastRandom(`${options.seed}:${target.name}`);
  const inputs: Uint8Array[] = [...target.seeds, ...target.corpus];
  const stock = { inputs, tokens: target.tokens };
  const found: Uint8Array[] = [];
  const broken: { input: Uint8Array; error: unknown }[] = [];
  let slowest: Report['slowest'] = { ms: 0, input: new Uint8Array(0) };
  let executions = 0;
  const startMs = performance.now();
  let nowMs = startMs;
  const execute = (input: Uint8Array) => {
    options.watch?.(input);
    const beforeMs = nowMs;
    try {
      target.fuzz(input);
    } catch (error) {
      if (broken.length < BROKEN_MAX) broken.push({ input: Buffer.from(input), error });
    }
    nowMs = performance.now();
    if (nowMs - beforeMs > slowest.ms) slowest = { ms: nowMs - beforeMs, input };
  };
  coverage?.reset();
  for (const input of inputs) execute(input);
  coverage?.grew();
  while (executions < options.executions && nowMs - startMs < options.timeMs && broken.length < BROKEN_MAX) {
    const undo = coverage?.mark();
    const batch: Uint8Array[] = [];
    const batchMs = nowMs;
    while (batch.length < BATCH_MAX && nowMs - batchMs < BATCH_MS && executions < options.executions) {
      const input = mutate(stock, random);
      batch.push(input);
      execute(input);
      executions++;
    }
    if (coverage?.grew() !== true) continue;
    undo?.();
    for (const input of findNew(batch, execute, coverage)) {
      if (input.length > KEPT_BYTES_MAX || found.length >= KEPT_MAX) continue;
      inputs.push(input);
      found.push(input);
    }
    nowMs = performance.now();
  }
  return { executions, elapsedMs: nowMs - startMs, broken, slowest, found };
}

/** Those of `inputs` that reach, one after the other, what had not been reached. */
function findNew(
  inputs: readonly Uint8Array[],
  execute: (input: Uint8Array) => void,
  coverage: Coverage,
): readonly Uint8Array[] {
  const undo = coverage.mark();
  for (const input of inputs) execute(input);
  if (!coverage.grew()) return [];
  if (inputs.length === 1) return inputs;
  undo();
  const half = inputs.length >> 1;
  return [...findNew(inputs.slice(0, half), execute, coverage), ...findNew(inputs.slice(half), execute, coverage)];
}

/**
 * Writes those of `found` into the target's corpus that add anything to its seeds and what is there, each cut down to what it
 * takes; the smallest first, and no more than {@link CORPUS_BYTES_MAX} in all. Answers how many files the corpus has then.
 */
export function writeCorpus(target: FuzzTarget, found: readonly Uint8Array[], coverage: Coverage): number {
  const bySize = [...target.corpus, ...found].toSorted((a, b) => a.length - b.length);
  coverage.reset();
  for (const seed of target.seeds) attempt(target, seed);
  coverage.grew();
  let bytes = 0;
  const kept = new Map<string, Uint8Array>();
  for (const input of bySize) {
    const undo = coverage.mark();
    attempt(target, input);
    if (!coverage.grew()) continue;
    const gained = coverage.covered();
    const reaches = (candidate: Uint8Array) => {
      undo();
      attempt(target, candidate);
      coverage.grew();
      return coverage.covered() >= gained;
    };
    const small = shrink(input, reaches);
    reaches(small);
    if (bytes + small.length > CORPUS_BYTES_MAX) continue;
    bytes += small.length;
    kept.set(createHash('sha256').update(small).digest('hex').slice(0, NAME_CHARS), small);
  }
  rmSync(target.corpusDir, { recursive: true, force: true });
  if (kept.size > 0) mkdirSync(target.corpusDir, { recursive: true });
  for (const [name, input] of kept) writeFileSync(join(target.corpusDir, name), input);
  return kept.size;
}

/** Takes pieces out, large ones first, as long as what is left still does the same. */
function shrink(input: Uint8Array, reaches: (candidate: Uint8Array) => boolean): Uint8Array {
  let best = Buffer.from(input);
  let tries = 0;
  for (let piece = best.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < best.length && tries < SHRINK_TRIES_MAX; ) {
      tries++;
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)]);
      if (reaches(candidate)) best = candidate;
      else at += piece;
    }
  }
  return best;
}

function attempt(target: FuzzTarget, input: Uint8Array): void {
  try {
    target.fuzz(input);
  } catch {
    // A broken target is reported by the campaign; here only where the input leads counts.
  }
}

/** After this many failures a target is known to be broken. */
const BROKEN_MAX = 5;
/** Asking what has run takes some milliseconds: a batch takes many times that. */
const BATCH_MAX = 20_000;
const BATCH_MS = 400;
/** Larger inputs, and more of them, slow the search down more than they lead it on. */
const KEPT_BYTES_MAX = 4_096;
const KEPT_MAX = 1_000;
/** What a repository can bear, and far more than the smallest inputs of any target take. */
const CORPUS_BYTES_MAX = 64 * 1024;
const SHRINK_TRIES_MAX = 200;
const NAME_CHARS = 16;
