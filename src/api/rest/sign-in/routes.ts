import { createActAudit, whoOf } from '../../audit.ts';
import { RestError } from '../errors.ts';
import type { PageRoute } from '../pages.ts';
import { clearCookie, refuseOtherOrigins, SIGN_IN_COOKIE } from './browser.ts';
import { html } from './html.ts';
import { loginRoutes } from './login-routes.ts';
import { oidcRoutes } from './oidc-routes.ts';
import { createTools, fromAnywhere, nameOf, page, parseReturn, type SignInDeps, type SignInTools } from './tools.ts';

/** All pages by which people sign in, and what command lines ask there. */
export function signInRoutes(deps: SignInDeps): readonly PageRoute[] {
  const tools = createTools(deps);
  return [...ownRoutes(tools), ...oidcRoutes(tools), ...loginRoutes(tools)];
}

function ownRoutes(tools: SignInTools): readonly PageRoute[] {
  const { persons, people, url } = tools;
  const actBy = createActAudit(tools);
  return [
    {
      ...{ method: 'GET', path: '/sign-in', as: 'page', isTry: false },
      async handle(request) {
        const next = parseReturn(request.query.get('return'));
        const known = await tools.personOf(fromAnywhere(request));
        if (known !== undefined)
          return page(
            'You are signed in',
            html`<p>As ${nameOf(known.person)}, by ${known.issuer}.</p><form method="post" action="/sign-in/out"><button>Sign out</button></form>`,
          );
        const { oidc } = persons;
        if (oidc === undefined)
          return page(
            'Sign in',
            html`<p>No OpenID provider is configured. On the machine of a server, <code>countersign sign-in link</code> prints a link that lets you in once.</p>`,
          );
        const way = `/sign-in/oidc?return=${encodeURIComponent(next)}`;
        return page('Sign in', html`<p><a href="${way}">Go on to ${oidc.issuer}</a></p>`);
      },
    },
    {
      ...{ method: 'GET', path: '/sign-in/link', as: 'page', isTry: false },
      // What follows the # stays in the browser until somebody wants it sent: whoever only looks at links, as mail does, spends none.
      handle: async () =>
        page(
          'Sign in by a one-time link',
          html`<p>It is good once. Whoever signs in by it operates this server.</p><form method="post" action="/sign-in/link"><input type="hidden" name="secret" autocomplete="off" aria-label="what follows # in the link"> <button>Sign in</button></form>`,
          { script: 'link' },
        ),
    },
    {
      ...{ method: 'POST', path: '/sign-in/link', as: 'page', isTry: true },
      async handle(request) {
        refuseOtherOrigins(request, url());
        const { person, madeBy } = await persons.links.redeem(request.form.get('secret') ?? '');
        return tools.enter(request, { person, kind: 'browser', way: 'link', detail: { madeBy }, next: '/sign-in' });
      },
    },
    {
      ...{ method: 'POST', path: '/sign-in/out', as: 'page', isTry: false },
      async handle(request) {
        const { peer, method, header } = request;
        const token = /^bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1];
        const known = await people.personOf(peer, { method, header, token }).catch((error: unknown) => {
          if (error instanceof RestError && error.code === 'ERR_REST_CALLER') return undefined; // Out already.
          throw error;
        });
        if (known !== undefined)
          await actBy(whoOf(known.principal), { action: 'SignOut', target: 'sign-ins' }, async () => {
            await persons.signIns.end(known.principal.signIn);
          });
        const answer = page('You are signed out', html`<p><a href="/sign-in">Sign in again</a></p>`);
        return { ...answer, headers: { 'set-cookie': clearCookie(SIGN_IN_COOKIE) } };
      },
    },
  ];
}
