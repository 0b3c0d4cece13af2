import { codeOf } from '../../../../std/index.ts';
import { errorTable, GatewayError } from '../../../errors.ts';
import type { LoginProblem } from '../../../protocol.ts';
import type { Place } from './place.ts';

/** What an operator is shown of a connection that failed, outside of the log: its class and the system's code, never a text of the upstream's. */
export function connectProblem({ authority }: Place, error: unknown, isLate: boolean): LoginProblem {
  if (isLate)
    return { what: `${authority} does not answer in time`, remedy: errorTable.ERR_GATEWAY_TARGET_AWAY.remedy };
  if (!(error instanceof GatewayError)) return FAILED;
  const code = codeOf(error.cause) ?? '';
  const why = CODE.test(code) ? ` (${code})` : '';
  const { remedy } = errorTable[error.code];
  switch (error.code) {
    case 'ERR_GATEWAY_SECRET':
      return { what: error.message, remedy }; // Its own words, without the secret.
    case 'ERR_GATEWAY_TARGET_TLS':
      if (NO_ALPN.has(code)) return { what: `${authority} does not agree to HTTP/2 by ALPN`, remedy: ALPN_REMEDY };
      return { what: `no TLS with ${authority} that proves who it is${why}`, remedy: TLS_REMEDY };
    default:
      return { what: `${authority} ${STATES.get(code) ?? 'can’t be reached'}${why}`, remedy };
  }
}

/** The upstream does not take the gateway's own credential. */
export function credentialRefused({ authority }: Place, status: number): LoginProblem {
  return {
    what: `${authority} refuses the gateway’s credential (${status})`,
    remedy: 'Check the credential of the target: its reference, and whether it was rotated or revoked at the upstream.',
  };
}

/** It has another protocol than HTTP/2, or none, for a target with `upstreamHttp2`. */
export const NOT_H2 = 'NOT_H2';

const FAILED: LoginProblem = { what: 'the gateway failed to connect', remedy: 'See the log of the gateway.' };
const NO_ALPN: ReadonlySet<string> = new Set([NOT_H2, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL']);
const ALPN_REMEDY = 'Have the upstream offer h2, or take `upstreamHttp2` out of the target.';
const TLS_REMEDY =
  'Give the upstream a certificate that its roots verify, or name its CA as `roots: file:PATH`, or its name as `serverName`.';
const STATES: ReadonlyMap<string, string> = new Map([
  ['ENOTFOUND', 'can’t be reached: its name does not resolve'],
  ['EAI_AGAIN', 'can’t be reached: its name does not resolve now'],
  ['ECONNREFUSED', 'can’t be reached: nothing listens there'],
  ['EHOSTUNREACH', 'can’t be reached: there is no way to it'],
  ['ENETUNREACH', 'can’t be reached: there is no way to it'],
  ['ETIMEDOUT', 'can’t be reached: nobody answers there'],
]);
/** A constant of the system, of Node or of OpenSSL. */
const CODE = /^[0-9A-Z_]{5,64}$/;
