import { createPrivateKey } from 'node:crypto';
import {
  Agent,
  Bundle as BundleService,
  Control,
  Entry as EntryService,
  Revocations,
  SVID,
} from '@countersign/sdk/contract';
import type { NodeUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type {
  SyncAuthorizedEntriesRequestSchema,
  SyncAuthorizedEntriesResponseSchema,
} from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { BatchNewX509SVIDResponse } from '@countersign/sdk/contract/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { JWTSVID } from '@countersign/sdk/contract/gen/spire/api/types/jwtsvid_pb.ts';
import type { X509SVID } from '@countersign/sdk/contract/gen/spire/api/types/x509svid_pb.ts';
import type { TrustDomain } from '@countersign/sdk/identity';
import type { NodeProof } from '../../attestation/index.ts';
import type { Acknowledgement, WatchRequest } from '../../known-revocations/index.ts';
import type { Bundle, X509Authority } from '../../model/index.ts';
import { type BidiCall, Code, createRpcClient, type RpcClient, RpcError } from '../../rpc/index.ts';
import type { Clock, Log, PeerClock } from '../../std/index.ts';
import type { RevocationUpdate } from '../../wire/revocations/index.ts';
import type { AgentConfig } from '../config.ts';
import { AgentError } from '../errors.ts';
import type { ProcessRefusal } from '../refusals.ts';
import { toBundle } from './from-contract.ts';
import { verifyServer } from './verify-server.ts';

/** What an attestation yields: the node's SVID and the bundle, fetched over the very connection that attested it. */
export interface Attested {
  readonly svid: X509SVID;
  readonly reattestable: boolean;
  readonly bundle: Bundle;
}

/** The calls an agent makes to its server. All throw RpcError, or AgentError ERR_AGENT_SERVER_ANSWER for what no server may answer. */
export interface ServerLink {
  /** Over a connection of its own, without a client certificate. */
  attest(request: { type: string; proof: NodeProof; csrDer: Buffer }, signal: AbortSignal): Promise<Attested>;
  renew(csrDer: Buffer, signal: AbortSignal): Promise<X509SVID>;
  postStatus(version: string, bundleSequence: number, signal: AbortSignal): Promise<void>;
  syncEntries(signal: AbortSignal): SyncCall;
  bundle(signal: AbortSignal): Promise<Bundle>;
  /** Undefined when the server knows none. */
  federatedBundle(trustDomain: TrustDomain, signal: AbortSignal): Promise<Bundle | undefined>;
  newX509Svids(
    params: { entryId: string; csr: Buffer }[],
    signal: AbortSignal,
  ): Promise<BatchNewX509SVIDResponse['results']>;
  newJwtSvid(
    entryId: string,
    audience: readonly string[],
    options: { signal: AbortSignal; timeoutMs: number },
  ): Promise<JWTSVID>;
  watchNode(signal: AbortSignal): AsyncIterable<NodeUpdate>;
  watchRevocations(request: WatchRequest, signal: AbortSignal): AsyncIterable<RevocationUpdate>;
  acknowledgeRevocations(word: Acknowledgement, signal: AbortSignal): Promise<void>;
  /** Says which processes were turned away; `leftOut` is of those that are only counted. */
  reportRefusals(refusals: readonly ProcessRefusal[], leftOut: number, signal: AbortSignal): Promise<void>;
  /** Later calls use a new connection with the newest identity. */
  reconnect(): void;
  close(): Promise<void>;
}

export type SyncCall = BidiCall<typeof SyncAuthorizedEntriesRequestSchema, typeof SyncAuthorizedEntriesResponseSchema>;

/** Creates a {@link ServerLink}. `trusted` tells what the server must chain to; undefined = nothing is known yet, first use. */
export function createServerLink(deps: {
  clock: Clock;
  log: Log;
  config: Pick<AgentConfig, 'serverAddress' | 'trustDomain'>;
  /** Is told what the server says of its clock. */
  serverClock: PeerClock;
  trusted: () => readonly X509Authority[] | undefined;
  identity: () => { readonly chainDer: readonly Buffer[]; readonly keyDer: Buffer } | undefined;
}): ServerLink {
  const { clock, log, config, serverClock } = deps;
  const connect = (options: { withIdentity: boolean; onPeer?: (chainDer: readonly Buffer[]) => void }): RpcClient =>
    createRpcClient({
      clock,
      log,
      responseBytesMax: RESPONSE_BYTES_MAX,
      onServerTime: serverClock.says,
      connect: {
        ...config.serverAddress,
        tls: {
          verifyPeer(chainDer) {
            verifyServer({
              ...{ chainDer, serverClock, trustDomain: config.trustDomain },
              authorities: deps.trusted(),
              nowMs: clock.now(),
            });
            options.onPeer?.(chainDer);
          },
          identity() {
            const identity = options.withIdentity ? deps.identity() : undefined;
            return identity && { chainDer: identity.chainDer, key: privateKey(identity.keyDer) };
          },
        },
      },
    });
  const client = connect({ withIdentity: true });
  const timeoutMs = CALL_TIMEOUT_MS;

  return {
    async attest(request, signal) {
      let seen: readonly Buffer[] = [];
      const anonymous = connect({ withIdentity: false, onPeer: (chainDer) => (seen = chainDer) });
      try {
        const result = await exchange(anonymous, request, signal);
        const bundle = toBundle(await anonymous.unary(BundleService.method.getBundle, {}, { signal, timeoutMs }));
        // On first use the server was believed without proof: at least it must fit the bundle that will be pinned.
        verifyServer({
          chainDer: seen,
          trustDomain: config.trustDomain,
          authorities: bundle.x509Authorities,
          nowMs: clock.now(),
        });
        return { ...result, bundle };
      } finally {
        await anonymous.close();
      }
    },
    async renew(csr, signal) {
      const answer = await client.unary(Agent.method.renewAgent, { params: { csr } }, { signal, timeoutMs });
      return answer.svid ?? missing('RenewAgent', 'an SVID');
    },
    async postStatus(agentVersion, bundleSequence, signal) {
      const request = { agentVersion, currentBundleSerial: BigInt(bundleSequence) };
      await client.unary(Agent.method.postStatus, request, { signal, timeoutMs });
    },
    syncEntries: (signal) => client.bidi(EntryService.method.syncAuthorizedEntries, { signal, timeoutMs }),
    async bundle(signal) {
      return toBundle(await client.unary(BundleService.method.getBundle, {}, { signal, timeoutMs }));
    },
    async federatedBundle(trustDomain, signal) {
      try {
        const method = BundleService.method.getFederatedBundle;
        return toBundle(await client.unary(method, { trustDomain }, { signal, timeoutMs }));
      } catch (error) {
        if (error instanceof RpcError && error.code === Code.NOT_FOUND) return undefined;
        throw error;
      }
    },
    async newX509Svids(params, signal) {
      const { results } = await client.unary(SVID.method.batchNewX509SVID, { params }, { signal, timeoutMs });
      if (results.length === params.length) return results;
      throw new AgentError(
        'ERR_AGENT_SERVER_ANSWER',
        `BatchNewX509SVID answered ${results.length} results to ${params.length} requests`,
      );
    },
    async newJwtSvid(entryId, audience, options) {
      const answer = await client.unary(SVID.method.newJWTSVID, { entryId, audience: [...audience] }, options);
      return answer.svid ?? missing('NewJWTSVID', 'an SVID');
    },
    watchNode: (signal) => client.serverStream(Control.method.watchNode, {}, { signal }),
    ...revocationCalls(client),
    async reportRefusals(refusals, leftOut, signal) {
      const request = { refusals: refusals.map(toMessage), leftOut: BigInt(leftOut) };
      await client.unary(Control.method.reportRefusals, request, { signal, timeoutMs });
    },
    reconnect: () => client.reconnect(),
    close: () => client.close(),
  };
}

function revocationCalls(client: RpcClient): Pick<ServerLink, 'watchRevocations' | 'acknowledgeRevocations'> {
  const of = ({ sequence, ...rest }: { readonly sequence: number }) => ({ ...rest, sequence: BigInt(sequence) });
  return {
    watchRevocations: (request, signal) =>
      client.serverStream(Revocations.method.watchRevocations, of(request), { signal }),
    async acknowledgeRevocations(state, signal) {
      await client.unary(Revocations.method.ackRevocations, of(state), { signal, timeoutMs: CALL_TIMEOUT_MS });
    },
  };
}

async function exchange(
  client: RpcClient,
  request: { type: string; proof: NodeProof; csrDer: Buffer },
  signal: AbortSignal,
): Promise<{ svid: X509SVID; reattestable: boolean }> {
  const { type, proof, csrDer } = request;
  const call = client.bidi(Agent.method.attestAgent, { signal, timeoutMs: CALL_TIMEOUT_MS });
  await call.send({
    step: { case: 'params', value: { data: { type, payload: proof.payload }, params: { csr: csrDer } } },
  });
  let rounds = 0;
  for await (const { step } of call.responses) {
    if (step.case === 'result') {
      call.end();
      const svid = step.value.svid ?? missing('AttestAgent', 'an SVID');
      return { svid, reattestable: step.value.reattestable };
    }
    if (step.case !== 'challenge') missing('AttestAgent', 'a challenge or a result');
    if (++rounds > CHALLENGES_MAX) {
      throw new AgentError('ERR_AGENT_SERVER_ANSWER', `AttestAgent sent more than ${CHALLENGES_MAX} challenges`);
    }
    const answer = await proof.answer(Buffer.from(step.value));
    await call.send({ step: { case: 'challengeResponse', value: answer } });
  }
  return missing('AttestAgent', 'a result');
}

function toMessage({ count, firstMs, lastMs, ...one }: ProcessRefusal) {
  return { ...one, count: BigInt(count), firstMs: BigInt(firstMs), lastMs: BigInt(lastMs) };
}

function missing(method: string, what: string): never {
  throw new AgentError('ERR_AGENT_SERVER_ANSWER', `${method} answered without ${what}`);
}

function privateKey(keyDer: Buffer) {
  return createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' });
}

const CALL_TIMEOUT_MS = 30_000;
/** The longest known exchange has two. */
const CHALLENGES_MAX = 8;
/** A page of 500 entries with many selectors, or 500 SVIDs with chains, stays under 4 MB; a full list of an odd server may not. */
const RESPONSE_BYTES_MAX = 32 * 1024 * 1024;
