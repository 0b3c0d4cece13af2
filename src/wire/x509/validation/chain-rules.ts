import type { Certificate } from '../certificates/certificate.ts';
import { OID } from '../der/oids.ts';
import { X509Error } from '../errors.ts';
import { type PublicKeyInfo, parsePublicKeyInfo } from '../keys/public-key.ts';
import { isPss } from '../keys/signature-algorithm.ts';
import { isDnsName } from '../names/name-writer.ts';
import type { ChainReason } from './chain-fault.ts';

/** What a leaf is used for. `any` leaves extended key usage unasked. */
export type ChainUsage = 'server-auth' | 'client-auth' | 'any';

/**
 * Which rules count. `profile`: those by which paths are validated (RFC 5280 §6) and those by which certificates are made (§4), for
 * certificates of our own kind: whoever makes them otherwise did not mean us. `path`: only the former, for the PKIs that companies have, of
 * which many break rules for makers that OpenSSL and Go don't look at; and RSA-PSS.
 */
export type ChainRules = 'profile' | 'path';

/** What must hold of every certificate on a path. */
export function certificateFault(certificate: Certificate, nowS: number, rules: ChainRules): ChainReason | undefined {
  if (nowS < certificate.notBeforeS) return 'not-yet-valid';
  if (nowS > certificate.notAfterS) return 'expired';
  return contentFault(certificate, rules);
}

/** What makes a certificate unfit to end paths, whatever the time: no CA, a key that is not allowed, an extension that is not understood. */
export function anchorFault(certificate: Certificate, rules: ChainRules): ChainReason | undefined {
  return caFault(certificate, 'any', rules) ?? contentFault(certificate, rules);
}

function contentFault(certificate: Certificate, rules: ChainRules): ChainReason | undefined {
  if (certificate.unknownCritical.some((oid) => rules === 'profile' || !POLICY_OIDS.has(oid)))
    return 'unknown-critical-extension';
  const kind = publicKeyInfo(certificate.spkiDer)?.kind;
  if (rules === 'path') return kind ? undefined : 'key-not-allowed';
  if (!criticalAsProfiled(certificate)) return 'malformed-extensions';
  if (certificate.outsideProfile.length > 0) return 'outside-profile';
  return kind && kind.type !== 'rsa-pss' ? undefined : 'key-not-allowed';
}

/** What must hold of the first certificate of a path beside that. */
export function leafFault(leaf: Certificate, usage: ChainUsage, rules: ChainRules): ChainReason | undefined {
  // A signing key that also serves connections would turn one stolen server into a certificate authority.
  if (usage !== 'any' && leaf.basicConstraints?.ca) return 'leaf-is-a-ca';
  if (rules === 'profile') {
    if (leaf.nameConstraints || !leaf.names.dnsNames.every(isDnsSan)) return 'malformed-extensions';
    if (leaf.keyUsage?.has('keyCertSign') && !leaf.basicConstraints?.ca) return 'key-usage';
    if (!authorityKeyIdFits(leaf)) return 'malformed-extensions';
  }
  return allowsUsage(leaf, usage) ? undefined : 'extended-key-usage';
}

/** What must hold of every other certificate of a path beside that. */
export function caFault(issuer: Certificate, usage: ChainUsage, rules: ChainRules): ChainReason | undefined {
  if (!issuer.basicConstraints?.ca) return 'not-a-ca';
  // SPIFFE wants the extension in every CA (X509-SVID §4.3). Elsewhere one without it may sign (RFC 5280 §6.1.4 n): private PKIs often leave it out.
  const maySign = issuer.keyUsage ? issuer.keyUsage.has('keyCertSign') : usage === 'any';
  if (!maySign) return 'key-usage';
  if (rules === 'profile') {
    const critical = issuer.criticalByOid.get(OID.basicConstraints) === true;
    if (!critical || !issuer.subjectKeyId || isEmptyName(issuer.subjectDer)) return 'malformed-extensions';
    if (!authorityKeyIdFits(issuer)) return 'malformed-extensions';
  }
  return allowsUsage(issuer, usage) ? undefined : 'extended-key-usage';
}

/** True when the algorithm that a certificate is signed by is allowed. */
export function allowsAlgorithm({ signatureAlgorithm }: Certificate, rules: ChainRules): boolean {
  return signatureAlgorithm !== undefined && (rules === 'path' || !isPss(signatureAlgorithm));
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

const NEVER_CRITICAL: readonly string[] = [
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.authorityInfoAccess,
];
const ALWAYS_CRITICAL: readonly string[] = [OID.nameConstraints, OID.policyConstraints];
/** Extensions that only the rules for paths of other PKIs look at. */
const POLICY_OIDS: ReadonlySet<string> = new Set([
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.inhibitAnyPolicy,
]);
