import { RestError } from '../errors.ts';
import type { PageRoute } from '../pages.ts';
import { clearCookie, cookieOf, FLOW_COOKIE, setCookie } from './browser.ts';
import { oidcOf, parseReturn, redirect, type SignInTools } from './tools.ts';

/**
 * To the provider and back. What is sent there (state, nonce, challenge) is made of a secret that this browser alone has, in a cookie: the answer counts
 * in the browser that went, and nothing of strangers is kept.
 */
export function oidcRoutes(tools: SignInTools): readonly PageRoute[] {
  const { clock, random } = tools;
  return [
    {
      ...{ method: 'GET', path: '/sign-in/oidc', as: 'page' },
      async handle({ query, signal }) {
        const next = parseReturn(query.get('return'));
        const secret = random.bytes(32).toString('base64url');
        const location = await oidcOf(tools).begin(secret, { callbackUrl: callbackUrl(tools), signal });
        const value = `${secret}.${clock.now()}.${Buffer.from(next).toString('base64url')}`;
        // The provider's page leads back here: a strict cookie would stay behind.
        const cookie = setCookie(FLOW_COOKIE, value, { sameSite: 'Lax', maxAgeS: FLOW_MS / 1000 });
        return redirect(302, location, { 'set-cookie': cookie });
      },
    },
    {
      ...{ method: 'GET', path: '/sign-in/callback', as: 'page' },
      async handle(request) {
        const { header, query, signal } = request;
        const [secret, sinceMs, next] = (cookieOf(header, FLOW_COOKIE) ?? '').split('.');
        const ageMs = clock.now() - Number(sinceMs);
        if (secret === undefined || next === undefined || !(ageMs >= -SKEW_MS && ageMs <= FLOW_MS))
          throw new RestError(
            'ERR_REST_FLOW',
            'this browser did not begin this sign-in, or longer than ten minutes ago',
          );
        const person = await oidcOf(tools).finish(secret, { callbackUrl: callbackUrl(tools), query, signal });
        const on = parseReturn(Buffer.from(next, 'base64url').toString());
        const answer = await tools.enter(request, { person, way: 'oidc', next: on });
        const cookies = [answer.headers['set-cookie'] ?? [], clearCookie(FLOW_COOKIE)].flat();
        return { ...answer, headers: { 'set-cookie': cookies } };
      },
    },
  ];
}

function callbackUrl({ url }: SignInTools): string {
  return `${url() ?? ''}/sign-in/callback`;
}

const FLOW_MS = 10 * 60_000;
/** Another server may have begun it, whose clock is ahead. */
const SKEW_MS = 60_000;
