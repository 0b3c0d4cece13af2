import type { Principal } from '../../../endpoint/index.ts';
import { CLI_PREFIX, type FoundSignIn, type Persons, type SignIn } from '../../../persons/index.ts';
import type { Peer } from '../../../rpc/index.ts';
import type { Clock, Log } from '../../../std/index.ts';
import { createActAudit, type WriteAudit, whoOf } from '../../audit.ts';
import { RestError } from '../errors.ts';
import { cookieOf, type HeaderOf, refuseOtherOrigins, SIGN_IN_COOKIE } from './browser.ts';

/** A person who calls, and by what that is known. */
export interface KnownPerson {
  readonly principal: Extract<Principal, { kind: 'person' }>;
  readonly by: 'cookie' | 'token';
}

/** Makes sure of people who call. */
export interface People {
  /**
   * The person of a request; undefined: it names none. A cookie counts only for the server's own pages. @throws RestError ERR_REST_CALLER for a
   * sign-in that is not good, or not from there; ERR_REST_ORIGIN; StoreError
   */
  personOf(
    peer: Extract<Peer, { kind: 'tls' }>,
    request: {
      readonly method: string;
      readonly header: HeaderOf;
      readonly token: string | undefined;
      /** False of what looks after somebody who came before: their sign-in becomes idle meanwhile. */
      readonly isUse: boolean;
    },
  ): Promise<KnownPerson | undefined>;
}

/** Creates it. A sign-in that shows up elsewhere is written down, once. */
export function createPeople(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly persons: Pick<Persons, 'signIns'>;
  readonly write: WriteAudit;
  readonly url: () => string | undefined;
}): People {
  const { log, persons } = deps;
  const actBy = createActAudit(deps);
  const refusal = async (found: Extract<FoundSignIn, { ok: false }>, address: string): Promise<RestError> => {
    if (found.reason !== 'address') return notGood(WHY[found.reason]);
    if (found.isFirst) {
      const principal = principalOf(found.signIn);
      log.warn('api.sign_in.elsewhere', { signIn: principal.signIn, address });
      const detail = { signIn: principal.signIn, from: address, begunFrom: found.signIn.address };
      await actBy(whoOf(principal), { action: 'RefuseSignIn', target: 'sign-ins', detail }, async () => {});
      // After it was written: rather twice than never.
      await persons.signIns.told(principal.signIn);
    }
    return notGood('the sign-in was begun from another address; sign in anew from here');
  };
  return {
    async personOf(peer, request) {
      const { token, header, isUse } = request;
      const cookie = cookieOf(header, SIGN_IN_COOKIE);
      const isToken = token?.startsWith(CLI_PREFIX) ?? false;
      const secret = isToken ? token : cookie;
      if (secret === undefined) return undefined;
      if (cookie !== undefined && isToken) throw notGood('the request names two callers');
      if (!isToken) refuseOtherOrigins(request, deps.url());
      const address = peer.remoteAddress;
      const found = await persons.signIns.find(secret, { kind: isToken ? 'cli' : 'browser', address, isUse });
      if (!found.ok) throw await refusal(found, address);
      return { principal: principalOf(found.signIn), by: isToken ? 'token' : 'cookie' };
    },
  };
}

/** As policy and ledger see somebody who has signed in. */
export function principalOf({ id, person }: Pick<SignIn, 'id' | 'person'>): KnownPerson['principal'] {
  const { issuer, subject, email, groups, byLink } = person;
  return { kind: 'person', issuer, subject, email, groups, byLink, signIn: id };
}

function notGood(message: string): RestError {
  return new RestError('ERR_REST_CALLER', message, { headers: { 'www-authenticate': 'Bearer realm="countersign"' } });
}

const WHY = {
  unknown: 'the sign-in is not known: it was ended, or never begun',
  over: 'the sign-in is over: it has had its time',
  idle: 'the sign-in is over: it was not used for too long',
  issuer: 'the sign-in is over: people sign in otherwise now',
} as const;
