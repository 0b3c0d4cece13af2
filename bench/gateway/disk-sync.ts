/** What the disk itself takes: one entry written into a file that already has its blocks, and synced. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { percentile } from '../harness.ts';

/** Median time of write and fdatasync in that folder, in microseconds. */
export function rawSyncUs(folder: string): number {
  const file = path.join(folder, `raw-sync-${process.hrtime.bigint()}`);
  const fd = fs.openSync(file, 'wx', 0o600);
  try {
    fs.writeSync(fd, Buffer.alloc(SYNCS * ENTRY_BYTES));
    fs.fsyncSync(fd);
    const entry = Buffer.alloc(ENTRY_BYTES, 'x');
    const took = Array.from({ length: SYNCS }, (_, i) => {
      const began = performance.now();
      fs.writeSync(fd, entry, 0, ENTRY_BYTES, i * ENTRY_BYTES);
      fs.fdatasyncSync(fd);
      return (performance.now() - began) * 1000;
    });
    return percentile(took, 0.5);
  } finally {
    fs.closeSync(fd);
    fs.rmSync(file);
  }
}

const SYNCS = 300;
const ENTRY_BYTES = 700;
