import './testdata/reflect-metadata.ts';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, X509Certificate as NodeCertificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  algorithmForKey,
  buildCertificateRequest,
  type CertificateIssuer,
  createSvidWriter,
  decodeCertificatesPem,
  decodePem,
  encodeName,
  encodePem,
  fixedWidthSerial,
  keyIdOf,
  parseCertificate,
  parseCertificateRequest,
  parsePublicKeyInfo,
  parseSubjectKey,
  type SvidFields,
  signWith,
  splitCertificates,
  verifyX509Svid,
  writeCaCertificate,
} from './index.ts';
import { fuzz, seeds } from './x509.fuzz.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'x509-'));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));
const NOW_S = 1_800_000_000;

interface KeyPair {
  readonly key: KeyObject;
  readonly spkiDer: Buffer;
}

function keyPair(type: string): KeyPair {
  const pair = type.startsWith('P-')
    ? generateKeyPairSync('ec', { namedCurve: type })
    : generateKeyPairSync('rsa', { modulusLength: Number(type) });
  return { key: pair.privateKey, spkiDer: pair.publicKey.export({ format: 'der', type: 'spki' }) };
}

function createCa(type: string): { issuer: CertificateIssuer; der: Buffer } {
  const { key, spkiDer } = keyPair(type);
  const algorithm = algorithmForKey(parsePublicKeyInfo(spkiDer).kind);
  const subjectDer = encodeName({ country: 'US', organization: 'SPIFFE', serialNumber: '42' });
  const issuer: CertificateIssuer = {
    subjectDer,
    subjectKeyId: keyIdOf(spkiDer),
    algorithm,
    sign: (data) => signWith(algorithm, key, data),
  };
  const der = writeCaCertificate({
    issuer,
    subjectDer,
    spkiDer,
    serial: fixedWidthSerial(Buffer.alloc(16, 0xff)),
    notBeforeS: NOW_S - 10,
    notAfterS: NOW_S + 86_400,
    uri: 'spiffe://example.org',
    pathLength: 0,
  });
  return { issuer, der };
}

const ca = createCa('P-256');
const workload = keyPair('P-256');
const fields: SvidFields = {
  serial: fixedWidthSerial(Buffer.alloc(16, 9)),
  notBeforeS: NOW_S - 10,
  notAfterS: NOW_S + 3600,
  spkiDer: workload.spkiDer,
  uri: 'spiffe://example.org/web',
  dnsNames: [],
};

function openssl(args: readonly string[], input?: Buffer | string): string {
  return execFileSync('openssl', args, {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
  });
}

function file(name: string, content: string | Buffer): string {
  const full = path.join(scratch, name);
  fs.writeFileSync(full, content);
  return full;
}

