/**
 * Goal: whoever has the link is in, once; what their browser keeps is of use to that browser, from there, for pages of this server alone; and the ledger
 * says who it was.
 */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../../std/index.ts';
import { openBrowser } from '../../testing/browser.ts';
import { startTestRest, type TestRest } from '../../testing/test-rest.ts';
import { cookieOf, refuseOtherOrigins } from './browser.ts';
import { signInRoutes } from './routes.ts';
import { parseReturn } from './tools.ts';

const COOKIE = '__Host-countersign';
let server: TestRest;
let lines: string[];
beforeEach(async () => {
  lines = [];
  const log = createLog({ level: 'debug', write: (line: string) => void lines.push(line) });
  server = await startTestRest({ log });
});
afterEach(() => server.stop());

/** A link as an operator has it made. */
async function link(): Promise<string> {
  const answer = await server.ask({ method: 'POST', path: '/v1/sign-in-links' });
  expect(answer.status).toBe(200);
  expect(answer.json['url']).toBe(`${server.signInUrl}/sign-in/link#${answer.json['secret']}`);
  return String(answer.json['secret']);
}

async function signedIn() {
  const browser = openBrowser(server);
  const answer = await browser.post('/sign-in/link', { secret: await link() });
  expect(answer.status).toBe(200);
  return browser;
}

