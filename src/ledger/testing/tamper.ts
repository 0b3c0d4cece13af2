import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatFrame, parseFrame } from '../../wire/tlog/index.ts';
import { createDiskFiles } from '../files.ts';
import { createLedger } from '../index.ts';
import { formatSegmentHeader, listSegments, segmentPath } from '../segments/segment.ts';
import { createTreeWriter } from '../tree/tree-writer.ts';
import { never, ORIGIN, operation, realDeps } from './ledger-fixture.ts';

// What someone with write access to a ledger's folder can do to it.

/** A finished log: a start entry, `operations` times two entries and a stop entry in each of so many rounds, each round signed at its end. */
export async function buildLog(directory: string, rounds: number, operations: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const ledger = createLedger(realDeps(directory));
    await ledger.start(never);
    for (let i = 0; i < operations; i++) {
      ledger.appendAll(operation(round * operations + i));
      if (i % 20 === 0) await ledger.synced(ledger.sequence);
    }
    await ledger.stop();
  }
}

/** Every entry's bytes, in order. */
export function readPayloads(directory: string): Buffer[] {
  const payloads: Buffer[] = [];
  for (const index of listSegments(createDiskFiles(), directory)) {
    const bytes = readFileSync(segmentPath(directory, index));
    let isHeader = true;
    for (let frame = parseFrame(bytes, 0); frame.kind === 'frame'; frame = parseFrame(bytes, frame.end)) {
      if (!isHeader) payloads.push(frame.payload);
      isHeader = false;
    }
  }
  return payloads;
}

/** Writes the log anew with other entries, every checksum and header right. */
export function rewriteLog(directory: string, edit: (payloads: Buffer[]) => Buffer[]): void {
  const payloads = edit(readPayloads(directory));
  let next = 0;
  for (const index of listSegments(createDiskFiles(), directory)) {
    const path = segmentPath(directory, index);
    const bytes = Buffer.alloc(readFileSync(path).length);
    let at = 0;
    if (next < payloads.length) {
      const header = formatSegmentHeader({ index, origin: ORIGIN, firstSeq: next, openFrom: next });
      at += header.copy(bytes, at);
      for (
        let payload = payloads[next];
        payload && at + payload.length + 12 <= bytes.length;
        payload = payloads[next]
      ) {
        at += formatFrame(payload, 0).copy(bytes, at);
        next++;
      }
    }
    writeFileSync(path, bytes);
  }
}

/** Makes the tiles those of the entries as they now are; the signed checkpoints stay. */
export async function rewriteTiles(directory: string): Promise<void> {
  const checkpoints = join(directory, 'checkpoints');
  const kept = readFileSync(checkpoints);
  const newest = readFileSync(join(directory, 'checkpoint'), 'utf8');
  rmSync(checkpoints);
  rmSync(join(directory, 'tile'), { recursive: true });
  const writer = createTreeWriter({ files: createDiskFiles(), directory });
  await writer.open();
  await writer.advance(readPayloads(directory).length);
  await writer.publish(newest);
  await writer.close();
  writeFileSync(checkpoints, kept);
}

/** The same entry with another number. */
export function renumber(payload: Buffer, sequence: number): Buffer {
  return Buffer.from(payload.toString('utf8').replace(/"seq":\d+/, `"seq":${sequence}`));
}

/** The same entry with another actor. */
export function forge(payload: Buffer): Buffer {
  return Buffer.from(payload.toString('utf8').replace('example.org/payments', 'example.org/innocent'));
}

/** A copy of a log's folder. */
export function copyLog(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
}
