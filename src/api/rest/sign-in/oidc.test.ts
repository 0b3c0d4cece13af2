/** Goal: whoever signs in at the provider is that person here, in the browser that went there, and in no other; what the provider did not vouch for is nobody. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog, Secret } from '../../../std/index.ts';
import { openBrowser } from '../../testing/browser.ts';
import { startOidcProvider } from '../../testing/oidc-provider.ts';
import { startTestRest, type TestRest } from '../../testing/test-rest.ts';

const CLIENT_SECRET = 'a-secret-of-a-test';
let provider: Awaited<ReturnType<typeof startOidcProvider>>;
let server: TestRest;
let lines: string[];
/** What the server reads; undefined: it is not there. */
let ownSecret: string | undefined;

beforeAll(async () => {
  provider = await startOidcProvider({
    ada: { email: 'ada@example.org', email_verified: true, groups: ['platform', 'eu'] },
    bob: { email: 'bob@example.org', email_verified: false, groups: [] },
    eve: { groups: ['plat\nform'] },
  });
});
afterAll(() => provider.stop());
beforeEach(async () => {
  // The provider warns of what a test may do.
  for (const name of ['info', 'warn'] as const) vi.spyOn(console, name).mockImplementation(() => {});
  lines = [];
  const log = createLog({ level: 'debug', write: (line: string) => void lines.push(line) });
  ownSecret = CLIENT_SECRET;
  const clientSecret = () => new Secret(Buffer.from(ownSecret ?? raise('there is none')));
  server = await startTestRest({ log, oidc: { ...provider.config, clientSecret } });
  provider.knows(`${server.signInUrl}/sign-in/callback`, CLIENT_SECRET);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.stop();
});

/** To the provider and back, as far as the callback's path. */
async function go(name: string, browser = openBrowser(server)) {
  const sent = await browser.get('/sign-in/oidc?return=%2Fsign-in%2Fdevice');
  expect(sent.status).toBe(302);
  const back = await provider.visit(String(sent.headers['location']), name);
  expect(back).toMatch(new RegExp(`^${server.signInUrl}/sign-in/callback\\?`));
  return { browser, location: String(sent.headers['location']), path: back.slice(server.signInUrl.length) };
}
const provided = (url: string) => new URL(url).searchParams;

