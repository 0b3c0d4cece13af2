import { type AskedSignIn, type Person, type Persons, PersonsError } from '../../../persons/index.ts';
import { sourceOf } from '../../../rpc/index.ts';
import type { Clock, Log, Random } from '../../../std/index.ts';
import { createActAudit, type WriteAudit, whoOf } from '../../audit.ts';
import type { Admission } from '../admission.ts';
import { CONSOLE_HOME } from '../console/serve-console.ts';
import { RestError } from '../errors.ts';
import type { PageAnswer, PageRequest } from '../pages.ts';
import { cookieOf, SIGN_IN_COOKIE, setCookie } from './browser.ts';
import { type Html, html, pageOf } from './html.ts';
import { type People, principalOf } from './people.ts';

/** What the pages stand on. */
export interface SignInDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly persons: Persons;
  readonly people: People;
  readonly write: WriteAudit;
  readonly url: () => string | undefined;
  /** Of what may be a guess. */
  readonly tries: Pick<Admission, 'count'>;
}

/** What the pages of signing in share. */
export interface SignInTools extends SignInDeps {
  /** Somebody is in: recorded, under a new secret, whatever the browser had before. */
  signIn(request: PageRequest, asked: Entering): Promise<{ readonly secret: string; readonly endsInS: number }>;
  /** The same, with the cookie, and a page that leads on: a redirect would still count as what another site began. */
  enter(request: PageRequest, asked: Omit<Entering, 'letInBy'> & { readonly next: string }): Promise<PageAnswer>;
  /** Who a browser's request is of; undefined: nobody. A sign-in that is not good is nobody's. */
  personOf(request: PageRequest): Promise<(ReturnType<typeof principalOf> & { readonly person: Person }) | undefined>;
  /** Counts a guess of whoever is nobody yet: after other sites' pages were refused, which could use up everybody's. @throws RestError ERR_REST_RATE */
  tried(request: PageRequest): void;
}

interface Entering {
  readonly person: Person;
  /** `link`, `oidc`, `code`, `device`. */
  readonly way: string;
  /** Of a command line: the sign-in by which somebody allowed it. */
  readonly letInBy?: string;
  readonly detail?: Readonly<Record<string, string>>;
}

/** An answer that is a page. */
export function page(title: string, body: Html, options: Parameters<typeof pageOf>[2] = {}): PageAnswer {
  return { status: 200, headers: {}, body: pageOf(title, body, options) };
}

export function redirect(status: 302 | 303, location: string, headers: PageAnswer['headers'] = {}): PageAnswer {
  return {
    status,
    headers: { location, ...headers },
    body: pageOf('Go on', html`<p><a href="${location}">Go on</a></p>`),
  };
}

/** Where somebody goes on to who has signed in: a page of signing in or of the console, and nowhere else. @throws RestError ERR_REST_RETURN */
export function parseReturn(text: string | null): string {
  if (text === null || text === '') return CONSOLE_HOME;
  if (text.length <= RETURN_CHARS_MAX && RETURNS.some((form) => form.test(text))) return text;
  throw new RestError('ERR_REST_RETURN', 'return leads to no page of signing in or of the console');
}

/** Creates them. */
export function createTools(deps: SignInDeps): SignInTools {
  const { clock, persons, people } = deps;
  const actBy = createActAudit(deps);
  const tools: SignInTools = {
    ...deps,
    async signIn({ peer, header }, { person, way, letInBy, detail = {} }) {
      const address = peer.remoteAddress;
      const instead = cookieOf(header, SIGN_IN_COOKIE);
      const asked: AskedSignIn =
        letInBy === undefined
          ? { person, address, kind: 'browser', ...(instead === undefined ? {} : { instead }) }
          : { person, address, kind: 'cli', letInBy };
      const by = letInBy === undefined ? {} : { letInBy };
      const who = whoOf(principalOf({ id: '', person }));
      const begun = await actBy(
        who,
        {
          ...{
            action: 'SignIn',
            target: 'sign-ins',
            detail: { way, kind: asked.kind, from: address, ...by, ...detail },
          },
          outcome: ({ signIn }) => ({ signIn: signIn.id }),
        },
        () => persons.signIns.begin(asked),
      );
      return { secret: begun.secret, endsInS: Math.floor((begun.signIn.endsMs - clock.now()) / 1000) };
    },
    async enter(request, { next, ...asked }) {
      const { secret, endsInS } = await tools.signIn(request, asked);
      const cookie = setCookie(SIGN_IN_COOKIE, secret, { sameSite: 'Strict', maxAgeS: endsInS });
      const answer = page('You are signed in', html`<p>As ${nameOf(asked.person)}. <a href="${next}">Go on</a></p>`, {
        refresh: next,
      });
      return { ...answer, headers: { 'set-cookie': cookie } };
    },
    async personOf({ peer, method, header }) {
      try {
        const known = await people.personOf(peer, { method, header, token: undefined, isUse: true });
        if (known === undefined) return undefined;
        const { issuer, subject, email, groups, byLink } = known.principal;
        return { ...known.principal, person: { issuer, subject, email, groups, byLink } };
      } catch (error) {
        // They are here to sign in: that what they had is not good is no failure.
        if (error instanceof RestError && error.code === 'ERR_REST_CALLER') return undefined;
        throw error;
      }
    },
    tried: ({ peer }) => deps.tries.count(`source ${sourceOf(peer)}`),
  };
  return tools;
}

/** The page that says who is signed in tells nobody else: it may be led to from anywhere. */
export function fromAnywhere(request: PageRequest): PageRequest {
  const header = (name: string) => (name === 'sec-fetch-site' ? undefined : request.header(name));
  return { ...request, header };
}

export function nameOf({ email, subject }: Pick<Person, 'email' | 'subject'>): string {
  return email ?? subject;
}

/** @throws PersonsError ERR_PERSONS_PROVIDER */
export function oidcOf({ persons }: Pick<SignInTools, 'persons'>): NonNullable<Persons['oidc']> {
  if (persons.oidc !== undefined) return persons.oidc;
  throw new PersonsError('ERR_PERSONS_PROVIDER', 'no OpenID provider is configured');
}

/** With what ties it to its browser it has room in a cookie of the flow. */
const RETURN_CHARS_MAX = 700;
/** Segments of a path that are no dots, however they are written: `/console/../` would be another place. */
const RETURNS: readonly RegExp[] = [
  /^\/sign-in(?:\/(?:cli|device))?(?:\?[\w.~%=&-]*)?$/,
  /^\/console\/(?!.*%2e)(?:[\w~%:@-][\w.~%:@-]*\/)*(?:[\w~%:@-][\w.~%:@-]*)?(?:\?[\w.~%=&:@/*+,-]*)?$/i,
];
