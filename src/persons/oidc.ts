import type { ClientAuth, Configuration } from 'openid-client';
import { type Clock, codeOf, createLimiter, type Log, messageOf, type Secret, sha256 } from '../std/index.ts';
import { PersonsError } from './errors.ts';
import type { Person } from './types.ts';

/** The provider by which people sign in. */
export interface OidcConfig {
  /** `https://…`; `http://` on this machine alone. */
  readonly issuer: string;
  readonly clientId: string;
  /** Read at each use, so that it may be changed; undefined: a public client. */
  readonly clientSecret: (() => Secret) | undefined;
  readonly groupsClaim: string;
  readonly scopes: string;
}

/** Sign-in by an OpenID provider: authorization code, PKCE, state, nonce and issuer (RFC 9207) are all made sure of. */
export interface Oidc {
  readonly issuer: string;
  /** Where the browser is sent. `secret`: 256 bits that this browser alone has. @throws PersonsError ERR_PERSONS_PROVIDER */
  begin(secret: string, of: { readonly callbackUrl: string; readonly signal: AbortSignal }): Promise<string>;
  /** Who came back, with `query`. @throws PersonsError ERR_PERSONS_PROVIDER, ERR_PERSONS_ANSWER */
  finish(
    secret: string,
    of: { readonly callbackUrl: string; readonly query: URLSearchParams; readonly signal: AbortSignal },
  ): Promise<Person>;
}

/** Creates it. The client is loaded, and the provider asked what it is, when somebody signs in. */
export function createOidc(deps: { readonly clock: Clock; readonly log: Log }, config: OidcConfig): Oidc {
  const { clock, log } = deps;
  // Whoever makes up an answer has us ask the provider about it.
  const exchanges = createLimiter({
    ...{ runningMax: EXCHANGES_MAX, waitersMax: EXCHANGES_WAITING_MAX },
    full: () =>
      new PersonsError('ERR_PERSONS_LIMIT', `${EXCHANGES_WAITING_MAX} sign-ins wait for the provider already`),
  });
  let known: { readonly provider: Promise<Configuration>; readonly atMs: number } | undefined;
  const discover = async (): Promise<Configuration> => {
    const client = await import('openid-client');
    const issuer = new URL(config.issuer);
    const secret = config.clientSecret;
    // What it is at that moment: what is known of a provider outlives its client's secret.
    const proof: ClientAuth =
      secret === undefined
        ? client.None()
        : (...request) => client.ClientSecretBasic(secret().reveal().toString('utf8'))(...request);
    return client.discovery(issuer, config.clientId, undefined, proof, {
      timeout: TIMEOUT_S,
      // The signature of the token too, though it comes over TLS from the provider itself.
      execute: [
        client.enableNonRepudiationChecks,
        ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []),
      ],
    });
  };
  const providerOf = async (): Promise<Configuration> => {
    const nowMs = clock.monotonicMs();
    try {
      // Nobody is sent there who could not come back.
      config.clientSecret?.();
    } catch (error) {
      log.error('persons.provider.secret', { issuer: config.issuer, reason: messageOf(error) });
      throw new PersonsError('ERR_PERSONS_PROVIDER', 'the client secret of this server can not be read', {
        cause: error,
      });
    }
    if (known === undefined || nowMs - known.atMs > KNOWN_MS) known = { provider: discover(), atMs: nowMs };
    try {
      return await known.provider;
    } catch (error) {
      known = undefined;
      log.error('persons.provider.unknown', { issuer: config.issuer, reason: reasonOf(error) });
      throw new PersonsError('ERR_PERSONS_PROVIDER', `${config.issuer} does not say how to sign in there`, {
        cause: error,
      });
    }
  };
  return {
    issuer: config.issuer,
    async begin(secret, { callbackUrl }) {
      const provider = await providerOf();
      const client = await import('openid-client');
      const { state, nonce, verifier } = partsOf(secret);
      const parameters = {
        ...{ redirect_uri: callbackUrl, scope: config.scopes, state, nonce },
        ...{ code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' },
      };
      return client.buildAuthorizationUrl(provider, parameters).href;
    },
    finish: (secret, { callbackUrl, query, signal }) =>
      exchanges.run(async () => {
        const provider = await providerOf();
        const client = await import('openid-client');
        const { state, nonce, verifier } = partsOf(secret);
        try {
          const tokens = await client.authorizationCodeGrant(provider, new URL(`${callbackUrl}?${query}`), {
            ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
          });
          const claims = tokens.claims();
          if (claims === undefined) throw new Error('there is no ID token');
          const isWhole = claims[config.groupsClaim] !== undefined && hasAddress(claims);
          const more =
            isWhole || provider.serverMetadata().userinfo_endpoint === undefined
              ? {}
              : await client.fetchUserInfo(provider, tokens.access_token, claims.sub);
          return personOf(claims, more, config);
        } catch (error) {
          // By its code alone: what the provider and the browser sent is nobody's to read in a log.
          log.warn('persons.provider.refused', { issuer: config.issuer, reason: reasonOf(error) });
          throw new PersonsError(
            'ERR_PERSONS_ANSWER',
            `the answer of ${config.issuer} is not taken: ${reasonOf(error)}`,
          );
        }
      }, signal),
  };
}

/** What is sent to a provider, of one secret: each says nothing of the others. */
function partsOf(secret: string): { state: string; nonce: string; verifier: string } {
  const part = (name: string) => sha256(Buffer.from(`${name} ${secret}`)).toString('base64url');
  return { state: part('state'), nonce: part('nonce'), verifier: part('verifier') };
}

/** Of the ID token; what that does not say, UserInfo does. @throws when a claim is not of its form */
function personOf(claims: Claims, more: Claims, { issuer, groupsClaim }: OidcConfig): Person {
  const { sub } = claims;
  // The address and that it is verified are one statement: of two that were put together neither was made.
  const { email, email_verified: isVerified } = [claims, more].find(hasAddress) ?? {};
  const given = claims[groupsClaim] ?? more[groupsClaim] ?? [];
  const groups = typeof given === 'string' ? [given] : given;
  if (typeof sub !== 'string' || !isName(sub)) throw new Error('sub is no name');
  if (!Array.isArray(groups) || groups.length > GROUPS_MAX || !groups.every(isName))
    throw new Error(`${groupsClaim} is no list of at most ${GROUPS_MAX} names`);
  const isTold = isVerified === true && typeof email === 'string' && isName(email);
  return { issuer, subject: sub, email: isTold ? email : undefined, groups: [...new Set(groups)], byLink: false };
}

function hasAddress({ email, email_verified: isVerified }: Claims): boolean {
  return email !== undefined && isVerified !== undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/** What is printed, recorded and compared. */
function isName(text: unknown): text is string {
  return typeof text === 'string' && /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,256}$/u.test(text);
}

/** A code of the client's, or what we found ourselves; never a description that somebody else wrote. */
function reasonOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error && !('cause' in error) ? error.message : 'unknown');
}

const TIMEOUT_S = 10;
/** A company in the morning, and no flood that its provider takes for an attack of ours. */
const EXCHANGES_MAX = 32;
const EXCHANGES_WAITING_MAX = 256;
/** A provider that changes its keys says so by its key set, which the client reads anew; what else it changes is seen within the hour. */
const KNOWN_MS = 3_600_000;
const GROUPS_MAX = 500;
