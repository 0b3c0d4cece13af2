import type { PersonsTables } from './migrations.ts';
import { digestOf } from './secrets.ts';
import type { Person } from './types.ts';

/** What a command line that asks for its token is told. @see RFC 8628 §3.5, RFC 6749 §5.2 */
export type TokenAnswer =
  /** `letInBy`: id of the sign-in of whoever allowed it, which has to be good still when that of the command line begins. */
  | { readonly ok: true; readonly person: Person; readonly letInBy: string }
  | {
      readonly ok: false;
      readonly error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'expired_token' | 'invalid_grant';
    };

/** What becomes of a grant that was looked at. */
export interface Taken {
  readonly answer: TokenAnswer;
  readonly next: Partial<GrantRow> | 'gone' | 'same';
}

/** What is there for nobody who asks so. */
export const NONE = { answer: { ok: false, error: 'invalid_grant' }, next: 'same' } as const satisfies Taken;

/** To one that asks with its device code. */
export function answerToPoll(row: GrantRow, nowMs: number): Taken {
  if (row.challenge !== null) return NONE;
  if (row.state === 'denied') return { answer: { ok: false, error: 'access_denied' }, next: 'gone' };
  if (nowMs >= row.ends_ms) return { answer: { ok: false, error: 'expired_token' }, next: 'gone' };
  const sinceMs = nowMs - row.polled_ms;
  // Another server's clock may be ahead.
  if (sinceMs >= 0 && sinceMs < INTERVAL_MS - POLL_SLACK_MS)
    return { answer: { ok: false, error: 'slow_down' }, next: 'same' };
  if (row.state === 'allowed') return { answer: allowed(row), next: 'gone' };
  return { answer: { ok: false, error: 'authorization_pending' }, next: { polled_ms: nowMs } };
}

/** Whoever has a code and not its verifier took it from somebody: it is of no use to anybody any more. */
export function answerToCode(row: GrantRow, verifier: string, nowMs: number): Taken {
  if (row.challenge === null) return NONE;
  const isGood = row.challenge === challengeOf(verifier) && nowMs < row.ends_ms;
  return { answer: isGood ? allowed(row) : NONE.answer, next: 'gone' };
}

function allowed({ person, let_in_by }: GrantRow): TokenAnswer {
  if (person === null || let_in_by === null) return NONE.answer;
  return { ok: true, person: JSON.parse(person), letInBy: let_in_by }; // Only `answer` and `code` write it.
}

/** PKCE, S256. @see RFC 7636 §4.6 */
function challengeOf(verifier: string): string {
  return Buffer.from(digestOf(verifier), 'hex').toString('base64url');
}

export type GrantRow = PersonsTables['persons_grants'];

/** Between two questions of one command line. */
export const INTERVAL_MS = 5_000;
/** Of clocks and networks. */
const POLL_SLACK_MS = 500;
