import { TlogError } from './errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { decodeBase64 } from './note.ts';

/** The parts of a C2SP tlog-proof: which leaf, its inclusion path, the signed checkpoint. */
export interface InclusionText {
  readonly index: number;
  readonly proof: readonly Buffer[];
  readonly checkpoint: string;
}

/** Writes a C2SP tlog-proof. @see C2SP tlog-proof */
export function formatInclusionText(parts: InclusionText): string {
  const hashes = parts.proof.map((hash) => `${hash.toString('base64')}\n`).join('');
  return `${FIRST_LINE}\nindex ${parts.index}\n${hashes}\n${parts.checkpoint}`;
}

/** Reads a C2SP tlog-proof; an `extra` line is allowed and ignored, for nothing vouches for it. @throws ERR_TLOG_PROOF */
export function parseInclusionText(text: string): InclusionText {
  const split = text.indexOf('\n\n');
  const lines = split < 0 ? [] : text.slice(0, split).split('\n');
  if (lines.shift() !== FIRST_LINE) throw new TlogError('ERR_TLOG_PROOF', `a proof begins with ${FIRST_LINE}`);
  if (lines[0]?.startsWith('extra ')) lines.shift();
  const [, digits = ''] = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '') ?? [];
  const index = Number(digits);
  if (digits === '' || !Number.isSafeInteger(index))
    throw new TlogError('ERR_TLOG_PROOF', 'a proof names the index of its leaf');
  if (lines.length > PATH_LENGTH_MAX)
    throw new TlogError('ERR_TLOG_PROOF', `a path has at most ${PATH_LENGTH_MAX} hashes`);
  const proof = lines.map((line) => {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES) throw new TlogError('ERR_TLOG_PROOF', 'a line of the path is 32 bytes in base64');
    return hash;
  });
  return { index, proof, checkpoint: text.slice(split + 2) };
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** Levels of the largest tree: sizes stay below 2^53. */
const PATH_LENGTH_MAX = 53;
