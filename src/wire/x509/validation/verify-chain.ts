import type { Certificate } from '../certificates/certificate.ts';
import type { NameConstraints } from '../certificates/extensions.ts';
import { hasValidPolicy } from '../certificates/policies.ts';
import { X509Error } from '../errors.ts';
import { verifyWith } from '../keys/signature-algorithm.ts';
import { comparableName } from '../names/distinguished-name.ts';
import type { GeneralNames } from '../names/general-names.ts';
import type { ChainFault, ChainReason } from './chain-fault.ts';
import {
  allowsAlgorithm,
  type ChainRules,
  type ChainUsage,
  caFault,
  certificateFault,
  leafFault,
} from './chain-rules.ts';
import { withinConstraints } from './name-constraints.ts';

export interface ChainOptions {
  readonly leaf: Certificate;
  /** As presented, in any order; certificates that don't help are ignored. */
  readonly intermediates: readonly Certificate[];
  /** Trusted as they are; still checked for validity and for being CAs. */
  readonly roots: readonly Certificate[];
  readonly nowMs: number;
  readonly usage: ChainUsage;
  /** Default: `profile`. */
  readonly rules?: ChainRules;
  /** Most intermediates on the path that are not self-issued. Default and upper bound: {@link INTERMEDIATES_MAX}. */
  readonly intermediatesMax?: number;
}

/** `path` runs from the leaf to the root. */
export type ChainResult =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | ({ readonly ok: false } & ChainFault);

/**
 * Looks for a path from `leaf` to one of `roots` and validates it: signatures, validity, CA flags, path length, key usage,
 * extended key usage of every certificate, name constraints, key identifiers, critical extensions, algorithms. Depth first, with
 * a bound on certificates and signature checks. Never throws for what certificates say.
 * @see RFC 5280 §6
 */
export function verifyChain(options: ChainOptions): ChainResult {
  const { leaf, rules = 'profile' } = options;
  const refuse = (fault: ChainReason): ChainResult => ({ ok: false, reason: fault, certificate: leaf, place: 0 });
  if (options.intermediates.length > CERTIFICATES_MAX) return refuse('too-many-certificates');
  const search: Search = {
    options,
    rules,
    sameName: createNameComparison(rules),
    nowS: Math.floor(options.nowMs / 1000),
    depthMax: Math.min(options.intermediatesMax ?? INTERMEDIATES_MAX, INTERMEDIATES_MAX),
    checksLeft: SIGNATURE_CHECKS_MAX,
    comparisonsLeft: NAME_COMPARISONS_MAX,
    furthest: { reason: 'unknown-issuer', certificate: leaf, place: 0, depth: -1 },
  };
  const own = certificateFault(leaf, search.nowS, rules) ?? leafFault(leaf, options.usage, rules);
  if (own) return refuse(own);
  const path = extend([leaf], search);
  if (path) return { ok: true, path };
  if (search.checksLeft < 0) return refuse('too-much-work');
  const { reason, certificate, place } = search.furthest;
  return { ok: false, reason, certificate, place };
}

/** True when the signature of `subject` is by the key of `issuer`; nothing else of either is looked at. */
export function verifySignedBy(subject: Certificate, issuer: Certificate): boolean {
  return verifySigned(subject, issuer);
}

/** As {@link verifySignedBy}, for all that is signed in the manner of certificates. */
export function verifySigned(
  subject: Pick<Certificate, 'signatureAlgorithm' | 'tbsDer' | 'signature'>,
  issuer: Certificate,
): boolean {
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
  readonly rules: ChainRules;
  readonly sameName: (a: Buffer, b: Buffer) => boolean;
  readonly nowS: number;
  readonly depthMax: number;
  checksLeft: number;
  comparisonsLeft: number;
  furthest: ChainFault & { readonly depth: number };
}

function extend(path: readonly Certificate[], search: Search): readonly Certificate[] | undefined {
  const subject = path.at(-1);
  if (!subject) return undefined;
  for (const isRoot of [true, false]) {
    for (const issuer of isRoot ? search.options.roots : search.options.intermediates) {
      if (!search.sameName(issuer.subjectDer, subject.issuerDer) || !keyIdsAgree(subject, issuer)) continue;
      // The same subject and key again would be a loop, however often it was re-issued.
      if (!isRoot && path.some((seen) => sameEntity(seen, issuer))) continue;
      const longer = [...path, issuer];
      const fault = issuerFault(longer, { isRoot, search });
      if (search.checksLeft < 0) return undefined;
      if (fault) {
        note(search, fault, path.length);
        continue;
      }
      const complete = isRoot ? longer : extend(longer, search);
      if (complete) return complete;
    }
  }
  note(search, { reason: 'unknown-issuer', certificate: subject, place: path.length - 1 }, path.length - 1);
  return undefined;
}

