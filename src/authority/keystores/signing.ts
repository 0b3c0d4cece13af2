import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyType } from '../../model/index.ts';
import { unreachable } from '../../std/index.ts';
import { isSigningAlgorithm, keyFits, signJws } from '../../wire/jose/index.ts';
import { algorithmForKey, parsePublicKeyInfo, signWith } from '../../wire/x509/index.ts';
import { AuthorityError } from '../errors.ts';
import type { SigningKey } from '../keystore.ts';

/** Makes a private key of the type. */
export async function generatePrivateKey(type: KeyType): Promise<KeyObject> {
  switch (type) {
    case 'ec-p256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'ec-p384':
      return (await generate('ec', { namedCurve: 'P-384' })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
    default:
      return unreachable(type);
  }
}

/** The type of a private key, undefined when it is none that a keystore makes. */
export function keyTypeOf(key: KeyObject): KeyType | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'ec') {
    if (details?.namedCurve === 'prime256v1') return 'ec-p256';
    return details?.namedCurve === 'secp384r1' ? 'ec-p384' : undefined;
  }
  if (key.asymmetricKeyType !== 'rsa') return undefined;
  if (details?.modulusLength === 2048) return 'rsa-2048';
  return details?.modulusLength === 4096 ? 'rsa-4096' : undefined;
}

/** A signing handle over a key held in this process. `usable` is asked before each signature, so a removed key stops at once. */
export function createSigningKey(keyId: string, key: KeyObject, usable: () => boolean): SigningKey {
  const type = keyTypeOf(key);
  if (!type) throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `key ${keyId} is of a kind that is never made here`);
  const publicKeyDer = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const certificateAlgorithm = algorithmForKey(parsePublicKeyInfo(publicKeyDer).kind);
  return {
    keyId,
    type,
    publicKeyDer,
    sign(data, algorithm) {
      if (!usable())
        throw new AuthorityError('ERR_KEYSTORE_CLOSED', `key ${keyId} was removed or its keystore is closed`);
      if (algorithm === certificateAlgorithm) return signWith(certificateAlgorithm, key, data);
      if (!isSigningAlgorithm(algorithm) || !keyFits(algorithm, key)) {
        throw new AuthorityError('ERR_KEYSTORE_KEY', `a key of type ${type} does not sign ${algorithm}`);
      }
      return signJws(algorithm, key, data);
    },
  };
}

/** Refuses an id that could not be a file name, or is taken, and more keys than a server ever has. */
export function checkNewKeyId(keyId: string, taken: ReadonlyMap<string, unknown>): void {
  if (!KEY_ID_PATTERN.test(keyId)) {
    throw new AuthorityError(
      'ERR_KEYSTORE_KEY',
      'a key id is 1 to 128 of a-z, 0-9, dot, dash, underscore, not starting with a dot',
    );
  }
  if (taken.has(keyId)) throw new AuthorityError('ERR_KEYSTORE_KEY', `there is a key ${keyId} already`);
  if (taken.size >= KEYS_MAX) throw new AuthorityError('ERR_KEYSTORE_KEY', `a keystore holds at most ${KEYS_MAX} keys`);
}

export const KEY_ID_PATTERN = /^[a-z0-9][a-z0-9._-]{0,127}$/;
const generate = promisify(generateKeyPair);
/** A server has two to six; a thousand means that something makes keys in a loop. */
export const KEYS_MAX = 1000;
