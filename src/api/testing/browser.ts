import type { IncomingHttpHeaders } from 'node:http';
import type { TestRest } from './test-rest.ts';

/** A browser as far as signing in goes: it keeps cookies, and says of each request which page asks. */
export function openBrowser(server: Pick<TestRest, 'open' | 'signInUrl'>) {
  const jar = new Map<string, string>();
  const keep = ({ 'set-cookie': set = [] }: IncomingHttpHeaders) => {
    for (const line of set) {
      const [pair = '', ...attributes] = line.split('; ');
      const at = pair.indexOf('=');
      if (attributes.includes('Max-Age=0')) jar.delete(pair.slice(0, at));
      else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
  };
  const send = async (
    method: 'GET' | 'POST',
    path: string,
    {
      form,
      body: text,
      headers = {},
    }: { form?: Readonly<Record<string, string>>; body?: string; headers?: Readonly<Record<string, string>> } = {},
  ) => {
    const cookie = Array.from(jar, ([name, value]) => `${name}=${value}`).join('; ');
    const body = form === undefined ? text : `${new URLSearchParams(form)}`;
    const sent = {
      host: new URL(server.signInUrl).host,
      ...(cookie === '' ? {} : { cookie }),
      ...(method === 'POST' ? { origin: server.signInUrl, 'sec-fetch-site': 'same-origin' } : {}),
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    };
    const answer = await server.open({ method, path, headers: sent, body, as: 'nobody' });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk);
    keep(answer.headers);
    return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString('utf8') };
  };
  return {
    jar,
    get: (path: string, headers: Readonly<Record<string, string>> = {}) => send('GET', path, { headers }),
    /** As a page of the server's own would by a script. */
    postJson: (path: string, value: object) =>
      send('POST', path, { body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }),
    post: (path: string, form: Readonly<Record<string, string>> = {}, headers: Readonly<Record<string, string>> = {}) =>
      send('POST', path, { form, headers }),
  };
}
