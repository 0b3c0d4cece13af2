import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from './der/oids.ts';
import { contextTag } from './der/reader.ts';
import {
  encodeBitString,
  encodeBoolean,
  encodeElement,
  encodeNamedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
  encodeTime,
  encodeUnsigned,
} from './der/writer.ts';
import {
  encodeName,
  keyIdOf,
  parseCertificate,
  parsePublicKeyInfo,
  signWith,
  verifyX509Svid,
  X509Error,
} from './index.ts';
import { encodeSignatureAlgorithm } from './keys/signature-algorithm.ts';

// Goal: an SVID whose key is no key, or whose names two readers would read in two ways, is refused though its signature is right.

const NOW_S = 1_800_000_000;
const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rootSpki = root.publicKey.export({ format: 'der', type: 'spki' });
const workload = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = workload.publicKey.export({ format: 'der', type: 'spki' });
const rootName = encodeName({ commonName: 'root' });
const URI = encodeElement(contextTag(6, false), Buffer.from('spiffe://example.org/web'));

const extension = (oid: string, critical: boolean, value: Buffer) =>
  encodeSequence(encodeOid(oid), ...(critical ? [encodeBoolean(true)] : []), encodeOctetString(value));

function write(options: {
  spkiDer?: Buffer;
  subject?: Buffer;
  names?: Buffer;
  usage?: Buffer;
  ca?: boolean;
  extra?: Buffer[];
}): Buffer {
  const {
    spkiDer = spki,
    subject = encodeName({ commonName: 'web' }),
    names = encodeSequence(URI),
    ca = false,
  } = options;
  const algorithm = encodeSignatureAlgorithm('ecdsa-sha256');
  const keyId = encodeElement(contextTag(0, false), keyIdOf(rootSpki));
  const tbs = encodeSequence(
    encodeElement(contextTag(0, true), encodeUnsigned(Buffer.from([2]))),
    encodeUnsigned(Buffer.from([7])),
    algorithm,
    rootName,
    encodeSequence(encodeTime(NOW_S - 10), encodeTime(NOW_S + 3600)),
    subject,
    spkiDer,
    encodeElement(
      contextTag(3, true),
      encodeSequence(
        extension(OID.subjectKeyIdentifier, false, encodeOctetString(keyIdOf(ca ? rootSpki : spki))),
        extension(OID.authorityKeyIdentifier, false, encodeSequence(keyId)),
        extension(OID.basicConstraints, true, ca ? encodeSequence(encodeBoolean(true)) : encodeSequence()),
        extension(OID.keyUsage, true, options.usage ?? encodeNamedBits(ca ? [5] : [0])),
        ...(ca ? [] : [extension(OID.subjectAltName, false, names)]),
        ...(options.extra ?? []),
      ),
    ),
  );
  return encodeSequence(tbs, algorithm, encodeBitString(signWith('ecdsa-sha256', root.privateKey, tbs)));
}

const rootDer = write({ ca: true, spkiDer: rootSpki, subject: rootName });

function verify(leaf: Buffer): string {
  const result = verifyX509Svid([leaf], () => [{ der: rootDer, tainted: false }], NOW_S * 1000);
  return result.ok ? 'ok' : result.reason;
}

const changed = (bytes: Buffer, at: number, to: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? bytes.length + at : at] = to;
  return copy;
};

