import type { KeyObject } from 'node:crypto';
import { OID } from '../der/oids.ts';
import { contextTag, DerReader, readWhole, TAG } from '../der/reader.ts';
import {
  encodeBitString,
  encodeElement,
  encodeInteger,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSet,
} from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import { type PublicKeyKind, parsePublicKeyInfo, parseSubjectKey, type SubjectKey } from '../keys/public-key.ts';
import {
  algorithmForKey,
  encodeSignatureAlgorithm,
  parseSignatureAlgorithm,
  signWith,
  verifyWith,
} from '../keys/signature-algorithm.ts';
import { type GeneralNames, NO_NAMES } from '../names/general-names.ts';
import { encodeName, encodeSubjectAltName, type NameAttributes } from '../names/name-writer.ts';
import { parseSubjectAltName } from './extensions.ts';

/** A parsed PKCS #10 request whose signature proved possession of `publicKey`. Everything but the key is only a wish. */
export interface CertificateRequest {
  readonly spkiDer: Buffer;
  readonly subjectKey: SubjectKey;
  readonly publicKey: KeyObject;
  readonly keyKind: PublicKeyKind;
  readonly subjectDer: Buffer;
  /** The alternative names asked for. */
  readonly names: GeneralNames;
}

/**
 * Parses a certificate request and checks its proof of possession.
 * @throws X509Error ERR_CSR, ERR_PUBLIC_KEY (a key that may not be certified), ERR_DER or ERR_CERTIFICATE (a malformed name)
 * @see RFC 2986 §4
 */
export function parseCertificateRequest(der: Buffer): CertificateRequest {
  const outer = readWhole(der, TAG.sequence, REQUEST_BYTES_MAX);
  const infoDer = outer.element();
  const algorithm = parseSignatureAlgorithm(outer.element());
  const signature = outer.bitStringBytes();
  outer.finish();
  const info = new DerReader(infoDer).enter(TAG.sequence);
  if (info.integer() !== 0) throw new X509Error('ERR_CSR', 'only version 1 certificate requests are read');
  const subjectDer = info.element();
  const spkiDer = info.element();
  const names = readRequestedNames(info.enterOptional(contextTag(0, true)));
  info.finish();
  if (!algorithm) throw new X509Error('ERR_CSR', 'the request is signed with an algorithm that is not allowed');
  const subjectKey = parseSubjectKey(spkiDer);
  const { info: keyInfo, key } = subjectKey;
  if (!verifyWith(algorithm, { key, kind: keyInfo.kind, data: infoDer, signature })) {
    throw new X509Error('ERR_CSR', 'the signature of the request is not by the key it holds');
  }
  return { spkiDer, subjectKey, publicKey: key, keyKind: keyInfo.kind, subjectDer, names };
}

/**
 * Writes a certificate request for a private key. Our own agents ask with the key alone; names come from the entry.
 * @throws X509Error ERR_PUBLIC_KEY, ERR_CERTIFICATE_WRITE
 */
export function buildCertificateRequest(options: {
  readonly privateKey: KeyObject;
  /** PKIX DER of the matching public key. */
  readonly publicKeyDer: Buffer;
  readonly subject?: NameAttributes;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
}): Buffer {
  const { kind } = parsePublicKeyInfo(options.publicKeyDer);
  const algorithm = algorithmForKey(kind);
  const uris = options.uris ?? [];
  const dnsNames = options.dnsNames ?? [];
  const attributes =
    uris.length + dnsNames.length === 0
      ? []
      : [
          encodeSequence(
            encodeOid(OID.extensionRequest),
            encodeSet(
              encodeSequence(
                encodeSequence(encodeOid(OID.subjectAltName), encodeOctetString(encodeSubjectAltName(uris, dnsNames))),
              ),
            ),
          ),
        ];
  const info = encodeSequence(
    encodeInteger(0),
    encodeName(options.subject ?? { country: 'US', organization: 'SPIRE' }),
    options.publicKeyDer,
    encodeElement(contextTag(0, true), ...attributes),
  );
  const signature = signWith(algorithm, options.privateKey, info);
  return encodeSequence(info, encodeSignatureAlgorithm(algorithm), encodeBitString(signature));
}

function readRequestedNames(attributes: DerReader | undefined): GeneralNames {
  let names = NO_NAMES;
  const seen = new Set<string>();
  while (attributes && !attributes.done) {
    const attribute = attributes.enter(TAG.sequence);
    const oid = attribute.oid();
    if (seen.has(oid)) throw new X509Error('ERR_CSR', `attribute ${oid} appears twice`);
    seen.add(oid);
    const values = attribute.enter(TAG.set);
    attribute.finish();
    if (oid !== OID.extensionRequest) continue;
    const extensions = values.enter(TAG.sequence);
    values.finish();
    const extensionOids = new Set<string>();
    while (!extensions.done) {
      const extension = extensions.enter(TAG.sequence);
      const extensionOid = extension.oid();
      if (extensionOids.has(extensionOid)) throw new X509Error('ERR_CSR', `extension ${extensionOid} appears twice`);
      extensionOids.add(extensionOid);
      if (extension.peek() === TAG.boolean) extension.boolean();
      const value = extension.content(TAG.octetString);
      extension.finish();
      if (extensionOid === OID.subjectAltName) names = parseSubjectAltName(value);
    }
  }
  return names;
}

/** An RSA-8192 request with a long SPIFFE ID stays under 6 KiB. */
const REQUEST_BYTES_MAX = 16 * 1024;
