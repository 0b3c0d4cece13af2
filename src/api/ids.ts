import type { SPIFFEID } from '@countersign/sdk/contract/gen/spire/api/types/spiffeid_pb.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeId,
  spiffeIdOf,
  type TrustDomain,
} from '@countersign/sdk/identity';
import { invalid } from './status.ts';

/** A SPIFFE ID as the SPIRE API writes it. */
export function toIdMessage(id: SpiffeId): { trustDomain: string; path: string } {
  return { trustDomain: id.trustDomain, path: id.path };
}

/** The text of an ID that registration will check; empty when absent. A path without its slash is given one, as SPIRE does. */
export function idText(id: SPIFFEID | undefined): string {
  if (id === undefined) return '';
  const path = id.path === '' || id.path.startsWith('/') ? id.path : `/${id.path}`;
  return `spiffe://${id.trustDomain}${path}`;
}

/**
 * The text of a trust domain's name. Callers may write a SPIFFE ID of it as well, `spiffe://partner.test`: SPIRE's tools send what their
 * user typed, and that is how its documentation writes them. @throws IdentityError
 */
export function trustDomainText(text: string): string {
  return text.includes('://') ? parseSpiffeId(text).trustDomain : text;
}

/** Parses an ID of the own trust domain. @throws RpcError INVALID_ARGUMENT; IdentityError */
export function parseOwnId(id: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  if (id === undefined) throw invalid('the SPIFFE ID is missing');
  const path = id.path === '' || id.path.startsWith('/') ? id.path : `/${id.path}`;
  const parsed = spiffeIdOf(parseTrustDomain(id.trustDomain), path);
  if (parsed.trustDomain !== trustDomain) throw invalid(`the SPIFFE ID is not of trust domain ${trustDomain}`);
  return parsed;
}

/** Parses the ID of an agent. @throws RpcError INVALID_ARGUMENT; IdentityError */
export function parseAgentId(id: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  const parsed = parseOwnId(id, trustDomain);
  if (!parsed.path.startsWith('/spire/agent/')) throw invalid(`${parsed.uri} is no agent's SPIFFE ID`);
  return parsed;
}
