import { readPrivateFile, writePrivateFile } from '../private-files/index.ts';
import type { Random } from '../std/index.ts';
import { AgentError } from './errors.ts';

/** Seals and opens bytes with a key of its own; `context` names what they are, so that one file can't pass for another. */
export interface Sealer {
  seal(plaintext: Buffer, context: string): Buffer;
  /** Throws when the bytes were not sealed with this key and context. */
  open(sealed: Buffer, context: string): Buffer;
}

/**
 * Reads a value from a sealed file; undefined when there is none. What opens was written by us with this key and context, so it
 * has the shape that this version of the context had.
 * @throws AgentError ERR_AGENT_STATE (does not open), PrivateFileError
 */
export async function readSealed<T>(options: {
  path: string;
  context: string;
  sealer: Sealer;
}): Promise<T | undefined> {
  const { path, context, sealer } = options;
  const sealed = await readPrivateFile(path, { bytesMax: SEALED_BYTES_MAX });
  if (sealed === undefined) return undefined;
  try {
    // Authenticated above all: only `writeSealed` with the same context makes bytes that open.
    return JSON.parse(sealer.open(sealed, context).toString('utf8')) as T;
  } catch (cause) {
    throw new AgentError('ERR_AGENT_STATE', `${path} does not open: another key or passphrase, or an edited file`, {
      cause,
    });
  }
}

/** Replaces a sealed file, whole or not at all. @throws PrivateFileError ERR_PRIVATE_FILE_IO */
export async function writeSealed(options: {
  path: string;
  context: string;
  sealer: Sealer;
  random: Random;
  value: unknown;
}): Promise<void> {
  const { path, context, sealer, random, value } = options;
  const sealed = sealer.seal(Buffer.from(JSON.stringify(value), 'utf8'), context);
  await writePrivateFile(path, sealed, random);
}

/** 10,000 SVIDs with chains and keys take about 25 MB; what is larger is no file of ours. */
const SEALED_BYTES_MAX = 128 * 1024 * 1024;
