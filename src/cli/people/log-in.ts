import { createServer } from 'node:http';
import { ApiProblem } from '@countersign/sdk/client';
import { sha256, sleep, timeoutSignal } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import type { TlsPlace } from '../connections/with-rest.ts';
import { type FormAnswer, postForm } from './post-form.ts';

/** What the server answered to who was let in. */
export interface Granted {
  readonly token: string;
  readonly endsMs: number;
  readonly name: string;
}

/**
 * By the browser of this computer: the server's page asks whoever is signed in there, and leads the browser back to a port of this computer, with a code
 * that is of use with a verifier alone that never left this process. @see RFC 8252 §7.3, RFC 7636
 */
export async function loginByBrowser(context: CliContext, place: TlsPlace): Promise<Granted> {
  const limit = timeoutSignal(context.clock, LOGIN_MS, context.signal);
  const part = () => context.random.bytes(32).toString('base64url');
  const [verifier, state] = [part(), part()];
  const challenge = sha256(Buffer.from(verifier)).toString('base64url');
  const door = await openDoor(state, limit.signal);
  try {
    const query = new URLSearchParams({ port: String(door.port), challenge, state });
    context.warn(`open this page in a browser of this computer:\n${urlOf(place)}/sign-in/cli?${query}`);
    const code = await door.code;
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier };
    return granted(context, await postForm(place, { path: TOKEN_PATH, form, signal: limit.signal }));
  } finally {
    door.close();
    limit.cancel();
  }
}

/** By a code that somebody types into a browser anywhere. @see RFC 8628 */
export async function loginByDevice(context: CliContext, place: TlsPlace): Promise<Granted> {
  const { signal, clock } = context;
  const asked = await postForm(place, { path: '/sign-in/device-code', form: {}, signal });
  const { device_code: code, user_code: userCode, verification_uri: url, expires_in: endsInS } = asked.fields;
  if (asked.status !== 200 || typeof code !== 'string') throw problemOf(asked);
  if (!/^https:\/\/[!-~]{1,500}$/.test(String(url)) || !/^[A-Z-]{4,20}$/.test(String(userCode)))
    throw new ApiProblem(
      502,
      JSON.stringify({ detail: 'the server names no page or no code that can be shown' }),
      undefined,
    );
  context.warn(`open ${String(url)} in a browser, and type ${String(userCode)}`);
  const lastMs = clock.now() + Number(endsInS) * 1000;
  // Of RFC 8628 §3.2 where the server does not say; never without a pause.
  let waitMs = Math.max(1, Number(asked.fields['interval'] ?? 5) || 5) * 1000;
  while (clock.now() <= lastMs + waitMs) {
    await sleep(clock, waitMs, signal);
    const answer = await postForm(place, {
      path: TOKEN_PATH,
      form: { grant_type: DEVICE_GRANT, device_code: code },
      signal,
    });
    const { error } = answer.fields;
    // Of RFC 8628 §3.5: five seconds more, from now on.
    if (error === 'slow_down') waitMs += 5_000;
    else if (error !== 'authorization_pending') return granted(context, answer);
  }
  throw new ApiProblem(400, JSON.stringify({ detail: WHY['expired_token'] }), undefined);
}

/** Waits at a port of this computer for the browser that comes back with `state`. */
async function openDoor(state: string, signal: AbortSignal) {
  let told = (_code: string) => {};
  let failed = (_error: unknown) => {};
  const code = new Promise<string>((resolve, reject) => {
    told = resolve;
    failed = reject;
  });
  code.catch(() => {}); // Whoever waits for it hears of it.
  const server = createServer((request, response) => {
    const query = new URLSearchParams(request.url?.split('?')[1] ?? '');
    const given = query.get('code');
    response.setHeader('connection', 'close');
    // Any page can send a browser here; none but the one that was asked knows the state.
    if (request.method !== 'GET' || query.get('state') !== state || given === null)
      return void response.writeHead(404).end();
    response.end('You are logged in. You can close this page.\n', () => told(given));
  });
  server.on('error', failed);
  const abort = () => failed(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  return {
    port: typeof at === 'object' && at !== null ? at.port : 0,
    code,
    close() {
      signal.removeEventListener('abort', abort);
      server.close();
      server.closeAllConnections();
    },
  };
}

/** @throws ApiProblem */
function granted({ clock }: CliContext, answer: FormAnswer): Granted {
  const { access_token: token, expires_in: endsInS, email, subject } = answer.fields;
  if (answer.status !== 200 || typeof token !== 'string') throw problemOf(answer);
  return { token, endsMs: clock.now() + Number(endsInS) * 1000, name: String(email ?? subject) };
}

function problemOf({ status, fields }: FormAnswer): ApiProblem {
  const { error } = fields;
  const said = typeof error === 'string' ? { detail: WHY[error] ?? `the server refuses it: ${error}` } : fields;
  return new ApiProblem(status, JSON.stringify(said), undefined);
}

export function urlOf({ host, port }: TlsPlace): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const WHY: Readonly<Record<string, string>> = {
  access_denied: 'it was refused in the browser',
  expired_token: 'nobody answered in time; begin again',
  invalid_grant:
    'the code is not good any more, or not from this address, or whoever allowed it has signed out since; begin again',
};
const TOKEN_PATH = '/sign-in/token';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** To sign in at a provider, with a second factor that lies in another room. */
const LOGIN_MS = 10 * 60_000;
