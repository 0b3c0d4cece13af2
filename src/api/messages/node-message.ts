import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CountAgentsRequest_Filter } from '@countersign/sdk/contract/gen/spire/api/server/agent/v1/agent_pb.ts';
import type { AgentMask, AgentSchema } from '@countersign/sdk/contract/gen/spire/api/types/agent_pb.ts';
import type { NodeFilter } from '../../attestation/index.ts';
import type { AttestedNode } from '../../model/index.ts';
import { toIdMessage } from '../ids.ts';
import { invalid } from '../status.ts';
import { parseMatch } from './entry-message.ts';

/** A node as the SPIRE API writes it, only with the fields of the mask; the id always. */
export function toAgentMessage(node: AttestedNode, mask: AgentMask | undefined): MessageInitShape<typeof AgentSchema> {
  const wants = (field: keyof AgentMask) => mask === undefined || mask[field] === true;
  return {
    id: toIdMessage(node.spiffeId),
    ...(wants('attestationType') && { attestationType: node.attestationType }),
    ...(wants('x509svidSerialNumber') && { x509svidSerialNumber: node.serial }),
    ...(wants('x509svidExpiresAt') && { x509svidExpiresAt: BigInt(node.notAfterS) }),
    ...(wants('selectors') && { selectors: [...node.selectors] }),
    ...(wants('banned') && { banned: node.serial === '' }),
    ...(wants('canReattest') && { canReattest: node.reattestable }),
    ...(wants('agentVersion') && { agentVersion: node.agentVersion }),
  };
}

/** @throws RpcError INVALID_ARGUMENT */
export function parseNodeFilter(
  // The filters of counting and listing are the same but for their names.
  filter: Omit<CountAgentsRequest_Filter, '$typeName' | '$unknown'> | undefined,
): NodeFilter {
  if (filter === undefined) return {};
  const { byAttestationType, bySelectorMatch, byBanned, byCanReattest, byExpiresBefore } = filter;
  if (bySelectorMatch !== undefined && bySelectorMatch.selectors.length === 0) {
    throw invalid('the selector filter is empty');
  }
  return {
    ...(byAttestationType !== '' && { attestationType: byAttestationType }),
    ...(byBanned !== undefined && { banned: byBanned }),
    ...(byCanReattest !== undefined && { canReattest: byCanReattest }),
    ...(byExpiresBefore !== '' && { expiresBeforeS: parseTimeS(byExpiresBefore) }),
    ...(bySelectorMatch && {
      selectors: {
        values: bySelectorMatch.selectors.map(({ type, value }) => ({ type, value })),
        match: parseMatch(bySelectorMatch.match),
      },
    }),
  };
}

/** `2006-01-02 15:04:05 -0700 -07`, as SPIRE's command line sends it, into epoch seconds. @throws RpcError INVALID_ARGUMENT */
function parseTimeS(text: string): number {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) ([+-])(\d{2})(\d{2})( [A-Z+-][A-Za-z0-9:]*)?$/.exec(text);
  const timeMs = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${match[3]}${match[4]}:${match[5]}`);
  if (Number.isNaN(timeMs)) throw invalid('by_expires_before is not in the form 2006-01-02 15:04:05 -0700 -07');
  return Math.floor(timeMs / 1000);
}
