import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../../private-files/index.ts';
import { codeOf, throwIfAborted } from '../../../std/index.ts';
import type { Sink } from '../../sink.ts';

/** Creates the sink; opens nothing yet. */
export function createFileSink(of: { readonly path: string; readonly bytesMax: number; readonly keep: number }): Sink {
  let file: OpenFile | undefined;
  const close = async () => {
    const before = file;
    file = undefined;
    await before?.handle.close();
  };
  /** The file that has this name now: another may have been put there, or it was moved away. */
  const current = async (): Promise<OpenFile> => {
    if (file !== undefined && !(await isStillThere(of.path, file))) await close();
    file ??= await openFile(of.path);
    return file;
  };
  return {
    async send(items, { signal }) {
      throwIfAborted(signal);
      const bytes = Buffer.from(items.map(({ json }) => `${json}\n`).join(''));
      try {
        let { handle } = await current();
        let { size } = await handle.stat();
        if (of.keep > 0 && size > 0 && size + bytes.length > of.bytesMax) {
          await close();
          await rotate(of.path, of.keep);
          ({ handle } = await current());
          size = 0;
        }
        await append(handle, bytes, size);
        return { kind: 'taken' };
      } catch (error) {
        await close().catch(() => {}); // Opened anew the next time; why is what counts.
        return { kind: 'away', reason: reasonOf(error, of.path) };
      }
    },
    close,
  };
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly device: number;
  readonly inode: number;
}

/** Opened first and looked at through the descriptor: what was swapped in between is what was looked at. A pipe must not hold us up. */
async function openFile(path: string): Promise<OpenFile> {
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error(`${path} is not a plain file`);
    if (found.uid !== process.geteuid?.()) throw new Error(`${path} belongs to uid ${found.uid}`);
    if ((found.mode & 0o077) !== 0) throw new Error(`${path} may be read by others; chmod 600 it`);
    await cutTorn(handle, found.size);
    await syncFolder(dirname(path));
    return { handle, device: found.dev, inode: found.ino };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** What a crash has left of a line goes: it was not taken, and comes again. */
async function cutTorn(handle: FileHandle, size: number): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await handle.read(chunk, 0, end - from, from);
    const at = chunk.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (at >= 0 || from === 0) {
      const whole = at < 0 ? 0 : from + at + 1;
      if (whole < size) await handle.truncate(whole);
      return;
    }
    end = from;
  }
}

/** All of it and on disk, or none of it. */
async function append(handle: FileHandle, bytes: Buffer, size: number): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
    await handle.datasync();
  } catch (error) {
    // What is left of a line where that fails is cut off when it is opened again. Never longer than it is: something else may have cut it off.
    await handle
      .stat()
      .then((now) => (now.size > size ? handle.truncate(size) : undefined))
      .catch(() => {});
    throw error;
  }
}

/** From the oldest on, so that a crash in between loses none that is to be kept. */
async function rotate(path: string, keep: number): Promise<void> {
  for (let n = keep - 1; n >= 0; n--) {
    const from = n === 0 ? path : `${path}.${n}`;
    try {
      await rename(from, `${path}.${n + 1}`);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  await syncFolder(dirname(path));
}

async function isStillThere(path: string, { device, inode }: OpenFile): Promise<boolean> {
  try {
    const found = await stat(path);
    return found.dev === device && found.ino === inode;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function reasonOf(error: unknown, path: string): string {
  const code = codeOf(error);
  if (code === undefined) return error instanceof Error ? error.message : `${path} can't be written`;
  return `${path} can't be written (${code})`;
}

const CHUNK_BYTES = 64 * 1024;
