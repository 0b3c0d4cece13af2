import { Agent } from '@countersign/sdk/contract';
import type {
  AttestAgentRequest,
  AttestAgentResponseSchema,
} from '@countersign/sdk/contract/gen/spire/api/server/agent/v1/agent_pb.ts';
import type { TrustDomain } from '@countersign/sdk/identity';
import type { NodeAttestation, Nodes } from '../attestation/index.ts';
import type { Authority } from '../authority/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Revocations } from '../revocation/index.ts';
import { type CallContext, implement, type RpcService, type Send, sourceOf } from '../rpc/index.ts';
import { type Clock, raceAbort, timeoutSignal } from '../std/index.ts';
import { parseCertificateRequest } from '../wire/x509/index.ts';
import { createAttestAdmission } from './attest-admission.ts';
import type { Audit } from './audit.ts';
import type { Authorizer } from './authorize.ts';
import { parseAgentId, parseOwnId, toIdMessage } from './ids.ts';
import { parseNodeFilter, toAgentMessage } from './messages/node-message.ts';
import { createSigning } from './signing.ts';
import { agentRefused, invalid, notFound } from './status.ts';

/** The SPIRE server's Agent API. */
export function agentService(deps: {
  clock: Clock;
  trustDomain: TrustDomain;
  authority: Pick<Authority, 'issueX509Svid'>;
  nodes: Nodes;
  nodeAttestation: NodeAttestation;
  authorizer: Authorizer;
  audit: Audit;
  registration: Pick<Registration, 'entriesOf'>;
  revocations: Pick<Revocations, 'checkSigned'>;
  /** Life of the SVIDs that agents renew to, seconds; 0 = as the authority says. */
  agentTtlS?: number;
}): RpcService {
  const admission = createAttestAdmission(deps.clock);
  const { nodes, authorizer, audit, trustDomain } = deps;
  const signing = createSigning(deps);
  return implement(Agent, {
    async countAgents({ filter }) {
      return { count: await nodes.count(parseNodeFilter(filter)) };
    },
    async listAgents({ filter, outputMask, pageSize, pageToken }) {
      if (pageSize < 0) throw invalid('the page size is negative');
      const page = await nodes.list({ filter: parseNodeFilter(filter), pageSize, pageToken });
      return {
        agents: page.nodes.map((node) => toAgentMessage(node, outputMask)),
        nextPageToken: page.nextPageToken,
      };
    },
    async getAgent({ id, outputMask }) {
      const node = await nodes.find(parseAgentId(id, trustDomain));
      if (node === undefined) throw notFound('there is no such agent');
      return toAgentMessage(node, outputMask);
    },
    async deleteAgent(request, context) {
      const id = parseAgentId(request.id, trustDomain);
      return audit.act(context, { target: id.uri }, async () => {
        if (!(await nodes.delete(id))) throw notFound('there is no such agent');
        return {};
      });
    },
    async banAgent(request, context) {
      const id = parseAgentId(request.id, trustDomain);
      return audit.act(context, { target: id.uri }, async () => {
        if (!(await nodes.ban(id))) throw notFound('there is no such agent');
        return {};
      });
    },
    async createJoinToken({ ttl, token, agentId }, context) {
      if (ttl <= 0) throw invalid('the ttl must be positive');
      const alias = agentId && parseOwnId(agentId, trustDomain);
      const what = { target: alias?.uri ?? 'join token', detail: { ttl, chosen: token !== '' } };
      const created = await audit.act(context, what, () =>
        nodes.createJoinToken({ ttlS: ttl, ...(token !== '' && { token }), ...(alias && { agentId: alias }) }),
      );
      return { value: created.token, expiresAt: BigInt(created.expiresAtS) };
    },
    async attestAgent(requests, context, send) {
      const leave = admission.enter(sourceOf(context.peer));
      try {
        await attestAgent(deps, requests, context, send);
      } finally {
        leave();
      }
    },
    async renewAgent({ params }, context) {
      const node = authorizer.agentOf(context);
      if (node.reattestable) throw agentRefused('must-reattest');
      const { spkiDer: publicKeyDer } = parseCertificateRequest(Buffer.from(params?.csr ?? []));
      const { spiffeId } = node;
      const request = { spiffeId, publicKeyDer, ttlS: deps.agentTtlS ?? 0, dnsNames: [], signal: context.signal };
      const issued = await signing.checked({ spiffeId, node, publicKeyDer }, () =>
        deps.authority.issueX509Svid(request),
      );
      // Staged before it is answered: the agent may use it the moment it has it. The old one stays good until then.
      const staged = await nodes.stageRenewal(spiffeId, issued.serial, issued.expiresAtS);
      if (!staged) throw agentRefused('not-attested');
      return {
        svid: {
          id: toIdMessage(spiffeId),
          certChain: [...issued.chainDer],
          expiresAt: BigInt(issued.expiresAtS),
        },
      };
    },
    async postStatus({ agentVersion }, context) {
      await nodes.recordVersion(authorizer.agentOf(context).spiffeId, agentVersion);
      return {};
    },
  });
}

/** Parameters first, then challenges and responses until the result; all of it within a time that a stranger can't stretch. */
async function attestAgent(
  deps: Parameters<typeof agentService>[0],
  requests: AsyncIterable<AttestAgentRequest>,
  context: CallContext,
  send: Send<typeof AttestAgentResponseSchema>,
): Promise<void> {
  const limit = timeoutSignal(deps.clock, ATTESTATION_MS_MAX, context.signal);
  const { signal } = limit;
  const steps = requests[Symbol.asyncIterator]();
  const nextStep = async () => {
    const { value, done } = await raceAbort(steps.next(), signal);
    if (done === true) throw invalid('the stream ended before attestation was complete');
    return value.step;
  };
  try {
    const first = await nextStep();
    if (first.case !== 'params') throw invalid('the first message must hold the parameters');
    const { data, params } = first.value;
    if (data === undefined || data.type === '') throw invalid('the attestation data are missing');
    if (params === undefined || params.csr.length === 0) throw invalid('the CSR is missing');
    const result = await deps.nodeAttestation.attest({
      type: data.type,
      payload: Buffer.from(data.payload),
      csrDer: Buffer.from(params.csr),
      signal,
      async challenge(bytes) {
        await send({ step: { case: 'challenge', value: bytes } });
        const answer = await nextStep();
        if (answer.case !== 'challengeResponse') throw invalid('a response to the challenge was expected');
        return Buffer.from(answer.value);
      },
    });
    const { id, chainDer, expiresAtS, reattestable } = result;
    const what = { target: id.uri, detail: { type: data.type, remoteAddress: remoteOf(context), expiresAtS } };
    await deps.audit.act(context, what, () =>
      send({
        step: {
          case: 'result',
          value: {
            svid: { id: toIdMessage(id), certChain: [...chainDer], expiresAt: BigInt(expiresAtS) },
            reattestable,
          },
        },
      }),
    );
  } finally {
    limit.cancel();
  }
}

function remoteOf(context: CallContext): string {
  return context.peer.kind === 'tls' ? context.peer.remoteAddress : 'local';
}

/** An agent gives up after 60 s itself. */
const ATTESTATION_MS_MAX = 60_000;
