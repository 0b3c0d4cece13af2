import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSeededRandom } from '../../std/index.ts';
import {
  algorithmForKey,
  type CertificateIssuer,
  createSvidWriter,
  encodeName,
  encodePem,
  fixedWidthSerial,
  keyIdOf,
  writeCaCertificate,
} from '../../wire/x509/index.ts';
import type { TlsIdentity } from '../connection/transport.ts';

/** A folder that `remove` takes away. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'rpc-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A root that issues identities. */
export interface TestAuthority {
  readonly der: Buffer;
  readonly pem: Buffer;
  issue(uri: string): TestIdentity;
}

export interface TestIdentity extends TlsIdentity {
  readonly certPem: Buffer;
  readonly keyPem: Buffer;
}

export function createTestAuthority(trustDomain: string): TestAuthority {
  const random = createSeededRandom(trustDomain);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spkiDer = keys.publicKey.export({ format: 'der', type: 'spki' });
  const subjectDer = encodeName({ country: 'US', organization: 'TEST' });
  const issuer: CertificateIssuer = {
    subjectDer,
    subjectKeyId: keyIdOf(spkiDer),
    algorithm: algorithmForKey({ type: 'ec', curve: 'P-256' }),
    sign: (data) => sign('sha256', data, keys.privateKey),
  };
  const times = { notBeforeS: 1_600_000_000, notAfterS: 4_000_000_000 };
  const root = {
    issuer,
    subjectDer,
    spkiDer,
    serial: fixedWidthSerial(random.bytes(16)),
    uri: `spiffe://${trustDomain}`,
  };
  const der = writeCaCertificate({ ...root, ...times });
  const writer = createSvidWriter(issuer);
  return {
    der,
    pem: Buffer.from(encodePem('CERTIFICATE', der)),
    issue(uri) {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leafDer = writer.write({
        ...times,
        serial: fixedWidthSerial(random.bytes(16)),
        spkiDer: leaf.publicKey.export({ format: 'der', type: 'spki' }),
        uri,
        dnsNames: ['localhost'],
      });
      return {
        chainDer: [leafDer],
        key: leaf.privateKey,
        certPem: Buffer.from(encodePem('CERTIFICATE', leafDer)),
        keyPem: Buffer.from(leaf.privateKey.export({ format: 'pem', type: 'pkcs8' })),
      };
    },
  };
}

/** The URI name in a certificate. */
export function uriOf(der: Buffer | undefined): string | undefined {
  const names = der === undefined ? undefined : new X509Certificate(der).subjectAltName;
  return names
    ?.split(', ')
    .find((name) => name.startsWith('URI:'))
    ?.slice('URI:'.length);
}
