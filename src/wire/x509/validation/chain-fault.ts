import type { Certificate } from '../certificates/certificate.ts';
import { describeName } from '../names/distinguished-name.ts';

/** Why no path was accepted. When several paths were tried, the reason of the one that came furthest. */
export type ChainReason = keyof typeof RULES;

/** What was wrong with which certificate. */
export interface ChainFault {
  readonly reason: ChainReason;
  readonly certificate: Certificate;
  /** Where it stands on the path: 0 is the leaf. */
  readonly place: number;
}

/** The fault in words: the certificate by place, subject and serial number, what is wrong with it, and the rule. */
export function describeFault({ reason, certificate, place }: ChainFault): string {
  return `${describeCertificate(certificate, place)} ${ruleOf(reason, certificate)}`;
}

/** What is wrong with a certificate and the rule, to follow its name. */
export function ruleOf(reason: ChainReason, certificate: Certificate): string {
  const rule = RULES[reason];
  return typeof rule === 'string' ? rule : rule(certificate);
}

/** A certificate for people to find: its place on the path, subject, serial number in hexadecimal. */
export function describeCertificate(certificate: Certificate, place: number): string {
  const serial = BigInt(certificate.serial).toString(16);
  const what = place === 0 ? 'the leaf certificate' : `certificate ${place} above the leaf`;
  return `${what} (${describeName(certificate.subjectDer)}; serial ${serial})`;
}

const RULES = {
  expired: 'has expired (RFC 5280 §6.1.3 (a)(2))',
  'not-yet-valid': 'is not valid yet (RFC 5280 §6.1.3 (a)(2))',
  'unknown-issuer': ({ issuerDer, authorityKeyId }) =>
    `was issued by ${describeName(issuerDer)}${authorityKeyId?.keyId ? ` with the key id ${authorityKeyId.keyId.toString('hex')}` : ''}, which is neither trusted nor was shown (RFC 5280 §6.1.3 (a)(4))`,
  'bad-signature': 'is not signed by the key of its issuer (RFC 5280 §6.1.3 (a)(1))',
  'algorithm-not-allowed':
    'is signed by an algorithm that is not allowed: RSA, RSA-PSS or ECDSA with SHA-2, or Ed25519 (RFC 5280 §4.1.1.2)',
  'key-not-allowed':
    'has a key that is not allowed: EC on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits with an odd exponent from 3 (RFC 5280 §4.1.2.7)',
  'not-a-ca': 'is no CA by its basicConstraints (RFC 5280 §6.1.4 (k))',
  'leaf-is-a-ca': 'is a CA (RFC 5280 §4.2.1.9)',
  'path-too-long': 'has too many certificates below it (RFC 5280 §6.1.4 (l), (m))',
  'key-usage': 'does not have the key usage that it needs: keyCertSign for a CA, and only there (RFC 5280 §6.1.4 (n))',
  'extended-key-usage': 'is not for this use by its extended key usage (RFC 5280 §4.2.1.12)',
  'name-constraints': 'has a name that the constraints of a CA above it do not allow (RFC 5280 §6.1.3 (b), (c))',
  'no-valid-policy': 'ends a path on which a CA demands a policy, and none is valid (RFC 5280 §6.1.3 (f), §6.1.5 (g))',
  'unknown-critical-extension': ({ unknownCritical }) =>
    `has critical extensions that are not understood: ${unknownCritical.slice(0, OIDS_TOLD_MAX).join(', ')} (RFC 5280 §6.1.4 (o))`,
  'malformed-extensions': 'has extensions, or marks them critical, otherwise than RFC 5280 §4.2 has it',
  'outside-profile': ({ outsideProfile }) => `does not follow RFC 5280: ${outsideProfile.join('; ')}`,
  'too-many-certificates': 'came with too many others',
  'too-much-work': 'came with others that make too much work',
} as const satisfies Readonly<Record<string, string | ((certificate: Certificate) => string)>>;

const OIDS_TOLD_MAX = 4;
