import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
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
import { member } from '../index.ts';

// One connection of HTTP/2 to a whole gateway, over real TLS, with streams of several callers side by side: what is one's is never another's.
const NOW_MS = Date.UTC(2026, 10, 22);
const LIFE_S = 300;
const DOMAIN = parseTrustDomain('example.org');
const authority = createTestAuthority('example.org', NOW_MS);
const gatewaySvid = authority.issue('/countersign/gateway');
const schema = composeSchema([member.policySchema]);
const idOf = (path: string) => `spiffe://example.org${path}`;
const permit = (path: string, mask = '') =>
  `${mask} permit (principal == Identity::"${idOf(path)}", action, resource);`;
const MASKED = `${permit('/web', '@mask("body.ssn:redact")')}\n${permit('/batch')}`;
const SSN = '078-05-1120';

const keys = { k1: pair(), k2: pair() };
let jwtAuthorities: Map<TrustDomain, readonly JwtAuthority[]>;
let clock: ManualClock;
let gateway: ReturnType<typeof createGateway>;
let ledger: ReturnType<typeof createMemoryLedger>;
let upstream: Server;
let logged: string[];
let seen: { connection: Socket; path: string; text: string }[];
let held: ServerResponse[];
const open: ClientHttp2Session[] = [];

function pair() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function published(keyId: string, key: KeyObject): JwtAuthority {
  return { keyId, publicKeyDer: key.export({ format: 'der', type: 'spki' }), expiresAtS: 0, tainted: false };
}

let made = 0;
function token(path: string, { lifeS = LIFE_S, keyId = 'k1' as keyof typeof keys } = {}): string {
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(clock.now() / 1000) + lifeS;
  const input = `${encoded({ alg: 'ES256', kid: keyId, typ: 'JWT' })}.${encoded({
    ...{ sub: idOf(path), aud: ['countersign:api'], exp, jti: String(++made) },
  })}`;
  return `${input}.${signJws('ES256', keys[keyId].privateKey, Buffer.from(input)).toString('base64url')}`;
}

