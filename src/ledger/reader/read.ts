import { abortError, throwIfAborted } from '../../std/index.ts';
import { planConsistency, planInclusion } from '../../wire/tlog/index.ts';
import { readLastCheckpoint } from '../checkpoints/checkpoint-file.ts';
import type { LedgerEntry, LedgerFilter, LedgerReader } from '../contract.ts';
import { parseEntry } from '../entry.ts';
import { LedgerError } from '../errors.ts';
import type { LedgerFiles } from '../files.ts';
import { createLeafReader, type LeafReader } from '../segments/leaf-reader.ts';
import { listSegments, readSegmentHeader } from '../segments/segment.ts';
import { readHashes } from '../tree/tile-hashes.ts';
import { formatProof, verifyProofAgainst } from './proof.ts';

interface ReaderDeps {
  readonly files: LedgerFiles;
  readonly directory: string;
  /** Sequence number of the newest entry; undefined once nothing more will come. */
  readonly lastSequence: () => number | undefined;
  /** Calls `watcher` whenever there may be more to read; the result ends that. */
  readonly onMore: (watcher: () => void) => () => void;
}

/** Creates the read side of a ledger's folder, beside the writer in the same process or over a folder that another one writes. */
export function createReader(deps: ReaderDeps): LedgerReader {
  const { files, directory } = deps;
  return {
    checkpoint: async () => readLastCheckpoint(files, directory)?.note,
    tail: (options) => tail(deps, options),
    search: (filter, signal) => search(deps, filter, signal),
    async show(sequence, signal) {
      throwIfAborted(signal);
      return parseEntry(readEntry(deps, sequence));
    },
    async prove(sequence, signal) {
      throwIfAborted(signal);
      const last = readLastCheckpoint(files, directory);
      const size = last?.claim?.size ?? 0;
      if (!last?.claim || !isIndex(sequence) || sequence >= size) {
        throw new LedgerError(
          'ERR_LEDGER_NOT_FOUND',
          `no checkpoint covers entry ${sequence}; the newest covers ${size} entries`,
        );
      }
      const entry = Buffer.from(readEntry(deps, sequence));
      const hashes = readHashes(deps, planInclusion(sequence, size), size);
      const proof = formatProof({ entry, index: sequence, hashes, checkpoint: last.note });
      verifyProofAgainst(proof, last.claim);
      return proof;
    },
    async proveConsistency(oldSize, newSize, signal) {
      throwIfAborted(signal);
      const size = readLastCheckpoint(files, directory)?.claim?.size ?? 0;
      if (!isIndex(oldSize) || !isIndex(newSize) || oldSize > newSize || newSize > size) {
        const message = `no proof from ${oldSize} to ${newSize}: the newest checkpoint covers ${size} entries`;
        throw new LedgerError('ERR_LEDGER_NOT_FOUND', message);
      }
      return readHashes(deps, planConsistency(oldSize, newSize), size);
    },
  };
}

/** Sequence number of the newest entry that a folder holds, by reading its last segment through; -1 for none. */
export function findLastSequence(files: LedgerFiles, directory: string): number {
  const index = findSegment(files, directory, () => true);
  if (index === undefined) return -1;
  const header = readSegmentHeader(files, directory, index);
  let sequence = typeof header === 'object' ? header.firstSeq - 1 : -1;
  const reader = createLeafReader({ files, directory });
  try {
    while (reader.next(sequence + 1)) sequence++;
    return sequence;
  } finally {
    reader.close();
  }
}

async function* tail(
  deps: ReaderDeps,
  options: { count: number; follow: boolean; signal: AbortSignal },
): AsyncGenerator<LedgerEntry> {
  const { signal } = options;
  const end = deps.lastSequence() ?? -1;
  let next = Math.max(0, end + 1 - options.count);
  const reader = createLeafReader(deps);
  try {
    for (;;) {
      for await (const entry of readOn(reader, next, signal)) {
        next = entry.seq + 1;
        yield entry;
      }
      if (!options.follow || deps.lastSequence() === undefined) return;
      await waitForMore(deps, next, signal);
      reader.refresh();
    }
  } finally {
    reader.close();
  }
}

async function* search(deps: ReaderDeps, filter: LedgerFilter, signal: AbortSignal): AsyncGenerator<LedgerEntry> {
  const { files, directory } = deps;
  const reader = createLeafReader(deps);
  try {
    // Entries' times never go back, and none is before its own wall clock's: whole segments can be left out at the beginning.
    const { sinceMs } = filter;
    const start =
      sinceMs === undefined
        ? undefined
        : findSegment(files, directory, (firstSeq) => timeAt(reader, firstSeq) < sinceMs);
    const header = start === undefined ? undefined : readSegmentHeader(files, directory, start);
    const from = typeof header === 'object' ? header.firstSeq : 0;
    for await (const entry of readOn(reader, from, signal)) if (matches(entry, filter)) yield entry;
  } finally {
    reader.close();
  }
}

/** Entries from `first` to the end of the log as it is now; gives way to other work every so often. */
async function* readOn(reader: LeafReader, first: number, signal: AbortSignal): AsyncGenerator<LedgerEntry> {
  for (let sequence = first; ; sequence++) {
    throwIfAborted(signal);
    const bytes = reader.next(sequence);
    if (!bytes) return;
    yield parseEntry(bytes);
    if (sequence % ENTRIES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

function waitForMore(deps: ReaderDeps, next: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const isMore = () => (deps.lastSequence() ?? Number.POSITIVE_INFINITY) >= next;
    if (signal.aborted) return reject(abortError(signal));
    if (isMore()) return resolve();
    const finish = () => {
      signal.removeEventListener('abort', onAbort);
      unwatch();
    };
    const onAbort = () => {
      finish();
      reject(abortError(signal));
    };
    const unwatch = deps.onMore(() => {
      if (!isMore()) return;
      finish();
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function matches(entry: LedgerEntry, filter: LedgerFilter): boolean {
  const atMs = entry.wallMs ?? entry.timeMs;
  return (
    (filter.kinds?.includes(entry.kind) ?? true) &&
    (filter.actor ?? entry.actor) === entry.actor &&
    (filter.target ?? entry.target) === entry.target &&
    (filter.action ?? entry.action) === entry.action &&
    (filter.session ?? entry.session) === entry.session &&
    (filter.sinceMs ?? atMs) <= atMs &&
    (filter.untilMs ?? atMs) >= atMs
  );
}

/** The last segment in use whose first entry satisfies `holds`, which must hold for all before it too. */
function findSegment(files: LedgerFiles, directory: string, holds: (firstSeq: number) => boolean): number | undefined {
  const indices = listSegments(files, directory);
  let low = 0;
  let high = indices.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const header = readSegmentHeader(files, directory, indices[middle] ?? 0);
    if (typeof header === 'object' && holds(header.firstSeq)) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : indices[low - 1];
}

function timeAt(reader: LeafReader, sequence: number): number {
  const bytes = reader.next(sequence);
  return bytes ? parseEntry(bytes).timeMs : Number.POSITIVE_INFINITY;
}

function readEntry(deps: ReaderDeps, sequence: number): Buffer {
  const reader = createLeafReader(deps);
  try {
    const bytes = isIndex(sequence) ? reader.next(sequence) : undefined;
    if (!bytes) throw new LedgerError('ERR_LEDGER_NOT_FOUND', `there is no entry ${sequence}`);
    return bytes;
  } finally {
    reader.close();
  }
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

const ENTRIES_A_TURN = 512;
