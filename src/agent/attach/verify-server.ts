import type { TrustDomain } from '@countersign/sdk/identity';
import type { X509Authority } from '../../model/index.ts';
import type { PeerClock } from '../../std/index.ts';
import { noteSvidTimes, parseCertificate, verifyX509Svid } from '../../wire/x509/index.ts';
import { AgentError } from '../errors.ts';

/**
 * Checks that a chain proves `spiffe://<trust domain>/spire/server`. Without authorities (first use) only the name is checked.
 * @throws AgentError ERR_AGENT_SERVER_IDENTITY
 */
export function verifyServer(input: {
  chainDer: readonly Buffer[];
  trustDomain: TrustDomain;
  authorities: readonly X509Authority[] | undefined;
  nowMs: number;
  /** Is told what a chain that is not valid in time says of the server's clock. */
  serverClock?: PeerClock;
}): void {
  const expected = `spiffe://${input.trustDomain}${SERVER_PATH}`;
  const refuse = (problem: string) =>
    new AgentError('ERR_AGENT_SERVER_IDENTITY', `the server did not prove to be ${expected}: ${problem}`);
  const leafDer = input.chainDer[0];
  if (!leafDer) throw refuse('it showed no certificate');
  const { authorities } = input;
  if (authorities === undefined) {
    if (namesOf(leafDer).join() !== expected) throw refuse('its certificate names another');
    return;
  }
  const bundles = (domain: TrustDomain) => (domain === input.trustDomain ? authorities : undefined);
  const verdict = verifyX509Svid(input.chainDer, bundles, input.nowMs);
  if (!verdict.ok && (verdict.reason === 'expired' || verdict.reason === 'not-yet-valid') && input.serverClock)
    noteSvidTimes(input.chainDer, input.serverClock);
  if (!verdict.ok) throw refuse(`${verdict.reason}${endedBundle(authorities, input.nowMs)}`);
  if (verdict.id.uri !== expected) throw refuse(`it is ${verdict.id.uri}`);
}

/** A node that was away for longer than its authorities live can't know those that came after: that is no attack, and no time mends it. */
function endedBundle(authorities: readonly X509Authority[], nowMs: number): string {
  const endS = Math.max(0, ...authorities.map(({ der }) => parseCertificate(der).notAfterS));
  if (nowMs < endS * 1000) return '';
  return `; the last of the authorities that this node knows ended on ${new Date(endS * 1000).toISOString()}, so it can know no server any more until it is told the present ones`;
}

function namesOf(der: Buffer): readonly string[] {
  try {
    return parseCertificate(der).names.uris;
  } catch (cause) {
    throw new AgentError('ERR_AGENT_SERVER_IDENTITY', 'the server showed a certificate that can not be read', {
      cause,
    });
  }
}

const SERVER_PATH = '/spire/server';
