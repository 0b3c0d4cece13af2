import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  algorithmForKey,
  type CertificateIssuer,
  encodeName,
  encodePem,
  fixedWidthSerial,
  keyIdOf,
  parsePublicKeyInfo,
  writeServerCertificate,
  writeServerRoot,
} from '../../wire/x509/index.ts';

/** A server's certificate for `localhost`, its key, and the authority that vouches for it, as PEM. */
export function serverForTest(): { readonly ca: Buffer; readonly cert: string; readonly key: string } {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rootSpki = root.publicKey.export({ format: 'der', type: 'spki' });
  const issuer: CertificateIssuer = {
    subjectDer: encodeName({ organization: 'Test' }),
    subjectKeyId: keyIdOf(rootSpki),
    algorithm: algorithmForKey(parsePublicKeyInfo(rootSpki).kind),
    sign: (data) => sign('sha256', data, root.privateKey),
  };
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const life = { notBeforeS: 1_700_000_000, notAfterS: 4_000_000_000 };
  const fields = () => ({ serial: fixedWidthSerial(randomBytes(16)), ...life });
  const rootDer = writeServerRoot(issuer, { ...fields(), spkiDer: rootSpki }, ['localhost']);
  const spkiDer = own.publicKey.export({ format: 'der', type: 'spki' });
  const der = writeServerCertificate(issuer, { ...fields(), spkiDer }, 'localhost');
  return {
    ca: Buffer.from(encodePem('CERTIFICATE', rootDer)),
    cert: encodePem('CERTIFICATE', der),
    key: own.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}
