import { hash } from 'node:crypto';
import { parsePublicKeyInfo } from './public-key.ts';

/**
 * The key identifier of a public key: SHA-1 of the subjectPublicKey bits, 20 bytes. A name for finding keys, not a proof: nothing
 * trusts it. @see RFC 5280 §4.2.1.2 (1)
 */
export function keyIdOf(spkiDer: Buffer): Buffer {
  return keyIdOfBits(parsePublicKeyInfo(spkiDer).keyBits);
}

export function keyIdOfBits(keyBits: Buffer): Buffer {
  return hash('sha1', keyBits, 'buffer');
}
