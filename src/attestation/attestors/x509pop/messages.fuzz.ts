import { generateKeyPairSync, verify } from 'node:crypto';
import { assert } from '../../../std/index.ts';
import { AttestationError } from '../../errors.ts';
import { fromBase64, jsonObject, signatureFromInts, signatureToInts } from './messages.ts';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** What a stranger says to be let in as a node: payload, answer to the challenge, numbers of a signature. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  attempt(() => {
    for (const value of Object.values(jsonObject(bytes))) attempt(() => fromBase64(value));
  });
  attempt(() => assert(fromBase64(bytes.toString('latin1')).toString('base64') === bytes.toString('latin1'), 'base64'));
  const half = bytes.length >> 1;
  attempt(() => {
    const signature = signatureFromInts(bytes.subarray(0, half), bytes.subarray(half));
    assert(signature.readUInt8(0) === 0x30, 'a signature is a sequence');
    assert(!verify('sha256', bytes, { key: publicKey, dsaEncoding: 'der' }, signature), 'noise verified');
  });
  const { r, s } = signatureToInts(bytes.subarray(0, 2 * half));
  assert(r[0] !== 0 && s[0] !== 0, 'a number keeps no leading zero');
}

function attempt(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
  }
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from('{"certificates":["MIIB","AAAA"]}'),
  Buffer.from('{"ecdsa_signature":{"nonce":"AAAA","r":"AAAA","s":"/w=="}}'),
  Buffer.alloc(64, 0x81),
  Buffer.concat([Buffer.alloc(40), Buffer.alloc(40, 0xff)]),
  Buffer.from('AAAA'),
];

export const tokens = ['"__proto__":', '[', '{', '"', '\\u0000', 'null', '==', '=', '-', '_', '\n'];

/** Most inputs take the verification of a signature. */
export const slow = true;
