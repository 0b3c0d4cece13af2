import { OID } from '../der/oids.ts';
import { checkInteger, contextTag, DerReader, readWhole, TAG } from '../der/reader.ts';
import { X509Error } from '../errors.ts';

/** What a certificate says of the policies under which it was issued. */
export interface PolicyExtensions {
  /** Object identifiers; undefined without the extension. */
  readonly policies: ReadonlySet<string> | undefined;
  /** After how many certificates a policy must be valid for the path; undefined = never. */
  readonly requireExplicitPolicy: number | undefined;
  /** After how many certificates `anyPolicy` no longer stands for all; undefined = never. */
  readonly inhibitAnyPolicy: number | undefined;
}

/** @see RFC 5280 §4.2.1.4 */
export function parseCertificatePolicies(value: Buffer): ReadonlySet<string> {
  const reader = readWhole(value, TAG.sequence);
  const policies = new Set<string>();
  while (!reader.done) {
    const information = reader.enter(TAG.sequence);
    const oid = information.oid();
    if (!information.done) information.content(TAG.sequence); // Qualifiers are for people to read.
    information.finish();
    if (policies.has(oid)) throw new X509Error('ERR_CERTIFICATE', `certificatePolicies holds ${oid} twice`);
    if (policies.size >= POLICIES_MAX) throw new X509Error('ERR_CERTIFICATE', 'certificatePolicies holds too many');
    policies.add(oid);
  }
  if (policies.size === 0) throw new X509Error('ERR_CERTIFICATE', 'certificatePolicies is empty');
  return policies;
}

/** The `requireExplicitPolicy` of policyConstraints; its other member is about mappings. @see RFC 5280 §4.2.1.11 */
export function parsePolicyConstraints(value: Buffer): number | undefined {
  const reader = readWhole(value, TAG.sequence);
  if (reader.done) throw new X509Error('ERR_CERTIFICATE', 'policyConstraints is empty');
  const explicit = reader.contentOptional(contextTag(0, false));
  const mapping = reader.contentOptional(contextTag(1, false));
  reader.finish();
  if (mapping) skipCerts(mapping);
  return explicit && skipCerts(explicit);
}

/** @see RFC 5280 §4.2.1.14 */
export function parseInhibitAnyPolicy(value: Buffer): number {
  const reader = new DerReader(value);
  const count = skipCerts(reader.content(TAG.integer));
  reader.finish();
  return count;
}

/**
 * True when some policy is valid for the path (leaf first, trust anchor last), or none is asked for. Every policy is acceptable to us, so this
 * only says no where a CA on the path demands one. Mappings are not followed: where they would matter, the path has fewer policies for it.
 * @see RFC 5280 §6.1.3 (d) to (f), §6.1.4, §6.1.5
 */
export function hasValidPolicy(path: readonly PolicyExtensions[], isSelfIssued: (index: number) => boolean): boolean {
  let valid: ReadonlySet<string> | 'any' = 'any';
  let explicitIn = path.length;
  let inhibitAnyIn = path.length;
  for (let index = path.length - 2; index >= 0; index--) {
    const { policies, requireExplicitPolicy = Infinity, inhibitAnyPolicy = Infinity } = path[index] ?? NONE;
    const anyCounts: boolean = inhibitAnyIn > 0 || (index > 0 && isSelfIssued(index));
    valid = narrowed(valid, policies, anyCounts);
    if (index === 0) {
      if (explicitIn > 0) explicitIn--;
      if (requireExplicitPolicy === 0) explicitIn = 0;
    } else {
      if (!isSelfIssued(index)) {
        if (explicitIn > 0) explicitIn--;
        if (inhibitAnyIn > 0) inhibitAnyIn--;
      }
      explicitIn = Math.min(explicitIn, requireExplicitPolicy);
      inhibitAnyIn = Math.min(inhibitAnyIn, inhibitAnyPolicy);
    }
    if (explicitIn === 0 && valid !== 'any' && valid.size === 0) return false;
  }
  return true;
}

function narrowed(
  valid: ReadonlySet<string> | 'any',
  policies: ReadonlySet<string> | undefined,
  anyCounts: boolean,
): ReadonlySet<string> | 'any' {
  if (!policies) return new Set();
  if (anyCounts && policies.has(OID.anyPolicy)) return valid;
  return new Set([...policies].filter((oid) => oid !== OID.anyPolicy && (valid === 'any' || valid.has(oid))));
}

function skipCerts(content: Buffer): number {
  const bytes = checkInteger(content);
  if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80)
    throw new X509Error('ERR_CERTIFICATE', 'a count of certificates is negative or too large');
  return bytes.readUIntBE(0, bytes.length);
}

const NONE: PolicyExtensions = { policies: undefined, requireExplicitPolicy: undefined, inhibitAnyPolicy: undefined };
/** Real certificates hold a handful. */
const POLICIES_MAX = 64;
