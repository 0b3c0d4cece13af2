import { createActAudit, whoOf } from '../../audit.ts';
import { CONSOLE_HOME } from '../console/serve-console.ts';
import type { PageRoute } from '../pages.ts';
import { clearCookie, cookieOf, refuseOtherOrigins, SIGN_IN_COOKIE } from './browser.ts';
import { html } from './html.ts';
import { loginRoutes } from './login-routes.ts';
import { oidcRoutes } from './oidc-routes.ts';
import { principalOf } from './people.ts';
import { createTools, fromAnywhere, nameOf, page, parseReturn, type SignInDeps, type SignInTools } from './tools.ts';

/** All pages by which people sign in, and what command lines ask there. */
export function signInRoutes(deps: SignInDeps): readonly PageRoute[] {
  const tools = createTools(deps);
  return [...ownRoutes(tools), ...oidcRoutes(tools), ...loginRoutes(tools)];
}

function ownRoutes(tools: SignInTools): readonly PageRoute[] {
  const { persons, url } = tools;
  const actBy = createActAudit(tools);
  return [
    {
      ...{ method: 'GET', path: '/sign-in', as: 'page' },
      async handle(request) {
        const next = parseReturn(request.query.get('return'));
        const known = await tools.personOf(fromAnywhere(request));
        if (known !== undefined)
          return page(
            'You are signed in',
            html`<p>As ${nameOf(known.person)}, by ${known.issuer}. <a href="${next}">Go on</a></p><form method="post" action="/sign-in/out"><button>Sign out</button></form>`,
          );
        const { oidc } = persons;
        if (oidc === undefined)
          return page(
            'Sign in',
            html`<p>No OpenID provider is configured. On the machine of a server, <code>countersign sign-in link</code> prints a link that lets you in once. Then come back to <a href="${next}">where you were</a>.</p>`,
          );
        const way = `/sign-in/oidc?return=${encodeURIComponent(next)}`;
        return page('Sign in', html`<p><a href="${way}">Go on to ${oidc.issuer}</a></p>`);
      },
    },
    {
      ...{ method: 'GET', path: '/sign-in/link', as: 'page' },
      // What follows the # stays in the browser until somebody wants it sent: whoever only looks at links, as mail does, spends none.
      handle: async () =>
        page(
          'Sign in by a one-time link',
          html`<p>It is good once. Whoever signs in by it operates this server.</p><form method="post" action="/sign-in/link"><input type="hidden" name="secret" autocomplete="off" aria-label="what follows # in the link"> <button>Sign in</button></form>`,
          { script: 'link' },
        ),
    },
    {
      ...{ method: 'POST', path: '/sign-in/link', as: 'page' },
      async handle(request) {
        refuseOtherOrigins(request, url());
        tools.tried(request);
        const { person, madeBy } = await persons.links.redeem(request.form.get('secret') ?? '');
        return tools.enter(request, { person, way: 'link', detail: { madeBy }, next: CONSOLE_HOME });
      },
    },
    {
      ...{ method: 'POST', path: '/sign-in/out', as: 'page' },
      async handle(request) {
        const { peer, header } = request;
        const token = /^bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1];
        // No other site's page sends a header of that name. What a browser sends by itself is signed out by our own pages alone.
        if (token === undefined) refuseOtherOrigins(request, url());
        const secret = token ?? cookieOf(header, SIGN_IN_COOKIE);
        const kind = token === undefined ? 'browser' : 'cli';
        // Whoever has it may end it, from wherever: nobody is told that they are signed out, and is not.
        const held = secret === undefined ? undefined : await persons.signIns.holder(secret, kind);
        if (held !== undefined) {
          const detail = { signIn: held.id, from: peer.remoteAddress };
          await actBy(whoOf(principalOf(held)), { action: 'SignOut', target: 'sign-ins', detail }, async () => {
            await persons.signIns.end(held.id);
          });
        }
        const answer = page('You are signed out', html`<p><a href="/sign-in">Sign in again</a></p>`);
        return token === undefined ? { ...answer, headers: { 'set-cookie': clearCookie(SIGN_IN_COOKIE) } } : answer;
      },
    },
  ];
}
