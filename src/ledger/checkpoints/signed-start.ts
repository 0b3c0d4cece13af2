import { join } from 'node:path';
import { type Log, messageOf } from '../../std/index.ts';
import { type Checkpoint, noteKeyOf, TlogError, verifyCheckpoint } from '../../wire/tlog/index.ts';
import type { CheckpointKeeper, LedgerSigner } from '../contract.ts';
import { LedgerError } from '../errors.ts';
import { type LedgerFiles, readFile } from '../files.ts';
import { NOTE_BYTES_MAX, readLastCheckpoint } from './checkpoint-file.ts';

/** What a start finds signed. */
export interface SignedStart {
  /** Entries that the newest checkpoint in the folder covers; 0 for none. */
  readonly size: number;
  /** The checkpoint kept beside the key, which the folder's has to extend. */
  readonly kept: Checkpoint | undefined;
}

/**
 * The newest checkpoint, by all that tells of it: the file of all, the one beside it, and the one kept with the key. One that this
 * ledger's key did not sign would otherwise be built upon and so made good; a folder that was put back, gone on from.
 * @throws ERR_LEDGER_CORRUPT, ERR_LEDGER_ROLLED_BACK
 */
export async function readSignedStart(deps: {
  readonly files: LedgerFiles;
  readonly log: Log;
  readonly directory: string;
  readonly origin: string;
  readonly signer: LedgerSigner;
  readonly keeper?: CheckpointKeeper;
}): Promise<SignedStart> {
  const { files, directory, keeper } = deps;
  const last = readLastCheckpoint(files, directory);
  const signed = last && verifyOwn(deps, last.note);
  if (signed instanceof Error) {
    const message = `the newest checkpoint can't be continued: ${messageOf(signed)}`;
    throw new LedgerError('ERR_LEDGER_CORRUPT', message, { cause: signed });
  }
  const size = signed?.size ?? 0;
  const beside = readFile(files, join(directory, 'checkpoint'), NOTE_BYTES_MAX)?.toString('utf8');
  const newest = beside === undefined ? undefined : verifyOwn(deps, beside);
  // It is not synced, so a power cut may leave half of it, which says nothing; but it is written behind the file of all.
  if (newest && !(newest instanceof Error) && newest.size > size) {
    const message = `\`checkpoints\` ends with that of ${size} entries, but \`checkpoint\` covers ${newest.size}`;
    throw new LedgerError('ERR_LEDGER_CORRUPT', message);
  }
  const note = await keeper?.read();
  if (note === undefined) {
    if (keeper && size > 0) deps.log.warn('ledger.checkpoint.unkept', { size });
    return { size, kept: undefined };
  }
  const kept = verifyOwn(deps, note);
  if (kept instanceof Error) {
    const message = `the checkpoint kept beside the key is not of this log and key: ${messageOf(kept)}`;
    throw new LedgerError('ERR_LEDGER_ROLLED_BACK', message, { cause: kept });
  }
  if (kept.size <= size) return { size, kept };
  const found = size === 0 ? 'is empty or has lost its checkpoints' : `goes no further than ${size} entries`;
  const message = `${kept.size} entries were signed, as the checkpoint kept beside the key shows, but ${directory} ${found}`;
  throw new LedgerError('ERR_LEDGER_ROLLED_BACK', message);
}

/** The checkpoint in a note by one of the ledger's own keys, or why it is none. */
function verifyOwn(
  deps: { readonly origin: string; readonly signer: LedgerSigner },
  note: string,
): Checkpoint | TlogError {
  const { origin, signer } = deps;
  let refusal = new TlogError('ERR_TLOG_NOTE', 'no key fits');
  for (const publicKey of [signer.publicKey, ...(signer.formerPublicKeys ?? [])]) {
    try {
      return verifyCheckpoint(note, { origin, key: noteKeyOf(signer.name, publicKey) });
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      refusal = error; // Told unless another key fits.
    }
  }
  return refusal;
}
