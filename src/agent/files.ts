import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, type Random } from '../std/index.ts';
import { AgentError } from './errors.ts';

/**
 * Makes the folder with mode 0700 when it is missing and checks that nobody else may look into it.
 * @throws AgentError ERR_AGENT_STATE
 */
export async function openPrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stat = await lstat(path);
  if (!stat.isDirectory()) throw new AgentError('ERR_AGENT_STATE', `${path} is not a folder`);
  if (stat.uid !== ownUid()) throw new AgentError('ERR_AGENT_STATE', `${path} belongs to uid ${stat.uid}, not to us`);
  if ((stat.mode & 0o077) !== 0) {
    throw new AgentError('ERR_AGENT_STATE', `${path} has mode ${octal(stat.mode)}; only 0700 is safe`);
  }
}

/**
 * Reads a file that only we may read; undefined when there is none.
 * @throws AgentError ERR_AGENT_STATE when it is a link, foreign, readable by others or too large
 */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new AgentError('ERR_AGENT_STATE', `${path} can not be opened`, { cause: error });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.uid !== ownUid() || (stat.mode & 0o077) !== 0) {
      throw new AgentError('ERR_AGENT_STATE', `${path} must be a plain file of ours with mode 0600`);
    }
    if (stat.size > FILE_BYTES_MAX) {
      throw new AgentError('ERR_AGENT_STATE', `${path} has ${stat.size} bytes; at most ${FILE_BYTES_MAX} are read`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Replaces a file so that a crash leaves the old or the new content, whole and on disk: never a part. */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  options: { mode: number; random: Random },
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${options.random.bytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, options.mode);
  try {
    await file.chmod(options.mode); // The umask may have taken bits away.
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {}); // Closed already, or lost with the error that is thrown below.
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Removes a file for good, when there is one. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ownUid(): number {
  return process.getuid?.() ?? -1;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** 10,000 SVIDs with chains and keys take about 25 MB; what is larger is no file of ours. */
const FILE_BYTES_MAX = 128 * 1024 * 1024;
