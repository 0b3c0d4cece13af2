import type { Certificate } from './certificate.ts';
import { X509Error } from './errors.ts';
import type { NameConstraints } from './extensions.ts';
import type { GeneralNames } from './general-names.ts';
import { withinConstraints } from './name-constraints.ts';
import { isDnsName } from './names.ts';
import { OID } from './oids.ts';
import { type PublicKeyInfo, parsePublicKeyInfo } from './public-key.ts';
import { verifyWith } from './signature-algorithm.ts';

/** What a leaf is used for. `any` leaves extended key usage unasked. */
export type ChainUsage = 'server-auth' | 'client-auth' | 'any';

/** Why no path was accepted. When several paths were tried, the reason of the one that came furthest. */
export type ChainReason =
  | 'expired'
  | 'not-yet-valid'
  | 'unknown-issuer'
  | 'bad-signature'
  | 'algorithm-not-allowed'
  | 'key-not-allowed'
  | 'not-a-ca'
  | 'leaf-is-a-ca'
  | 'path-too-long'
  | 'key-usage'
  | 'extended-key-usage'
  | 'name-constraints'
  | 'unknown-critical-extension'
  | 'malformed-extensions'
  | 'too-many-certificates'
  | 'too-much-work';

export interface ChainOptions {
  readonly leaf: Certificate;
  /** As presented, in any order; certificates that don't help are ignored. */
  readonly intermediates: readonly Certificate[];
  /** Trusted as they are; still checked for validity and for being CAs. */
  readonly roots: readonly Certificate[];
  readonly nowMs: number;
  readonly usage: ChainUsage;
  /** Most intermediates on the path that are not self-issued. Default and upper bound: {@link INTERMEDIATES_MAX}. */
  readonly intermediatesMax?: number;
}

/** `path` runs from the leaf to the root. */
export type ChainResult =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly reason: ChainReason };

/**
 * Looks for a path from `leaf` to one of `roots` and validates it: signatures, validity, CA flags, path length, key usage,
 * extended key usage of every certificate, name constraints, key identifiers, critical extensions, algorithms. Depth first, with
 * a bound on certificates and signature checks. Never throws for what certificates say.
 * @see RFC 5280 §6
 */
export function verifyChain(options: ChainOptions): ChainResult {
  if (options.intermediates.length > CERTIFICATES_MAX) return { ok: false, reason: 'too-many-certificates' };
  const search: Search = {
    options,
    nowS: Math.floor(options.nowMs / 1000),
    depthMax: Math.min(options.intermediatesMax ?? INTERMEDIATES_MAX, INTERMEDIATES_MAX),
    checksLeft: SIGNATURE_CHECKS_MAX,
    comparisonsLeft: NAME_COMPARISONS_MAX,
    furthest: { depth: -1, reason: 'unknown-issuer' },
  };
  const own = certificateFault(options.leaf, search) ?? leafFault(options.leaf, options.usage);
  if (own) return { ok: false, reason: own };
  const path = extend([options.leaf], search);
  if (path) return { ok: true, path };
  return { ok: false, reason: search.checksLeft < 0 ? 'too-much-work' : search.furthest.reason };
}

/** True when the signature of `subject` is by the key of `issuer`; nothing else of either is looked at. */
export function verifySignedBy(subject: Certificate, issuer: Certificate): boolean {
  if (!subject.signatureAlgorithm) return false;
  try {
    return verifyWith(subject.signatureAlgorithm, {
      key: issuer.publicKey(),
      data: subject.tbsDer,
      signature: subject.signature,
    });
  } catch (error) {
    // A key that does not load, or a signature that OpenSSL can't even read: an answer here, not a failure.
    if (error instanceof X509Error) return false;
    throw error;
  }
}

interface Search {
  readonly options: ChainOptions;
  readonly nowS: number;
  readonly depthMax: number;
  checksLeft: number;
  comparisonsLeft: number;
  furthest: { depth: number; reason: ChainReason };
}

