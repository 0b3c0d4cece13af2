import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { createListeners } from '../../std/index.ts';
import {
  algorithmForKey,
  type CertificateIssuer,
  createSvidWriter,
  encodeName,
  encodePem,
  fixedWidthSerial,
  keyIdOf,
  parsePublicKeyInfo,
  writeCaCertificate,
} from '../../wire/x509/index.ts';
import type { CurrentIdentity } from '../identity.ts';

/** An SVID with its key, in the forms that tests need. */
export interface TestSvid {
  readonly uri: string;
  readonly chainDer: readonly Buffer[];
  readonly keyDer: Buffer;
  readonly certPem: string;
  readonly keyPem: string;
  readonly expiresAtS: number;
}

export type TestAuthority = ReturnType<typeof createTestAuthority>;

/** A trust domain's authority in memory. */
export function createTestAuthority(name: string, nowMs: number) {
  const trustDomain = parseTrustDomain(name);
  const nowS = Math.floor(nowMs / 1000);
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const caSpki = ca.publicKey.export({ format: 'der', type: 'spki' });
  const issuer: CertificateIssuer = {
    subjectDer: encodeName({ country: 'US', organization: 'TEST', serialNumber: randomBytes(8).toString('hex') }),
    subjectKeyId: keyIdOf(caSpki),
    algorithm: algorithmForKey(parsePublicKeyInfo(caSpki).kind),
    sign: (data) => sign('sha256', data, ca.privateKey),
  };
  const rootDer = writeCaCertificate({
    issuer,
    subjectDer: issuer.subjectDer,
    spkiDer: caSpki,
    serial: fixedWidthSerial(randomBytes(16)),
    notBeforeS: nowS - 60,
    notAfterS: nowS + 86_400 * 365,
    uri: `spiffe://${trustDomain}`,
  });
  const writer = createSvidWriter(issuer);
  return {
    trustDomain,
    rootDer,
    issue(path: string, ttlS = 3600, dnsNames: readonly string[] = []): TestSvid {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const uri = `spiffe://${trustDomain}${path}`;
      const expiresAtS = nowS + ttlS;
      const der = writer.write({
        serial: fixedWidthSerial(randomBytes(16)),
        notBeforeS: nowS - 60,
        notAfterS: expiresAtS,
        spkiDer: publicKey.export({ format: 'der', type: 'spki' }),
        uri,
        dnsNames: [...dnsNames],
      });
      const keyDer = privateKey.export({ format: 'der', type: 'pkcs8' });
      return {
        uri,
        chainDer: [der],
        keyDer,
        certPem: encodePem('CERTIFICATE', der),
        keyPem: encodePem('PRIVATE KEY', keyDer),
        expiresAtS,
      };
    },
  };
}

/** The identity of whoever has that SVID and trusts these authorities of one domain. */
export function identityOf(
  svid: TestSvid,
  [first, ...others]: readonly [TestAuthority, ...TestAuthority[]],
): CurrentIdentity {
  return {
    id: parseSpiffeId(svid.uri),
    chainDer: svid.chainDer,
    keyDer: svid.keyDer,
    expiresAtS: svid.expiresAtS,
    bundles: new Map([
      [first.trustDomain, [first, ...others].map(({ rootDer }) => ({ der: rootDer, tainted: false }))],
    ]),
  };
}

/** A Workload API that says what it is told. */
export function createTestIdentity(first: CurrentIdentity) {
  let current: CurrentIdentity | undefined = first;
  const listeners = createListeners();
  return {
    current: () => current,
    ready: async () => {},
    onChange: listeners.add,
    set(next: CurrentIdentity | undefined) {
      current = next;
      listeners.tell();
    },
  };
}
