import { codeOf } from '../../../std/index.ts';
import type { ErrorText } from '../../../wire/postgres/index.ts';
import type { SessionRefusal } from '../../protocol.ts';
import { encodingHint, type Refusal } from './sql/index.ts';

/** How a refused or ended session looks to a PostgreSQL client. */
export function refusalText(refusal: SessionRefusal): ErrorText {
  const hint = refusal.code === 'memory' ? MEMORY_HINT : undefined;
  return { severity: 'FATAL', sqlstate: SQLSTATES[refusal.code], message: refusal.what, hint };
}

/** The error that a refused statement becomes. */
export function refusalError(refusal: Refusal): ErrorText {
  const named = refusal.policies.length > 0 ? `; policies: ${refusal.policies.slice(0, 10).join(', ')}` : '';
  return {
    severity: 'ERROR',
    sqlstate: refusal.sqlstate,
    message: refusal.message,
    detail: NATIVE.has(refusal.reason) ? undefined : `countersign: ${refusal.reason}${named}`,
    hint: refusal.hint,
    position: refusal.position,
  };
}

/** The end of a session whose texts nobody here could read as the server does. */
export function unservedEncoding(client: string, server: string): ErrorText {
  const message = `client_encoding ${client} is not served at a database in ${server}`;
  return { severity: 'FATAL', sqlstate: '0A000', message, hint: encodingHint };
}

/** What a client is told when the ledger did not take an entry: nothing happens without one. */
export function ledgerText(severity: 'ERROR' | 'FATAL', error: unknown): ErrorText {
  if (codeOf(error) === 'ERR_LEDGER_UNSHIPPED')
    return {
      severity,
      sqlstate: '58000',
      message: 'what the gateway has recorded does not reach the servers, so nothing is executed',
      hint: 'The operator of the gateway has to look after its way to the servers.',
    };
  const full = codeOf(error) === 'ERR_LEDGER_FULL';
  return {
    severity,
    sqlstate: full ? '53100' : '58030',
    message: full
      ? 'the gateway’s ledger is full, so nothing is executed'
      : 'the gateway’s ledger can not be written, so nothing is executed',
    hint: 'The operator of the gateway has to look after the ledger’s disk.',
  };
}

/**
 * What a client is told when the target could not be opened. Neither the gateway's user nor what the target answered is repeated: that
 * is for the operator's log.
 */
export function targetError(target: string, error: unknown): ErrorText {
  const fatal = (sqlstate: string, message: string, hint: string): ErrorText => ({
    severity: 'FATAL',
    sqlstate,
    message,
    hint,
  });
  const code = codeOf(error);
  switch (code) {
    case 'ERR_GATEWAY_TARGET_LOGIN':
      return fatal(
        sqlstateOf(error) === '28P01' ? '28P01' : '28000',
        `the gateway could not log in to target ${target}`,
        'The operator of the gateway has to check the user and password reference of this target.',
      );
    case 'ERR_GATEWAY_SECRET':
      return fatal(
        '28000',
        `the gateway has no credential for target ${target}`,
        'The operator of the gateway has to check the secret references of this target.',
      );
    case 'ERR_GATEWAY_TARGET_TLS':
      return fatal(
        '08001',
        `the gateway could not verify target ${target}`,
        'The operator of the gateway has to check the target’s certificate, sslMode and sslRoots.',
      );
    case 'ERR_GATEWAY_TARGET_PROTOCOL':
      return fatal(
        '08P01',
        `target ${target} does not answer as a PostgreSQL server`,
        'The operator has to check its address.',
      );
    case 'ERR_GATEWAY_TARGET_AWAY':
      return targetAway(target, sqlstateOf(error));
    default:
      return fatal(
        'XX000',
        'the gateway failed to open the session',
        'The operator finds the cause in the gateway’s log.',
      );
  }
}

/** A server that is not there, or that says of itself why it takes nobody: drivers know how to handle those states. */
function targetAway(target: string, sqlstate: string): ErrorText {
  const [what, hint] = TARGET_STATES.get(sqlstate) ?? ['can not be reached at the moment', TARGET_AWAY_HINT];
  return {
    severity: 'FATAL',
    sqlstate: TARGET_STATES.has(sqlstate) ? sqlstate : '08006',
    message: `target ${target} ${what}`,
    hint,
  };
}

/** PostgreSQL would have said just that. */
const NATIVE: ReadonlySet<Refusal['reason']> = new Set([
  'text-malformed',
  ...(['syntax-error', 'several-statements', 'unknown-relation', 'unknown-column', 'unknown-function'] as const),
  ...(['unknown-prepared', 'unknown-cursor'] as const),
]);

/** SQLSTATE of the target's own refusal, kept as the error's cause. */
function sqlstateOf(error: unknown): string {
  return error instanceof Error ? (codeOf(error.cause) ?? '') : '';
}

const SQLSTATES: Readonly<Record<SessionRefusal['code'], string>> = {
  host: '08004',
  identity: '28000',
  policy: '57P01',
  limit: '53300',
  // libpq tries the next host of its list for no other one.
  closed: '57P03',
  shutdown: '57P01',
  operator: '57P01',
  timeout: '08006',
  target: '57P01',
  ledger: '58030',
  memory: '53200',
  revoked: '57P01',
  quarantined: '57P01',
  'revocations-stale': '57P01',
};
const MEMORY_HINT =
  'Connect again and hold less at once: fetch by cursor, close prepared statements and portals, bind smaller values; or give the gateway more memory.';
const TARGET_AWAY_HINT =
  'Try again; if it stays so, the operator has to check that the target runs and takes connections.';
const TARGET_STATES: ReadonlyMap<string, readonly [what: string, hint: string]> = new Map([
  ['57P03', ['takes no connections now: it is starting up, or being stopped', 'Try again in a moment.']],
  [
    '53300',
    [
      'has too many connections already',
      'Close what you do not use, or try again; else the operator has to raise max_connections, or the connection limit of the database or role.',
    ],
  ],
  ['3D000', ['has no such database', 'The operator has to create it, or to correct the databases of the target.']],
]);
