import type { Bundle as BundleMessage } from '@countersign/sdk/contract/gen/spire/api/types/bundle_pb.ts';
import type { Entry as EntryMessage } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import type { SPIFFEID } from '@countersign/sdk/contract/gen/spire/api/types/spiffeid_pb.ts';
import { parseTrustDomain, type SpiffeId, spiffeIdOf } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { messageOf } from '../../std/index.ts';
import type { AgentEntry } from '../cache/types.ts';
import { AgentError } from '../errors.ts';

/**
 * A bundle off the wire.
 * @throws AgentError ERR_AGENT_SERVER_ANSWER
 */
export function toBundle(message: BundleMessage): Bundle {
  if (message.x509Authorities.length > AUTHORITIES_MAX || message.jwtAuthorities.length > AUTHORITIES_MAX) {
    throw new AgentError('ERR_AGENT_SERVER_ANSWER', `a bundle has over ${AUTHORITIES_MAX} authorities`);
  }
  return {
    trustDomain: checked(() => parseTrustDomain(message.trustDomain), 'a bundle'),
    x509Authorities: message.x509Authorities.map(({ asn1, tainted }) => ({ der: Buffer.from(asn1), tainted })),
    jwtAuthorities: message.jwtAuthorities.map((key) => ({
      keyId: key.keyId,
      publicKeyDer: Buffer.from(key.publicKey),
      expiresAtS: Number(key.expiresAt),
      tainted: key.tainted,
    })),
    sequence: Number(message.sequenceNumber),
    refreshHintS: Number(message.refreshHint),
  };
}

/**
 * An entry off the wire.
 * @throws AgentError ERR_AGENT_SERVER_ANSWER naming what is wrong; the caller skips such an entry.
 */
export function toEntry(message: EntryMessage): AgentEntry {
  const what = `entry ${JSON.stringify(message.id.slice(0, 64))}`;
  const refuse = (problem: string) => new AgentError('ERR_AGENT_SERVER_ANSWER', `${what} ${problem}`);
  if (message.id === '') throw refuse('has no id');
  if (message.selectors.length === 0) throw refuse('has no selector, so it would apply to every process');
  for (const { type, value } of message.selectors) {
    if (type === '' || type.includes(':') || value === '') throw refuse('has a malformed selector');
  }
  return {
    id: message.id,
    spiffeId: toSpiffeId(message.spiffeId, what),
    selectors: message.selectors.map(({ type, value }) => ({ type, value })),
    federatesWith: message.federatesWith.map((name) => checked(() => parseTrustDomain(name), what)),
    hint: message.hint,
    createdAtS: Number(message.createdAt),
    revision: Number(message.revisionNumber),
    prefetch: message.additionalAttributes?.disableX509SvidPrefetch !== true && !message.storeSvid,
    uniqueJwt: message.additionalAttributes?.jwtSvidIncludeJti === true,
  };
}

/**
 * A SPIFFE ID off the wire, with a path.
 * @throws AgentError ERR_AGENT_SERVER_ANSWER
 */
export function toSpiffeId(message: SPIFFEID | undefined, what: string): SpiffeId {
  return checked(() => spiffeIdOf(parseTrustDomain(message?.trustDomain ?? ''), message?.path ?? ''), what);
}

function checked<T>(parse: () => T, what: string): T {
  try {
    return parse();
  } catch (error) {
    throw new AgentError('ERR_AGENT_SERVER_ANSWER', `${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** A trust domain rotates through a handful; a hundred servers with three each still fit. */
const AUTHORITIES_MAX = 1_000;