describe('the key of a leaf', () => {
  it('that is sound passes', () => {
    expect(verify(write({}))).toBe('ok');
    for (const namedCurve of ['P-384', 'P-521']) {
      const other = generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' });
      expect(verify(write({ spkiDer: other }))).toBe('ok');
    }
  });

  const last = spki.at(-1) ?? 0;
  const p256 = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex');
  const withPoint = (point: Buffer) => Buffer.concat([spki.subarray(0, -64), point]);
  it.each<[string, Buffer]>([
    ['lies off its curve', changed(spki, -1, last ^ 1)],
    ['has the coordinates 0, 0', withPoint(Buffer.alloc(64))],
    ['has a coordinate as large as the field', withPoint(Buffer.concat([p256, spki.subarray(-32)]))],
    [
      'is compressed',
      encodeSequence(spki.subarray(2, 23), encodeBitString(Buffer.concat([Buffer.from([2]), spki.subarray(-64, -32)]))),
    ],
    ['is the point at infinity', encodeSequence(spki.subarray(2, 23), encodeBitString(Buffer.alloc(1)))],
  ])('that %s is refused', (_, spkiDer) => {
    expect(verify(write({ spkiDer }))).toBe('key-not-allowed');
    expect(() => parsePublicKeyInfo(spkiDer)).toThrow(X509Error);
  });

  it('agrees with OpenSSL on which points lie on a curve', () => {
    for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
      for (let count = 0; count < 20; count++) {
        const good = generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' });
        expect(parsePublicKeyInfo(good).kind).toEqual({ type: 'ec', curve: namedCurve });
        const bad = changed(good, -1 - count, (good.at(-1 - count) ?? 0) ^ (1 << (count % 8)));
        expect(() => createPublicKey({ key: bad, format: 'der', type: 'spki' })).toThrow();
        expect(() => parsePublicKeyInfo(bad)).toThrow('not on its curve');
      }
    }
  });

  it('of Ed25519 is refused when it is one of the points of small order, under which anyone can sign', () => {
    const ed = (hex: string) =>
      Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(hex, 'hex')]);
    const good = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });
    expect(parsePublicKeyInfo(good).kind).toEqual({ type: 'ed25519' });
    for (const hex of [
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0000000000000000000000000000000000000000000000000000000000000080',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    ])
      expect(() => parsePublicKeyInfo(ed(hex)), hex).toThrow('small order');
  });
});

