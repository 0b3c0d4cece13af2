import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import {
  cosignatureKeyOf,
  cosignedText,
  formatCosignature,
  formatNote,
  type NoteKey,
  noteKeyOf,
  parseNote,
} from '../../wire/tlog/index.ts';

/** Signs tree heads that were found consistent with all that was seen of their log before. */
export interface Witness {
  readonly key: NoteKey;
  /** The note with the signature of its log and this witness's, and no other: what a shipper adds to it is not repeated. */
  cosign(note: string, log: NoteKey, timeMs: number): string;
  /** A note of that text with its plain signature: by the same key pair, under the same name. What it signs so is never a log's. */
  sign(text: string): string;
}

/** A witness whose private key (Ed25519) is in this process. */
export function createWitness(name: string, privateKey: KeyObject): Witness {
  const key = cosignatureKeyOf(name, createPublicKey(privateKey));
  const plain = noteKeyOf(name, createPublicKey(privateKey));
  return {
    key,
    sign: (text) => formatNote(text, plain, sign(null, Buffer.from(text), privateKey)),
    cosign(note, log, timeMs) {
      const { text, signatures } = parseNote(note);
      const own = signatures.find(({ name, id }) => name === log.name && id === log.id);
      const cosignature = { timeS: Math.floor(timeMs / 1000) };
      const line = formatCosignature(key, cosignature, sign(null, cosignedText(text, cosignature), privateKey));
      return `${formatNote(text, log, own?.signature ?? Buffer.alloc(0))}${line}`;
    },
  };
}
