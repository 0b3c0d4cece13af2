import { createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { parseTrustDomain, type TrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import type { JwtAuthority } from '../../../../model/index.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createManualClock, type Log, type ManualClock } from '../../../../std/index.ts';
import { signJws } from '../../../../wire/jose/index.ts';
import { createGateway, loadProtocols } from '../../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../../testing/test-authority.ts';
import { createMemoryLedger, testGatewayDeps } from '../../../testing/test-gateway.ts';
import { createTestRevocations, testRevocation } from '../../../testing/test-revocations.ts';
import { member } from '../index.ts';
import { newJwtKeys, publishedKey } from '../testing/jwt-keys.ts';

// A whole gateway with real TLS on both sides of which only time, policies and tokens are made up.
const NOW_MS = Date.UTC(2026, 10, 22);
const NOW_S = NOW_MS / 1000;
const LIFE_S = 300;
const DOMAIN = parseTrustDomain('example.org');
const authority = createTestAuthority('example.org', NOW_MS);
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');
const schema = composeSchema([member.policySchema]);
const policies = (text: string) => loadPolicies([{ name: 'test', text }], schema);
const PERMITS = `
  permit (principal == Identity::"spiffe://example.org/web", action, resource);
  permit (principal == Identity::"spiffe://example.org/batch", action, resource);`;

const keys = { k1: newJwtKeys(), k2: newJwtKeys(), foreign: newJwtKeys() };
let jwtAuthorities: Map<TrustDomain, readonly JwtAuthority[]>;
let clock: ManualClock;
let gateway: ReturnType<typeof createGateway>;
let identity: ReturnType<typeof createTestIdentity>;
let ledger: ReturnType<typeof createMemoryLedger>;
let upstream: Server;
let logged: string[];
let revocations: ReturnType<typeof createTestRevocations>;
/** What came upstream: connection, method, path, and whether any field has a token. */
let seen: { connection: Socket; what: string; text: string }[];
let held: ServerResponse[];
const open: TLSSocket[] = [];

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

interface Made {
  readonly header?: object;
  readonly claims?: object;
  readonly key?: KeyObject;
  readonly signature?: (input: string) => Buffer;
}

let made = 0;
/** A token of that path, good in all but what is said of it. */
function token(path = '/web', { header, claims, key = keys.k1.privateKey, signature }: Made = {}): string {
  const input = `${encoded({ alg: 'ES256', kid: 'k1', typ: 'JWT', ...header })}.${encoded({
    ...{ sub: `spiffe://example.org${path}`, aud: ['countersign:api'], exp: NOW_S + LIFE_S, iat: NOW_S },
    ...{ jti: String(++made), ...claims },
  })}`;
  const signed = signature?.(input) ?? signJws('ES256', key, Buffer.from(input));
  return `${input}.${signed.toString('base64url')}`;
}

beforeEach(async () => {
  [seen, held, logged] = [[], [], []];
  upstream = createServer((request, response) => {
    if (request.url === '*') return void response.end(); // The gateway looks whether it is there.
    const what = `${request.method} ${request.url}`;
    seen.push({ connection: request.socket, what, text: JSON.stringify(request.rawHeaders) });
    request.resume();
    if (request.url !== '/stream') return void response.end(`${request.url} is fine`);
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('begun ');
    held.push(response);
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  clock = createManualClock(NOW_MS);
  ledger = createMemoryLedger();
  jwtAuthorities = new Map([[DOMAIN, [publishedKey('k1', keys.k1.publicKey)]]]);
  identity = createTestIdentity(identityOf(gatewaySvid, [authority]));
  const note = (event: string, fields?: object) => void logged.push(`${event} ${JSON.stringify(fields)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  revocations = createTestRevocations();
  gateway = createGateway(
    testGatewayDeps({
      revocations: { current: revocations.current, maxAgeMs: 60_000, whenStale: undefined },
      ...{ clock, log, ledger, protocols: await loadProtocols([member]) },
      identity: { ...identity, jwtAuthorities: (trustDomain) => jwtAuthorities.get(trustDomain) },
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  gateway.applyPolicies(policies(PERMITS));
  await gateway.applyTargets([target()]);
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  upstream.closeAllConnections();
  upstream.close();
  let isStopped = false;
  const stopped = gateway.stop().finally(() => {
    isStopped = true;
  });
  while (!isStopped) {
    await clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await stopped;
});

function target(config: object = {}, listen: object = { tokens: true }) {
  const address = upstream.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const door = { host: '127.0.0.1', port: 0, ...listen };
  return { name: 'api', protocol: 'http', config: { url: `http://127.0.0.1:${port}`, listen: door, ...config } };
}

/** A client, by default without a certificate. */
function client(svid?: { certPem: string; keyPem: string }) {
  const socket = connect({
    ...{ port: gateway.address().targets.get('api') ?? 0, host: '127.0.0.1', rejectUnauthorized: false },
    ...(svid && { cert: svid.certPem, key: svid.keyPem }),
  });
  open.push(socket);
  let text = '';
  let isClosed = false;
  socket
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
  socket.on('end', () => {
    isClosed = true;
  });
  socket.on('close', () => {
    isClosed = true;
  });
  return {
    send: (bytes: string) => void socket.write(bytes, 'latin1'),
    text: () => text,
    isClosed: () => isClosed,
    statuses: () => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1])),
    until: (what: string, times = 1) =>
      eventually(`${what} in ${JSON.stringify(text.slice(-1_000))}`, () => text.split(what).length > times, {
        ...{ everyMs: 1, withinMs: 5_000 },
      }),
    closed: () => eventually('it is closed', () => isClosed, { everyMs: 1, withinMs: 5_000 }),
  };
}