describe('a one-time link', () => {
  it('signs in who opens it: they may operate the server, and the ledger names them and who made the link', async () => {
    const browser = await signedIn();
    expect(JSON.parse((await browser.get('/v1/caller')).text)).toMatchObject({ kind: 'person' });
    expect((await browser.get('/v1/targets')).status).toBe(200);
    expect((await browser.postJson('/v1/apply', {})).status).toBe(200);
    const apply = server.ledger.find(({ action }) => action === 'Apply');
    expect(apply?.actor).toMatch(/#link-[0-9a-f]{16}$/);
    expect(apply?.detail['person']).toMatchObject({ issuer: 'spiffe://example.org/spire/server' });
    const signIn = server.ledger.find(({ action, detail }) => action === 'SignIn' && detail['step'] === 'request');
    expect(signIn?.actor).toMatch(/^spiffe:\/\/example\.org\/spire\/server#link-[0-9a-f]{16}$/);
    expect(signIn?.detail).toMatchObject({ way: 'link', madeBy: 'admin', from: '127.0.0.1' });
  });

  it('is good once, and looking at it spends nothing', async () => {
    const secret = await link();
    expect((await openBrowser(server).get('/sign-in/link')).text).toContain('It is good once');
    expect((await openBrowser(server).post('/sign-in/link', { secret })).status).toBe(200);
    const again = await openBrowser(server).post('/sign-in/link', { secret });
    expect([again.status, again.headers['set-cookie']]).toEqual([403, undefined]);
    expect(again.text).toContain('ERR_PERSONS_LINK');
    expect(again.text).toContain('countersign sign-in link');
  });

  it('is of no use where it is not known which page sends it', async () => {
    const secret = await link();
    const other = await openBrowser(server).post('/sign-in/link', { secret }, { origin: 'https://evil.example' });
    expect([other.status, other.headers['set-cookie']]).toEqual([403, undefined]);
    expect((await openBrowser(server).post('/sign-in/link', { secret })).status).toBe(200);
  });

  it('lets somebody guess a few times only', async () => {
    const statuses: number[] = [];
    for (let each = 0; each < 21; each++)
      statuses.push((await openBrowser(server).post('/sign-in/link', { secret: `guess-${each}` })).status);
    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 403));
    expect(statuses[20]).toBe(429);
  });

  it('is guessed at by nobody whose pages are of another site: they use up nobody’s tries', async () => {
    for (let each = 0; each < 25; each++) {
      const browser = openBrowser(server);
      const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
      expect((await browser.post('/sign-in/link', { secret: 'x' }, evil)).text).toContain('ERR_REST_ORIGIN');
      expect((await browser.post('/sign-in/device-code', {}, evil)).text).toContain('ERR_REST_ORIGIN');
      expect((await browser.get('/sign-in/oidc', { 'sec-fetch-site': 'cross-site' })).status).toBe(503);
      expect((await browser.get('/sign-in/callback', { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    }
    expect((await openBrowser(server).post('/sign-in/link', { secret: await link() })).status).toBe(200);
  });

  it('leaves neither itself nor a cookie in log or ledger', async () => {
    const secret = await link();
    const browser = openBrowser(server);
    await browser.post('/sign-in/link', { secret });
    await openBrowser(server).post('/sign-in/link', { secret });
    const written = `${lines.join('\n')}${JSON.stringify(server.ledger)}`;
    expect(written).toContain('SignIn');
    expect(written).not.toContain(secret);
    expect(written).not.toContain(browser.jar.get(COOKIE));
  });
});

describe('the cookie', () => {
  it('is for this host over TLS alone, for no script, and for nothing that another site begins', async () => {
    const answer = await openBrowser(server).post('/sign-in/link', { secret: await link() });
    expect(answer.headers['set-cookie']?.[0]).toMatch(
      /^__Host-countersign=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
  });

  it('is another one after each sign-in: one that was planted before is worth nothing, one that was had ends', async () => {
    const browser = openBrowser(server);
    const planted = 'A'.repeat(43);
    browser.jar.set(COOKIE, planted);
    await browser.post('/sign-in/link', { secret: await link() });
    const first = browser.jar.get(COOKIE) ?? '';
    expect(first).not.toBe(planted);
    await browser.post('/sign-in/link', { secret: await link() });
    const thief = openBrowser(server);
    for (const old of [planted, first]) {
      thief.jar.set(COOKIE, old);
      expect((await thief.get('/v1/caller')).status).toBe(401);
    }
    expect((await browser.get('/v1/caller')).status).toBe(200);
  });

  it('is refused from another address, which is written down once', async () => {
    const browser = await signedIn();
    const secret = browser.jar.get(COOKIE) ?? '';
    const ask = () =>
      server.ask({ path: '/v1/targets', headers: { cookie: `${COOKIE}=${secret}` }, as: 'nobody', from: '127.0.0.2' });
    const stolen = await ask();
    expect(stolen.status).toBe(401);
    expect(stolen.json['detail']).toContain('another address');
    await ask();
    const told = server.ledger.filter(
      ({ action, detail }) => action === 'RefuseSignIn' && detail['step'] === 'request',
    );
    expect(told).toHaveLength(1);
    expect(told[0]?.detail).toMatchObject({ from: '127.0.0.2', begunFrom: '127.0.0.1' });
    expect((await browser.get('/v1/targets')).status).toBe(200);
  });

  it('does nothing for a page of another site, nor of a neighbour below the same domain, nor for who says nothing', async () => {
    const browser = await signedIn();
    const json = { 'content-type': 'application/json' };
    const refused = [
      await browser.get('/v1/targets', { 'sec-fetch-site': 'same-site' }),
      await browser.get('/v1/targets', { 'sec-fetch-site': 'cross-site' }),
      await browser.post('/v1/apply', {}, { ...json, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }),
      await browser.post('/v1/apply', {}, { ...json, origin: 'null' }),
      await browser.post('/v1/apply', {}, { ...json, origin: server.signInUrl, 'sec-fetch-site': 'same-site' }),
      await browser.post('/sign-in/out', {}, { origin: 'https://evil.example' }),
    ];
    for (const { status, text } of refused) expect([status, text.includes('ERR_REST_ORIGIN')]).toEqual([403, true]);
    const silent = await server.ask({
      ...{ method: 'POST', path: '/v1/apply', body: {}, as: 'nobody' },
      headers: { cookie: `${COOKIE}=${browser.jar.get(COOKIE)}` },
    });
    expect(silent.json['code']).toBe('ERR_REST_ORIGIN');
    expect(server.ledger.filter(({ action }) => action === 'Apply')).toEqual([]);
  });

  it('is no form’s: a body of that kind is taken by no endpoint', async () => {
    const browser = await signedIn();
    expect((await browser.post('/v1/apply', { prune: 'true' })).status).toBe(415);
  });

  it('beside another proof of who calls is nobody', async () => {
    const browser = await signedIn();
    const headers = { cookie: `${COOKIE}=${browser.jar.get(COOKIE)}` };
    const as = await server.identify('/web');
    expect((await server.ask({ path: '/v1/targets', headers, as })).status).toBe(401);
    const token = await server.token('/web', 'spiffe://example.org/spire/server');
    const both = { ...headers, authorization: `Bearer ${token}` };
    expect((await server.ask({ path: '/v1/targets', headers: both, as: 'nobody' })).status).toBe(401);
  });

  it('ends with signing out from wherever, also where it is of no use, and the ledger says from where', async () => {
    const browser = await signedIn();
    const elsewhere = await server.open({
      ...{ method: 'POST', path: '/sign-in/out', as: 'nobody', from: '127.0.0.2', body: 'x=y' },
      headers: {
        ...{ cookie: `${COOKIE}=${browser.jar.get(COOKIE)}`, origin: server.signInUrl },
        'content-type': 'application/x-www-form-urlencoded',
      },
    });
    elsewhere.resume();
    expect(elsewhere.statusCode).toBe(200);
    expect((await browser.get('/v1/caller')).status).toBe(401);
    const signOut = server.ledger.find(({ action, detail }) => action === 'SignOut' && detail['step'] === 'request');
    expect(signOut).toMatchObject({ actor: expect.stringContaining('#link-'), detail: { from: '127.0.0.2' } });
  });

  it('is ended by no other site’s page, whether somebody is signed in or not', async () => {
    const stranger = await openBrowser(server).post('/sign-in/out', {}, { origin: 'https://evil.example' });
    expect([stranger.status, stranger.headers['set-cookie']]).toEqual([403, undefined]);
    const silent = await openBrowser(server).post('/sign-in/out', {}, { origin: 'null', 'sec-fetch-site': 'none' });
    expect([silent.status, silent.headers['set-cookie']]).toEqual([403, undefined]);
  });

  it('becomes idle while a stream that was opened by it stays open, or is opened again by itself', async () => {
    const browser = await signedIn();
    const open = (headers: Readonly<Record<string, string>> = {}) =>
      server.open({
        ...{ path: '/v1/gateway-events', as: 'nobody' },
        headers: { cookie: `${COOKIE}=${browser.jar.get(COOKIE)}`, ...headers },
      });
    const stream = await open();
    stream.resume();
    expect(stream.statusCode).toBe(200);
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await server.clock.advance(59 * 60_000);
    const again = await open({ 'last-event-id': '1' });
    expect(again.statusCode).toBe(200);
    again.destroy();
    await server.clock.advance(2 * 60_000);
    await ended;
    expect((await browser.get('/v1/caller')).status).toBe(401);
  });

  it('ends with signing out, with its time, and when an operator ends it', async () => {
    const browser = await signedIn();
    const old = browser.jar.get(COOKIE) ?? '';
    await browser.post('/sign-in/out');
    expect(browser.jar.has(COOKIE)).toBe(false);
    browser.jar.set(COOKIE, old);
    expect((await browser.get('/v1/caller')).status).toBe(401);
    expect(server.ledger.some(({ action }) => action === 'SignOut')).toBe(true);

    const next = await signedIn();
    const { json } = await server.ask({ path: '/v1/sign-ins' });
    const [item] = json['signIns'] as { id: string }[]; // As the endpoint's schema says.
    expect((await server.ask({ method: 'DELETE', path: `/v1/sign-ins/${item?.id}` })).status).toBe(200);
    expect((await next.get('/v1/caller')).status).toBe(401);
    const idle = await signedIn();
    server.clock.step(3_600_000);
    expect((await idle.get('/v1/caller')).status).toBe(401);
  });
});

describe('what a request says', () => {
  it('of two cookies of one name nobody knows which is ours', () => {
    expect(cookieOf(() => `a=1; ${COOKIE}=x; ${COOKIE}=y`, COOKIE)).toBeUndefined();
    expect(cookieOf(() => `a=1; ${COOKIE}=x`, COOKIE)).toBe('x');
    expect(cookieOf(() => `${COOKIE}-flow=x`, COOKIE)).toBeUndefined();
    expect(cookieOf(() => `a=1,${COOKIE}=x`, COOKIE)).toBeUndefined();
    expect(cookieOf(() => `a=1,${COOKIE}=planted; ${COOKIE}=x`, COOKIE)).toBe('x');
  });

  it.each([
    ['GET', {}, true],
    ['GET', { 'sec-fetch-site': 'none' }, true],
    ['GET', { 'sec-fetch-site': 'same-origin' }, true],
    ['GET', { 'sec-fetch-site': 'same-site' }, false],
    ['POST', {}, false],
    ['POST', { 'sec-fetch-site': 'none' }, false],
    ['POST', { 'sec-fetch-site': 'same-origin' }, true],
    ['POST', { origin: 'https://server.example' }, true],
    ['POST', { origin: 'https://server.example:444' }, false],
    ['POST', { origin: 'http://server.example' }, false],
    ['DELETE', { origin: 'null' }, false],
  ])('%s with %j is taken: %s', (method, headers: Readonly<Record<string, string>>, taken) => {
    const header = (name: string) => (name === 'host' ? 'server.example' : headers[name]);
    const check = () => refuseOtherOrigins({ method, header }, undefined);
    if (taken) expect(check).not.toThrow();
    else expect(check).toThrow();
  });

  it.each([
    '//evil.example',
    'https://evil.example',
    '/\\evil.example',
    '/sign-in/../evil',
    '/sign-in?x=\n',
    '/sign-in//evil',
    '/sign-in@evil.example',
    'javascript:alert(1)',
    '/v1/targets',
    `/sign-in?${'a'.repeat(1000)}`,
  ])('%j is nowhere to go on to', (text) => {
    expect(() => parseReturn(text)).toThrow();
  });

  it('a page of signing in is', () => {
    expect(parseReturn(null)).toBe('/console/');
    expect(parseReturn('/sign-in/cli?port=4000&state=x')).toBe('/sign-in/cli?port=4000&state=x');
  });
});

describe('a page', () => {
  it('loads nothing, is framed by nobody and kept by nobody, and shows what was sent as text', async () => {
    const { headers } = await openBrowser(server).get('/sign-in');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['cache-control']).toBe('no-store');
    const bad = await openBrowser(server).get('/sign-in?return=%22%3E%3Cscript%3Ealert(1)%3C/script%3E');
    expect(bad.status).toBe(400);
    expect(bad.text).not.toContain('<script>alert');
  });

  it('is none at the operators’ socket: whoever may open that is one already', async () => {
    expect((await server.ask({ path: '/sign-in' }).catch(() => ({ status: 404 }))).status).toBe(404);
  });
});

describe('a command line', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const send = (path: string, fields: Readonly<Record<string, string>>, from = '127.0.0.1') =>
    server.ask({ method: 'POST', path, headers: form, body: `${new URLSearchParams(fields)}`, as: 'nobody', from });
  const token = (code: unknown, from?: string) =>
    send(
      '/sign-in/token',
      { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: `${code}` },
      from,
    );

  /** Asks, and is allowed by who is signed in. */
  async function allowed(browser: Awaited<ReturnType<typeof signedIn>>) {
    const { json } = await send('/sign-in/device-code', {});
    const code = String(json['user_code']);
    expect((await browser.post('/sign-in/device', { code, answer: 'allow' })).text).toContain('It is let in');
    server.clock.step(5_000);
    return json['device_code'];
  }

  it('is let in by who is signed in, for as long as that would have gone on, and the ledger says by which sign-in', async () => {
    const browser = await signedIn();
    server.clock.step(30 * 60_000);
    await browser.get('/v1/caller');
    const answer = await token(await allowed(browser));
    expect(answer.status).toBe(200);
    expect(answer.json['expires_in']).toBe(12 * 3600 - 30 * 60 - 5);
    const caller = await server.ask({
      ...{ path: '/v1/caller', as: 'nobody', from: '127.0.0.1' },
      headers: { authorization: `Bearer ${answer.json['access_token']}` },
    });
    expect(caller.json['kind']).toBe('person');
    const signIns = server.ledger.filter(({ action, detail }) => action === 'SignIn' && detail['kind'] === 'cli');
    expect(signIns[0]?.detail).toMatchObject({ way: 'device', letInBy: expect.stringMatching(/^[0-9a-f]{16}$/) });
  });

  it('is not let in by who has signed out meanwhile', async () => {
    const browser = await signedIn();
    const code = await allowed(browser);
    await browser.post('/sign-in/out');
    const answer = await token(code);
    expect([answer.status, answer.json['error'], answer.json['access_token']]).toEqual([
      400,
      'invalid_grant',
      undefined,
    ]);
    expect((await server.ask({ path: '/v1/sign-ins' })).json['signIns']).toEqual([]);
  });

  it('is let in where it asked, and nowhere else', async () => {
    const code = await allowed(await signedIn());
    expect((await token(code, '127.0.0.2')).json['error']).toBe('invalid_grant');
    expect((await token(code)).status).toBe(200);
  });

  it('fills what waits for its own address alone', async () => {
    for (let each = 0; each < 10; each++) expect((await send('/sign-in/device-code', {})).status).toBe(200);
    const refused = await send('/sign-in/device-code', {});
    expect([refused.status, refused.json['code']]).toEqual([429, 'ERR_PERSONS_LIMIT']);
    expect((await send('/sign-in/device-code', {}, '127.0.0.2')).status).toBe(200);
  });

  it('has its code guessed a few times by a person, wherever that person is, and nobody else is kept out', async () => {
    const guesser = await signedIn();
    const other = await signedIn();
    const statuses: number[] = [];
    for (let each = 0; each < 21; each++)
      statuses.push((await guesser.post('/sign-in/device', { code: 'BBBB-BBBB' })).status);
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => 403), 429]);
    expect((await other.post('/sign-in/device', { code: 'BBBB-BBBB' })).status).toBe(403);
    expect((await send('/sign-in/device-code', {})).status).toBe(200);
  });

  it('of somebody at this computer is let in as often as they say so', async () => {
    const browser = await signedIn();
    const asked = { port: '4000', challenge: 'c'.repeat(43), state: 's'.repeat(43) };
    for (let each = 0; each < 30; each++) expect((await browser.post('/sign-in/cli', asked)).status).toBe(303);
  });

  it('signs out with its token alone, and leaves the browser that it came by', async () => {
    const browser = await signedIn();
    const { json } = await token(await allowed(browser));
    const authorization = { authorization: `Bearer ${json['access_token']}` };
    const out = await browser.post('/sign-in/out', {}, { ...authorization, origin: 'https://evil.example' });
    expect([out.status, out.headers['set-cookie']]).toEqual([200, undefined]);
    expect((await browser.get('/v1/caller')).status).toBe(200);
    const after = await server.ask({ path: '/v1/caller', as: 'nobody', from: '127.0.0.1', headers: authorization });
    expect(after.status).toBe(401);
  });

  it('is given no code that leads nowhere, and none is kept, where browsers do not reach the server', async () => {
    const { clock, log, random, persons } = server;
    const routes = signInRoutes({
      ...{ clock, log, random, persons, write: () => {}, url: () => undefined, tries: { count() {} } },
      people: { personOf: async () => undefined },
    });
    const route = routes.find(({ path }) => path === '/sign-in/device-code');
    const peer = {
      kind: 'tls',
      remoteAddress: '192.0.2.7',
      chainDer: [],
      socket: new TLSSocket(new Socket()),
    } as const;
    const nothing = {
      method: 'POST',
      header: () => undefined,
      query: new URLSearchParams(),
      form: new URLSearchParams(),
    };
    const asked = route?.handle({ peer, ...nothing, signal: new AbortController().signal });
    await expect(asked).rejects.toMatchObject({ code: 'ERR_PERSONS_PROVIDER' });
    const rows = await server.store.db<{ persons_grants: object }>().selectFrom('persons_grants').selectAll().execute();
    expect(rows).toEqual([]);
  });
});