describe('sign-in by a provider', () => {
  it('goes there with PKCE, state and nonce, and comes back as who they are there, with their groups', async () => {
    const { browser, location, path } = await go('ada');
    expect(provided(location).get('code_challenge_method')).toBe('S256');
    expect(provided(location).get('state')).toMatch(/^[\w-]{43}$/);
    expect(provided(location).get('nonce')).toMatch(/^[\w-]{43}$/);
    expect(provided(`http://x${path}`).get('iss')).toBe(provider.issuer);
    const answer = await browser.get(path, { 'sec-fetch-site': 'cross-site' });
    expect(answer.status).toBe(200);
    // Not a redirect: what another site began would leave the strict cookie behind.
    expect(answer.text).toContain('http-equiv="refresh" content="0;url=/sign-in/device"');
    expect(browser.jar.has('__Host-countersign-flow')).toBe(false);
    expect(JSON.parse((await browser.get('/v1/caller')).text)).toMatchObject({
      ...{ kind: 'person', name: `${provider.issuer}#ada` },
      person: { issuer: provider.issuer, subject: 'ada', email: 'ada@example.org', groups: ['platform', 'eu'] },
    });
    const signIn = server.ledger.find(({ action }) => action === 'SignIn');
    expect(signIn).toMatchObject({
      actor: `${provider.issuer}#ada`,
      detail: { way: 'oidc', person: { issuer: provider.issuer, subject: 'ada', email: 'ada@example.org' } },
    });
  });

  it('gives nobody a right by itself, and says what is missing', async () => {
    const { browser, path } = await go('ada');
    await browser.get(path);
    const answer = await browser.get('/v1/targets');
    expect([answer.status, JSON.parse(answer.text).detail]).toEqual([
      403,
      `${provider.issuer}#ada may not do countersign:target.list of System: no policy of the API permits it`,
    ]);
  });

  it('knows no address that the provider has not verified', async () => {
    const { browser, path } = await go('bob');
    await browser.get(path);
    expect(JSON.parse((await browser.get('/v1/caller')).text).person).not.toHaveProperty('email');
  });

  it('takes no name that is none', async () => {
    const { browser, path } = await go('eve');
    const answer = await browser.get(path);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([403, undefined]);
    expect(answer.text).toContain('ERR_PERSONS_ANSWER');
  });

  it('is for the browser that began it: led back in another one, nobody is signed in', async () => {
    const { path } = await go('ada');
    const victim = openBrowser(server);
    expect((await victim.get(path)).text).toContain('ERR_REST_FLOW');
    await victim.get('/sign-in/oidc');
    const answer = await victim.get(path);
    expect([answer.status, victim.jar.has('__Host-countersign')]).toEqual([403, false]);
  });

  it('takes no answer twice, of no other issuer, of no other state, and none that is late', async () => {
    const { browser, path } = await go('ada');
    const with_ = (name: string, value: string | undefined) => {
      const query = new URLSearchParams(path.split('?')[1]);
      if (value === undefined) query.delete(name);
      else query.set(name, value);
      return `/sign-in/callback?${query}`;
    };
    const flow = browser.jar.get('__Host-countersign-flow') ?? '';
    for (const bad of [
      with_('iss', 'https://evil.example'),
      with_('iss', undefined),
      with_('state', 'x'.repeat(43)),
      with_('code', 'x'),
    ]) {
      expect((await browser.get(bad)).status, bad).toBe(403);
    }
    server.clock.step(601_000);
    expect((await browser.get(path)).text).toContain('ERR_REST_FLOW');
    server.clock.step(-601_000);
    expect((await browser.get(path)).status).toBe(200);
    browser.jar.set('__Host-countersign-flow', flow);
    expect((await browser.get(path)).status).toBe(403);
  });

  it('takes an answer for which another server sent the browser there, whose clock is a little ahead', async () => {
    const { browser, path } = await go('ada');
    server.clock.step(-61_000);
    expect((await browser.get(path)).text).toContain('ERR_REST_FLOW');
    server.clock.step(2_000);
    expect((await browser.get(path)).status).toBe(200);
  });

  it('reads its own secret each time that it is used: one that was changed is good at once', async () => {
    const { browser, path } = await go('ada');
    await browser.get(path);
    ownSecret = 'another-secret-of-a-test';
    provider.knows(`${server.signInUrl}/sign-in/callback`, ownSecret);
    const later = await go('ada');
    expect((await later.browser.get(later.path)).status).toBe(200);
    ownSecret = undefined;
    const without = await openBrowser(server).get('/sign-in/oidc');
    expect(without.status).toBe(503);
    expect(lines.join('\n')).toContain('persons.provider.secret');
  });

  it('takes no links any more, nor whoever came by one before', async () => {
    const answer = await server.ask({ method: 'POST', path: '/v1/sign-in-links' });
    expect(answer.json['code']).toBe('ERR_PERSONS_LINK');
    const person = {
      issuer: 'spiffe://example.org/spire/server',
      subject: 'link-1',
      email: undefined,
      groups: [],
      byLink: true,
    };
    const { secret } = await server.persons.signIns.begin({ person, kind: 'browser', address: '127.0.0.1' });
    const before = openBrowser(server);
    before.jar.set('__Host-countersign', secret);
    expect((await before.get('/v1/targets')).status).toBe(401);
  });

  it('leaves no code, no token and no secret in log or ledger', async () => {
    const { browser, path } = await go('ada');
    const code = provided(`http://x${path}`).get('code') ?? 'none';
    await browser.get(path.replace('state=', 'state=x'));
    await browser.get(path);
    const written = `${lines.join('\n')}${JSON.stringify(server.ledger)}`;
    expect(written).toContain('persons.provider.refused');
    for (const secret of [code, CLIENT_SECRET, browser.jar.get('__Host-countersign') ?? 'none'])
      expect(written).not.toContain(secret);
  });
});

it('says so when the provider is away, and asks it again the next time', async () => {
  const gone = await startOidcProvider({});
  await gone.stop();
  const other = await startTestRest({ oidc: { ...gone.config, clientSecret: undefined } });
  const answer = await openBrowser(other).get('/sign-in/oidc');
  expect([answer.status, answer.text.includes('try again')]).toEqual([503, true]);
  await other.stop();
});

it('puts no address together of two statements: an address of one, that it is verified of the other', async () => {
  const two = await startOidcProvider(
    { eve: { email: 'eve@example.org', email_verified: true, groups: [] }, bob: { email_verified: true, groups: [] } },
    { idTokens: { eve: { email: 'ada@example.org', groups: [] }, bob: { email: 'ada@example.org', groups: [] } } },
  );
  const clientSecret = () => new Secret(Buffer.from(CLIENT_SECRET));
  const other = await startTestRest({ oidc: { ...two.config, clientSecret } });
  two.knows(`${other.signInUrl}/sign-in/callback`, CLIENT_SECRET);
  const emails: unknown[] = [];
  for (const name of ['eve', 'bob']) {
    const browser = openBrowser(other);
    const sent = await browser.get('/sign-in/oidc');
    const back = await two.visit(String(sent.headers['location']), name);
    expect((await browser.get(back.slice(other.signInUrl.length))).status).toBe(200);
    emails.push(JSON.parse((await browser.get('/v1/caller')).text).person.email);
  }
  await other.stop();
  await two.stop();
  expect(emails).toEqual(['eve@example.org', undefined]);
});

function raise(message: string): never {
  throw new Error(message);
}
