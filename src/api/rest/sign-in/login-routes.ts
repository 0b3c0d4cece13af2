import { principalName } from '../../../endpoint/index.ts';
import { PersonsError, type TokenAnswer } from '../../../persons/index.ts';
import { sourceOf } from '../../../rpc/index.ts';
import { RestError } from '../errors.ts';
import type { PageAnswer, PageRequest, PageRoute } from '../pages.ts';
import { refuseOtherOrigins } from './browser.ts';
import { html, pageHeaders } from './html.ts';
import { fromAnywhere, nameOf, page, redirect, type SignInTools } from './tools.ts';

/** How a command line is let in: through the browser of its own machine (RFC 8252), or by a code that a person types (RFC 8628). */
export function loginRoutes(tools: SignInTools): readonly PageRoute[] {
  return [...loopbackRoutes(tools), ...deviceRoutes(tools), tokenRoute(tools)];
}

function loopbackRoutes(tools: SignInTools): readonly PageRoute[] {
  return [
    {
      ...{ method: 'GET', path: '/sign-in/cli', as: 'page' },
      async handle(request) {
        const asked = loopbackOf(request.query);
        const known = await tools.personOf(fromAnywhere(request));
        if (known === undefined) return toSignIn(`/sign-in/cli?${request.query}`);
        const fields = Object.entries(asked).map(
          ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
        );
        const body = html`<p>A program on this computer (port ${asked.port}) asks to act as ${nameOf(known.person)}. Allow it only if you have just typed <code>countersign login</code>.</p><form method="post" action="/sign-in/cli">${joined(fields)}<button>Allow</button></form>`;
        return { ...page('Let the command line in?', body), headers: pageHeaders(`http://127.0.0.1:${asked.port}`) };
      },
    },
    {
      ...{ method: 'POST', path: '/sign-in/cli', as: 'page' },
      async handle(request) {
        const { peer, form } = request;
        const by = await signedIn(tools, request);
        const { port, challenge, state } = loopbackOf(form);
        const code = await tools.persons.grants.code({ by, challenge, from: peer.remoteAddress });
        return redirect(303, `http://127.0.0.1:${port}/?${new URLSearchParams({ code, state })}`);
      },
    },
  ];
}

function deviceRoutes(tools: SignInTools): readonly PageRoute[] {
  const { grants } = tools.persons;
  return [
    {
      ...{ method: 'POST', path: '/sign-in/device-code', as: 'json' },
      async handle(request) {
        refuseBrowsers(request);
        tools.tried(request);
        const url = tools.url();
        if (url === undefined) throw new PersonsError('ERR_PERSONS_PROVIDER', 'server.api.url is not configured');
        const from = { address: request.peer.remoteAddress, source: sourceOf(request.peer) };
        const { deviceCode, userCode, endsMs, intervalMs } = await grants.ask(from);
        return json(200, {
          ...{ device_code: deviceCode, user_code: userCode, verification_uri: `${url}/sign-in/device` },
          ...{ expires_in: Math.floor((endsMs - tools.clock.now()) / 1000), interval: intervalMs / 1000 },
        });
      },
    },
    {
      ...{ method: 'GET', path: '/sign-in/device', as: 'page' },
      async handle(request) {
        const known = await tools.personOf(fromAnywhere(request));
        if (known === undefined) return toSignIn('/sign-in/device');
        return page(
          'Let a command line in',
          html`<p>You are ${nameOf(known.person)}. Type the code that <code>countersign login --device</code> shows you.</p><form method="post" action="/sign-in/device"><input name="code" autocomplete="off" autofocus maxlength="20" aria-label="code"> <button>Go on</button></form>`,
        );
      },
    },
    {
      ...{ method: 'POST', path: '/sign-in/device', as: 'page' },
      async handle(request) {
        const by = await signedIn(tools, request);
        // Of each person: no address of many has them keep each other out, and none of many lets one person guess the more.
        tools.tries.count(`person ${by.name}`);
        const code = request.form.get('code') ?? '';
        const answer = request.form.get('answer');
        if (answer !== null) {
          const allow = answer === 'allow';
          await grants.answer(code, { by, allow });
          return page(allow ? 'It is let in' : 'It is refused', html`<p>You can close this page.</p>`);
        }
        const asked = await grants.lookUp(code);
        if (asked === undefined)
          throw new PersonsError(
            'ERR_PERSONS_GRANT',
            'the code waits for no answer: it is wrong, too old, or was answered',
          );
        const body = html`<p>A command line at <code>${asked.askedFrom}</code> asks to act as ${nameOf(by.person)}. Allow it only if it is yours, and shows <code>${code.toUpperCase()}</code>. Nobody who writes or calls you needs this.</p><form method="post" action="/sign-in/device"><input type="hidden" name="code" value="${code}"><button name="answer" value="allow">Allow</button> <button name="answer" value="deny">Refuse</button></form>`;
        return page('Let this command line in?', body);
      },
    },
  ];
}