function request(path: string, shown?: string, more = ''): string {
  const field = shown === undefined ? '' : `authorization: Bearer ${shown}\r\n`;
  return `GET ${path} HTTP/1.1\r\nhost: api\r\n${field}${more}\r\n`;
}

const opened = () => ledger.events.filter(({ kind }) => kind === 'session-open');

describe('a bearer who is revoked', () => {
  const named = () => ledger.events.filter(({ detail }) => detail['revocation'] === 'r1').map(({ kind }) => kind);

  it('is cut off in the middle of an answer, and refused with each token that it shows, new ones too; others are served', async () => {
    const [one, other] = [client(), client()];
    one.send(request('/stream', token()));
    await one.until('begun');
    revocations.now(testRevocation('spiffe://example.org/web'));
    await one.closed();
    for (let n = 1; n <= 3; n++) {
      const again = client();
      again.send(request('/a', token()));
      await again.closed();
      expect(again.statuses()).toEqual([403]);
      expect(again.text()).toContain('r1');
    }
    other.send(request('/b', token('/batch')));
    await other.until('/b is fine');
    expect(seen.map(({ what }) => what)).toEqual(['GET /stream', 'GET /b']);
    expect(named()).toEqual(['session-close', 'denial', 'denial', 'denial']);
    await gateway.ended(AbortSignal.timeout(5_000));
  });

  it('is in quarantine refused what that does not let pass, and goes on with the same connection', async () => {
    const one = client();
    one.send(request('/a', token()));
    await one.until('/a is fine');
    const mode = { mode: 'quarantined', running: 'keep', allow: ['http:get'] } as const;
    revocations.now(testRevocation('spiffe://example.org/web', mode));
    one.send(request('/b', token()));
    await one.until('/b is fine');
    one.send(`DELETE /c HTTP/1.1\r\nhost: api\r\nauthorization: Bearer ${token()}\r\n\r\n`);
    await one.until('quarantine');
    revocations.now();
    one.send(request('/d', token()));
    await one.until('/d is fine');
    expect(one.statuses()).toEqual([200, 200, 403, 200]);
  });
});

