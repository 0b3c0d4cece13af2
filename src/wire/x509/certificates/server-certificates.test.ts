import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeName, fixedWidthSerial, keyIdOf, parseCertificate, verifyChain } from '../index.ts';
import type { CertificateIssuer } from './certificate-writer.ts';
import { writeServerCertificate, writeServerRoot } from './server-certificates.ts';

const NOW_S = 1_800_000_000;
const spki = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'der' });
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer: CertificateIssuer = {
  subjectDer: encodeName({ organization: 'Test' }),
  subjectKeyId: keyIdOf(spki(privateKey)),
  algorithm: 'ecdsa-sha256',
  sign: (data) => sign('sha256', data, privateKey),
};
const fields = () => ({
  serial: fixedWidthSerial(randomBytes(16)),
  notBeforeS: NOW_S - 60,
  notAfterS: NOW_S + 60,
  spkiDer: spki(privateKey),
});
const root = parseCertificate(writeServerRoot(issuer, fields(), ['api.example.org', 'other.test']));
const verified = (host: string) =>
  verifyChain({
    leaf: parseCertificate(writeServerCertificate(issuer, fields(), host)),
    ...{ intermediates: [], roots: [root], nowMs: NOW_S * 1_000, usage: 'server-auth' },
  });

describe('a root for servers', () => {
  it('is a CA with nothing below it but certificates of its hosts', () => {
    expect(root).toMatchObject({ basicConstraints: { ca: true, pathLength: 0 } });
  });

  it.each(['api.example.org', 'other.test', 'below.other.test'])('vouches for %s', (host) => {
    expect(verified(host)).toMatchObject({ ok: true });
  });

  it.each(['example.org', 'xapi.example.org', 'org', 'another.test'])('does not vouch for %s', (host) => {
    expect(verified(host)).toMatchObject({ ok: false, reason: 'name-constraints' });
  });

  it.each([[[]], [['*.test']], [['a..b']], [['10.0.0.1 ']]])('is not made for %j', (hosts) => {
    expect(() => writeServerRoot(issuer, fields(), hosts)).toThrow(
      expect.objectContaining({ code: 'ERR_CERTIFICATE_WRITE' }),
    );
  });
});