/** @see RFC 6749 §5, RFC 8628 §3.4 */
function tokenRoute(tools: SignInTools): PageRoute {
  const { grants } = tools.persons;
  return {
    ...{ method: 'POST', path: '/sign-in/token', as: 'json' },
    async handle(request) {
      refuseBrowsers(request);
      const { form } = request;
      const given = (name: string) => form.get(name) ?? '';
      const type = given('grant_type');
      const isDevice = type === DEVICE_GRANT;
      if (!isDevice && type !== 'authorization_code') return json(400, { error: 'unsupported_grant_type' });
      const answer: TokenAnswer = isDevice
        ? await grants.poll(given('device_code'), { address: request.peer.remoteAddress })
        : await grants.redeemCode(given('code'), given('code_verifier'));
      if (!answer.ok) return json(400, { error: answer.error });
      const { person, letInBy } = answer;
      const way = isDevice ? 'device' : 'code';
      const begun = await tools.signIn(request, { person, way, letInBy }).catch((error: unknown) => {
        if (error instanceof PersonsError && error.code === 'ERR_PERSONS_GRANT') return error.message;
        throw error;
      });
      if (typeof begun === 'string') return json(400, { error: 'invalid_grant', error_description: begun });
      return json(200, {
        ...{ access_token: begun.secret, token_type: 'Bearer', expires_in: begun.endsInS, issuer: person.issuer },
        ...{ subject: person.subject, ...(person.email === undefined ? {} : { email: person.email }) },
      });
    },
  };
}

/** @throws RestError ERR_REST_CALLER, ERR_REST_ORIGIN */
async function signedIn(tools: SignInTools, request: PageRequest) {
  refuseOtherOrigins(request, tools.url());
  const known = await tools.personOf(request);
  if (known === undefined) throw new RestError('ERR_REST_CALLER', 'nobody is signed in here');
  return { id: known.signIn, person: known.person, name: principalName(known) };
}

/** What a command line at a port of this computer asks by its browser. @throws RestError ERR_REST_RETURN */
function loopbackOf(given: URLSearchParams): { port: string; challenge: string; state: string } {
  const [port = '', challenge = '', state = ''] = ['port', 'challenge', 'state'].map((name) => given.get(name) ?? '');
  const isPort = /^[1-9]\d{2,4}$/.test(port) && Number(port) >= 1024 && Number(port) <= 65_535;
  if (isPort && /^[\w-]{43}$/.test(challenge) && /^[\w-]{22,86}$/.test(state)) return { port, challenge, state };
  throw new RestError('ERR_REST_RETURN', 'this is nothing that countersign login asks');
}

function toSignIn(next: string): PageAnswer {
  return redirect(303, `/sign-in?return=${encodeURIComponent(next)}`);
}

/** No page has any business there: a browser says whose it is. @throws RestError ERR_REST_ORIGIN */
function refuseBrowsers({ header }: PageRequest): void {
  if (header('origin') !== undefined || header('sec-fetch-site') !== undefined)
    throw new RestError('ERR_REST_ORIGIN', 'this is for command lines, not for pages');
}

function json(status: number, value: object): PageAnswer {
  return { status, headers: {}, body: JSON.stringify(value) };
}

function joined(parts: readonly { markup: string }[]): { markup: string } {
  return { markup: parts.map(({ markup }) => markup).join('') };
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