describe('a client without a certificate', () => {
  it('is whom its token proves, and the token goes nowhere', async () => {
    const one = client();
    const shown = token();
    one.send(request('/a', shown));
    await one.until('/a is fine');
    one.send(request('/b', shown));
    await one.until('/b is fine');
    expect(seen.map(({ what }) => what)).toEqual(['GET /a', 'GET /b']);
    expect(opened()).toMatchObject([{ actor: 'spiffe://example.org/web', detail: { token: { keyId: 'k1' } } }]);
    const [, , signature = 'none'] = shown.split('.');
    const all = JSON.stringify([ledger.events, seen.map(({ text }) => text), logged, one.text()]);
    expect(all).not.toContain(signature);
    expect(seen[0]?.text).not.toContain('uthorization');
  });

  it('is told what to do when it shows nothing, and goes on with the same connection', async () => {
    const one = client();
    one.send(request('/a'));
    await one.until('svid token --audience countersign:api');
    expect(one.text()).toMatch(/^HTTP\/1\.1 401 /);
    expect(one.text()).toContain('www-authenticate: Bearer realm="api"\r\n');
    one.send(`POST /b HTTP/1.1\r\nhost: api\r\ncontent-length: 5\r\n\r\nhello${request('/c', token())}`);
    await one.until('/c is fine');
    expect(one.statuses()).toEqual([401, 401, 200]);
    expect(seen.map(({ what }) => what)).toEqual(['GET /c']);
    expect(gateway.counts().refused).toBe(2);
    expect(logged.join()).toContain('gateway.client.untrusted');
  });

  it.each([
    ['in the query', (t: string) => `GET /a?access_token=${t} HTTP/1.1\r\nhost: api\r\n\r\n`],
    ['in a cookie', (t: string) => `GET /a HTTP/1.1\r\nhost: api\r\ncookie: token=${t}\r\n\r\n`],
    ['as another scheme', (t: string) => `GET /a HTTP/1.1\r\nhost: api\r\nauthorization: Basic ${t}\r\n\r\n`],
    ['with something behind it', (t: string) => request('/a', `${t} x`)],
    ['of a proxy', (t: string) => `GET /a HTTP/1.1\r\nhost: api\r\nproxy-authorization: Bearer ${t}\r\n\r\n`],
  ])('proves nothing by a token %s', async (_, write) => {
    const one = client();
    one.send(write(token()));
    await one.until('audience');
    expect(one.statuses()).toEqual([401]);
    expect(seen.map(({ what }) => what)).toEqual([]);
  });

  it('is refused with two tokens, though both are good', async () => {
    const one = client();
    one.send(request('/a', token(), `authorization: Bearer ${token('/batch')}\r\n`));
    await one.until('HTTP/1.1 ');
    expect(one.statuses()[0]).toBeGreaterThanOrEqual(400);
    expect(seen.map(({ what }) => what)).toEqual([]);
  });

  it('has a head of a request in ten seconds, and ten requests that prove nothing', async () => {
    const slow = client();
    slow.send('GET /a HTTP/1.1\r\nhost: a');
    await eventually('it is there', () => clock.pending() > 0);
    const many = client();
    for (let n = 0; n < 12; n++) many.send(request('/a', 'nothing'));
    await many.closed();
    expect(many.statuses()).toEqual(Array(10).fill(401));
    for (let n = 0; n < 12 && !slow.isClosed(); n++) {
      await clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 5)); // Room for real sockets; nothing waits for the time itself.
    }
    await slow.closed();
    expect(seen.map(({ what }) => what)).toEqual([]);
  });
});

const spki = keys.k1.publicKey.export({ format: 'der', type: 'spki' });
const pem = keys.k1.publicKey.export({ format: 'pem', type: 'spki' });
const hmac = (key: string | Buffer) => (input: string) => createHmac('sha256', key).update(input).digest();

