import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { assert, sha256 } from '../../std/index.ts';
import { TlogError } from './errors.ts';

/** An Ed25519 key that signs notes, under its name. @see C2SP signed-note */
export interface NoteKey {
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key), big-endian. */
  readonly id: number;
  readonly publicKey: KeyObject;
}

/** One signature line: key name, key ID, the rest of the signature's bytes. */
export interface NoteSignature {
  readonly name: string;
  readonly id: number;
  readonly signature: Buffer;
}

/** A note taken apart; nothing in `text` may be believed before {@link verifyNote}. */
export interface Note {
  /** With its final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** The note key of an Ed25519 public key. @throws ERR_TLOG_NOTE for another kind of key or a name with a space, a plus or a control character */
export function noteKeyOf(name: string, publicKey: KeyObject): NoteKey {
  return { name: checkName(name), id: keyId(name, rawPublicKey(publicKey)), publicKey };
}

/** The verifier key as text: `name+keyid+base64(0x01 ‖ public key)`. */
export function formatVerifierKey(key: NoteKey): string {
  const encoded = Buffer.concat([ED25519_TYPE, rawPublicKey(key.publicKey)]).toString('base64');
  return `${key.name}+${key.id.toString(16).padStart(8, '0')}+${encoded}`;
}

/** Reads what {@link formatVerifierKey} writes. @throws ERR_TLOG_NOTE */
export function parseVerifierKey(text: string): NoteKey {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const bytes = decodeBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== 1) {
    throw new TlogError(
      'ERR_TLOG_NOTE',
      'a verifier key is name+8 hex digits+base64 of 0x01 and an Ed25519 public key',
    );
  }
  const raw = bytes.subarray(1);
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
  const key = noteKeyOf(name, publicKey);
  if (key.id !== Number.parseInt(id, 16)) {
    throw new TlogError(
      'ERR_TLOG_NOTE',
      `the verifier key of ${name} has key ID ${id}, which is not that of its public key`,
    );
  }
  return key;
}

/** A note with one signature line. `signature` is the plain Ed25519 signature of `text`'s UTF-8 bytes. @throws ERR_TLOG_NOTE */
export function formatNote(text: string, key: NoteKey, signature: Uint8Array): string {
  checkText(text);
  return `${text}\n${formatSignature({ name: key.name, id: key.id, signature: Buffer.from(signature) })}`;
}

/** One signature line with its newline, to append to a note: how a witness countersigns. */
export function formatSignature(signature: NoteSignature): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(signature.id);
  return `${DASH}${checkName(signature.name)} ${Buffer.concat([id, signature.signature]).toString('base64')}\n`;
}

/** Takes a note apart. @throws ERR_TLOG_NOTE */
export function parseNote(note: string): Note {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX)
    throw new TlogError('ERR_TLOG_NOTE', `a note is over ${NOTE_BYTES_MAX} bytes`);
  // The last empty line separates text and signatures, so the text may hold others.
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw new TlogError('ERR_TLOG_NOTE', 'a note has no signature lines');
  const text = checkText(note.slice(0, split + 1));
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX)
    throw new TlogError('ERR_TLOG_NOTE', `a note has over ${SIGNATURES_MAX} signatures`);
  return { text, signatures: lines.map(parseSignature) };
}

/** Takes a note apart and checks it against one key: at least one signature of that key, and none of them wrong. @throws ERR_TLOG_NOTE */
export function verifyNote(note: string, key: NoteKey): Note {
  const parsed = parseNote(note);
  let good = 0;
  for (const line of parsed.signatures) {
    // Lines of other keys are ignored, even when the name or the ID alone is the same.
    if (line.name !== key.name || line.id !== key.id) continue;
    if (!verify(null, Buffer.from(parsed.text, 'utf8'), key.publicKey, line.signature)) {
      throw new TlogError('ERR_TLOG_NOTE', `the signature of ${key.name} does not verify`);
    }
    good++;
  }
  if (good === 0) throw new TlogError('ERR_TLOG_NOTE', `the note is not signed by ${key.name}`);
  return parsed;
}

/** Decodes standard base64 in its one spelling; undefined otherwise. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function parseSignature(line: string): NoteSignature {
  const [name = '', encoded = '', ...rest] = line.startsWith(DASH) ? line.slice(DASH.length).split(' ') : [];
  const bytes = decodeBase64(encoded);
  if (!bytes || bytes.length < 5 || rest.length > 0)
    throw new TlogError('ERR_TLOG_NOTE', 'a signature line is malformed');
  return { name: checkName(name), id: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

function checkText(text: string): string {
  if (!text.endsWith('\n') || !text.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(text)) {
    throw new TlogError('ERR_TLOG_NOTE', 'the text of a note ends in a newline and holds no other control character');
  }
  return text;
}

/** @throws ERR_TLOG_NOTE for what can't be the name of a key */
export function checkName(name: string): string {
  if (name.length === 0 || name.length > NAME_LENGTH_MAX || /[\s+\p{Z}\p{C}]/u.test(name)) {
    throw new TlogError('ERR_TLOG_NOTE', `a key name has 1 to ${NAME_LENGTH_MAX} characters, no space, no plus sign`);
  }
  return name;
}

/** The id of a key of that signature type: the first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key). */
export function keyId(name: string, raw: Buffer, type: Buffer = ED25519_TYPE): number {
  return sha256(Buffer.from(`${name}\n`, 'utf8'), type, raw).readUInt32BE(0);
}

/** The 32 bytes of an Ed25519 public key. @throws ERR_TLOG_NOTE for another kind of key */
export function rawPublicKey(key: KeyObject): Buffer {
  if (key.type !== 'public' || key.asymmetricKeyType !== 'ed25519') {
    throw new TlogError(
      'ERR_TLOG_NOTE',
      `a note key is an Ed25519 public key, not ${key.asymmetricKeyType ?? key.type}`,
    );
  }
  const { x } = key.export({ format: 'jwk' });
  assert(x, 'an Ed25519 public key exports its point');
  return Buffer.from(x, 'base64url');
}

/** Signature type byte of plain Ed25519. */
const ED25519_TYPE = Buffer.from([1]);
const DASH = '\u2014 ';
const NAME_LENGTH_MAX = 255;
/** The specification asks for at least 16. */
const SIGNATURES_MAX = 32;
/** 32 signatures, some of them post-quantum (5 kB each), and a small text. */
const NOTE_BYTES_MAX = 256 * 1024;
