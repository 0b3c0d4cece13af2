import { IdentityError, parseSpiffeId, type SpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { X509Authority } from '../../../model/index.ts';
import { type Certificate, parseCertificate } from '../certificates/certificate.ts';
import { OID } from '../der/oids.ts';
import { X509Error } from '../errors.ts';
import type { ChainReason } from './chain-fault.ts';
import { verifyChain } from './verify-chain.ts';

/** Why a chain is no valid X.509-SVID: the leaf's own faults, then those of its path. */
export type SvidReason =
  | 'empty-chain'
  | 'malformed'
  | 'not-one-uri'
  | 'bad-spiffe-id'
  | 'no-path'
  | 'leaf-key-usage'
  | 'ca-has-path'
  | 'unknown-trust-domain'
  | ChainReason;

/**
 * `tainted` says that the path ends in an authority under recall; see {@link verifyX509Svid}. `leaf` and `expiresAtS` (the earliest
 * end on the path, epoch seconds) tell how long the answer holds.
 */
export type SvidResult =
  | {
      readonly ok: true;
      readonly id: SpiffeId;
      readonly leaf: Certificate;
      readonly expiresAtS: number;
      readonly tainted: boolean;
    }
  | { readonly ok: false; readonly reason: SvidReason };

/**
 * Verifies an X.509-SVID as presented (leaf first) against the bundle of the trust domain that it claims.
 *
 * A tainted authority still verifies, and the answer says so: taint is the notice to leave a key, revocation (removal from the
 * bundle) is the end of trust in it. If taint refused at once, an agent could no longer prove itself to fetch the SVID that replaces
 * the tainted one, and each recall would be an outage. A caller that must not wait refuses on `tainted`.
 *
 * Never throws for what is presented.
 * @see SPIFFE X509-SVID §3, §4, §5
 */
export function verifyX509Svid(
  chainDer: readonly Buffer[],
  bundles: (trustDomain: TrustDomain) => readonly X509Authority[] | undefined,
  nowMs: number,
): SvidResult {
  if (chainDer.length === 0) return { ok: false, reason: 'empty-chain' };
  if (chainDer.length > CHAIN_CERTIFICATES_MAX) return { ok: false, reason: 'too-many-certificates' };
  const chain = parseAll(chainDer);
  const [leaf, ...intermediates] = chain ?? [];
  if (!leaf) return { ok: false, reason: 'malformed' };
  const id = leafId(leaf);
  if (typeof id === 'string') return { ok: false, reason: id };
  const authorities = bundles(id.trustDomain);
  if (!authorities) return { ok: false, reason: 'unknown-trust-domain' };
  const taintedByRoot = new Map<Certificate, boolean>();
  for (const authority of authorities) {
    const [root] = parseAll([authority.der]) ?? [];
    // An unreadable root trusts nobody; the others of the bundle still count.
    if (root) taintedByRoot.set(root, authority.tainted);
  }
  // A sound root first: with two roots of one name and key, a leaf under both is not tainted.
  const roots = [...taintedByRoot.keys()].sort((a, b) => Number(taintedByRoot.get(a)) - Number(taintedByRoot.get(b)));
  const result = verifyChain({ leaf, intermediates, roots, nowMs, usage: 'any' });
  if (!result.ok) return result;
  if (!result.path.slice(1).every(isSigningSvid)) return { ok: false, reason: 'ca-has-path' };
  const root = result.path.at(-1);
  return {
    ok: true,
    id,
    leaf,
    expiresAtS: Math.min(...result.path.map((certificate) => certificate.notAfterS)),
    tainted: root !== undefined && taintedByRoot.get(root) === true,
  };
}

/**
 * The SPIFFE ID of a leaf, checked against the leaf rules but not yet verified.
 * @see SPIFFE X509-SVID §2, §4.3, Appendix A
 */
export function leafId(leaf: Certificate): SpiffeId | SvidReason {
  const [uri, ...more] = leaf.names.uris;
  if (uri === undefined || more.length > 0) return 'not-one-uri';
  const id = parseId(uri);
  if (!id) return 'bad-spiffe-id';
  if (id.path === '') return 'no-path';
  if (leaf.basicConstraints?.ca) return 'leaf-is-a-ca';
  const usage = leaf.keyUsage;
  if (!usage?.has('digitalSignature') || usage.has('keyCertSign') || usage.has('cRLSign')) return 'leaf-key-usage';
  // The specification wants the extension marked critical (§4.3).
  return leaf.criticalByOid.get(OID.keyUsage) === true ? id : 'leaf-key-usage';
}

/** A signing certificate with a SPIFFE ID has a valid one without a path: a workload's key never signs identities. */
function isSigningSvid(ca: Certificate): boolean {
  return ca.names.uris.filter((uri) => /^spiffe:/i.test(uri)).every((uri) => parseId(uri)?.path === '');
}

function parseId(uri: string): SpiffeId | undefined {
  try {
    return parseSpiffeId(uri);
  } catch (error) {
    // What is no SPIFFE ID is an answer to the verifier's question.
    if (error instanceof IdentityError) return undefined;
    throw error;
  }
}

function parseAll(ders: readonly Buffer[]): readonly Certificate[] | undefined {
  try {
    return ders.map(parseCertificate);
  } catch (error) {
    if (error instanceof X509Error) return undefined;
    throw error;
  }
}

/** Leaf and intermediates as a peer may present them. */
const CHAIN_CERTIFICATES_MAX = 10;
