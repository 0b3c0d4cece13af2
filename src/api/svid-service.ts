import { SVID } from '@countersign/sdk/contract';
import type { NewX509SVIDParams } from '@countersign/sdk/contract/gen/spire/api/server/svid/v1/svid_pb.ts';
import { parseSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { Authority, IssuedX509Svid, X509SvidRequest } from '../authority/index.ts';
import type { AttestedNode, Entry } from '../model/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Revocations } from '../revocation/index.ts';
import { type CallContext, Code, implement, RpcError, type RpcService } from '../rpc/index.ts';
import { assert, type Log } from '../std/index.ts';
import { parseCertificateRequest } from '../wire/x509/index.ts';
import type { Audit } from './audit.ts';
import type { Authorizer } from './authorize.ts';
import { parseOwnId, toIdMessage } from './ids.ts';
import { createSigning, type Signing } from './signing.ts';
import { invalid, itemStatusOf, notFound, OK_STATUS } from './status.ts';

/** The SPIRE server's SVID API. */
export function svidService(deps: {
  log: Log;
  trustDomain: TrustDomain;
  authority: Pick<Authority, 'issueX509Svid' | 'issueX509SvidBatch' | 'issueJwtSvid'>;
  registration: Pick<Registration, 'entryFor' | 'entriesOf'>;
  authorizer: Authorizer;
  audit: Audit;
  revocations: Pick<Revocations, 'checkSigned'>;
}): RpcService {
  const { authority, authorizer, audit, trustDomain } = deps;
  const signing = createSigning(deps);
  const entryFor = (node: AttestedNode, entryId: string): Entry => {
    if (entryId === '') throw invalid('the entry id is missing');
    const entry = deps.registration.entryFor(entryId, node.spiffeId, node.selectors);
    // The same answer whether it does not exist or is another agent's.
    if (entry === undefined) throw notFound('entry not found or not authorized');
    return entry;
  };
  return implement(SVID, {
    async batchNewX509SVID({ params }, context) {
      if (params.length > SVIDS_PER_BATCH_MAX) {
        throw new RpcError(Code.INVALID_ARGUMENT, `at most ${SVIDS_PER_BATCH_MAX} SVIDs in one request`);
      }
      const node = authorizer.agentOf(context);
      return {
        results: await issueBatch({ ...deps, signing, node }, context, params, (entryId) => entryFor(node, entryId)),
      };
    },
    async newJWTSVID({ entryId, audience }, context) {
      checkAudience(audience);
      const node = authorizer.agentOf(context);
      const entry = entryFor(node, entryId);
      const { spiffeId, jwtSvidTtlS: ttlS } = entry;
      const issued = await signing.checked({ spiffeId, entryId, node }, () =>
        authority.issueJwtSvid({ spiffeId, audience, ttlS }),
      );
      return { svid: { ...jwtMessage(issued), id: toIdMessage(spiffeId), hint: entry.hint } };
    },
    async mintX509SVID({ csr, ttl }, context) {
      checkTtl(ttl);
      const request = parseCertificateRequest(Buffer.from(csr));
      const [uri, ...others] = request.names.uris;
      if (uri === undefined || others.length > 0) throw invalid('the CSR must ask for exactly one URI');
      const { trustDomain: name, path } = parseSpiffeId(uri);
      const spiffeId = parseWorkloadId({ trustDomain: name, path }, trustDomain);
      const { dnsNames } = request.names;
      const what = { target: spiffeId.uri, detail: { ttl, dnsNames }, outcome: serialOf };
      const { subjectKey: publicKeyDer } = request;
      const wanted = { spiffeId, publicKeyDer, ttlS: ttl, dnsNames, signal: context.signal };
      const issued = await audit.act(context, what, () =>
        signing.checked({ spiffeId, publicKeyDer }, () => authority.issueX509Svid(wanted)),
      );
      return { svid: { ...x509Message(issued), id: toIdMessage(spiffeId) } };
    },
    async mintJWTSVID({ id, audience, ttl }, context) {
      checkTtl(ttl);
      checkAudience(audience);
      const spiffeId = parseWorkloadId(id, trustDomain);
      const what = { target: spiffeId.uri, detail: { ttl, audience } };
      const issued = await audit.act(context, what, () =>
        signing.checked({ spiffeId }, () => authority.issueJwtSvid({ spiffeId, audience, ttlS: ttl })),
      );
      return { svid: { ...jwtMessage(issued), id: toIdMessage(spiffeId) } };
    },
  });
}

/** Everything in the SVID but the key comes from the entry, never from the CSR. One bad item does not hinder the others. */
async function issueBatch(
  deps: { log: Log; authority: Pick<Authority, 'issueX509SvidBatch'>; signing: Signing; node: AttestedNode },
  context: CallContext,
  params: readonly NewX509SVIDParams[],
  entryFor: (entryId: string) => Entry,
) {
  const failed = (error: unknown) => ({ status: itemStatusOf(error, deps.log, context.method) });
  const parse = ({ entryId, csr }: NewX509SVIDParams) => {
    try {
      const { spiffeId, x509SvidTtlS: ttlS, dnsNames, hint } = entryFor(entryId);
      const publicKeyDer = parseCertificateRequest(Buffer.from(csr)).subjectKey;
      return { ok: true, hint, entryId, request: { spiffeId, publicKeyDer, ttlS, dnsNames } } as const;
    } catch (error) {
      return { ok: false, result: failed(error) } as const;
    }
  };
  const items: ReturnType<typeof parse>[] = [];
  for (const [index, one] of params.entries()) {
    // Agents choose the keys: a batch of large ones takes a third of a second, which must not be one piece for everybody else.
    if (index > 0 && index % PARSED_AT_ONCE === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      context.signal.throwIfAborted();
    }
    items.push(parse(one));
  }
  const requests: X509SvidRequest[] = items.flatMap((item) => (item.ok ? [item.request] : []));
  const issued = (await authority(deps, requests, context.signal)).values();
  const signed = items.flatMap((item) =>
    item.ok ? [{ ...item.request, entryId: item.entryId, node: deps.node }] : [],
  );
  const refused = (await deps.signing.check(signed)).values();
  return items.map((item) => {
    if (!item.ok) return item.result;
    const result = issued.next().value;
    const refusal = refused.next().value;
    if (refusal !== undefined) return failed(refusal);
    assert(result !== undefined, 'the authority answers each request');
    if ('error' in result) return failed(result.error);
    const id = toIdMessage(item.request.spiffeId);
    return { status: OK_STATUS, svid: { ...x509Message(result.svid), id, hint: item.hint } };
  });
}

async function authority(
  deps: { authority: Pick<Authority, 'issueX509SvidBatch'> },
  requests: readonly X509SvidRequest[],
  signal: AbortSignal,
) {
  return requests.length === 0 ? [] : deps.authority.issueX509SvidBatch(requests, signal);
}

/** `/spire/*` names servers and agents: only attestation gives such identities. @throws RpcError INVALID_ARGUMENT; IdentityError */
function parseWorkloadId(
  id: Parameters<typeof parseOwnId>[0] | { trustDomain: string; path: string },
  trustDomain: TrustDomain,
) {
  const parsed = parseOwnId(id as Parameters<typeof parseOwnId>[0], trustDomain);
  if (parsed.path === '') throw invalid('the SPIFFE ID of a workload has a path');
  if (parsed.path === '/spire' || parsed.path.startsWith('/spire/')) {
    throw invalid('the SPIFFE ID is reserved for servers and agents');
  }
  return parsed;
}

function checkAudience(audience: readonly string[]): void {
  if (audience.length === 0 || audience.includes('')) throw invalid('at least one audience is needed, none empty');
}

function checkTtl(ttlS: number): void {
  if (ttlS < 0) throw invalid('the ttl is negative');
}

function x509Message(issued: { chainDer: readonly Buffer[]; expiresAtS: number }) {
  return { certChain: [...issued.chainDer], expiresAt: BigInt(issued.expiresAtS) };
}

function jwtMessage(issued: { token: string; issuedAtS: number; expiresAtS: number }) {
  return { token: issued.token, issuedAt: BigInt(issued.issuedAtS), expiresAt: BigInt(issued.expiresAtS) };
}

function serialOf({ serial, expiresAtS }: IssuedX509Svid) {
  return { serial, expiresAtS };
}

/** Some ten milliseconds' worth of the dearest keys. */
const PARSED_AT_ONCE = 16;
/** As many as an agent sends; each costs two signatures' worth of work. */
const SVIDS_PER_BATCH_MAX = 500;
