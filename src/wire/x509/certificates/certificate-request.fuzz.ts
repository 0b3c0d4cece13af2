import { generateKeyPairSync } from 'node:crypto';
import { X509Error } from '../errors.ts';
import { parsePublicKeyInfo } from '../keys/public-key.ts';
import { buildCertificateRequest, parseCertificateRequest } from './certificate-request.ts';

/** What an agent may send to have signed: refused with our own error, or read, and then it holds the key that signed it. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  try {
    const request = parseCertificateRequest(bytes);
    if (!bytes.includes(request.spkiDer) || !bytes.includes(request.subjectDer))
      throw new Error('a request holds what was not in it');
    parsePublicKeyInfo(request.spkiDer);
    if (!request.publicKey.export({ format: 'der', type: 'spki' }).equals(request.spkiDer))
      throw new Error('the key that was verified is not the key that is certified');
  } catch (error) {
    if (!(error instanceof X509Error)) throw error;
  }
}

function request(
  keys: ReturnType<typeof generateKeyPairSync>,
  names: { uris?: string[]; dnsNames?: string[] },
): Buffer {
  const publicKeyDer = keys.publicKey.export({ format: 'der', type: 'spki' });
  return buildCertificateRequest({ privateKey: keys.privateKey, publicKeyDer, ...names });
}

export const seeds: readonly Uint8Array[] = [
  request(generateKeyPairSync('ec', { namedCurve: 'P-256' }), { uris: ['spiffe://example.org/web'] }),
  request(generateKeyPairSync('ec', { namedCurve: 'P-384' }), { dnsNames: ['a.example', 'b.example'] }),
  request(generateKeyPairSync('rsa', { modulusLength: 2048 }), {}),
  request(generateKeyPairSync('ed25519'), {}),
];

/** Object identifiers and tags. */
export const tokens = [
  '06092a864886f70d01090e',
  '0603551d11',
  '0603550403',
  '3000',
  '0500',
  '30820100',
  'a000',
  '3182',
  '3080',
  '8600',
].map((hex) => Buffer.from(hex, 'hex'));
