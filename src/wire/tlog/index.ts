/**
 * Codecs of transparency logs: canonical JSON (RFC 8785), segment frames, Merkle trees and proofs (RFC 6962), signed notes,
 * checkpoints, tiles and proof texts (C2SP).
 *
 * It promises that bytes have one reading and values one spelling, so that a hash over them means something, and that anything
 * else ends in a `TlogError`. It must not know what an entry says, where it is stored, or what time it is.
 */
export { formatCanonicalJson, type JsonValue, parseCanonicalJson } from './canonical-json.ts';
export { type Checkpoint, formatCheckpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';
export {
  type Cosignature,
  cosignatureKeyOf,
  cosignedText,
  formatCosignature,
  formatWitnessKey,
  parseWitnessKey,
  verifyCosignature,
} from './cosignature.ts';
export { errorTable, TlogError } from './errors.ts';
export {
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES_MAX,
  type Frame,
  formatFrame,
  parseFrame,
  writeFrameHeader,
} from './frame.ts';
export { formatInclusionText, type InclusionText, parseInclusionText } from './inclusion-text.ts';
export {
  completeNodes,
  createTree,
  emptyRoot,
  HASH_BYTES,
  leafHash,
  nodeHash,
  type Tree,
  type TreeNode,
} from './merkle.ts';
export {
  decodeBase64,
  formatNote,
  formatSignature,
  formatVerifierKey,
  type Note,
  type NoteKey,
  type NoteSignature,
  noteKeyOf,
  parseNote,
  parseVerifierKey,
  verifyNote,
} from './note.ts';
export {
  evaluatePlan,
  type ProofPlan,
  planConsistency,
  planInclusion,
  verifyConsistency,
  verifyInclusion,
} from './proof.ts';
export {
  hashesAt,
  parseTile,
  rootInTile,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TilePlace,
  tileOf,
  tilePath,
  tilesAt,
} from './tile.ts';