function extend(path: readonly Certificate[], search: Search): readonly Certificate[] | undefined {
  const subject = path.at(-1);
  if (!subject) return undefined;
  for (const isRoot of [true, false]) {
    for (const issuer of isRoot ? search.options.roots : search.options.intermediates) {
      if (!issuer.subjectDer.equals(subject.issuerDer) || !keyIdsAgree(subject, issuer)) continue;
      // The same subject and key again would be a loop, however often it was re-issued.
      if (!isRoot && path.some((seen) => sameEntity(seen, issuer))) continue;
      const fault = issuerFault(path, issuer, { isRoot, search });
      if (search.checksLeft < 0) return undefined;
      if (fault) {
        note(search, path.length, fault);
        continue;
      }
      const longer = [...path, issuer];
      const complete = isRoot ? longer : extend(longer, search);
      if (complete) return complete;
    }
  }
  note(search, path.length - 1, 'unknown-issuer');
  return undefined;
}

/** Everything that can be wrong with `issuer` as the signer of the last of `path`; cheap checks before the signature. */
function issuerFault(
  path: readonly Certificate[],
  issuer: Certificate,
  { isRoot, search }: { isRoot: boolean; search: Search },
): ChainReason | undefined {
  const subject = path.at(-1);
  if (!subject?.signatureAlgorithm) return 'algorithm-not-allowed';
  // Self-issued certificates (key rollover) don't count: RFC 5280 §4.2.1.9.
  const below = path.slice(1).filter((certificate) => !isSelfIssued(certificate)).length;
  const counted = isRoot || isSelfIssued(issuer) ? below : below + 1;
  if (counted > search.depthMax || path.length > PATH_MAX) return 'path-too-long';
  const fault = certificateFault(issuer, search) ?? caFault(issuer, search.options.usage);
  if (fault) return fault;
  const pathLength = issuer.basicConstraints?.pathLength;
  if (pathLength !== undefined && below > pathLength) return 'path-too-long';
  if (search.checksLeft-- <= 0) return 'too-much-work';
  if (!verifySignedBy(subject, issuer)) return 'bad-signature';
  return issuer.nameConstraints && constraintFault(path, issuer.nameConstraints, search);
}

function constraintFault(
  path: readonly Certificate[],
  constraints: NameConstraints,
  search: Search,
): ChainReason | undefined {
  const bases = countNames(constraints.permitted) + countNames(constraints.excluded);
  // Self-issued intermediates are exempt, the leaf never is: RFC 5280 §6.1.3 (b).
  for (const certificate of path.filter((each, index) => index === 0 || !isSelfIssued(each))) {
    search.comparisonsLeft -= bases * (1 + countNames(certificate.names));
    if (search.comparisonsLeft < 0) {
      search.checksLeft = -1;
      return 'too-much-work';
    }
    if (!withinConstraints(certificate, constraints)) return 'name-constraints';
  }
  return undefined;
}

function countNames(names: GeneralNames | undefined): number {
  if (!names) return 0;
  const { uris, dnsNames, ipAddresses, emails, directoryNames, otherTags } = names;
  return [uris, dnsNames, ipAddresses, emails, directoryNames, otherTags].reduce((sum, list) => sum + list.length, 0);
}

/** What must hold of every certificate on a path. */
function certificateFault(certificate: Certificate, search: Search): ChainReason | undefined {
  if (search.nowS < certificate.notBeforeS) return 'not-yet-valid';
  if (search.nowS > certificate.notAfterS) return 'expired';
  if (certificate.unknownCritical.length > 0) return 'unknown-critical-extension';
  if (!criticalAsProfiled(certificate)) return 'malformed-extensions';
  return publicKeyInfo(certificate.spkiDer) ? undefined : 'key-not-allowed';
}

function leafFault(leaf: Certificate, usage: ChainUsage): ChainReason | undefined {
  // A signing key that also serves connections would turn one stolen server into a certificate authority.
  if (usage !== 'any' && leaf.basicConstraints?.ca) return 'leaf-is-a-ca';
  if (leaf.nameConstraints || !leaf.names.dnsNames.every(isDnsSan)) return 'malformed-extensions';
  if (leaf.keyUsage?.has('keyCertSign') && !leaf.basicConstraints?.ca) return 'key-usage';
  if (!authorityKeyIdFits(leaf)) return 'malformed-extensions';
  return allowsUsage(leaf, usage) ? undefined : 'extended-key-usage';
}

