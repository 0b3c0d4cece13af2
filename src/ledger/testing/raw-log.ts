import { formatFrame, leafHash, nodeHash } from '../../wire/tlog/index.ts';
import { type LedgerFiles, writeFully } from '../files.ts';
import { formatSegmentHeader, segmentPath, segmentsDirectory } from '../segments/segment.ts';
import { ORIGIN } from './ledger-fixture.ts';

// A log of many entries that are small and mean nothing, in one segment, for what only hashes them; and all hashes over them, plainly.

/** Writes `count` entries, none of them hashed or signed. */
export function writeRawLog(files: LedgerFiles, directory: string, count: number): void {
  files.makeDirectory(segmentsDirectory(directory));
  const header = formatSegmentHeader({ index: 0, origin: ORIGIN, firstSeq: 0, openFrom: 0 });
  const frames = Array.from({ length: count }, (_, index) => formatFrame(rawEntry(index), 0));
  const file = files.open(segmentPath(directory, 0), 'create');
  writeFully(files, file, Buffer.concat([header, ...frames]), 0);
  files.close(file);
}

/** All hashes over such a log. */
export interface RawHashes {
  /** Those of a level of the tree: one for each 256^`level` entries. */
  readonly level: (level: number) => readonly Buffer[];
  /** The root over the first `size` entries. */
  readonly root: (size: number) => Buffer;
}

/** Makes every hash of every complete subtree. */
export function hashRawLog(count: number): RawHashes {
  const byHeight: Buffer[][] = [Array.from({ length: count }, (_, index) => leafHash(rawEntry(index)))];
  for (let below = byHeight[0]; below && below.length > 1; below = byHeight.at(-1)) {
    const nodes: Buffer[] = [];
    for (let at = 0; at + 1 < below.length; at += 2) nodes.push(nodeHash(below[at] ?? NONE, below[at + 1] ?? NONE));
    byHeight.push(nodes);
  }
  const over = (start: number, size: number): Buffer => {
    const height = Math.floor(Math.log2(size));
    const left = byHeight[height]?.[start / 2 ** height] ?? NONE;
    return size === 2 ** height ? left : nodeHash(left, over(start + 2 ** height, size - 2 ** height));
  };
  return { level: (level) => byHeight[8 * level] ?? [], root: (size) => over(0, size) };
}

function rawEntry(index: number): Buffer {
  return Buffer.from(`entry ${index}`);
}

const NONE = Buffer.alloc(0);