describe('a written certificate', () => {
  it.each([
    'P-256',
    'P-384',
    '2048',
  ])('of a %s CA satisfies openssl verify -x509_strict, node and @peculiar/x509', async (type) => {
    const { issuer, der: caDer } = createCa(type);
    const writer = createSvidWriter(issuer);
    for (const subject of [workload, keyPair('P-384'), keyPair('2048')]) {
      const der = writer.write({ ...fields, spkiDer: subject.spkiDer, dnsNames: ['web.example.org', '*.example.net'] });
      const caFile = file('ca.pem', encodePem('CERTIFICATE', caDer));
      const leafFile = file('leaf.pem', encodePem('CERTIFICATE', der));
      expect(openssl(['verify', '-x509_strict', '-attime', String(NOW_S), '-CAfile', caFile, leafFile])).toContain(
        ': OK',
      );
      expect(new NodeCertificate(der).verify(new NodeCertificate(caDer).publicKey)).toBe(true);
      const theirs = new peculiar.X509Certificate(der);
      expect(
        await theirs.verify({ publicKey: new peculiar.X509Certificate(caDer).publicKey, signatureOnly: true }),
      ).toBe(true);
      const san = theirs.getExtension(peculiar.SubjectAlternativeNameExtension);
      expect(san?.names.toJSON()).toEqual([
        { type: 'url', value: fields.uri },
        { type: 'dns', value: 'web.example.org' },
        { type: 'dns', value: '*.example.net' },
      ]);
    }
  });

  it('carries every field as openssl prints it', () => {
    const der = createSvidWriter(ca.issuer).write({ ...fields, dnsNames: ['web.example.org'] });
    const text = openssl(['x509', '-inform', 'DER', '-noout', '-text', '-nameopt', 'RFC2253'], der);
    for (const line of [
      'Version: 3 (0x2)',
      'Signature Algorithm: ecdsa-with-SHA256',
      'Not Before: Jan 15 07:59:50 2027 GMT',
      'Not After : Jan 15 09:00:00 2027 GMT',
      'Subject: CN=web.example.org,O=SPIRE,C=US',
      'URI:spiffe://example.org/web, DNS:web.example.org',
      'Digital Signature, Key Encipherment, Key Agreement',
      'TLS Web Server Authentication, TLS Web Client Authentication',
      'CA:FALSE',
    ]) {
      expect(text).toContain(line);
    }
    expect(text).toMatch(/X509v3 Basic Constraints: critical/);
    expect(text).toMatch(/X509v3 Key Usage: critical/);
    const caText = openssl(['x509', '-inform', 'DER', '-noout', '-text'], ca.der);
    for (const line of ['CA:TRUE, pathlen:0', 'Certificate Sign, CRL Sign', 'URI:spiffe://example.org'])
      expect(caText).toContain(line);
  });

  it('reads back exactly, whatever its fields, from a template that served another certificate before', () => {
    const writer = createSvidWriter(ca.issuer);
    const keys = [workload, keyPair('P-256'), keyPair('P-384'), keyPair('2048')];
    const segment = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
    const arbitrary = fc.record({
      serial: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => fixedWidthSerial(Buffer.from(bytes))),
      notBeforeS: fc.integer({ min: 0, max: 2_600_000_000 }),
      lifeS: fc.integer({ min: 1, max: 400_000_000 }),
      key: fc.constantFrom(...keys),
      path: fc.array(segment, { minLength: 1, maxLength: 6 }),
      dnsNames: fc.array(fc.constantFrom('a.example.org', 'b.example.org', `${'x'.repeat(63)}.example.org`), {
        maxLength: 3,
      }),
    });
    fc.assert(
      fc.property(arbitrary, ({ serial, notBeforeS, lifeS, key, path: segments, dnsNames }) => {
        const wanted = {
          serial,
          notBeforeS,
          notAfterS: notBeforeS + lifeS,
          spkiDer: key.spkiDer,
          uri: `spiffe://example.org/${segments.join('/')}`,
          dnsNames,
        };
        const read = parseCertificate(writer.write(wanted));
        expect(read.serial).toBe(BigInt(`0x${serial.toString('hex')}`).toString());
        expect([read.notBeforeS, read.notAfterS]).toEqual([wanted.notBeforeS, wanted.notAfterS]);
        expect(read.spkiDer.equals(key.spkiDer)).toBe(true);
        expect(read.names.uris).toEqual([wanted.uri]);
        expect(read.names.dnsNames).toEqual(dnsNames);
        expect(read.subjectKeyId).toEqual(keyIdOf(key.spkiDer));
        expect(read.authorityKeyId?.keyId).toEqual(ca.issuer.subjectKeyId);
        expect(read.issuerDer).toEqual(ca.issuer.subjectDer);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['a serial of another width', { serial: Buffer.alloc(15, 0x41) }],
    ['a serial that could be negative', { serial: Buffer.alloc(16, 0xff) }],
    ['an end before its beginning', { notAfterS: NOW_S - 11 }],
    ['a URI with a space', { uri: 'spiffe://example.org/a b' }],
    ['a URI that is too long', { uri: `spiffe://example.org/${'a'.repeat(2100)}` }],
    ['no URI', { uri: '' }],
    ['a bad DNS name', { dnsNames: ['a..b'] }],
  ])('is not written with %s', (_, changes) => {
    expect(() => createSvidWriter(ca.issuer).write({ ...fields, ...changes })).toThrow(
      expect.objectContaining({ code: 'ERR_CERTIFICATE_WRITE' }),
    );
  });

  it('is not written with a name that has no place in a certificate', () => {
    for (const name of [
      { country: 'USA' },
      { organization: '' },
      { serialNumber: 'ü' },
      { commonName: 'x'.repeat(65) },
    ]) {
      expect(() => encodeName(name)).toThrow(expect.objectContaining({ code: 'ERR_CERTIFICATE_WRITE' }));
    }
  });
});

describe('parsing a certificate', () => {
  const der = createSvidWriter(ca.issuer).write(fields);

  it('agrees with node on certificates made by openssl', () => {
    const keyFile = path.join(scratch, 'made.key');
    const made = path.join(scratch, 'made.pem');
    openssl([
      ...'req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=made/O=Test -addext subjectAltName=DNS:a.test,IP:10.0.0.1,URI:urn:x'.split(
        ' ',
      ),
      '-keyout',
      keyFile,
      '-out',
      made,
    ]);
    const [madeDer = Buffer.alloc(0)] = decodeCertificatesPem(fs.readFileSync(made, 'utf8'));
    const ours = parseCertificate(madeDer);
    const theirs = new NodeCertificate(madeDer);
    expect(BigInt(ours.serial)).toBe(BigInt(`0x${theirs.serialNumber}`));
    expect(ours.notAfterS * 1000).toBe(Date.parse(theirs.validTo));
    expect(ours.names).toMatchObject({
      dnsNames: ['a.test'],
      uris: ['urn:x'],
      ipAddresses: [Buffer.from([10, 0, 0, 1])],
    });
    expect(ours.basicConstraints).toEqual({ ca: true, pathLength: undefined });
  });

  it('refuses it with any byte cut off, or anything added', () => {
    for (let length = 0; length < der.length; length++) {
      expect(() => parseCertificate(der.subarray(0, length))).toThrow(expect.objectContaining({ code: 'ERR_DER' }));
    }
    expect(() => parseCertificate(Buffer.concat([der, Buffer.from([0])]))).toThrow(
      expect.objectContaining({ code: 'ERR_DER' }),
    );
  });

  it('never accepts a changed certificate as an SVID, whichever bit was changed', () => {
    const roots = () => [{ der: ca.der, tainted: false }];
    expect(verifyX509Svid([der], roots, NOW_S * 1000).ok).toBe(true);
    for (let bit = 0; bit < der.length * 8; bit++) {
      const edited = Buffer.from(der);
      edited[bit >> 3] = (edited[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyX509Svid([edited], roots, NOW_S * 1000).ok, `bit ${bit}`).toBe(false);
    }
  });

  it('splits a concatenated chain into the very same certificates', () => {
    expect(splitCertificates(Buffer.concat([der, ca.der, der]))).toEqual([der, ca.der, der]);
    expect(splitCertificates(Buffer.alloc(0))).toEqual([]);
    for (const bad of [
      der.subarray(1),
      Buffer.from('0203010203', 'hex'),
      Buffer.concat(Array.from({ length: 1025 }, () => Buffer.from('3000', 'hex'))),
    ]) {
      expect(() => splitCertificates(bad)).toThrow(expect.objectContaining({ code: 'ERR_DER' }));
    }
  });
});

describe('PEM', () => {
  it('round trips, and reads what openssl writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        expect(decodePem(`noise\n${encodePem('X Y', bytes)}\r\n${encodePem('Z', bytes)}`)).toEqual([
          { label: 'X Y', der: Buffer.from(bytes) },
          { label: 'Z', der: Buffer.from(bytes) },
        ]);
      }),
    );
    expect(openssl(['x509', '-inform', 'DER'], ca.der)).toBe(encodePem('CERTIFICATE', ca.der));
  });

  it.each([
    ['no end', '-----BEGIN A-----\nAAAA\n'],
    ['no beginning', '-----END A-----\n'],
    ['another end', '-----BEGIN A-----\nAAAA\n-----END B-----\n'],
    ['a beginning inside', '-----BEGIN A-----\n-----BEGIN A-----\nAAAA\n-----END A-----\n'],
    ['no content', '-----BEGIN A-----\n-----END A-----\n'],
    ['bad base64', '-----BEGIN A-----\nA*AA\n-----END A-----\n'],
    ['non-canonical base64', '-----BEGIN A-----\nAB==\n-----END A-----\n'],
  ])('with %s is refused', (_, text) => {
    expect(() => decodePem(text)).toThrow(expect.objectContaining({ code: 'ERR_PEM' }));
  });

  it('of anything but certificates is refused where certificates are wanted', () => {
    expect(() => decodeCertificatesPem(encodePem('PRIVATE KEY', Buffer.from('x')))).toThrow(
      expect.objectContaining({ code: 'ERR_PEM' }),
    );
    expect(() => decodeCertificatesPem('')).toThrow(expect.objectContaining({ code: 'ERR_PEM' }));
    expect(() => decodePem('x'.repeat(5 * 1024 * 1024))).toThrow(expect.objectContaining({ code: 'ERR_PEM' }));
  });
});

