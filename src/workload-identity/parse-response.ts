import { createPrivateKey, createPublicKey } from 'node:crypto';
import type {
  JWTBundlesResponse,
  X509SVID,
  X509SVIDResponse,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { parseSpiffeId, parseTrustDomain, type SpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { JwtAuthority, X509Authority } from '../model/index.ts';
import { messageOf } from '../std/index.ts';
import { parseJwks } from '../wire/jose/index.ts';
import { leafId, parseCertificate, splitCertificates } from '../wire/x509/index.ts';
import { WorkloadIdentityError } from './errors.ts';

/** What a process is, and what it verifies others with. */
export interface OwnIdentity {
  readonly id: SpiffeId;
  /** Leaf first, roots left out. */
  readonly chainDer: readonly Buffer[];
  /** PKCS#8, not encrypted. */
  readonly keyDer: Buffer;
  readonly hint: string;
  /** Roots of the own and of federated trust domains. The Workload API does not tell which are tainted. */
  readonly bundles: ReadonlyMap<TrustDomain, readonly X509Authority[]>;
  readonly expiresAtS: number;
}

/**
 * Reads the default identity (the first one) of a FetchX509SVID response. `hint`, when given, picks another.
 * @throws WorkloadIdentityError ERR_WORKLOAD_API_ANSWER
 * @see SPIFFE Workload API §5.2.1
 */
export function parseX509Response(response: X509SVIDResponse, hint?: string): OwnIdentity {
  const svid = hint === undefined ? response.svids[0] : response.svids.find((each) => each.hint === hint);
  if (!svid) {
    const what = hint === undefined ? 'no SVID' : `no SVID with the hint ${JSON.stringify(hint)}`;
    throw new WorkloadIdentityError('ERR_WORKLOAD_API_ANSWER', `the Workload API answered with ${what}`);
  }
  try {
    return readSvid(svid, response);
  } catch (cause) {
    const problem = `the Workload API's SVID can not be used: ${messageOf(cause)}`;
    throw new WorkloadIdentityError('ERR_WORKLOAD_API_ANSWER', problem, { cause });
  }
}

/**
 * Reads a FetchJWTBundles response, which is all that verifies tokens from then on.
 * @throws WorkloadIdentityError ERR_WORKLOAD_API_ANSWER
 * @see SPIFFE Workload API §6.2.2
 */
export function parseJwtBundles({ bundles }: JWTBundlesResponse): ReadonlyMap<TrustDomain, readonly JwtAuthority[]> {
  try {
    return new Map(
      Object.entries(bundles).map(([domain, jwks]) => [trustDomainOf(domain), parseJwks(Buffer.from(jwks))]),
    );
  } catch (cause) {
    const problem = `the Workload API's keys of tokens can not be used: ${messageOf(cause)}`;
    throw new WorkloadIdentityError('ERR_WORKLOAD_API_ANSWER', problem, { cause });
  }
}

function trustDomainOf(id: string): TrustDomain {
  return parseTrustDomain(id.replace(/^spiffe:\/\//, ''));
}

function readSvid(svid: X509SVID, response: X509SVIDResponse): OwnIdentity {
  const id = parseSpiffeId(svid.spiffeId);
  const chainDer = splitCertificates(Buffer.from(svid.x509Svid));
  const [leafDer] = chainDer;
  if (!leafDer) throw new Error('it holds no certificate');
  const leaf = parseCertificate(leafDer);
  const named = leafId(leaf);
  if (typeof named === 'string') throw new Error(named);
  if (named.uri !== id.uri) throw new Error(`its certificate names ${named.uri}, not ${id.uri}`);
  const keyDer = Buffer.from(svid.x509SvidKey);
  const key = createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' });
  if (!createPublicKey(key).export({ format: 'der', type: 'spki' }).equals(leaf.spkiDer)) {
    throw new Error('its key does not belong to its certificate');
  }
  const bundles = new Map<TrustDomain, readonly X509Authority[]>();
  for (const [domain, roots] of Object.entries(response.federatedBundles)) {
    bundles.set(trustDomainOf(domain), readRoots(roots));
  }
  bundles.set(id.trustDomain, readRoots(svid.bundle));
  return { id, chainDer, keyDer, hint: svid.hint, bundles, expiresAtS: leaf.notAfterS };
}

function readRoots(concatenated: Uint8Array): X509Authority[] {
  return splitCertificates(Buffer.from(concatenated)).map((der) => ({ der, tainted: false }));
}
