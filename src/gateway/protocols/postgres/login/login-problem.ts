import { codeOf } from '../../../../std/index.ts';
import { PostgresWireError } from '../../../../wire/postgres/index.ts';
import { errorTable, GatewayError } from '../../../errors.ts';
import type { LoginProblem } from '../../../protocol.ts';
import type { PostgresConfig } from '../config.ts';

/**
 * What an operator is shown of a login that failed, outside of the log: its class and the code that it came with. Never a text of the
 * server's, which may hold anything. `isLate`: it took longer than it may.
 */
export function loginProblem(
  { host, port }: Pick<PostgresConfig, 'host' | 'port'>,
  error: unknown,
  isLate = false,
): LoginProblem {
  const at = `${host}:${port}`;
  if (isLate) return { what: `${at} does not answer in time`, remedy: errorTable.ERR_GATEWAY_TARGET_AWAY.remedy };
  if (!(error instanceof GatewayError)) return FAILED;
  const code = codeOf(error.cause) ?? '';
  const state = STATES.get(code);
  const why = CODE.test(code) ? ` (${code})` : '';
  const remedy = state?.remedy ?? errorTable[error.code].remedy;
  switch (error.code) {
    case 'ERR_GATEWAY_SECRET':
      return { what: error.message, remedy }; // Its own words, without the secret.
    case 'ERR_GATEWAY_TARGET_LOGIN':
      // Our own words too, when it was not the server that refused.
      if (error.cause instanceof PostgresWireError) return { what: error.message, remedy };
      return { what: `${at} refuses the gateway’s credential${why}`, remedy };
    case 'ERR_GATEWAY_TARGET_TLS':
      // Likewise: its answer to the request for TLS has no code.
      if (error.cause === undefined) return { what: error.message, remedy: NO_TLS };
      return { what: `no TLS with ${at} that proves who it is${why}`, remedy };
    case 'ERR_GATEWAY_TARGET_PROTOCOL':
      if (error.cause instanceof SettingMismatch)
        return { what: `${at} ${error.cause.message}`, remedy: OTHER_SETTING };
      return { what: `what answers at ${at} is no PostgreSQL server that the gateway can serve`, remedy };
    default:
      if (state !== undefined) return { what: `${at} ${state.what}${why}`, remedy };
      return { what: SQLSTATE.test(code) ? `${at} refuses the gateway${why}` : `${at} can’t be reached${why}`, remedy };
  }
}

/** The server reports another value of a setting than the one that was asked for and that texts are read by. */
export class SettingMismatch extends Error {
  constructor({ name, value = '', wanted }: { name: string; value: string | undefined; wanted: string }) {
    // The server chose it, so only what can be a value of such a setting is shown.
    super(`reports ${name} = ${SETTING.test(value) ? value : 'something else'}; the gateway needs ${wanted}`);
  }
}

/**
 * Whether a login with a client's own settings may have failed of those: it was the server that refused, and not for what it says of its own
 * state or of the gateway's credential. Else whoever may connect could have a target that is well shown as away, with a time zone that is none.
 */
export function mayBeOfSettings(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return false;
  const code = codeOf(error.cause) ?? '';
  return error.code === 'ERR_GATEWAY_TARGET_AWAY' && SQLSTATE.test(code) && !OF_SERVER.test(code);
}

/** Encodings, `on` and `off`. */
const SETTING = /^[A-Z][A-Z0-9_]{1,15}$|^o(n|ff)$/;
const OTHER_SETTING =
  'The gateway asks for that setting at each login. Look for a proxy or pooler between that drops or changes it, and point the target at the server itself.';
/** Not foreseen, so nobody has chosen its words. */
const FAILED: LoginProblem = { what: 'the gateway failed to log in', remedy: 'See the log of the gateway.' };
const NO_TLS = 'Switch TLS on at the target, or set its sslMode to disable on purpose.';
const NO_WAY = 'See to network and firewall between the gateway’s machine and the target, and that the target runs.';
/** What a server may lack that is there, and what hinders it from being reached. */
const STATES: ReadonlyMap<string, LoginProblem> = new Map([
  [
    'ENOTFOUND',
    {
      what: 'can’t be reached: its name does not resolve',
      remedy: 'Correct the host of the target and apply it again, or mend the DNS of the gateway’s machine.',
    },
  ],
  [
    'EAI_AGAIN',
    {
      what: 'can’t be reached: its name does not resolve now',
      remedy: 'See to the DNS of the gateway’s machine; else correct the host of the target and apply it again.',
    },
  ],
  [
    'ECONNREFUSED',
    {
      what: 'can’t be reached: nothing listens there',
      remedy: 'Start the target, or correct its host and port and apply it again.',
    },
  ],
  ['EHOSTUNREACH', { what: 'can’t be reached: there is no way to it', remedy: NO_WAY }],
  ['ENETUNREACH', { what: 'can’t be reached: there is no way to it', remedy: NO_WAY }],
  ['ETIMEDOUT', { what: 'can’t be reached: nobody answers there', remedy: NO_WAY }],
  [
    '53300',
    {
      what: 'has no room for more connections',
      remedy: 'Raise max_connections of the server, or the connection limit of the database or of the gateway’s role.',
    },
  ],
  ['57P03', { what: 'takes no connections now', remedy: 'Wait until the server has started; else look at its log.' }],
  ['3D000', { what: 'has no such database', remedy: 'Create the database, or correct the target and apply it again.' }],
]);
/**
 * Connection (but not its protocol: poolers refuse settings so), authorization, database, resources, operator (but not time-outs, which
 * clients may set), system, internal; a database that takes no connections, and one that the role may not connect to.
 */
const OF_SERVER = /^(08(?!P01)|28|3D|53|57P0[1-4]|58|XX|55000$|42501$)/;
const SQLSTATE = /^[0-9A-Z]{5}$/;
/** A SQLSTATE, or a constant of the system, of Node or of OpenSSL. */
const CODE = /^[0-9A-Z_]{5,64}$/;