describe('the names of a leaf', () => {
  const named = (tag: number, value: Buffer) =>
    encodeSequence(encodeSet(encodeSequence(encodeOid(OID.commonName), encodeElement(tag, value))));
  const ip = (length: number) => encodeElement(contextTag(7, false), Buffer.alloc(length, 1));
  const san = (...names: Buffer[]) => encodeSequence(URI, ...names);

  it.each<[string, Parameters<typeof write>[0]]>([
    ['an address of four bytes', { names: san(ip(4)) }],
    ['an address of sixteen bytes', { names: san(ip(16)) }],
    ['UTF-8', { subject: named(0x0c, Buffer.from('Büro 😀')) }],
    ['a BMPString', { subject: named(0x1e, Buffer.from([0, 0x57, 0, 0xfc])) }],
    ['a UniversalString', { subject: named(0x1c, Buffer.from([0, 1, 0xf6, 0])) }],
    ['a TeletexString with an umlaut', { subject: named(0x14, Buffer.from('B\xfcro', 'latin1')) }],
    ['a PrintableString', { subject: named(0x13, Buffer.from("Web's (1) + 2, A-Z./:=?")) }],
    ['a name of a directory', { names: san(encodeElement(contextTag(4, true), named(0x0c, Buffer.from('x')))) }],
  ])('with %s pass', (_, options) => {
    expect(verify(write(options))).toBe('ok');
  });

  it.each<[string, Parameters<typeof write>[0]]>([
    ...[0, 3, 5, 8, 15, 17, 32].map((length): [string, Parameters<typeof write>[0]] => [
      `an address of ${length} bytes`,
      { names: san(ip(length)) },
    ]),
    ['a second URI', { names: san(URI) }],
    [
      'a second URI in capitals',
      { names: san(encodeElement(contextTag(6, false), Buffer.from('SPIFFE://example.org/web'))) },
    ],
    ['no names in the list', { names: encodeSequence() }],
    [
      'an IA5String with an eighth bit',
      { names: san(encodeElement(contextTag(2, false), Buffer.from('b\xfcro.example', 'latin1'))) },
    ],
    [
      'a DNS name that ends in the middle',
      { names: san(encodeElement(contextTag(2, false), Buffer.from('a.example\0.evil'))) },
    ],
    [
      'a URI that ends in the middle',
      { names: encodeSequence(encodeElement(contextTag(6, false), Buffer.from('spiffe://example.org/web\0'))) },
    ],
    [
      'a URI in UTF-8',
      { names: encodeSequence(encodeElement(contextTag(6, false), Buffer.from('spiffe://example.org/wéb'))) },
    ],
    ['a mail address with a line feed', { names: san(encodeElement(contextTag(1, false), Buffer.from('a@b\nc'))) }],
    [
      'a directory name that is none',
      { names: san(encodeElement(contextTag(4, true), encodeSequence(encodeOctetString(Buffer.from('x'))))) },
    ],
    [
      'a directory name in bad UTF-8',
      { names: san(encodeElement(contextTag(4, true), named(0x0c, Buffer.from([0xff])))) },
    ],
    ['a common name in bad UTF-8', { subject: named(0x0c, Buffer.from([0xc3, 0x28])) }],
    ['an overlong form', { subject: named(0x0c, Buffer.from([0xc0, 0xaf])) }],
    ['a surrogate in UTF-8', { subject: named(0x0c, Buffer.from([0xed, 0xa0, 0x80])) }],
    ['a common name that ends in the middle', { subject: named(0x0c, Buffer.from('web\0admin')) }],
    ['a PrintableString with an underscore', { subject: named(0x13, Buffer.from('web_1')) }],
    ['a PrintableString that ends in the middle', { subject: named(0x13, Buffer.from('web\0')) }],
    ['a NumericString with letters', { subject: named(0x12, Buffer.from('12a')) }],
    ['an IA5String in a common name with an eighth bit', { subject: named(0x16, Buffer.from([0x61, 0xe4])) }],
    ['a VisibleString with a control character', { subject: named(0x1a, Buffer.from('a\tb')) }],
    ['a BMPString of odd length', { subject: named(0x1e, Buffer.from([0, 0x57, 0])) }],
    ['a BMPString with half of a pair', { subject: named(0x1e, Buffer.from([0xd8, 0x3d])) }],
    ['a BMPString that ends in the middle', { subject: named(0x1e, Buffer.from([0, 0x57, 0, 0])) }],
    ['a UniversalString beyond Unicode', { subject: named(0x1c, Buffer.from([0, 0x11, 0, 0])) }],
    ['a TeletexString that ends in the middle', { subject: named(0x14, Buffer.from('a\0b')) }],
    ['a common name that is a number', { subject: named(0x02, Buffer.from([1])) }],
  ])('with %s are refused', (_, options) => {
    expect(['malformed', 'not-one-uri']).toContain(verify(write(options)));
  });
});

describe('the key usage of a leaf', () => {
  it.each<[string, Buffer]>([
    ['empty', encodeElement(0x03, Buffer.from([0]))],
    ['of no bits', encodeElement(0x03, Buffer.from([0, 0]))],
    ['longer than need be', encodeElement(0x03, Buffer.from([7, 0x80, 0]))],
    ['with set bits that are unused', encodeElement(0x03, Buffer.from([7, 0x81]))],
    ['with a count of unused bits that is wrong', encodeElement(0x03, Buffer.from([6, 0x80]))],
    ['with bits that nobody has named', encodeElement(0x03, Buffer.from([6, 0x80, 0x40]))],
    ['of three bytes', encodeElement(0x03, Buffer.from([0, 0x80, 0, 1]))],
  ])('%s is refused', (_, usage) => {
    expect(['malformed', 'leaf-key-usage']).toContain(verify(write({ usage })));
  });
});

it('an extension that stands twice is refused, also when both say the same', () => {
  expect(() => parseCertificate(write({ extra: [extension(OID.subjectAltName, false, encodeSequence(URI))] }))).toThrow(
    'appears twice',
  );
});