describe('a token', () => {
  it.each<[string, () => string, RegExp]>([
    [
      'without a signature',
      () => token('/web', { header: { alg: 'none' }, signature: () => Buffer.alloc(0) }),
      /no JWT-SVID/,
    ],
    [
      'by HMAC with the public key as DER',
      () => token('/web', { header: { alg: 'HS256' }, signature: hmac(spki) }),
      /no JWT-SVID/,
    ],
    [
      'by HMAC with the public key as PEM',
      () => token('/web', { header: { alg: 'HS256' }, signature: hmac(pem) }),
      /no JWT-SVID/,
    ],
    ['of another type', () => token('/web', { header: { typ: 'at+jwt' } }), /no JWT-SVID/],
    ['that names no key', () => token('/web', { header: { kid: undefined } }), /no JWT-SVID/],
    [
      'of a key that is not published',
      () => token('/web', { header: { kid: 'k2' }, key: keys.k2.privateKey }),
      /has the key/,
    ],
    [
      'of a stranger’s key by a known name',
      () => token('/web', { key: keys.foreign.privateKey }),
      /signature is wrong/,
    ],
    [
      'that brings its own key',
      () => token('/web', { header: { jwk: {} }, key: keys.foreign.privateKey }),
      /no JWT-SVID|wrong/,
    ],
    ['with something critical', () => token('/web', { header: { crit: ['b64'], b64: false } }), /no JWT-SVID/],
    ['without an end', () => token('/web', { claims: { exp: undefined } }), /aud or exp/],
    ['whose end is a text', () => token('/web', { claims: { exp: String(NOW_S + 60) } }), /aud or exp/],
    ['that has expired', () => token('/web', { claims: { exp: NOW_S - 10 } }), /has expired/],
    ['not valid yet', () => token('/web', { claims: { nbf: NOW_S + 11 } }), /not valid yet/],
    ['issued in the future', () => token('/web', { claims: { iat: NOW_S + 60 } }), /not valid yet/],
    ['that is good for days', () => token('/web', { claims: { exp: NOW_S + 2 * 86_400 } }), /more than 24 hours/],
    ['for nobody', () => token('/web', { claims: { aud: undefined } }), /aud or exp/],
    ['for an empty list', () => token('/web', { claims: { aud: [] } }), /aud or exp/],
    ['for another target', () => token('/web', { claims: { aud: 'countersign:other' } }), /another audience/],
    ['for the name alone', () => token('/web', { claims: { aud: 'api' } }), /another audience/],
    [
      'for this target and another',
      () => token('/web', { claims: { aud: ['countersign:api', 'b'] } }),
      /more than one/,
    ],
    ['of a trust domain', () => token(''), /no SPIFFE ID/],
    ['of another trust domain', () => token('', { claims: { sub: 'spiffe://other.org/web' } }), /trust domain/],
    ['that is too long', () => token('/web', { claims: { pad: 'x'.repeat(9_000) } }), /longer/],
    ['that is noise', () => randomBytes(64).toString('hex'), /no JWT-SVID/],
  ])('%s proves nothing', async (_, make, why) => {
    const one = client();
    one.send(request('/a', make()));
    await one.until('HTTP/1.1 ');
    expect(one.statuses()).toEqual([401]);
    expect(one.text()).toContain('error="invalid_token"');
    expect(one.text()).toMatch(why);
    expect(seen.map(({ what }) => what)).toEqual([]);
    expect(opened()).toEqual([]);
    one.send(request('/b', token()));
    await one.until('/b is fine');
  });

  it.each<[string, () => string]>([
    ['for one audience as a text', () => token('/web', { claims: { aud: 'countersign:api' } })],
    ['without a type', () => token('/web', { header: { typ: undefined } })],
    ['that ends just now, by a clock that differs a little', () => token('/web', { claims: { exp: NOW_S - 9 } })],
    ['that begins just now, by a clock that differs a little', () => token('/web', { claims: { nbf: NOW_S + 10 } })],
    ['of 24 hours', () => token('/web', { claims: { exp: NOW_S + 86_400 } })],
  ])('%s is good', async (_, make) => {
    const one = client();
    one.send(request('/a', make()));
    await one.until('/a is fine');
  });

  it('counts by the bundle of now', async () => {
    const one = client();
    const late = () => token('/web', { header: { kid: 'k2' }, key: keys.k2.privateKey });
    one.send(request('/a', late()));
    await one.until('HTTP/1.1 401');
    jwtAuthorities.set(DOMAIN, [publishedKey('k2', keys.k2.publicKey)]);
    one.send(request('/b', late()));
    await one.until('/b is fine');
    one.send(request('/c', token()));
    await one.until('HTTP/1.1 401', 2);
    expect(seen.map(({ what }) => what)).toEqual(['GET /b']);
  });

  it('proves nothing to a gateway that has no identity any more, which hears of no key that is withdrawn', async () => {
    const one = client();
    one.send(request('/a', token()));
    await one.until('/a is fine');
    const another = client();
    another.send(request('/b'));
    await another.until('HTTP/1.1 401');
    identity.set(undefined);
    await one.closed();
    another.send(request('/c', token()));
    await another.until('its trust domain is not trusted here');
    expect(seen.map(({ what }) => what)).toEqual(['GET /a']);
  });
});

