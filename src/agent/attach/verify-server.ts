import type { TrustDomain } from '@countersign/sdk/identity';
import type { X509Authority } from '../../model/index.ts';
import { parseCertificate, verifyX509Svid } from '../../wire/x509/index.ts';
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
  if (!verdict.ok) throw refuse(verdict.reason);
  if (verdict.id.uri !== expected) throw refuse(`it is ${verdict.id.uri}`);
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
