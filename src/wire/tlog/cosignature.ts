import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { assert } from '../../std/index.ts';
import { TlogError } from './errors.ts';
import { checkName, decodeBase64, formatSignature, keyId, type NoteKey, parseNote, rawPublicKey } from './note.ts';

/** What a witness says by its signature: that it saw this tree head consistent with all it saw before, at that time. */
export interface Cosignature {
  /** Epoch seconds. */
  readonly timeS: number;
}

/** The key of a witness: its id is not that of the same public key in a plain note. @throws ERR_TLOG_NOTE @see C2SP tlog-cosignature */
export function cosignatureKeyOf(name: string, publicKey: KeyObject): NoteKey {
  return { name: checkName(name), id: keyId(name, rawPublicKey(publicKey), COSIGNATURE_TYPE), publicKey };
}

/** The verifier key of a witness as text: `name+keyid+base64(0x04 ‖ public key)`. */
export function formatWitnessKey(key: NoteKey): string {
  const encoded = Buffer.concat([COSIGNATURE_TYPE, rawPublicKey(key.publicKey)]).toString('base64');
  return `${key.name}+${key.id.toString(16).padStart(8, '0')}+${encoded}`;
}

/** Reads what {@link formatWitnessKey} writes. @throws ERR_TLOG_NOTE */
export function parseWitnessKey(text: string): NoteKey {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const bytes = decodeBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== COSIGNATURE_TYPE[0]) {
    throw new TlogError('ERR_TLOG_NOTE', 'the key of a witness is name+8 hex digits+base64 of 0x04 and a public key');
  }
  const x = bytes.subarray(1).toString('base64url');
  const key = cosignatureKeyOf(name, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }));
  if (key.id !== Number.parseInt(id, 16)) {
    throw new TlogError('ERR_TLOG_NOTE', `the key of ${name} has key ID ${id}, which is not that of its public key`);
  }
  return key;
}

/** The bytes that a witness signs, of the text of a checkpoint. */
export function cosignedText(text: string, { timeS }: Cosignature): Buffer {
  assert(Number.isSafeInteger(timeS) && timeS >= 0, 'a time is whole seconds');
  return Buffer.from(`cosignature/v1\ntime ${timeS}\n${text}`, 'utf8');
}

/** The signature line to append to the note; `signature` is the plain Ed25519 signature of {@link cosignedText}. */
export function formatCosignature(key: NoteKey, cosignature: Cosignature, signature: Uint8Array): string {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(cosignature.timeS));
  return formatSignature({ name: key.name, id: key.id, signature: Buffer.concat([time, signature]) });
}

/** The newest cosignature of that witness under a note. @throws ERR_TLOG_NOTE when there is none, or one does not verify */
export function verifyCosignature(note: string, key: NoteKey): Cosignature {
  const { text, signatures } = parseNote(note);
  let newest = -1;
  for (const line of signatures) {
    if (line.name !== key.name || line.id !== key.id) continue;
    const time = line.signature.length > TIME_BYTES ? Number(line.signature.readBigUInt64BE(0)) : -1;
    const isGood =
      Number.isSafeInteger(time) &&
      time >= 0 &&
      verify(null, cosignedText(text, { timeS: time }), key.publicKey, line.signature.subarray(TIME_BYTES));
    if (!isGood) throw new TlogError('ERR_TLOG_NOTE', `the cosignature of ${key.name} does not verify`);
    newest = Math.max(newest, time);
  }
  if (newest < 0) throw new TlogError('ERR_TLOG_NOTE', `the note is not cosigned by ${key.name}`);
  return { timeS: newest };
}

/** Signature type byte of timestamped Ed25519 cosignatures. */
const COSIGNATURE_TYPE = Buffer.from([4]);
const TIME_BYTES = 8;
