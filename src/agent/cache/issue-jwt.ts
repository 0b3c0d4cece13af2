import { type Clock, messageOf } from '../../std/index.ts';
import { type ParsedJwt, parseJwt } from '../../wire/jose/index.ts';
import { toSpiffeId } from '../attach/from-contract.ts';
import type { ServerLink } from '../attach/server-link.ts';
import type { Counters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import type { AgentEntry, JwtSvid } from './types.ts';

/**
 * Has JWT-SVIDs issued by the server; see {@link createJwtCache} for `patient`.
 * @throws RpcError, AgentError ERR_AGENT_SERVER_ANSWER
 */
export function createJwtIssuer(deps: {
  clock: Clock;
  link: Pick<ServerLink, 'newJwtSvid'>;
  counters: Counters;
  signal: AbortSignal;
}): (entry: AgentEntry, audience: readonly string[], patient: boolean) => Promise<JwtSvid> {
  return async (entry, audience, patient) => {
    const timeoutMs = patient ? PATIENT_MS : IMPATIENT_MS;
    const answer = await deps.link.newJwtSvid(entry.id, audience, { signal: deps.signal, timeoutMs });
    const what = `the JWT-SVID of ${entry.spiffeId.uri}`;
    const refuse = (problem: string) => new AgentError('ERR_AGENT_SERVER_ANSWER', `${what} ${problem}`);
    if (toSpiffeId(answer.id, what).uri !== entry.spiffeId.uri) throw refuse('came for another identity');
    const issuedAtMs = Number(answer.issuedAt) * 1000;
    const expiresAtMs = Number(answer.expiresAt) * 1000;
    if (issuedAtMs <= 0 || expiresAtMs < issuedAtMs) throw refuse('has no proper times');
    if (expiresAtMs <= deps.clock.now()) throw refuse('has expired already: compare the clocks of server and node');
    const { keyId } = parseToken(answer.token, what);
    deps.counters.jwtIssued++;
    return { token: answer.token, keyId, issuedAtMs, expiresAtMs };
  };
}

function parseToken(token: string, what: string): ParsedJwt {
  try {
    return parseJwt(token);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_SERVER_ANSWER', `${what} can not be read: ${messageOf(cause)}`, { cause });
  }
}

const PATIENT_MS = 30_000;
/** With a valid token at hand a caller is not kept waiting for a server that hangs. */
const IMPATIENT_MS = 5_000;
