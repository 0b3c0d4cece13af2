import { hash } from 'node:crypto';
import type { Content } from '../../model/index.ts';
import { assert, type Secret } from '../../std/index.ts';

/** Makes digests of content: equal content has equal ones under one key, and nobody without the key can try out what it was. */
export interface ContentDigester {
  /** Eight characters that tell this key from others, and tell nothing of it. */
  readonly keyId: string;
  /** `KEY:DIGEST`: the key's id, and the HMAC-SHA-256 in Base64url. */
  digest(content: Content): string;
}

/**
 * Creates one. `key`: 32 bytes. What the HMAC is over can be read in one way only: the text's length in bytes, its UTF-8, the number of values, and of
 * each its format (two bytes), its length and its bytes; of one that is null the format 0 and the length -1. Numbers have four bytes, the highest
 * first (decision 0039).
 */
export function createContentDigester(key: Secret): ContentDigester {
  assert(key.reveal().length === KEY_BYTES, `a key of content digests has ${KEY_BYTES} bytes`);
  const inner = padded(key, 0x36, SCRATCH_BYTES);
  const outer = padded(key, 0x5c, BLOCK_BYTES + HASH_BYTES);
  /** RFC 2104 in two calls of `hash`: `createHmac` takes ten times as long. The message stands in `input` behind a block that the key is in. */
  const hmac = (input: Buffer, end: number): string => {
    outer.write(hash('sha256', input.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', outer, 'base64url');
  };
  const keyId = hmac(inner, BLOCK_BYTES + inner.write(KEY_ID_OF, BLOCK_BYTES, 'latin1')).slice(0, KEY_ID_CHARACTERS);
  const prefix = `${keyId}:`;
  return {
    keyId,
    digest(content) {
      const { length } = content.text;
      const isShort = BLOCK_BYTES + framedBytes(content, length * UTF8_BYTES_MAX) <= SCRATCH_BYTES;
      const input = isShort
        ? inner
        : padded(key, 0x36, BLOCK_BYTES + framedBytes(content, Buffer.byteLength(content.text)));
      return prefix + hmac(input, writeFramed(input, content));
    },
  };
}

/** The id of the key that made it; undefined for a digest of another form, such as those without a key, of before. */
export function keyIdOf(digest: string): string | undefined {
  return /^([\w-]{8}):[\w-]{43}$/.exec(digest)?.[1];
}

/** The key's block of one of both hashes, with room behind it. Not of the pool that other buffers are parts of. */
function padded(key: Secret, pad: number, bytes: number): Buffer {
  const made = Buffer.allocUnsafeSlow(bytes).fill(pad, 0, BLOCK_BYTES);
  for (const [at, byte] of key.reveal().entries()) made[at] = byte ^ pad;
  return made;
}

function framedBytes({ values }: Content, textBytes: number): number {
  let bytes = textBytes + LENGTH_BYTES * 2;
  for (const value of values) bytes += VALUE_HEAD_BYTES + (value?.length ?? 0);
  return bytes;
}

/** Writes behind the first block; returns where it ends. */
function writeFramed(input: Buffer, { text, values, formats }: Content): number {
  const textAt = BLOCK_BYTES + LENGTH_BYTES;
  let at = textAt + input.write(text, textAt, 'utf8');
  input.writeInt32BE(at - textAt, BLOCK_BYTES);
  at = input.writeInt32BE(values.length, at);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    const format = value === null ? 0 : ((formats.length === 1 ? formats[0] : formats[i]) ?? 0);
    at = input.writeInt32BE(value === null ? -1 : value.length, input.writeUInt16BE(format, at));
    if (value !== null) at += value.copy(input, at);
  }
  return at;
}

const KEY_BYTES = 32;
/** Of SHA-256. */
const BLOCK_BYTES = 64;
const HASH_BYTES = 32;
const LENGTH_BYTES = 4;
const VALUE_HEAD_BYTES = 6;
const UTF8_BYTES_MAX = 3;
/** Texts with their values that are longer get a buffer of their own. */
const SCRATCH_BYTES = 16_384;
/** No content: as one, it would begin with the length of a text of 1.6 GB. */
const KEY_ID_OF = 'countersign key of content digests';
const KEY_ID_CHARACTERS = 8;