describe('a certificate request', () => {
  it.each(['P-256', 'P-384', '2048'])('with a %s key is accepted by openssl and read back', (type) => {
    const { key, spkiDer } = keyPair(type);
    const der = buildCertificateRequest({
      privateKey: key,
      publicKeyDer: spkiDer,
      uris: ['spiffe://example.org/x'],
      dnsNames: ['x.example.org'],
    });
    const verified = spawnSync('openssl', ['req', '-inform', 'DER', '-verify', '-noout', '-text'], {
      input: der,
      encoding: 'utf8',
    });
    expect(verified.stderr + verified.stdout).toMatch(/verify OK/);
    expect(verified.stdout).toContain('URI:spiffe://example.org/x, DNS:x.example.org');
    expect(parseCertificateRequest(der)).toMatchObject({
      spkiDer,
      names: { uris: ['spiffe://example.org/x'], dnsNames: ['x.example.org'] },
    });
    const bare = parseCertificateRequest(buildCertificateRequest({ privateKey: key, publicKeyDer: spkiDer }));
    expect(bare.names.uris).toEqual([]);
  });

  it('made by openssl is read', () => {
    const keyFile = path.join(scratch, 'csr.key');
    openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', keyFile]);
    const [csr] = decodePem(openssl(['req', '-new', '-key', keyFile, '-subj', '/C=US/O=SPIRE']));
    expect(parseCertificateRequest(csr?.der ?? Buffer.alloc(0)).keyKind).toEqual({ type: 'ec', curve: 'P-256' });
  });

  it('is refused when it holds somebody else’s key, when any bit of it is changed, or the key is too weak', () => {
    const stolen = buildCertificateRequest({ privateKey: keyPair('P-256').key, publicKeyDer: workload.spkiDer });
    expect(() => parseCertificateRequest(stolen)).toThrow(expect.objectContaining({ code: 'ERR_CSR' }));
    const der = buildCertificateRequest({ privateKey: workload.key, publicKeyDer: workload.spkiDer });
    for (let bit = 0; bit < der.length * 8; bit++) {
      const edited = Buffer.from(der);
      edited[bit >> 3] = (edited[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => parseCertificateRequest(edited), `bit ${bit}`).toThrow(
        expect.objectContaining({ name: 'X509Error' }),
      );
    }
    const [weak] = decodePem(
      openssl([
        ...'req -new -newkey rsa:1024 -nodes -subj /CN=weak -keyout'.split(' '),
        path.join(scratch, 'weak.key'),
      ]),
    );
    expect(() => parseCertificateRequest(weak?.der ?? Buffer.alloc(0))).toThrow(
      expect.objectContaining({ code: 'ERR_PUBLIC_KEY' }),
    );
  });
});

describe('a public key to be certified', () => {
  it('is refused off its curve, on another curve, compressed, or with a bad RSA exponent or size', () => {
    const offCurve = Buffer.from(workload.spkiDer);
    offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
    const compressed = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = compressed.publicKey.export({ format: 'jwk' });
    const compressedDer = Buffer.concat([
      Buffer.from('3039301306072a8648ce3d020106082a8648ce3d03010703220002', 'hex'),
      Buffer.from(jwk.x ?? '', 'base64url'),
    ]);
    const rsa = (options: object) =>
      generateKeyPairSync('rsa', { modulusLength: 2048, ...options }).publicKey.export({ format: 'der', type: 'spki' });
    const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });
    for (const bad of [
      offCurve,
      compressedDer,
      rsa({ publicExponent: 3 }),
      rsa({ modulusLength: 1024 }),
      ed,
      keyPair('P-521').spkiDer,
    ]) {
      expect(() => parseSubjectKey(bad)).toThrow(expect.objectContaining({ code: 'ERR_PUBLIC_KEY' }));
    }
    expect(parseSubjectKey(rsa({})).info.kind).toEqual({ type: 'rsa', bits: 2048 });
  });
});

it('holds its promises over the fuzz seeds and a thousand changes of them', () => {
  for (const seed of seeds) fuzz(seed);
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), fc.nat(3), (seed, at, byte, cut) => {
      const edited = Buffer.from(seed);
      edited[at % edited.length] = byte;
      fuzz(cut === 0 ? edited.subarray(0, at % edited.length) : edited);
    }),
    { numRuns: 1000 },
  );
});
