import type { Certificate } from '../certificates/certificate.ts';
import { parseAuthorityKeyId } from '../certificates/extensions.ts';
import { OID } from '../der/oids.ts';
import { contextTag, DerReader, readWhole, TAG } from '../der/reader.ts';
import { parseTime } from '../der/time.ts';
import { X509Error } from '../errors.ts';
import {
  type PssAlgorithm,
  parsePssAlgorithm,
  parseSignatureAlgorithm,
  type SignatureAlgorithm,
} from '../keys/signature-algorithm.ts';
import { checkName } from '../names/distinguished-name.ts';
import { verifySigned } from './verify-chain.ts';

/** A parsed CRL: complete, of one CA. What it says is not yet believed: see {@link isListSignedBy}. */
export interface RevocationList {
  readonly tbsDer: Buffer;
  /** DER of the Name. */
  readonly issuerDer: Buffer;
  readonly signatureAlgorithm: SignatureAlgorithm | PssAlgorithm | undefined;
  readonly signature: Buffer;
  /** Epoch seconds; both ends included. */
  readonly thisUpdateS: number;
  readonly nextUpdateS: number;
  readonly keyId: Buffer | undefined;
  /** Serial numbers, decimal, whatever the reason: on hold too. */
  readonly revoked: ReadonlySet<string>;
}

/**
 * Parses one DER CRL of version 1 or 2. Refused: one that does not say until when it holds, one of a part of the CA's certificates, a delta, an
 * indirect one, and any critical extension that is not understood, of the list or of an entry: with it, what is not listed may be revoked.
 * @throws X509Error ERR_CRL, ERR_DER or ERR_CERTIFICATE
 * @see RFC 5280 §5
 */
export function parseRevocationList(der: Buffer): RevocationList {
  const outer = readWhole(der, TAG.sequence, CRL_BYTES_MAX);
  const tbsDer = outer.element();
  const outerAlgorithm = outer.element();
  const signature = outer.bitStringBytes();
  outer.finish();
  const tbs = new DerReader(tbsDer).enter(TAG.sequence);
  const version2 = tbs.peek() === TAG.integer;
  if (version2 && tbs.integer() !== 1) throw new X509Error('ERR_CRL', 'only CRLs of version 1 and 2 are read');
  const algorithm = tbs.element();
  if (!algorithm.equals(outerAlgorithm))
    throw new X509Error('ERR_CRL', 'the two signature algorithms of the CRL differ');
  const issuerDer = checkName(tbs.element());
  const thisUpdateS = readTime(tbs);
  if (tbs.peek() !== TAG.utcTime && tbs.peek() !== TAG.generalizedTime)
    throw new X509Error('ERR_CRL', 'the CRL does not say when the next one comes (RFC 5280 §5.1.2.5)');
  const nextUpdateS = readTime(tbs);
  const revoked = readEntries(tbs.enterOptional(TAG.sequence), version2);
  const extensions = version2 ? readExtensions(tbs.enterOptional(contextTag(0, true))) : undefined;
  tbs.finish();
  return {
    ...{ tbsDer, issuerDer, signature, thisUpdateS, nextUpdateS, revoked, keyId: extensions?.keyId },
    signatureAlgorithm: parseSignatureAlgorithm(algorithm) ?? parsePssAlgorithm(algorithm),
  };
}

/** True when `issuer` may sign CRLs and its key has signed this one. Names are not compared. @see RFC 5280 §6.3.3 (f), (g) */
export function isListSignedBy(list: RevocationList, issuer: Certificate): boolean {
  return (!issuer.keyUsage || issuer.keyUsage.has('cRLSign')) && verifySigned(list, issuer);
}

function readEntries(entries: DerReader | undefined, version2: boolean): ReadonlySet<string> {
  const revoked = new Set<string>();
  while (entries && !entries.done) {
    const entry = entries.enter(TAG.sequence);
    const serial = entry.integerBytes();
    // A negative one belongs to no certificate that is read here.
    if ((serial[0] ?? 0x80) < 0x80) revoked.add(BigInt(`0x${serial.toString('hex')}`).toString());
    readTime(entry);
    if (version2 && !entry.done) walkExtensions(entry.enter(TAG.sequence), 'an entry of the CRL', () => false);
    entry.finish();
  }
  return revoked;
}

function readExtensions(wrapper: DerReader | undefined): { readonly keyId: Buffer | undefined } {
  let keyId: Buffer | undefined;
  if (!wrapper) return { keyId };
  walkExtensions(wrapper.enter(TAG.sequence), 'the CRL', (oid, value) => {
    if (oid === OID.issuingDistributionPoint)
      throw new X509Error('ERR_CRL', 'the CRL is of a part of the certificates only (RFC 5280 §5.2.5)');
    if (oid === OID.authorityKeyIdentifier) keyId = parseAuthorityKeyId(value).keyId;
    return UNDERSTOOD.has(oid);
  });
  wrapper.finish();
  return { keyId };
}

/** Refuses what is critical and not understood, and what stands twice. */
function walkExtensions(list: DerReader, what: string, understands: (oid: string, value: Buffer) => boolean): void {
  const seen = new Set<string>();
  while (!list.done) {
    const extension = list.enter(TAG.sequence);
    const oid = extension.oid();
    const critical = extension.peek() === TAG.boolean ? extension.boolean() : false;
    const value = extension.content(TAG.octetString);
    extension.finish();
    if (seen.has(oid)) throw new X509Error('ERR_CRL', `${what} holds the extension ${oid} twice`);
    seen.add(oid);
    if (!understands(oid, value) && critical)
      throw new X509Error(
        'ERR_CRL',
        `${what} has the critical extension ${oid}, which is not understood (RFC 5280 §5.2)`,
      );
  }
}

function readTime(reader: DerReader): number {
  const tag = reader.peek() ?? 0;
  return parseTime(tag, reader.content(tag));
}

const UNDERSTOOD: ReadonlySet<string> = new Set([OID.authorityKeyIdentifier, OID.cRLNumber]);
/** A hundred thousand revoked certificates. */
const CRL_BYTES_MAX = 4 * 1024 * 1024;
