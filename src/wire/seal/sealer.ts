import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { createSystemRandom, type Random, type Secret } from '../../std/index.ts';
import { SealError } from './errors.ts';

/** Seals small secrets for storage. */
export interface Sealer {
  /**
   * Encrypts and authenticates `plaintext`. `context` names what the value is and where it lives (such as `keystore/x509-1`): it is
   * not stored, and opening needs the same one, so sealed values can't be swapped for each other.
   * @throws SealError ERR_SEAL_SIZE
   */
  seal(plaintext: Buffer, context: string): Buffer;
  /** @throws SealError ERR_SEAL_FORMAT (not a whole sealed value), ERR_SEAL_BROKEN (edited, or another key or context) */
  open(sealed: Buffer, context: string): Buffer;
}

/**
 * Creates a {@link Sealer} from a 32-byte key. Layout: `CSSL`, version, 24 salt bytes, ciphertext, 16 tag bytes. Each value has its own
 * AES-256-GCM key and nonce, derived by HKDF-SHA-256 from the key and the salt, so the nonce limit of one GCM key never comes near.
 * @throws SealError ERR_SEAL_KEY
 */
export function createSealer(key: Secret, random: Random = createSystemRandom()): Sealer {
  if (key.reveal().length !== SEAL_KEY_BYTES) {
    throw new SealError('ERR_SEAL_KEY', `a sealing key has ${SEAL_KEY_BYTES} bytes, this one ${key.reveal().length}`);
  }
  return {
    seal(plaintext, context) {
      if (plaintext.length > PLAINTEXT_BYTES_MAX) {
        throw new SealError(
          'ERR_SEAL_SIZE',
          `at most ${PLAINTEXT_BYTES_MAX} bytes can be sealed, not ${plaintext.length}`,
        );
      }
      const header = Buffer.concat([MAGIC, random.bytes(SALT_BYTES)]);
      const { valueKey, nonce } = deriveKey(key, header);
      const cipher = createCipheriv('aes-256-gcm', valueKey, nonce);
      cipher.setAAD(associatedData(header, context));
      return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, context) {
      const bodyEnd = sealed.length - TAG_BYTES;
      if (bodyEnd < HEADER_BYTES || bodyEnd - HEADER_BYTES > PLAINTEXT_BYTES_MAX) {
        throw new SealError('ERR_SEAL_FORMAT', `a sealed value can not have ${sealed.length} bytes`);
      }
      if (!sealed.subarray(0, MAGIC.length).equals(MAGIC)) {
        throw new SealError('ERR_SEAL_FORMAT', 'the bytes are not a sealed value of version 1');
      }
      const header = sealed.subarray(0, HEADER_BYTES);
      const { valueKey, nonce } = deriveKey(key, header);
      const decipher = createDecipheriv('aes-256-gcm', valueKey, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedData(header, context));
      decipher.setAuthTag(sealed.subarray(bodyEnd));
      const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, bodyEnd));
      try {
        return Buffer.concat([plaintext, decipher.final()]);
      } catch (cause) {
        throw new SealError('ERR_SEAL_BROKEN', 'the sealed value does not open with this key in this place', { cause });
      }
    },
  };
}

function deriveKey(key: Secret, header: Buffer): { valueKey: Buffer; nonce: Buffer } {
  const salt = header.subarray(MAGIC.length);
  const bytes = Buffer.from(hkdfSync('sha256', key.reveal(), salt, DERIVE_INFO, SEAL_KEY_BYTES + NONCE_BYTES));
  return { valueKey: bytes.subarray(0, SEAL_KEY_BYTES), nonce: bytes.subarray(SEAL_KEY_BYTES) };
}

function associatedData(header: Buffer, context: string): Buffer {
  return Buffer.concat([header, Buffer.from(context, 'utf8')]);
}

/** Bytes of a sealing key: AES-256. */
export const SEAL_KEY_BYTES = 32;
/** `CSSL` and the version. */
const MAGIC = Buffer.from([0x43, 0x53, 0x53, 0x4c, 1]);
/** 192 bits: chance never repeats one, whatever is sealed under one key. */
const SALT_BYTES = 24;
const HEADER_BYTES = MAGIC.length + SALT_BYTES;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const DERIVE_INFO = 'countersign seal v1';
/** Keys, SVID caches and credentials; far below what would block the process. */
const PLAINTEXT_BYTES_MAX = 64 * 1024 * 1024;
