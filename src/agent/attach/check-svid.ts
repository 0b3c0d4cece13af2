import type { X509SVID } from '@countersign/sdk/contract/gen/spire/api/types/x509svid_pb.ts';
import type { SpiffeId } from '@countersign/sdk/identity';
import { messageOf } from '../../std/index.ts';
import { type Certificate, parseCertificate } from '../../wire/x509/index.ts';
import { AgentError } from '../errors.ts';
import { toSpiffeId } from './from-contract.ts';

/**
 * Checks an X.509-SVID that the server issued: it is for our key, names one identity (`expected`, when given), and has not expired.
 * Its path is not verified: the bundle that verifies it may be on its way yet, and verifiers do that themselves.
 * @throws AgentError ERR_AGENT_SERVER_ANSWER
 */
export function checkSvid(
  svid: X509SVID,
  wanted: { keySpkiDer: Buffer; nowMs: number; expected?: SpiffeId },
): { id: SpiffeId; chainDer: readonly Buffer[]; expiresAtMs: number } {
  const chainDer = svid.certChain.map((der) => Buffer.from(der));
  const leaf = parseLeaf(chainDer[0]);
  const id = toSpiffeId(svid.id, 'an SVID');
  const refuse = (problem: string) => new AgentError('ERR_AGENT_SERVER_ANSWER', `the SVID of ${id.uri} ${problem}`);
  if (wanted.expected && wanted.expected.uri !== id.uri) throw refuse(`came for ${wanted.expected.uri}`);
  if (leaf.names.uris.length !== 1 || leaf.names.uris[0] !== id.uri) throw refuse('names another identity');
  if (!leaf.spkiDer.equals(wanted.keySpkiDer)) throw refuse('is not for the key that was sent');
  const expiresAtMs = leaf.notAfterS * 1000;
  if (expiresAtMs <= wanted.nowMs) throw refuse('has expired already: compare the clocks of server and node');
  return { id, chainDer, expiresAtMs };
}

function parseLeaf(der: Buffer | undefined): Certificate {
  if (der) {
    try {
      return parseCertificate(der);
    } catch (cause) {
      throw new AgentError('ERR_AGENT_SERVER_ANSWER', `an SVID can not be read: ${messageOf(cause)}`, { cause });
    }
  }
  throw new AgentError('ERR_AGENT_SERVER_ANSWER', 'an SVID came without a certificate');
}