/** Everything that can be wrong with the last of `path` as the signer of the one before; cheap checks before the signature. */
function issuerFault(
  path: readonly Certificate[],
  { isRoot, search }: { isRoot: boolean; search: Search },
): ChainFault | undefined {
  const [subject, issuer] = path.slice(-2);
  if (!subject || !issuer) return undefined;
  const place = path.length - 1;
  const { rules } = search;
  const ofSubject = (reason: ChainReason): ChainFault => ({ reason, certificate: subject, place: place - 1 });
  const ofIssuer = (reason: ChainReason): ChainFault => ({ reason, certificate: issuer, place });
  if (!allowsAlgorithm(subject, rules)) return ofSubject('algorithm-not-allowed');
  // Self-issued certificates (key rollover) don't count: RFC 5280 §4.2.1.9.
  const below = path.slice(1, -1).filter((certificate) => !isSelfIssued(certificate, search)).length;
  const counted = isRoot || isSelfIssued(issuer, search) ? below : below + 1;
  if (counted > search.depthMax || place > PATH_MAX) return ofIssuer('path-too-long');
  const fault = certificateFault(issuer, search.nowS, rules) ?? caFault(issuer, search.options.usage, rules);
  if (fault) return ofIssuer(fault);
  const pathLength = issuer.basicConstraints?.pathLength;
  if (pathLength !== undefined && below > pathLength) return ofIssuer('path-too-long');
  if (search.checksLeft-- <= 0) return ofSubject('too-much-work');
  if (!verifySignedBy(subject, issuer)) return ofSubject('bad-signature');
  const named = issuer.nameConstraints && constraintFault(path.slice(0, -1), issuer.nameConstraints, search);
  return named ?? (isRoot && rules === 'path' ? policyFault(path, search) : undefined);
}

function policyFault(path: readonly Certificate[], search: Search): ChainFault | undefined {
  const [leaf] = path;
  const selfIssued = (index: number) => {
    const certificate = path[index];
    return certificate !== undefined && isSelfIssued(certificate, search);
  };
  if (!leaf || hasValidPolicy(path, selfIssued)) return undefined;
  return { reason: 'no-valid-policy', certificate: leaf, place: 0 };
}

function constraintFault(
  path: readonly Certificate[],
  constraints: NameConstraints,
  search: Search,
): ChainFault | undefined {
  const bases = countNames(constraints.permitted) + countNames(constraints.excluded);
  const leadingDot = search.rules === 'path';
  // Self-issued intermediates are exempt, the leaf never is: RFC 5280 §6.1.3 (b).
  for (const [place, certificate] of path.entries()) {
    if (place > 0 && isSelfIssued(certificate, search)) continue;
    search.comparisonsLeft -= bases * (1 + countNames(certificate.names));
    if (search.comparisonsLeft < 0) {
      search.checksLeft = -1;
      return { reason: 'too-much-work', certificate, place };
    }
    if (!withinConstraints(certificate, constraints, { leadingDot }))
      return { reason: 'name-constraints', certificate, place };
  }
  return undefined;
}

function countNames(names: GeneralNames | undefined): number {
  if (!names) return 0;
  const { uris, dnsNames, ipAddresses, emails, directoryNames, otherTags } = names;
  return [uris, dnsNames, ipAddresses, emails, directoryNames, otherTags].reduce((sum, list) => sum + list.length, 0);
}

function keyIdsAgree(subject: Certificate, issuer: Certificate): boolean {
  const wanted = subject.authorityKeyId?.keyId;
  return !wanted || !issuer.subjectKeyId || wanted.equals(issuer.subjectKeyId);
}

function sameEntity(a: Certificate, b: Certificate): boolean {
  return a.spkiDer.equals(b.spkiDer) && a.subjectDer.equals(b.subjectDer);
}

function isSelfIssued(certificate: Certificate, search: Search): boolean {
  return search.sameName(certificate.subjectDer, certificate.issuerDer);
}

/**
 * By bytes among certificates of our own kind. Elsewhere a CA may have been renewed with its name in another string type or case, so that only
 * comparable forms are equal: RFC 5280 §7.1.
 */
function createNameComparison(rules: ChainRules): Search['sameName'] {
  if (rules === 'profile') return (a, b) => a.equals(b);
  const known = new Map<Buffer, string>();
  const textOf = (name: Buffer) => {
    const text = known.get(name) ?? comparableName(name).join('\0\0');
    known.set(name, text);
    return text;
  };
  return (a, b) => a.equals(b) || textOf(a) === textOf(b);
}

function note(search: Search, fault: ChainFault, depth: number): void {
  if (depth > search.furthest.depth) search.furthest = { ...fault, depth };
}

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
