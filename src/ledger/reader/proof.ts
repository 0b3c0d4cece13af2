import {
  type Checkpoint,
  formatInclusionText,
  leafHash,
  type NoteKey,
  parseInclusionText,
  TlogError,
  verifyCheckpoint,
  verifyInclusion,
} from '../../wire/tlog/index.ts';
import type { LedgerEntry, LedgerProof } from '../contract.ts';
import { parseEntry } from '../entry.ts';
import { LedgerError } from '../errors.ts';

/** A proof file from its parts. */
export function formatProof(parts: {
  readonly entry: Buffer;
  readonly index: number;
  readonly hashes: readonly Buffer[];
  readonly checkpoint: string;
}): LedgerProof {
  const proof = formatInclusionText({ index: parts.index, proof: parts.hashes, checkpoint: parts.checkpoint });
  return { format: 'countersign-ledger-proof/1', entry: parts.entry.toString('utf8'), proof };
}

/** Reads a proof file's JSON. Nothing in it is proven by that. @throws ERR_LEDGER_PROOF_INVALID */
export function parseProof(text: string): LedgerProof {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LedgerError('ERR_LEDGER_PROOF_INVALID', 'a proof file is JSON', { cause });
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    !('format' in value) ||
    !('entry' in value) ||
    !('proof' in value)
  ) {
    throw new LedgerError('ERR_LEDGER_PROOF_INVALID', 'a proof file holds format, entry and proof');
  }
  const { format, entry, proof } = value;
  if (format !== 'countersign-ledger-proof/1' || typeof entry !== 'string' || typeof proof !== 'string') {
    throw new LedgerError('ERR_LEDGER_PROOF_INVALID', 'a proof file has the format countersign-ledger-proof/1');
  }
  return { format, entry, proof };
}

/**
 * Shows, with nothing but the log's name and public key, that a proof's entry stands in that log, and returns the entry.
 * @throws ERR_LEDGER_PROOF_INVALID
 */
export function verifyProof(
  proof: LedgerProof,
  expected: { readonly origin: string; readonly key: NoteKey },
): { readonly entry: LedgerEntry; readonly checkpoint: Checkpoint } {
  try {
    const checkpoint = verifyCheckpoint(parseInclusionText(proof.proof).checkpoint, expected);
    return { entry: verifyProofAgainst(proof, checkpoint), checkpoint };
  } catch (cause) {
    if (cause instanceof TlogError) throw new LedgerError('ERR_LEDGER_PROOF_INVALID', cause.message, { cause });
    throw cause;
  }
}

/** As {@link verifyProof}, for a tree head that is trusted already. @throws ERR_LEDGER_PROOF_INVALID */
export function verifyProofAgainst(proof: LedgerProof, head: Checkpoint): LedgerEntry {
  try {
    const bytes = Buffer.from(proof.entry, 'utf8');
    const path = parseInclusionText(proof.proof);
    verifyInclusion({ index: path.index, leaf: leafHash(bytes), size: head.size, root: head.root, proof: path.proof });
    const entry = parseEntry(bytes);
    if (entry.seq !== path.index) {
      throw new LedgerError('ERR_LEDGER_PROOF_INVALID', `entry ${entry.seq} stands at place ${path.index} of the log`);
    }
    return entry;
  } catch (cause) {
    if (cause instanceof TlogError || (cause instanceof LedgerError && cause.code === 'ERR_LEDGER_CORRUPT')) {
      throw new LedgerError('ERR_LEDGER_PROOF_INVALID', cause.message, { cause });
    }
    throw cause;
  }
}
