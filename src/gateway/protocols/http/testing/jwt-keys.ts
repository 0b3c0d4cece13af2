import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { JwtAuthority } from '../../../../model/index.ts';

/** A key pair by which tokens are signed. */
export function newJwtKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** Its public key as a bundle has it. */
export function publishedKey(keyId: string, key: KeyObject): JwtAuthority {
  return { keyId, publicKeyDer: key.export({ format: 'der', type: 'spki' }), expiresAtS: 0, tainted: false };
}
