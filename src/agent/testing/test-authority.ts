import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import type { Clock, Random } from '../../std/index.ts';
import { signJwt } from '../../wire/jose/index.ts';
import {
  algorithmForKey,
  type CertificateIssuer,
  createSvidWriter,
  encodeName,
  fixedWidthSerial,
  keyIdOf,
  loadPublicKey,
  parsePublicKeyInfo,
  writeCaCertificate,
} from '../../wire/x509/index.ts';

/** A trust domain's CA and JWT key, all in memory. */
export interface TestAuthority {
  readonly rootDer: Buffer;
  readonly jwtKeyId: string;
  issue(input: { uri: string; spkiDer: Buffer; ttlS: number }): { chainDer: Buffer[]; expiresAtS: number };
  /** An SVID with a new key. */
  issueWithKey(path: string, ttlS: number): { chainDer: Buffer[]; key: KeyObject; keyDer: Buffer; expiresAtS: number };
  jwt(input: { uri: string; audience: readonly string[]; ttlS: number }): {
    token: string;
    issuedAtS: number;
    expiresAtS: number;
  };
  bundle(sequence: number, tainted?: boolean): Bundle;
}

let serials = 0;

export function createTestAuthority(deps: { clock: Clock; random: Random; trustDomain: TrustDomain }): TestAuthority {
  const { clock, random, trustDomain } = deps;
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const caSpki = ca.publicKey.export({ format: 'der', type: 'spki' });
  const issuer: CertificateIssuer = {
    subjectDer: encodeName({ country: 'US', organization: 'TEST', serialNumber: String(++serials) }),
    subjectKeyId: keyIdOf(caSpki),
    algorithm: algorithmForKey(parsePublicKeyInfo(caSpki).kind),
    sign: (data) => sign('sha256', data, ca.privateKey),
  };
  const nowS = () => Math.floor(clock.now() / 1000);
  const rootDer = writeCaCertificate({
    issuer,
    subjectDer: issuer.subjectDer,
    spkiDer: caSpki,
    serial: fixedWidthSerial(random.bytes(16)),
    notBeforeS: nowS() - 10,
    notAfterS: nowS() + 10 * 365 * 86_400,
    uri: `spiffe://${trustDomain}`,
  });
  const writer = createSvidWriter(issuer);
  const jwt = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwtKeyId = random.bytes(8).toString('hex');
  const issue: TestAuthority['issue'] = ({ uri, spkiDer, ttlS }) => {
    const expiresAtS = nowS() + ttlS;
    loadPublicKey(spkiDer);
    const serial = fixedWidthSerial(random.bytes(16));
    const der = writer.write({ serial, notBeforeS: nowS() - 10, notAfterS: expiresAtS, spkiDer, uri, dnsNames: [] });
    return { chainDer: [der], expiresAtS };
  };
  return {
    rootDer,
    jwtKeyId,
    issue,
    issueWithKey(path, ttlS) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spkiDer = publicKey.export({ format: 'der', type: 'spki' });
      const keyDer = privateKey.export({ format: 'der', type: 'pkcs8' });
      return { ...issue({ uri: spiffeIdOf(trustDomain, path).uri, spkiDer, ttlS }), key: privateKey, keyDer };
    },
    jwt({ uri, audience, ttlS }) {
      const issuedAtS = nowS();
      const expiresAtS = issuedAtS + ttlS;
      const claims = { sub: uri, aud: [...audience], iat: issuedAtS, exp: expiresAtS };
      return {
        token: signJwt({ algorithm: 'ES256', keyId: jwtKeyId, key: jwt.privateKey, claims }),
        issuedAtS,
        expiresAtS,
      };
    },
    bundle: (sequence, tainted = false) => ({
      trustDomain,
      x509Authorities: [{ der: rootDer, tainted }],
      jwtAuthorities: [
        {
          keyId: jwtKeyId,
          publicKeyDer: jwt.publicKey.export({ format: 'der', type: 'spki' }),
          expiresAtS: nowS() + 365 * 86_400,
          tainted,
        },
      ],
      sequence,
      refreshHintS: 300,
    }),
  };
}
