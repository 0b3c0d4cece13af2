import type { Clock } from '../../../../std/index.ts';
import type { Problem } from '../../../../wire/http1/index.ts';

/** What a door of that target says of its tokens. */
export interface DoorSign {
  /** The target's. */
  readonly name: string;
  readonly audience: string;
  readonly clock: Clock;
}

/** What a request is answered that proves nobody. `fault`: of the token that it has shown; undefined: none. */
export function unprovenProblem({ name, audience }: DoorSign, fault: string | undefined): Problem {
  return {
    status: 401,
    title:
      fault === undefined
        ? `target ${name} wants to know who calls: a client certificate, or a JWT-SVID with each request`
        : `the token proves nothing to target ${name}: ${fault}`,
    reason: 'identity',
    hint: `Send authorization: Bearer with a JWT-SVID for the audience ${audience} alone; the agent gives one: countersign svid token --audience ${audience}.`,
  };
}

/** The value of `www-authenticate` beside it. @see RFC 6750 §3 */
export function challengeOf({ name }: DoorSign, fault: string | undefined): string {
  return `Bearer realm="${name}"${fault === undefined ? '' : `, error="invalid_token", error_description="${fault}"`}`;
}
