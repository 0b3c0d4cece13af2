import { createServer, type RequestListener } from 'node:http';
import { Provider } from 'oidc-provider';

type People = Readonly<Record<string, object>>;

/** A real OpenID provider on this machine, whose people sign in with any password. `idTokens`: what theirs say, where that is something else. */
export async function startOidcProvider(people: People, { idTokens }: { readonly idTokens?: People } = {}) {
  let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('it listens at a port');
  const issuer = `http://127.0.0.1:${at.port}`;
  return {
    issuer,
    config: {
      ...{ issuer, clientId: 'countersign', groupsClaim: 'groups', scopes: 'openid email groups' },
    },
    /** From now on it knows the client, which it leads back there. */
    knows(callbackUrl: string, secret: string): void {
      const provider = new Provider(issuer, {
        clients: [{ client_id: 'countersign', client_secret: secret, redirect_uris: [callbackUrl] }],
        scopes: ['openid', 'email', 'groups'],
        claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
        cookies: { keys: ['of a test'] },
        pkce: { required: () => true },
        conformIdTokenClaims: idTokens === undefined,
        findAccount: (_context, id) => ({
          accountId: id,
          claims: async (use) => ({ sub: id, ...(use === 'id_token' ? (idTokens ?? people) : people)[id] }),
        }),
      });
      handle = provider.callback();
    },
    /** Goes where a browser is sent, signs in there as `name` and agrees; resolves to where the browser is led then. */
    async visit(location: string, name: string): Promise<string> {
      const jar = new Map<string, string>();
      const open = async (url: string, form?: Readonly<Record<string, string>>) => {
        const cookie = Array.from(jar, ([key, value]) => `${key}=${value}`).join('; ');
        const answer = await fetch(url, {
          ...{ redirect: 'manual', headers: { cookie } },
          ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
        });
        for (const line of answer.headers.getSetCookie()) {
          const [key = '', value = ''] = line.split(';')[0]?.split('=') ?? [];
          jar.set(key, value);
        }
        return answer;
      };
      let url = location;
      for (let hops = 0; hops < 12 && url.startsWith(issuer); hops++) {
        let answer = await open(url);
        if (answer.status === 200) {
          const text = await answer.text();
          const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1] ?? '';
          answer = await open(url, prompt === 'login' ? { prompt, login: name, password: 'any' } : { prompt });
        }
        const next = answer.headers.get('location');
        if (next === null) throw new Error(`the provider answers ${answer.status}: ${await answer.text()}`);
        url = new URL(next, url).href;
      }
      return url;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