/** Lets time pass in steps, as timers that follow one another need it. */
async function pass(seconds: number): Promise<void> {
  for (let n = 0; n < seconds; n++) {
    await clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const actors = () => opened().map(({ actor }) => actor.slice('spiffe://example.org'.length));

/** Of whom the upstream was told, by path. */
function callers(): [path: string, caller: string][] {
  return seen.map(({ what, text }) => {
    const fields: string[] = JSON.parse(text);
    const told = fields[fields.findIndex((name) => name.toLowerCase() === 'x-countersign-identity') + 1] ?? '';
    const { sub } = JSON.parse(Buffer.from(told.split('.')[1] ?? '', 'base64url').toString());
    return [what.split(' ')[1] ?? '', sub.slice('spiffe://example.org'.length)];
  });
}

describe('requests of several identities on one connection', () => {
  it('are each their own, in order, over connections upstream that none of them shares', async () => {
    const one = client();
    const [mine, other] = [token(), token('/batch')];
    const body = 'content-length: 3\r\n';
    one.send(
      `${request('/a', mine)}${request('/b', other, body)}xyz${request('/c')}${request('/d', other)}${request('/e', mine)}`,
    );
    await one.until('/e is fine');
    expect(one.statuses()).toEqual([200, 200, 401, 200, 200]);
    expect(one.text().match(/\/. is fine/g)).toEqual(['/a is fine', '/b is fine', '/d is fine', '/e is fine']);
    expect(actors()).toEqual(['/web', '/batch', '/batch', '/web']);
    expect(new Set(seen.map(({ connection }) => connection)).size).toBe(4);
  });

  it('stay so wherever their bytes are cut', async () => {
    await gateway.applyTargets([target({ identityHeader: true })]);
    const sent: [path: string, caller: string][] = [];
    let bytes = '';
    let seed = 7;
    const next = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const tokens = { '/web': token(), '/batch': token('/batch') };
    for (let n = 0; n < 40; n++) {
      const who = next(2) === 0 ? '/web' : '/batch';
      const body = 'z'.repeat(next(30));
      bytes += `${request(`/n${n}`, tokens[who], body === '' ? '' : `content-length: ${body.length}\r\n`)}${body}`;
      sent.push([`/n${n}`, who]);
    }
    const one = client();
    for (let at = 0; at < bytes.length; ) {
      const piece = 1 + next(700);
      one.send(bytes.slice(at, at + piece));
      at += piece;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await one.until('/n39 is fine');
    expect(callers()).toEqual(sent);
  });

  it('are the second one’s no sooner than the first one’s answer is over', async () => {
    const one = client();
    one.send(`${request('/stream', token())}${request('/b', token('/batch'))}`);
    await one.until('begun');
    expect(seen).toHaveLength(1);
    held[0]?.end('over');
    await one.until('/b is fine');
    expect(one.text().indexOf('over')).toBeLessThan(one.text().indexOf('/b is fine'));
  });

  it.each([
    ['in no line', 'GARBAGE\r\n\r\n'],
    ['but behind half a line end', '\rX'],
    ['but behind two empty lines', '\r\n\r\n'],
  ])('are nobody’s where they are none, %s', async (_, bytes) => {
    const one = client();
    one.send(`${request('/a', token())}${bytes}${request('/b', token())}`);
    await one.closed();
    expect(one.statuses()).toEqual([200, 400]);
    expect(seen.map(({ what }) => what)).toEqual(['GET /a']);
    expect(ledger.events.filter(({ kind }) => kind === 'denial')).toEqual([]);
  });
});

describe('a session by a token', () => {
  const brief = () => token('/web', { claims: { exp: NOW_S + 30 } });

  it('ends with it between two requests, and the connection goes on with a fresh one', async () => {
    const one = client();
    const shown = brief();
    one.send(request('/a', shown));
    await one.until('/a is fine');
    await pass(42);
    expect(gateway.sessions()).toEqual([]);
    one.send(request('/b', shown));
    await one.until('the token has expired');
    one.send(request('/c', token()));
    await one.until('/c is fine');
    expect(one.statuses()).toEqual([200, 401, 200]);
  });

  it('leaves its connection as idle as a session may be, but no longer', async () => {
    const one = client();
    one.send(request('/a', brief()));
    await one.until('/a is fine');
    await pass(42 + 110);
    expect([gateway.sessions(), one.isClosed()]).toEqual([[], false]);
    one.send(request('/b', token()).slice(0, 20)); // Once begun, it has ten seconds.
    await pass(9);
    expect(one.isClosed()).toBe(false);
    await pass(2);
    await one.closed();
    const other = client();
    other.send(request('/a', token('/web', { claims: { exp: NOW_S + 163 + 30 } })));
    await other.until('/a is fine');
    await pass(42 + 121);
    await other.closed();
    expect(other.statuses()).toEqual([200]);
  });

  it('lasts as long as a fresh one of the same identity', async () => {
    const one = client();
    one.send(request('/a', brief()));
    await one.until('/a is fine');
    one.send(request('/b', token()));
    await one.until('/b is fine');
    await pass(60);
    one.send(request('/c', token()));
    await one.until('/c is fine');
    expect(actors()).toEqual(['/web']);
  });

  it('has half a minute for what it is in the middle of, and no more', async () => {
    const one = client();
    one.send(request('/stream', brief()));
    await one.until('begun');
    await pass(60);
    expect(one.isClosed()).toBe(false);
    await pass(12);
    await one.closed();
    expect(ledger.events.at(-1)).toMatchObject({ kind: 'session-close' });
  });

  it('ends at once when its key is no longer published', async () => {
    const one = client();
    one.send(request('/stream', token()));
    await one.until('begun');
    jwtAuthorities.set(DOMAIN, [publishedKey('k2', keys.k2.publicKey)]);
    identity.set(identity.current());
    await one.closed();
    expect(logged.join()).toContain('gateway.session.untrusted');
  });

  it('ends at once when policy no longer allows it', async () => {
    const one = client();
    one.send(request('/stream', token()));
    await one.until('begun');
    gateway.applyPolicies(policies('forbid (principal, action, resource);'));
    await one.closed();
  });

  it('is judged by the policies of its identity', async () => {
    const one = client();
    one.send(request('/a', token('/nobody')));
    await one.until('policy does not allow spiffe://example.org/nobody');
    expect(one.statuses()).toEqual([403]);
    expect(seen).toEqual([]);
  });
});

describe('a certificate', () => {
  it('is what counts where there is one, and a token beside it nothing', async () => {
    const one = client(web);
    one.send(request('/a', token('/batch')));
    await one.until('/a is fine');
    expect(actors()).toEqual(['/web']);
  });

  it('that is not trusted is not made good by a token', async () => {
    const one = client(createTestAuthority('example.org', NOW_MS).issue('/web'));
    one.send(request('/a', token()));
    await one.closed();
    expect(one.statuses()).toEqual([401]);
    expect(seen).toEqual([]);
  });

  it('is needed where the target does not take tokens', async () => {
    await gateway.applyTargets([target({}, {})]);
    const one = client();
    one.send(request('/a', token()));
    await one.closed();
    expect(one.statuses()).toEqual([401]);
    expect(seen).toEqual([]);
  });
});

describe('the audience', () => {
  it('may be said by the target', async () => {
    await gateway.applyTargets([target({}, { tokens: true, audience: 'https://api.example.org' })]);
    const one = client();
    one.send(request('/a', token()));
    await one.until('another audience');
    one.send(request('/b', token('/web', { claims: { aud: 'https://api.example.org' } })));
    await one.until('/b is fine');
  });

  it('says nothing where no tokens are taken', () => {
    const { config } = target({}, { audience: 'x' });
    expect(member.checkConfig(config)).toEqual(['listen.audience is for tokens, and listen.tokens is not true']);
    expect(member.checkConfig(target({}, { tokens: true, audience: 'has a blank' }).config)).toHaveLength(1);
  });
});
