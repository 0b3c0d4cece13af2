/** Somebody, as an issuer says it. */
export interface Person {
  /** The OpenID provider, or this trust domain's server for whoever came by a link. */
  readonly issuer: string;
  readonly subject: string;
  /** Only what the issuer has verified. */
  readonly email: string | undefined;
  readonly groups: readonly string[];
  /** By a one-time link, which an operator made. */
  readonly byLink: boolean;
}

/** `browser`: by a cookie. `cli`: by a token that a command line keeps. None is good for the other. */
export type SignInKind = 'browser' | 'cli';

/** One sign-in. Times in epoch milliseconds. */
export interface SignIn {
  /** Names it to people; it lets nobody in. */
  readonly id: string;
  readonly kind: SignInKind;
  readonly person: Person;
  /** From where it was begun. */
  readonly address: string;
  readonly sinceMs: number;
  /** When it was used last, to the minute. */
  readonly seenMs: number;
  /** When it ends, used or not. */
  readonly endsMs: number;
}

/** What a secret leads to. `issuer`: people come by another one now. */
export type FoundSignIn =
  | { readonly ok: true; readonly signIn: SignIn }
  | { readonly ok: false; readonly reason: 'unknown' | 'over' | 'idle' | 'issuer' }
  /** It is good, and came from elsewhere. `isFirst`: nobody has been told of that; whoever tells says so by `SignIns.told`. */
  | { readonly ok: false; readonly reason: 'address'; readonly signIn: SignIn; readonly isFirst: boolean };
