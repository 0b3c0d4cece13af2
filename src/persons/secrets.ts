import { type Random, sha256 } from '../std/index.ts';

/** A secret that is handed out, 256 bits, with a prefix by which scanners of leaks know it. */
export function newSecret(random: Random, prefix: string): string {
  return `${prefix}${random.bytes(32).toString('base64url')}`;
}

/** What is kept of a secret of 256 bits: it can't be guessed, so no salt and no slow digest is needed. */
export function digestOf(secret: string): string {
  return sha256(Buffer.from(secret)).toString('hex');
}

/** An id by which people name something. */
export function newId(random: Random): string {
  return random.bytes(8).toString('hex');
}