function caFault(issuer: Certificate, usage: ChainUsage): ChainReason | undefined {
  if (!issuer.basicConstraints?.ca) return 'not-a-ca';
  // SPIFFE wants the extension in every CA (X509-SVID §4.3). Elsewhere one without it may sign (RFC 5280 §6.1.4 n): private PKIs often leave it out.
  const maySign = issuer.keyUsage ? issuer.keyUsage.has('keyCertSign') : usage === 'any';
  if (!maySign) return 'key-usage';
  const critical = issuer.criticalByOid.get(OID.basicConstraints) === true;
  if (!critical || !issuer.subjectKeyId || isEmptyName(issuer.subjectDer)) return 'malformed-extensions';
  if (!authorityKeyIdFits(issuer)) return 'malformed-extensions';
  return allowsUsage(issuer, usage) ? undefined : 'extended-key-usage';
}

/**
 * An authority key identifier must hold a key id. A certificate without the extension is tolerated: it only helps to find the issuer, which
 * the signature proves, and private PKIs often leave it out.
 */
function authorityKeyIdFits(certificate: Certificate): boolean {
  return !certificate.authorityKeyId || certificate.authorityKeyId.keyId !== undefined;
}

/** RFC 5280 §4.2: each of these is either always critical or never. */
function criticalAsProfiled(certificate: Certificate): boolean {
  const critical = certificate.criticalByOid;
  if (NEVER_CRITICAL.some((oid) => critical.get(oid) === true)) return false;
  if (ALWAYS_CRITICAL.some((oid) => critical.get(oid) === false)) return false;
  // With an empty subject the alternative names are the only names: RFC 5280 §4.1.2.6.
  return !isEmptyName(certificate.subjectDer) || critical.get(OID.subjectAltName) === true;
}

/** A DNS name in its preferred syntax and no IP address in disguise: RFC 5280 §4.2.1.6. */
function isDnsSan(name: string): boolean {
  return isDnsName(name) && !/^[\d.]+$/.test(name);
}

function allowsUsage(certificate: Certificate, usage: ChainUsage): boolean {
  const purposes = certificate.extendedKeyUsage;
  if (usage === 'any' || !purposes) return true;
  const wanted = usage === 'server-auth' ? OID.serverAuth : OID.clientAuth;
  return purposes.includes(wanted) || purposes.includes(OID.anyExtendedKeyUsage);
}

function keyIdsAgree(subject: Certificate, issuer: Certificate): boolean {
  const wanted = subject.authorityKeyId?.keyId;
  return !wanted || !issuer.subjectKeyId || wanted.equals(issuer.subjectKeyId);
}

function sameEntity(a: Certificate, b: Certificate): boolean {
  return a.spkiDer.equals(b.spkiDer) && a.subjectDer.equals(b.subjectDer);
}

function isSelfIssued(certificate: Certificate): boolean {
  return certificate.subjectDer.equals(certificate.issuerDer);
}

function isEmptyName(name: Buffer): boolean {
  return name.length === 2;
}

function publicKeyInfo(spkiDer: Buffer): PublicKeyInfo | undefined {
  try {
    return parsePublicKeyInfo(spkiDer);
  } catch (error) {
    // A key that is not allowed is an answer to the validator's question.
    if (error instanceof X509Error) return undefined;
    throw error;
  }
}

function note(search: Search, depth: number, reason: ChainReason): void {
  if (depth > search.furthest.depth) search.furthest = { depth, reason };
}

const NEVER_CRITICAL: readonly string[] = [
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.authorityInfoAccess,
];
const ALWAYS_CRITICAL: readonly string[] = [OID.nameConstraints, OID.policyConstraints];
/** Intermediates on one path: nested servers rarely go beyond three. */
export const INTERMEDIATES_MAX = 8;
/** With self-issued rollover certificates between them. */
const PATH_MAX = 16;
/** Certificates that a peer may present beside its leaf. */
const CERTIFICATES_MAX = 32;
/** A peer can arrange look-alike issuers so that the search branches; each check costs up to a millisecond. */
const SIGNATURE_CHECKS_MAX = 64;
/** A thousand names against a thousand constraints, over and over, is work that a peer can arrange for us; this is a few milliseconds. */
const NAME_COMPARISONS_MAX = 100_000;
