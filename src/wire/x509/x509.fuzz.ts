import { createPrivateKey, createPublicKey } from 'node:crypto';
import { parseCertificate, splitCertificates } from './certificates/certificate.ts';
import { buildCertificateRequest, parseCertificateRequest } from './certificates/certificate-request.ts';
import { createSvidWriter, fixedWidthSerial } from './certificates/certificate-writer.ts';
import { decodePem, encodePem } from './certificates/pem.ts';
import { X509Error } from './errors.ts';
import { keyIdOf } from './keys/key-id.ts';
import { parsePublicKeyInfo } from './keys/public-key.ts';
import { signWith } from './keys/signature-algorithm.ts';
import { encodeName } from './names/name-writer.ts';
import { verifyChain } from './validation/verify-chain.ts';
import { verifyX509Svid } from './validation/verify-svid.ts';

/** Every reader must either read or refuse with its own error, and what it read must hold together. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  refusing(() => {
    const certificate = parseCertificate(bytes);
    if (!certificate.der.includes(certificate.tbsDer)) throw new Error('the signed part is not in the certificate');
    if (!(BigInt(certificate.serial) >= 0n)) throw new Error('a serial number is negative');
    const result = verifyChain({
      leaf: certificate,
      intermediates: [certificate],
      roots: [certificate],
      nowMs: certificate.notBeforeS * 1000,
      usage: 'any',
    });
    if (result.ok && !certificate.basicConstraints?.ca) throw new Error('a leaf has signed itself');
  });
  refusing(() => {
    const parts = splitCertificates(bytes);
    if (!Buffer.concat(parts).equals(bytes)) throw new Error('parts of a chain were lost');
  });
  refusing(() => void parseCertificateRequest(bytes));
  refusing(() => void parsePublicKeyInfo(bytes));
  refusing(() => {
    for (const { label, der } of decodePem(bytes.toString('latin1'))) {
      const [again] = decodePem(encodePem(label, der));
      if (!again?.der.equals(der)) throw new Error('a PEM block did not come back');
    }
  });
  const verdict = verifyX509Svid([bytes], () => [{ der: bytes, tainted: false }], 1_800_000_000_000);
  if (verdict.ok) throw new Error('something verified itself as an SVID');
}

function refusing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof X509Error)) throw error;
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
  uri: 'spiffe://example.org/web',
  dnsNames: ['web.example.org'],
});

export const seeds: readonly Uint8Array[] = [
  leaf,
  Buffer.concat([leaf, leaf]),
  buildCertificateRequest({ privateKey: key, publicKeyDer: spkiDer, uris: ['spiffe://example.org/web'] }),
  spkiDer,
  Buffer.from(encodePem('CERTIFICATE', leaf)),
];

/** Object identifiers, tags, lengths, a date. */
export const tokens = [
  '0603551d11',
  '0603551d13',
  '0603551d0f',
  '0603551d25',
  '0603551d1e',
  '0603551d23',
  '06082a8648ce3d030107',
  '06082a8648ce3d040302',
  '3000',
  '30820100',
  '3080',
  '0500',
  '0101ff',
  '020100',
  '170d',
  '180f',
  '8600',
  'a003020102',
  '1f8101',
].map((hex) => Buffer.from(hex, 'hex'));