beforeEach(async () => {
  [seen, held, logged] = [[], [], []];
  upstream = createServer((request, response) => {
    if (request.url === '*') return void response.end(); // The gateway looks whether it is there.
    const path = request.url ?? '';
    seen.push({ connection: request.socket, path, text: JSON.stringify(request.rawHeaders) });
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (!path.endsWith('/stream')) return void response.end(JSON.stringify({ path, ssn: SSN }));
    response.write('{"begun":"yes",');
    response.write(`"pad":"${'x'.repeat(70_000)}"`); // More than is held back for a mask.
    held.push(response);
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  clock = createManualClock(NOW_MS);
  ledger = createMemoryLedger();
  jwtAuthorities = new Map([[DOMAIN, [published('k1', keys.k1.publicKey), published('k2', keys.k2.publicKey)]]]);
  const identity = createTestIdentity(identityOf(gatewaySvid, [authority]));
  const note = (event: string, fields?: object) => void logged.push(`${event} ${JSON.stringify(fields)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  gateway = createGateway(
    testGatewayDeps({
      ...{ clock, log, ledger, protocols: await loadProtocols([member]) },
      identity: { ...identity, jwtAuthorities: (trustDomain) => jwtAuthorities.get(trustDomain) },
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  apply(MASKED);
  await gateway.applyTargets([target()]);
});
afterEach(async () => {
  for (const session of open.splice(0)) session.destroy();
  upstream.closeAllConnections();
  upstream.close();
  let isStopped = false;
  const stopped = gateway.stop().finally(() => {
    isStopped = true;
  });
  while (!isStopped) await turn(1_000);
  await stopped;
  expect(logged.filter((line) => /_bug|session\.failed/.test(line))).toEqual([]);
});

const apply = (text: string) => gateway.applyPolicies(loadPolicies([{ name: 'test', text }], schema));

function target(config: object = {}) {
  const address = upstream.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const listen = { host: '127.0.0.1', port: 0, tokens: true };
  return { name: 'api', protocol: 'http', config: { url: `http://127.0.0.1:${port}`, listen, ...config } };
}

/** Time passes, and real sockets have a turn. */
async function turn(ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise((resolve) => setImmediate(resolve));
}

interface Answer {
  status: number | undefined;
  headers: Readonly<Record<string, unknown>>;
  text: string;
  /** `reset`: it broke off, with that code. */
  end: 'none' | 'whole' | 'reset';
  code: number | undefined;
}

function client() {
  const port = gateway.address().targets.get('api') ?? 0;
  const session = connectHttp2('https://api', {
    createConnection: () => connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false }),
  });
  open.push(session);
  const state = { isClosed: false, isLeaving: false };
  session
    .on('error', () => {})
    .on('goaway', () => {
      state.isLeaving = true;
    })
    .on('close', () => {
      state.isClosed = true;
    });
  return {
    state,
    /** Sends a request; the answer fills by itself. */
    ask(path: string, shown: string | undefined, { method = 'GET', body }: { method?: string; body?: string } = {}) {
      const answer: Answer = { status: undefined, headers: {}, text: '', end: 'none', code: undefined };
      const fields = shown === undefined ? {} : { authorization: `Bearer ${shown}` };
      const stream = session.request(
        { ':method': method, ':path': path, ...fields },
        { endStream: body === undefined },
      );
      stream
        .on('response', (headers) => {
          answer.status = headers[':status'];
          answer.headers = headers;
        })
        .on('data', (chunk: Buffer) => {
          answer.text += chunk.toString('utf8');
        })
        .on('error', () => {})
        .on('end', () => {
          if (answer.end === 'none' && stream.rstCode === constants.NGHTTP2_NO_ERROR) answer.end = 'whole';
        })
        .on('close', () => {
          answer.code = stream.rstCode;
          if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) answer.end = 'reset';
        });
      if (body !== undefined) stream.end(body);
      return answer;
    },
  };
}

const until = (what: string, is: () => boolean) => eventually(what, is, { everyMs: 1, withinMs: 5_000 });
const whole = (...answers: readonly Answer[]) =>
  until('all answers are whole', () => answers.every(({ end }) => end !== 'none'));
const begun = (...answers: readonly Answer[]) =>
  until('all answers have begun', () => answers.every(({ text }) => text.includes('begun')));
const events = (kind: string) => ledger.events.filter((event) => event.kind === kind);
const closed = () => events('session-close').map(({ actor }) => actor);

/** Time passes until that is so. */
async function passing(what: string, seconds: number, is: () => boolean) {
  for (let n = 0; n < seconds && !is(); n++) {
    await turn(1_000);
    await new Promise((resolve) => setTimeout(resolve, 1)); // Room for real sockets; nothing waits for the time itself.
  }
  await until(what, is);
}

describe('callers of one connection', () => {
  it('are each decided, masked and recorded as themselves, however their streams are mixed', async () => {
    const one = client();
    const shown = { web: [token('/web'), token('/web')], batch: [token('/batch'), token('/batch')] };
    const asked = Array.from({ length: 240 }, (_, n) => {
      const who = n % 3 === 0 ? 'batch' : 'web';
      const body = n % 5 === 0 ? 'x'.repeat(n) : undefined;
      const path = `/of/${who}/${n}`;
      return {
        who,
        path,
        answer: one.ask(path, shown[who][n % 2], {
          method: body === undefined ? 'GET' : 'POST',
          ...(body === undefined ? {} : { body }),
        }),
      };
    });
    await whole(...asked.map(({ answer }) => answer));
    for (const { who, path, answer } of asked) {
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toEqual({ path, ssn: who === 'web' ? '[redacted]' : SSN });
    }
    expect(
      events('session-open')
        .map(({ actor }) => actor)
        .toSorted(),
    ).toEqual([idOf('/batch'), idOf('/web')]);
    const intents = events('intent');
    expect(intents.length).toBe(240);
    for (const { actor, detail } of intents) {
      const who = actor === idOf('/web') ? 'web' : 'batch';
      expect(JSON.stringify(detail)).toContain(`/of/${who}/`);
      expect(JSON.stringify(detail)).not.toContain(`/of/${who === 'web' ? 'batch' : 'web'}/`);
    }
    // Nor does one meet a connection upstream on which another has been.
    const users = new Map<Socket, Set<string>>();
    for (const { connection, path } of seen)
      users.set(connection, (users.get(connection) ?? new Set()).add(path.split('/')[2] ?? ''));
    expect([...users.values()].every((those) => those.size === 1)).toBe(true);
    const all = JSON.stringify([ledger.events, seen.map(({ text }) => text), logged]);
    for (const text of [...shown.web, ...shown.batch]) expect(all).not.toContain(text.split('.')[2]);
    expect(all).not.toContain('uthorization');
  });

  it('are told each for itself what is missing, while others are served', async () => {
    const one = client();
    const stream = one.ask('/of/batch/stream', token('/batch'));
    const good = one.ask('/of/web/1', token('/web'));
    const none = one.ask('/x', undefined);
    const bad = one.ask('/x', `${token('/web').slice(0, -8)}AAAAAAAA`, { method: 'POST', body: 'hello' });
    const stranger = one.ask('/x', token('/nobody'));
    const head = one.ask('/x', undefined, { method: 'HEAD' });
    await whole(good, none, bad, stranger, head);
    await begun(stream);
    expect([good, none, bad, stranger, head].map(({ status }) => status)).toEqual([200, 401, 401, 403, 401]);
    expect(none.headers['www-authenticate']).toBe('Bearer realm="api"');
    expect(bad.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(none.text).toContain('svid token --audience countersign:api');
    expect(stranger.text).toContain(`policy does not allow ${idOf('/nobody')} to connect`);
    expect(head.text).toBe('');
    expect(seen.map(({ path }) => path).toSorted()).toEqual(['/of/batch/stream', '/of/web/1']);
    held[0]?.end('}');
    await whole(stream);
    expect(stream.end).toBe('whole');
  });

  it('have so many requests at once that they keep no others from having theirs', async () => {
    const one = client();
    const many = Array.from({ length: 40 }, (_, n) => one.ask(`/of/batch/${n}/stream`, token('/batch')));
    await until('as many are asked upstream as may be', () => held.length === 32);
    const other = one.ask('/of/web/1', token('/web'));
    await whole(other);
    expect([other.status, held.length]).toEqual([200, 32]);
    for (let n = 0; n < 40; n++) {
      await until('the next one is asked', () => held.length > n);
      held[n]?.end('}');
    }
    await whole(...many);
    expect(many.map(({ status, end }) => `${status} ${end}`)).toEqual(Array(40).fill('200 whole'));
  });

  it('have the lanes that others do not need any more', async () => {
    apply(['/web', '/batch', '/c', '/d'].map((path) => permit(path)).join('\n'));
    const one = client();
    const streams = (path: string) =>
      Array.from({ length: 32 }, (_, n) => one.ask(`/of${path}/${n}/stream`, token(path)));
    for (const [nth, path] of ['/web', '/batch', '/c', '/d'].entries()) {
      const asked = streams(path);
      await until('all are asked upstream', () => held.length === 32 * (nth + 1));
      for (const response of held.slice(-32)) response.end('}');
      await whole(...asked);
      expect(asked.every(({ end }) => end === 'whole')).toBe(true);
    }
    const inUse = () => new Set(seen.filter((one) => !one.connection.destroyed).map((one) => one.connection)).size;
    await until('28 have made room', () => inUse() === 100);
  });
});

describe('what ends for one caller', () => {
  it('by the end of its token ends its stream alone, half a minute later; a fresh one is a new session', async () => {
    const one = client();
    const short = one.ask('/of/web/stream', token('/web', { lifeS: 60 }));
    const long = one.ask('/of/batch/stream', token('/batch', { lifeS: 600 }));
    await begun(short, long);
    for (let n = 0; n < 85; n++) await turn(1_000); // Its session takes no more.
    expect(short.end).toBe('none');
    const fresh = one.ask('/of/web/2', token('/web'));
    await whole(fresh);
    expect(fresh.status).toBe(200);
    await passing('its stream has ended', 60, () => short.end !== 'none');
    expect([short.end, long.end]).toEqual(['reset', 'none']);
    held[1]?.end('}');
    await whole(long);
    expect([long.end, one.state.isClosed]).toEqual(['whole', false]);
    expect(events('session-open').map(({ actor }) => actor)).toEqual([idOf('/web'), idOf('/batch'), idOf('/web')]);
  });

  it('a stream has its own token’s time, whatever its caller has shown besides', async () => {
    const one = client();
    const short = one.ask('/of/web/1/stream', token('/web', { lifeS: 60 }));
    const long = one.ask('/of/web/2/stream', token('/web', { lifeS: 600 }));
    await begun(short, long);
    await passing('the one has ended', 130, () => short.end !== 'none');
    expect([short.end, long.end]).toEqual(['reset', 'none']);
    expect(events('session-open').length).toBe(1);
  });

  it('by policy or a key that is withdrawn ends at once, and nothing of another', async () => {
    const one = client();
    const web = one.ask('/of/web/stream', token('/web'));
    const batch = one.ask('/of/batch/stream', token('/batch', { keyId: 'k2' }));
    await begun(web, batch);
    apply(permit('/batch'));
    await until('its stream has ended', () => web.end === 'reset');
    await until('its session is over', () => closed().includes(idOf('/web')));
    expect(batch.end).toBe('none');
    const denied = one.ask('/of/web/3', token('/web'));
    await whole(denied);
    expect(denied.status).toBe(403);
    jwtAuthorities.set(DOMAIN, [published('k1', keys.k1.publicKey)]);
    await passing('the other has ended', 15, () => batch.end === 'reset');
    expect(one.state.isClosed).toBe(false);
  });

  it('by an operator ends its session alone', async () => {
    const one = client();
    const web = one.ask('/of/web/stream', token('/web'));
    const batch = one.ask('/of/batch/stream', token('/batch'));
    await begun(web, batch);
    const { id = '' } = gateway.sessions().find(({ identity }) => identity === idOf('/web')) ?? {};
    expect(gateway.endSession(id)).toBe(true);
    await until('its stream has ended', () => web.end === 'reset');
    expect([batch.end, gateway.sessions().map(({ identity }) => identity)]).toEqual(['none', [idOf('/batch')]]);
  });
});

describe('a connection', () => {
  it('on which nobody is known for ten seconds ends, and so does one with ten refusals in a row', async () => {
    const silent = client();
    await until('it is there', () => clock.pending() > 0);
    const many = client();
    const refused = Array.from({ length: 12 }, () => many.ask('/x', 'nothing'));
    await whole(...refused);
    await until('it takes no more', () => many.state.isLeaving);
    expect(refused.slice(0, 10).map(({ status }) => status)).toEqual(Array(10).fill(401));
    await passing('the silent one is closed', 15, () => silent.state.isClosed);
    expect(seen).toEqual([]);
  });

  it('goes with its client, and all its sessions with it', async () => {
    const one = client();
    const streams = [one.ask('/of/web/stream', token('/web')), one.ask('/of/batch/stream', token('/batch'))];
    await begun(...streams);
    for (const session of open.splice(0)) session.destroy();
    await until('its sessions are over', () => gateway.sessions().length === 0);
    expect(closed().toSorted()).toEqual([idOf('/batch'), idOf('/web')]);
  });

  it('of a target that changes takes no further stream and lets those end that run', async () => {
    const one = client();
    const running = one.ask('/of/batch/stream', token('/batch'));
    await begun(running);
    await gateway.applyTargets([target({ http2: false })]);
    const late = one.ask('/of/web/1', token('/web'));
    await whole(late);
    expect(late.text).toContain('target api has changed');
    held[0]?.end('}');
    await whole(running);
    expect(running.end).toBe('whole');
    await until('it takes no more', () => one.state.isLeaving);
  });

  it('where HTTP/2 is switched off is one of HTTP/1.1', async () => {
    await gateway.applyTargets([target({ http2: false })]);
    const port = gateway.address().targets.get('api') ?? 0;
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      ALPNProtocols: ['h2', 'http/1.1'],
      rejectUnauthorized: false,
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });
});
