import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../../private-files/index.ts';
import {
  type ExportedLog,
  type ExportFormat,
  formatManifest,
  linesOf,
  MARK_BYTES,
  markOf,
  parseManifest,
  parseStatement,
} from '../../records/index.ts';
import type { Random } from '../../std/index.ts';
import { createTree, leafHash, parseNote, type Tree } from '../../wire/tlog/index.ts';
import { UsageError } from '../command.ts';

/** The files of an export: a folder that has `manifest.json` is whole, one that has `progress.json` is not. */
export const exportFiles = {
  lines: (directory: string, format: ExportFormat) => join(directory, `records.${format}`),
  marks: (directory: string) => join(directory, 'marks'),
  manifest: (directory: string) => join(directory, 'manifest.json'),
  progress: (directory: string) => join(directory, 'progress.json'),
} as const;

/** Where an export stands: what of its files counts, and where the server goes on. */
interface Progress {
  readonly id: string;
  readonly format: ExportFormat;
  readonly cursor: string | undefined;
  readonly bytes: number;
  readonly lines: number;
  /** Root over those lines, in hexadecimal digits: whether they are still what was written. */
  readonly root: string;
}

/** An export on its way into a folder. Whatever kills it, what was written down last is gone on from. */
export interface ExportFolder {
  readonly id: string;
  readonly format: ExportFormat;
  readonly lines: number;
  /** Where the server goes on. */
  readonly cursor: string | undefined;
  /** Adds lines, and then writes down how far it came, and where it goes on. */
  add(lines: readonly string[], next: string | undefined): Promise<void>;
  /** Puts the manifest beside them, once they are found to be what was signed. @throws UsageError */
  finish(note: string, logs: readonly ExportedLog[]): Promise<void>;
  close(): Promise<void>;
}

/** Begins one in a folder of its own. @throws UsageError */
export async function beginExportFolder(
  directory: string,
  { id, format, random }: { readonly id: string; readonly format: ExportFormat; readonly random: Random },
): Promise<ExportFolder> {
  const progress = { id, format, cursor: undefined, bytes: 0, lines: 0, root: createTree().root().toString('hex') };
  await writeProgress(directory, progress, random);
  return openFolder(directory, { progress, tree: createTree(), random });
}

/** A folder that an export may be put in. @throws UsageError */
export function makeExportFolder(directory: string): void {
  if (existsSync(exportFiles.progress(directory)))
    throw new UsageError(`${directory} has an export that was cut off: go on with --resume, or name another folder`);
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new UsageError(`${directory} is not empty; an export goes into a folder of its own`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Goes on with one that was cut off; undefined: it is whole already. @throws UsageError */
export async function resumeExportFolder(directory: string, random: Random): Promise<ExportFolder | undefined> {
  if (existsSync(exportFiles.manifest(directory))) {
    parseManifest(readFileSync(exportFiles.manifest(directory), 'utf8'));
    await rm(exportFiles.progress(directory), { force: true });
    return undefined;
  }
  if (!existsSync(exportFiles.progress(directory))) throw new UsageError(`${directory} has no export that was cut off`);
  const progress = readProgress(directory);
  const file = exportFiles.lines(directory, progress.format);
  const tree = createTree();
  if (progress.bytes > 0)
    for await (const line of linesOf(createReadStream(file, { end: progress.bytes - 1 }))) tree.append(leafHash(line));
  if (tree.size !== progress.lines || tree.root().toString('hex') !== progress.root)
    throw new UsageError(`${file} is not what was written there; begin anew in another folder`);
  return openFolder(directory, { progress, tree, random });
}

async function openFolder(
  directory: string,
  { progress, tree, random }: { progress: Progress; tree: Tree; random: Random },
): Promise<ExportFolder> {
  const { id, format } = progress;
  const data = await openAt(exportFiles.lines(directory, format), progress.bytes);
  const marks = await openAt(exportFiles.marks(directory), progress.lines * MARK_BYTES);
  let { bytes, cursor } = progress;
  const write = async (file: FileHandle, piece: Buffer, position: number) => {
    for (let at = 0; at < piece.length; )
      at += (await file.write(piece, at, piece.length - at, position + at)).bytesWritten;
  };
  return {
    ...{ id, format },
    get lines() {
      return tree.size;
    },
    get cursor() {
      return cursor;
    },
    async add(lines, next) {
      const pieces = lines.map((line) => Buffer.from(line));
      const before = tree.size;
      for (const piece of pieces) tree.append(leafHash(piece));
      const all = Buffer.concat(pieces);
      await write(data, all, bytes);
      await write(marks, Buffer.concat(pieces.map(markOf)), before * MARK_BYTES);
      bytes += all.length;
      cursor = next;
      if (next === undefined) return;
      const now = { id, format, cursor, bytes, lines: tree.size, root: tree.root().toString('hex') };
      await writeProgress(directory, now, random);
    },
    async finish(note, logs) {
      const { lines, root } = parseStatement(parseNote(note).text);
      if (lines !== tree.size || !root.equals(tree.root()))
        throw new UsageError(`${directory} has not the lines that the server has signed; begin anew in another folder`);
      await data.sync();
      await marks.sync();
      await writePrivateFile(exportFiles.manifest(directory), Buffer.from(formatManifest(note, logs)), random);
      await rm(exportFiles.progress(directory), { force: true });
    },
    async close() {
      await data.close();
      await marks.close();
    },
  };
}

/** What is behind that length was not written down, and is given up. */
async function openAt(path: string, length: number): Promise<FileHandle> {
  const file = await open(path, existsSync(path) ? 'r+' : 'w+', 0o600);
  await file.truncate(length);
  return file;
}

function writeProgress(directory: string, progress: Progress, random: Random): Promise<void> {
  return writePrivateFile(exportFiles.progress(directory), Buffer.from(`${JSON.stringify(progress)}\n`), random);
}

/** @throws UsageError */
function readProgress(directory: string): Progress {
  const path = exportFiles.progress(directory);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UsageError(`${path} can not be read; begin anew in another folder`, { cause });
  }
  const { id, format, cursor, bytes, lines, root }: Record<string, unknown> =
    typeof value === 'object' && value !== null ? { ...value } : {};
  const isCount = (count: unknown): count is number =>
    typeof count === 'number' && Number.isSafeInteger(count) && count >= 0;
  const isRight = typeof id === 'string' && (format === 'jsonl' || format === 'csv') && typeof root === 'string';
  if (!isRight || !isCount(bytes) || !isCount(lines) || !(cursor === undefined || typeof cursor === 'string'))
    throw new UsageError(`${path} is not what was written there; begin anew in another folder`);
  return { id, format, cursor, bytes, lines, root };
}
