import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { createTestAuthority, identityOf } from '../../../testing/test-authority.ts';
import {
  allowed,
  answerOf,
  CREDENTIAL,
  denied,
  type HttpBed,
  type HttpBedOptions,
  openHttp,
} from '../testing/harness.ts';

let bed: HttpBed;
const open = async (options?: HttpBedOptions) => {
  bed = await openHttp(options);
  return bed;
};
afterEach(() => bed.close());

const GET = 'GET /v1/customers/7 HTTP/1.1\r\nhost: api\r\n\r\n';
const fine = () => answerOf('{"ok":true}');
const kinds = () => bed.ledger.events.map(({ kind }) => kind);
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;

describe('a request', () => {
  it('goes to the upstream made anew, with the target’s credential in place of the client’s', async () => {
    await open({ answer: fine, config: { credential: { bearer: 'env:PW' } } });
    bed.send(
      'GET /v1/customers/7?a=1 HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer stolen\r\nX-Forwarded-For: 1.2.3.4\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n',
    );
    await bed.until('{"ok":true}');
    const [head = ''] = bed.upstream;
    expect(head).toContain(`GET /v1/customers/7?a=1 HTTP/1.1\r\n`);
    expect(head.toLowerCase()).toContain(`authorization: bearer ${CREDENTIAL}`);
    expect(head).not.toMatch(/stolen|1\.2\.3\.4|host: api/i);
    expect(kinds()).toEqual(['session-open', 'intent', 'outcome']);
    expect(JSON.stringify(bed.ledger.events)).not.toContain(CREDENTIAL);
  });

  it('that follows another on the same connection goes on the same connection upstream', async () => {
    await open({ answer: fine });
    bed.send(GET + GET);
    await bed.until(/ok":true}.*ok":true}/s);
    expect(bed.upstream).toHaveLength(1);
    expect(kinds()).toEqual(['session-open', 'intent', 'outcome', 'intent', 'outcome']);
  });

  it('with a body has all of it at the upstream, whether it comes with a length or in chunks', async () => {
    await open({ answer: (text) => (text.endsWith('hello') || text.endsWith('0\r\n\r\n') ? fine() : undefined) });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 5\r\n\r\nhel');
    await bed.heard(/\r\n\r\nhel/);
    bed.send('lo');
    await bed.until('ok":true}');
    bed.send(
      'POST /b HTTP/1.1\r\nhost: api\r\ntransfer-encoding: chunked\r\n\r\n5;ext=1\r\nworld\r\n0\r\nx-trailer: 1\r\n\r\n',
    );
    await bed.until(/ok":true}.*ok":true}/s);
    expect(bed.upstream[0]).toContain('5\r\nworld\r\n0\r\n\r\n');
    expect(bed.upstream[0]).not.toMatch(/ext=1|x-trailer/);
  });

  it('that waits for 100 Continue is told to go on once it is allowed, and is not forwarded with that wish', async () => {
    await open({ answer: (text) => (text.includes('hello') ? fine() : undefined) });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await bed.until('HTTP/1.1 100 Continue\r\n\r\n');
    bed.send('hello');
    await bed.until('ok":true}');
    expect(bed.upstream[0]).not.toMatch(/expect/i);
  });

  it('that waits for 100 Continue and is denied gets the denial alone', async () => {
    await open({ decide: () => denied });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await bed.until('403');
    await bed.closed;
    expect(bed.received()).not.toContain('100 Continue');
    expect(bed.upstream).toEqual([]);
  });

  it('that policy denies is an ordinary answer, and its connection goes on behind its body', async () => {
    await open({ answer: fine, decide: ({ action }) => (action === 'http:delete' ? denied : undefined) });
    bed.send(`DELETE /v1/customers/7 HTTP/1.1\r\nhost: api\r\ncontent-length: 4\r\n\r\nbody${GET}`);
    await bed.until('ok":true}');
    expect(bed.received()).toMatch(/^HTTP\/1\.1 403 .*"reason":"no-permit".*http:delete.*HTTP\/1\.1 200 /s);
    expect(bed.upstream.join('')).not.toMatch(/DELETE|body/);
    expect(kinds()).toEqual(['session-open', 'denial', 'intent', 'outcome']);
  });

  it.each(['POST', 'PUT'])('of %s that is typed as gRPC and is no call of it is denied by status', async (method) => {
    await open({ answer: fine, decide: ({ action }) => (action === 'http:connect' ? undefined : denied) });
    const trailers = method === 'PUT' ? 'connection: te\r\nte: trailers\r\n' : '';
    bed.send(
      `${method} /a HTTP/1.1\r\nhost: api\r\ncontent-type: application/grpc\r\n${trailers}content-length: 0\r\n\r\n`,
    );
    await bed.until('no-permit');
    expect(bed.received()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('that two readers could take differently is refused, recorded, and ends the connection', async () => {
    await open({ answer: fine });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n');
    await bed.until('400');
    await bed.closed;
    expect(bed.upstream).toEqual([]);
    expect(kinds()).toContain('denial');
  });

  it('whose body turns out to be malformed breaks its connection upstream, so that nobody takes it for whole', async () => {
    await open();
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await bed.heard('hello');
    bed.send('zz\r\n');
    await bed.until('400');
    await bed.closed;
    expect(bed.upstream[0]).not.toContain('\r\n0\r\n');
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('of HTTP/2 is answered that its version is none that is served, unless the target says so', async () => {
    await open({ config: { http2: false } });
    bed.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await bed.until('505');
    await bed.closed;
    expect(bed.upstream).toEqual([]);
  });

  it('for the server itself is answered here, and reaches nobody', async () => {
    await open();
    bed.send('OPTIONS * HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.until('204');
    expect(kinds()).toEqual(['session-open']);
    expect(bed.upstream).toEqual([]);
  });

  it('tells the upstream who calls, where the target says so, and nobody else can', async () => {
    const authority = createTestAuthority('example.org', 60_000);
    const identity = identityOf(authority.issue('/countersign/gateway'), [authority]);
    await open({ answer: fine, identity, config: { identityHeader: true } });
    bed.send('GET /a HTTP/1.1\r\nhost: api\r\nx-countersign-identity: forged\r\n\r\n');
    await bed.until('ok":true}');
    const [, claims = ''] = /x-countersign-identity: [^.]+\.([^.]+)\./.exec(bed.upstream[0] ?? '') ?? [];
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      ...{ sub: 'spiffe://example.org/web', iss: 'spiffe://example.org/countersign/gateway', aud: 'target' },
    });
    expect(bed.upstream[0]).not.toContain('forged');
  });

  it('is not forwarded where the upstream is to be told who calls, and that can’t be proven', async () => {
    await open({ answer: fine, config: { identityHeader: true } });
    bed.send(GET);
    await bed.until('503');
    expect(bed.upstream.join('')).toBe('');
    expect(kinds()).toEqual(['session-open', 'denial']);
  });

  it('to a path that servers read differently is refused with a word, and the connection goes on', async () => {
    await open({ answer: fine });
    bed.send(`GET /v1/%2e%2e/admin HTTP/1.1\r\nhost: api\r\n\r\n${GET}`);
    await bed.until('ok":true}');
    expect(bed.received()).toMatch(/^HTTP\/1\.1 400 /);
    expect(bed.upstream.join('')).not.toContain('admin');
  });
});

describe('the upstream', () => {
  it('that can’t be reached is told so, and nothing was done', async () => {
    await open({ config: { url: 'http://127.0.0.1:1' } });
    bed.send(GET);
    await bed.until('503');
    expect(kinds()).toEqual(['session-open', 'denial']);
    expect(bed.problems.at(-1)?.what).toContain('nothing listens there');
  });

  it('that goes away amid a request leaves an outcome that nobody knows, and its client gets 502', async () => {
    await open();
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n');
    await bed.heard('POST /a');
    bed.socket.destroy();
    await bed.until('502');
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('that goes away amid its answer breaks the client’s connection', async () => {
    await open();
    bed.send(GET);
    await bed.heard('GET');
    bed.say('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await bed.until('abc');
    bed.socket.destroy();
    await bed.closed;
    expect(bed.received()).not.toContain('\r\n0\r\n');
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('that had closed an idle connection is asked again over a new one, when the request changes nothing', async () => {
    let count = 0;
    await open({ answer: () => (++count === 2 ? undefined : fine()) });
    bed.send(GET);
    await bed.until('ok":true}');
    bed.send(GET);
    await bed.heard(/---\n.*GET/s);
    bed.socket.destroy();
    await bed.until(/ok":true}.*ok":true}/s);
    expect(bed.upstream).toHaveLength(2);
    expect(kinds()).toEqual(['session-open', 'intent', 'outcome', 'intent', 'outcome']);
  });

  it('is not asked again where something might be done twice', async () => {
    let count = 0;
    await open({ answer: () => (++count === 2 ? undefined : fine()) });
    const post = 'POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n';
    bed.send(post);
    await bed.until('ok":true}');
    bed.send(post);
    await bed.heard(/---\n.*POST/s);
    bed.socket.destroy();
    await bed.until('502');
    expect(bed.upstream).toHaveLength(1);
  });

  it('that says more than it was asked loses its connection, and nobody gets it', async () => {
    await open({ answer: () => `${fine()}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison` });
    bed.send(GET);
    await bed.until('ok":true}');
    bed.send(GET);
    await bed.until(/ok":true}.*ok":true}/s);
    expect(bed.received()).not.toContain('poison');
    expect(bed.upstream).toHaveLength(2);
  });

  it.each([
    ['with length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['with two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
    ['that is none', 'SSH-2.0-OpenSSH_9.2\r\n'],
    [
      'that goes over to another protocol unasked',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
  ])('whose answer is one %s is not handed on', async (_, answer) => {
    await open({ answer: () => answer });
    bed.send(GET);
    await bed.until('502');
    expect(outcome()).toMatchObject({ status: 'failed' });
  });

  it('that refuses the gateway’s credential is told to the operator, not to be the client’s fault', async () => {
    await open({
      config: { credential: { bearer: 'env:PW' } },
      answer: () => answerOf('{"error":"who are you"}', { 'www-authenticate': 'Bearer' }, '401 Unauthorized'),
    });
    bed.send(GET);
    await bed.until('502');
    expect(bed.received()).not.toMatch(/who are you|www-authenticate/i);
    expect(bed.problems.at(-1)?.what).toContain('refuses the gateway’s credential');
  });

  it('that echoes the credential hands it to nobody', async () => {
    await open({
      config: { credential: { bearer: 'env:PW' } },
      answer: () => answerOf(`{"you sent":"Bearer ${CREDENTIAL}"}`, { 'x-echo': CREDENTIAL }),
    });
    bed.send(GET);
    await bed.until('you sent');
    expect(bed.received()).not.toContain(CREDENTIAL);
  });

  it('answers a HEAD without a body', async () => {
    await open({ answer: () => 'HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n' });
    bed.send('HEAD /v1/customers/7 HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.until('200');
    bed.send('HEAD /v1/customers/8 HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.until(/200.*200/s);
    expect(outcome()).toMatchObject({ status: 'done' });
  });
});

describe('an answer in which fields are masked', () => {
  const masks = [{ path: ['body', 'user', 'ssn'], kind: 'redact' } as const];
  const masked = () => allowed({ masks });

  it('shows all but them', async () => {
    await open({ decide: masked, answer: () => answerOf('{"user":{"name":"Ada","ssn":"123-45-6789"}}') });
    bed.send(GET);
    await bed.until('"name":"Ada"');
    await bed.until('[redacted]');
    expect(bed.received()).not.toContain('123-45');
  });

  it.each([
    ['no JSON', answerOf('ssn=123-45-6789', { 'content-type': 'text/plain' })],
    ['encoded', answerOf('123-45-6789', { 'content-encoding': 'gzip' })],
    ['in another character set', answerOf('"123-45-6789"', { 'content-type': 'application/json; charset=utf-16' })],
    ['without a type', 'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n123-45-6789'],
    ['broken JSON', answerOf('{"other":"123-45-6789"')],
  ])('is refused before a byte is shown when it is %s', async (_, answer) => {
    await open({ decide: masked, answer: () => answer });
    bed.send(GET);
    await bed.until('502');
    expect(bed.received()).not.toContain('123-45');
  });

  it('has no field of the upstream’s own text beside it, and is asked for whole and unencoded', async () => {
    await open({
      decide: masked,
      answer: () => answerOf('{}', { etag: '"123-45-6789"', location: '/?ssn=123-45-6789', 'x-ssn': '123-45-6789' }),
    });
    bed.send(
      'GET /v1 HTTP/1.1\r\nhost: api\r\nrange: bytes=0-3\r\nif-none-match: "x"\r\naccept-encoding: gzip\r\n\r\n',
    );
    await bed.until('{}');
    expect(bed.received()).not.toContain('123-45');
    expect(bed.upstream[0]).not.toMatch(/range|if-none-match|gzip/i);
  });

  it('of events is shown event by event', async () => {
    await open({ decide: masked });
    bed.send(GET);
    await bed.heard('GET');
    bed.say('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
    const event = 'data: {"user":{"ssn":"123-45-6789"},"n":1}\n\n';
    bed.say(`${event.length.toString(16)}\r\n${event}\r\n`);
    await bed.until('"n":1');
    expect(bed.received()).not.toContain('123-45');
  });
});

describe('a connection that leaves HTTP', () => {
  const UPGRADE =
    'GET /ws HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n';
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

  it('carries both sides once the upstream agrees, and has an outcome at its end', async () => {
    await open();
    bed.send(UPGRADE);
    await bed.heard('GET /ws');
    bed.say(`${SWITCH}first`);
    await bed.until('first');
    bed.send('from the client');
    await bed.heard('from the client');
    bed.say('from the server');
    await bed.until('from the server');
    expect([...new Set(bed.asked.map(({ action }) => action))]).toEqual(['http:upgrade']);
    bed.socket.end();
    await bed.closed;
    await bed.served;
    expect(outcome()).toMatchObject({ status: 'done' });
  });

  it('sends nothing of what follows before the upstream agrees', async () => {
    await open();
    bed.send(`${UPGRADE}GET /smuggled HTTP/1.1\r\nhost: api\r\n\r\n`);
    await bed.heard('GET /ws');
    bed.say(answerOf('{"no":1}'));
    await bed.until('"no":1');
    await bed.heard('GET /smuggled'); // As a request of its own, decided for itself.
    expect([...new Set(bed.asked.map(({ action }) => action))]).toEqual(['http:upgrade', 'http:get']);
  });
});

describe('a limit of policy', () => {
  it('on bytes in counts a body without a length, and breaks off', async () => {
    await open({ decide: () => allowed({ limits: { bytesIn: 10 } }) });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ntransfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n');
    await bed.heard('12345678');
    bed.send('8\r\n12345678\r\n');
    await bed.until('413');
    expect(outcome()).toMatchObject({ status: 'over-limit', limit: { unit: 'bytesIn', most: 10 } });
  });

  it('on items counts the elements of a list', async () => {
    await open({ decide: () => allowed({ limits: { items: 2 } }), answer: () => answerOf('[{"a":[1,2,3]},2]') });
    bed.send(GET);
    await bed.until('[{"a":[1,2,3]},2]');
    expect(outcome()).toMatchObject({ items: 2 });
  });
});

describe('time', () => {
  it('that a client takes for a head is bounded', async () => {
    await open();
    bed.send('GET / HT');
    await eventually('it is told that it was late', async () => {
      await bed.clock.advance(1_000);
      return bed.received().includes('408');
    });
    await bed.closed;
  });

  it('without a request ends in silence', async () => {
    await open({ answer: fine });
    bed.send(GET);
    await bed.until('ok":true}');
    const before = bed.received();
    await bed.clock.advance(120_000);
    await bed.closed;
    expect(bed.received()).toBe(before);
  });
});
