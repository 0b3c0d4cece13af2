import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong with signing in. That a secret is not good is a value. */
export const errorTable = {
  ERR_PERSONS_LINK: {
    status: 403,
    exit: 'no',
    meaning:
      'The one-time link is not good: it was used, is too old, was never made, or an OpenID provider is configured.',
    remedy: 'Have `countersign sign-in link` make a new one on the machine of a server, or sign in by the provider.',
  },
  ERR_PERSONS_GRANT: {
    status: 403,
    exit: 'no',
    meaning: 'The code is none that waits for an answer: it was used or answered, is too old, or was never given out.',
    remedy: 'Begin again with `countersign login`.',
  },
  ERR_PERSONS_PROVIDER: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The OpenID provider is not configured, or does not answer.',
    remedy:
      'Look into the log of the server, and at server.api.signIn.oidc; whoever has the operator socket needs no provider.',
  },
  ERR_PERSONS_ANSWER: {
    status: 403,
    exit: 'no',
    meaning: 'What the OpenID provider answered is not taken.',
    remedy: 'Sign in again; if that goes on, compare issuer, client and claims with server.api.signIn.oidc.',
  },
  ERR_PERSONS_LIMIT: {
    status: 429,
    exit: 'unavailable',
    meaning: 'As many links or codes wait to be used as may.',
    remedy: 'Try again in some minutes, when the oldest are over.',
  },
} as const satisfies ErrorTable;

/** A failure of signing in. The message is told to whoever tried: never a secret. */
export class PersonsError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
