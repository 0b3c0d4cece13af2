import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OID } from '../der/oids.ts';
import { contextTag } from '../der/reader.ts';
import {
  encodeBitString,
  encodeBoolean,
  encodeElement,
  encodeInteger,
  encodeNamedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from '../der/writer.ts';
import { encodeName, keyIdOf, parseCertificate, signWith, verifyChain, verifyX509Svid } from '../index.ts';
import { encodeSignatureAlgorithm } from '../keys/signature-algorithm.ts';
import { encodeSubjectAltName } from '../names/name-writer.ts';

// X.509-SVIDs against every rule of the specification. Certificates are put together by hand here, so that each can break one rule.

const NOW_S = 1_800_000_000;

interface Entity {
  readonly name: string;
  readonly privateKey: ReturnType<typeof pair>['privateKey'];
  readonly spkiDer: Buffer;
}

function pair() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function entity(name: string): Entity {
  const { privateKey, publicKey } = pair();
  return { name, privateKey, spkiDer: publicKey.export({ format: 'der', type: 'spki' }) };
}

interface Parts {
  uris?: string[];
  usage?: number[] | undefined;
  usageCritical?: boolean;
  ca?: boolean | undefined;
  pathLength?: number;
  from?: number;
  to?: number;
  extra?: Buffer[];
  keyId?: Buffer;
}

const DIGITAL_SIGNATURE = 0;
const CERT_SIGN = 5;
const CRL_SIGN = 6;

function certificate(subject: Entity, issuer: Entity, parts: Parts): Buffer {
  const extension = (oid: string, critical: boolean, value: Buffer) =>
    encodeSequence(encodeOid(oid), ...(critical ? [encodeBoolean(true)] : []), encodeOctetString(value));
  const algorithm = encodeSignatureAlgorithm('ecdsa-sha256');
  const extensions: Buffer[] = [
    extension(OID.subjectKeyIdentifier, false, encodeOctetString(parts.keyId ?? keyIdOf(subject.spkiDer))),
    extension(
      OID.authorityKeyIdentifier,
      false,
      encodeSequence(encodeElement(contextTag(0, false), parts.keyId ?? keyIdOf(issuer.spkiDer))),
    ),
  ];
  if (parts.usage) extensions.push(extension(OID.keyUsage, parts.usageCritical ?? true, encodeNamedBits(parts.usage)));
  if (parts.ca !== undefined) {
    const pathLength = parts.pathLength === undefined ? [] : [encodeInteger(parts.pathLength)];
    extensions.push(
      extension(OID.basicConstraints, true, encodeSequence(...(parts.ca ? [encodeBoolean(true)] : []), ...pathLength)),
    );
  }
  if (parts.uris) extensions.push(extension(OID.subjectAltName, false, encodeSubjectAltName(parts.uris, [])));
  const tbs = encodeSequence(
    encodeElement(contextTag(0, true), encodeInteger(2)),
    encodeUnsigned(Buffer.from([7])),
    algorithm,
    encodeName({ commonName: issuer.name }),
    encodeSequence(encodeTime(parts.from ?? NOW_S - 10), encodeTime(parts.to ?? NOW_S + 3600)),
    encodeName({ commonName: subject.name }),
    subject.spkiDer,
    encodeElement(contextTag(3, true), encodeSequence(...extensions, ...(parts.extra ?? []))),
  );
  return encodeSequence(tbs, algorithm, encodeBitString(signWith('ecdsa-sha256', issuer.privateKey, tbs)));
}

const root = entity('root');
const intermediate = entity('intermediate');
const workload = entity('workload');
const CA_PARTS: Parts = { usage: [CERT_SIGN, CRL_SIGN], ca: true, uris: ['spiffe://example.org'] };
const LEAF_PARTS: Parts = { usage: [DIGITAL_SIGNATURE], ca: false, uris: ['spiffe://example.org/web'] };
const rootDer = certificate(root, root, CA_PARTS);
const leafDer = certificate(workload, root, LEAF_PARTS);

function verify(chain: readonly Buffer[], roots = [{ der: rootDer, tainted: false }], nowS = NOW_S) {
  const result = verifyX509Svid(
    chain,
    (trustDomain) => (trustDomain === 'example.org' ? roots : undefined),
    nowS * 1000,
  );
  return result.ok ? result.id.uri : result.reason;
}

describe('an X.509-SVID', () => {
  it('is accepted directly under a root, and under an intermediate that is presented with it', () => {
    expect(verify([leafDer])).toBe('spiffe://example.org/web');
    const intermediateDer = certificate(intermediate, root, CA_PARTS);
    const below = certificate(workload, intermediate, LEAF_PARTS);
    expect(verify([below, intermediateDer])).toBe('spiffe://example.org/web');
    expect(verify([below])).toBe('unknown-issuer');
  });

  it('is accepted without the basicConstraints extension', () => {
    expect(verify([certificate(workload, root, { ...LEAF_PARTS, ca: undefined })])).toBe('spiffe://example.org/web');
  });

  it.each<[string, Parts]>([
    ['not-one-uri', { uris: ['spiffe://example.org/web', 'spiffe://example.org/db'] }],
    ['not-one-uri', { uris: [] }],
    ['bad-spiffe-id', { uris: ['https://example.org/web'] }],
    ['bad-spiffe-id', { uris: ['spiffe://example.org/web/'] }],
    ['bad-spiffe-id', { uris: ['spiffe://example.org/a/../b'] }],
    ['bad-spiffe-id', { uris: ['spiffe://EXAMPLE.org/web'] }],
    ['no-path', { uris: ['spiffe://example.org'] }],
    ['unknown-trust-domain', { uris: ['spiffe://other.org/web'] }],
    ['leaf-is-a-ca', { ca: true }],
    ['leaf-key-usage', { usage: undefined }],
    ['leaf-key-usage', { usage: [2] }],
    ['leaf-key-usage', { usage: [DIGITAL_SIGNATURE, CERT_SIGN] }],
    ['leaf-key-usage', { usage: [DIGITAL_SIGNATURE, CRL_SIGN] }],
    ['leaf-key-usage', { usageCritical: false }],
    ['expired', { to: NOW_S - 1 }],
    ['not-yet-valid', { from: NOW_S + 1 }],
  ])('is refused as %s with %j', (reason, parts) => {
    const { uris, ...rest } = { ...LEAF_PARTS, ...parts };
    const kept = uris && uris.length === 0 ? rest : { uris: uris ?? [], ...rest };
    expect(verify([certificate(workload, root, kept)])).toBe(reason);
  });

  it('is valid from the first to the last second of its life, both included', () => {
    expect(
      [NOW_S - 11, NOW_S - 10, NOW_S + 3600, NOW_S + 3601].map((nowS) => verify([leafDer], undefined, nowS)),
    ).toEqual(['not-yet-valid', 'spiffe://example.org/web', 'spiffe://example.org/web', 'expired']);
  });

  it('is refused when a critical extension is unknown', () => {
    const unknown = encodeSequence(
      encodeOid('1.2.3.4'),
      encodeBoolean(true),
      encodeOctetString(Buffer.from('0500', 'hex')),
    );
    expect(verify([certificate(workload, root, { ...LEAF_PARTS, extra: [unknown] })])).toBe(
      'unknown-critical-extension',
    );
    const harmless = encodeSequence(encodeOid('1.2.3.4'), encodeOctetString(Buffer.from('0500', 'hex')));
    expect(verify([certificate(workload, root, { ...LEAF_PARTS, extra: [harmless] })])).toBe(
      'spiffe://example.org/web',
    );
  });

  it('is refused when its signer is no CA, has no signing usage, is a workload, or is over its path length', () => {
    const signedBy = (parts: Parts) =>
      verify([certificate(workload, intermediate, LEAF_PARTS), certificate(intermediate, root, parts)]);
    expect(signedBy(CA_PARTS)).toBe('spiffe://example.org/web');
    expect(signedBy({ ...CA_PARTS, ca: false, usage: [DIGITAL_SIGNATURE] })).toBe('not-a-ca');
    expect(signedBy({ ...CA_PARTS, usage: [DIGITAL_SIGNATURE] })).toBe('key-usage');
    expect(signedBy({ ...CA_PARTS, uris: ['spiffe://example.org/web'] })).toBe('ca-has-path');
    expect(signedBy({ ...CA_PARTS, to: NOW_S - 1 })).toBe('expired');
    const tight = [{ der: certificate(root, root, { ...CA_PARTS, pathLength: 0 }), tainted: false }];
    expect(
      verify([certificate(workload, intermediate, LEAF_PARTS), certificate(intermediate, root, CA_PARTS)], tight),
    ).toBe('path-too-long');
    expect(verify([leafDer], tight)).toBe('spiffe://example.org/web');
  });

  it('is refused under a root of the same name with another key', () => {
    const impostor = { ...entity('root') };
    expect(verify([leafDer], [{ der: certificate(impostor, impostor, CA_PARTS), tainted: false }])).toBe(
      'unknown-issuer',
    );
  });

  it('is refused when there is nothing, too much, or nonsense to verify', () => {
    expect(verify([])).toBe('empty-chain');
    expect(verify(Array.from({ length: 11 }, () => leafDer))).toBe('too-many-certificates');
    expect(verify([Buffer.from('nonsense')])).toBe('malformed');
    expect(verify([leafDer, Buffer.from('nonsense')])).toBe('malformed');
  });

  it('is verified by the sound roots of a bundle that also holds an unreadable one', () => {
    expect(
      verify(
        [leafDer],
        [
          { der: Buffer.from('nonsense'), tainted: false },
          { der: rootDer, tainted: false },
        ],
      ),
    ).toBe('spiffe://example.org/web');
  });

  it('says that it ends in a tainted authority, and when the first certificate on its path ends', () => {
    const result = verifyX509Svid(
      [leafDer],
      () => [{ der: certificate(root, root, { ...CA_PARTS, to: NOW_S + 60 }), tainted: true }],
      NOW_S * 1000,
    );
    expect(result).toMatchObject({ ok: true, tainted: true, expiresAtS: NOW_S + 60 });
  });
});

describe('the search for a path', () => {
  it('gives up with its own reason when certificates were arranged so that it branches without end', () => {
    // Six keys under one name and one key id, each certified by every other: hundreds of paths, none of which ends in a root.
    const keyId = Buffer.alloc(20, 1);
    const crowd = Array.from({ length: 6 }, () => entity('same'));
    const intermediates = crowd.flatMap((subject) =>
      crowd
        .filter((issuer) => issuer !== subject)
        .map((issuer) => parseCertificate(certificate(subject, issuer, { ...CA_PARTS, keyId }))),
    );
    const [issuer] = crowd;
    if (!issuer) throw new Error('there are six');
    const leaf = parseCertificate(certificate(workload, issuer, { ...LEAF_PARTS, keyId }));
    const options = { leaf, roots: [], nowMs: NOW_S * 1000, usage: 'any' } as const;
    expect(verifyChain({ ...options, intermediates })).toMatchObject({ ok: false, reason: 'too-much-work' });
    expect(verifyChain({ ...options, intermediates: Array.from({ length: 33 }, () => leaf) })).toMatchObject({
      ok: false,
      reason: 'too-many-certificates',
    });
  });

  it('does not compare a thousand names with a thousand constraints', () => {
    const bases = Array.from({ length: 500 }, (_, i) =>
      encodeSequence(encodeElement(contextTag(2, false), Buffer.from(`h${i}.example.org`))),
    );
    const constraints = encodeSequence(encodeElement(contextTag(0, true), ...bases));
    const constrained = certificate(root, root, {
      ...CA_PARTS,
      extra: [encodeSequence(encodeOid(OID.nameConstraints), encodeBoolean(true), encodeOctetString(constraints))],
    });
    const named = (count: number) => {
      const { uris, ...parts } = LEAF_PARTS;
      const dnsNames = Array.from({ length: count }, (_, i) => `h${i}.example.org`);
      const names = encodeOctetString(encodeSubjectAltName(uris ?? [], dnsNames));
      const leaf = certificate(workload, root, {
        ...parts,
        extra: [encodeSequence(encodeOid(OID.subjectAltName), names)],
      });
      return verify([leaf], [{ der: constrained, tainted: false }]);
    };
    expect(named(150)).toBe('spiffe://example.org/web');
    expect(named(250)).toBe('too-much-work');
  });

  it('passes over what is presented but does not help', () => {
    const stranger = parseCertificate(certificate(entity('stranger'), entity('another'), CA_PARTS));
    const result = verifyChain({
      leaf: parseCertificate(leafDer),
      intermediates: [stranger],
      roots: [stranger, parseCertificate(rootDer)],
      nowMs: NOW_S * 1000,
      usage: 'client-auth',
    });
    expect(result.ok && result.path).toHaveLength(2);
  });
});
