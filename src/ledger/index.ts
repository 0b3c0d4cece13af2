/**
 * The ledger: an append-only, tamper-evident log of what was asked, decided and done.
 *
 * It promises that an entry accepted by `append` survives the process, that one told `synced` survives the machine, that an
 * admitted intent always has room for its outcome, and that whoever holds the public key can find out offline whether an entry
 * was changed, dropped, inserted or moved. It must not know who writes to it, what a protocol or a policy is, or any secret.
 *
 * Its folders:
 * - `segments/` the log itself: written, synced, read and cut off where it was torn
 * - `checkpoints/` tree heads, signed and kept
 * - `tree/` the Merkle tree over the segments, in packed tiles
 * - `reader/` entries, proofs and copies for others
 * - `verify/` whether a folder is what was written, and where it first is not
 */

export { createSigner, openSignerFile } from './checkpoints/signer.ts';
export type {
  CheckpointKeeper,
  LedgerEntry,
  LedgerFilter,
  LedgerHealth,
  LedgerOptions,
  LedgerProof,
  LedgerReader,
  LedgerSigner,
  LedgerState,
  LedgerWatch,
  LedgerWriter,
} from './contract.ts';
export { OUTCOME_BYTES_MAX } from './contract.ts';
export { objectIn, operationKey, parseEntry } from './entry.ts';
export { errorTable, LedgerError } from './errors.ts';
export { createLedger, type LedgerDeps } from './ledger.ts';
export { copyLedger } from './reader/copy.ts';
export { createDirectoryReader } from './reader/directory-reader.ts';
export { formatProof, parseProof, verifyProof } from './reader/proof.ts';
export { createLedgerSource, type LedgerSource, type SizedCheckpoint } from './reader/source.ts';
export { createShippingBound, type ShippingBound } from './shipping-bound.ts';
export { type VerifyFinding, type VerifyOptions, type VerifyReport, verifyLedger } from './verify/verify.ts';
