import { createPrivateKey, createPublicKey } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type X509SVIDResponse,
  X509SVIDResponseSchema,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { createSvidWriter, encodeName, fixedWidthSerial, keyIdOf, signWith } from '../wire/x509/index.ts';
import { parseX509Response, WorkloadIdentityError } from './index.ts';

/** What whoever listens on the Workload API's socket may answer: refused with our own error, or an identity that holds together. */
export function fuzz(input: Uint8Array): void {
  let response: X509SVIDResponse;
  try {
    response = fromBinary(X509SVIDResponseSchema, input);
  } catch {
    return; // Not protobuf: refused before it comes here.
  }
  for (const hint of [undefined, 'one']) {
    try {
      const identity = parseX509Response(response, hint);
      if (!identity.bundles.has(identity.id.trustDomain)) throw new Error('an identity without its bundle');
      if (hint !== undefined && identity.hint !== hint) throw new Error('another identity than was asked for');
      if (identity.chainDer.length === 0) throw new Error('an identity without certificate');
    } catch (error) {
      if (!(error instanceof WorkloadIdentityError)) throw error;
    }
  }
}

const key = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  },
  format: 'jwk',
});
const spkiDer = createPublicKey(key).export({ format: 'der', type: 'spki' });
const uri = 'spiffe://example.org/web';
const leaf = createSvidWriter({
  subjectDer: encodeName({ country: 'US', organization: 'SPIFFE' }),
  subjectKeyId: keyIdOf(spkiDer),
  algorithm: 'ecdsa-sha256',
  sign: (data) => signWith('ecdsa-sha256', key, data),
}).write({
  serial: fixedWidthSerial(Buffer.alloc(16, 7)),
  notBeforeS: 1_800_000_000,
  notAfterS: 1_800_003_600,
  spkiDer,
  uri,
  dnsNames: [],
});
const svid = {
  spiffeId: uri,
  x509Svid: leaf,
  x509SvidKey: key.export({ format: 'der', type: 'pkcs8' }),
  bundle: leaf,
  hint: '',
};

export const seeds: readonly Uint8Array[] = [
  { svids: [svid] },
  { svids: [svid, { ...svid, hint: 'one' }], federatedBundles: { 'spiffe://other.org': leaf } },
  { svids: [{ ...svid, hint: 'one', x509Svid: Buffer.concat([leaf, leaf]), bundle: Buffer.alloc(0) }] },
  { svids: [] },
].map((response) => toBinary(X509SVIDResponseSchema, create(X509SVIDResponseSchema, response)));

export const tokens = [uri, 'spiffe://', 'spiffe://other.org', 'one', '\u0012\u0000', '__proto__', '\u000b'];
