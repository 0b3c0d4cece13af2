import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Type } from 'typebox';
import { afterEach, describe, expect, it } from 'vitest';
import { endpointsOf } from '../../endpoint/index.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: whatever a client sends, and however slowly, it is refused in words or cut off; what it makes the server hold is bounded; others are served.

let server: TestRest;
afterEach(() => server.stop());

/** All that comes until the connection is closed. */
function heard(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1'))));
}

const POST = 'POST /v1/plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';

/** Events of that size without end, to whoever takes them. */
function floodOf(chars: number) {
  let [sent, isOver] = [0, false];
  const endpoint = endpointsOf<object>()({
    ...{ name: 'flood.follow', summary: 'Floods.', method: 'GET', path: '/v1/flood' },
    action: 'countersign:gateway.follow',
    input: Type.Object({}, { additionalProperties: false }),
    output: Type.Object({ text: Type.String() }, { additionalProperties: false }),
    follow: async () => async (send) => {
      try {
        for (;;) {
          await send({ text: 'x'.repeat(chars) }, String(sent));
          sent++;
        }
      } finally {
        isOver = true;
      }
    },
  });
  return { endpoint, sent: () => sent, isOver: () => isOver };
}

const isServed = async () => expect((await server.ask({ path: '/v1/targets' })).status).toBe(200);
const post = (body: unknown, headers: Record<string, string> = {}) =>
  server.ask({ method: 'POST', path: '/v1/plan', body, headers });

describe('a body', () => {
  it.each([
    ['that is no JSON', '{', 'ERR_REST_BODY'],
    ['that is empty', '', 'ERR_REST_BODY'],
    ['with a name twice', '{"prune":true,"prune":false}', 'ERR_REST_BODY'],
    ['with a name twice, once escaped', '{"prune":true,"prun\\u0065":false}', 'ERR_REST_BODY'],
    ['that nests without end', `{"resources":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'ERR_REST_BODY'],
    ['that nests a little too deeply', `{"resources":${'['.repeat(33)}${']'.repeat(33)}}`, 'ERR_REST_BODY'],
    ['with half of a surrogate pair', '{"resources":[{"kind":"Target","name":"\\ud800","spec":{}}]}', 'ERR_REST_BODY'],
    ['with a number that not all read alike', '{"prune":1e400}', 'ERR_REST_BODY'],
    ['that is a list', '[]', 'ERR_ENDPOINT_INPUT'],
    ['with a type that is wrong', '{"prune":"yes"}', 'ERR_ENDPOINT_INPUT'],
    ['with a field too many', '{"dryRun":true}', 'ERR_ENDPOINT_INPUT'],
    ['that changes a prototype', '{"__proto__":{"prune":true}}', 'ERR_ENDPOINT_INPUT'],
    ['with a name of no resource', '{"resources":[{"kind":"Tarjet","name":"a","spec":{}}]}', 'ERR_ENDPOINT_INPUT'],
    ['with a thousand things wrong', JSON.stringify({ remove: Array(1000).fill({ kind: 1 }) }), 'ERR_ENDPOINT_INPUT'],
  ])('%s is refused', async (_, body, code) => {
    server = await startTestRest();
    const answer = await post(body);
    expect(answer.json).toMatchObject({ status: 400, code });
    expect(answer.text.length).toBeLessThan(8_000);
    await isServed();
  });

  it('that is too large is refused by its length before it is read, and by its bytes where it has none', async () => {
    server = await startTestRest();
    const announced = server.raw();
    const answer = heard(announced);
    announced.write(`${POST}content-length: 4194305\r\n\r\n{`);
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*ERR_REST_TOO_LARGE/);
    const chunked = server.raw();
    const other = heard(chunked);
    chunked.write(`${POST}transfer-encoding: chunked\r\n\r\n`);
    for (let n = 0; n < 66 && chunked.writable; n++) chunked.write(`10000\r\n${' '.repeat(65_536)}\r\n`);
    expect(await other).toMatch(/^(HTTP\/1\.1 413 [\s\S]*|)$/);
    await isServed();
  });

  it('that leads nowhere, or comes from somebody who may not, is not read', async () => {
    server = await startTestRest({ rest: { admission: { burst: 3, perSecond: 1 } } });
    const as = await server.identify('/web');
    const nobody = await server.ask({ method: 'POST', path: '/v1/nowhere', body: '{', as: 'nobody' });
    expect([nobody.status, nobody.headers.connection]).toEqual([401, 'close']);
    expect((await server.ask({ method: 'POST', path: '/v1/nowhere', body: '{', as })).status).toBe(404);
    for (const path of ['/v1/plan', '/v1/apply'])
      expect((await server.ask({ method: 'POST', path, body: '{', as })).json['code']).toBe('ERR_REST_FORBIDDEN');
    // A path that can't be read counts as any other.
    expect((await server.ask({ path: '/v1/targets/%', as })).status).toBe(429);
  });

  it('of another kind, or compressed, or where none belongs, is not read', async () => {
    server = await startTestRest();
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    ])
      expect((await post('{}', headers)).json, JSON.stringify(headers)).toMatchObject({ status: 415 });
    const withBody = await server.ask({ path: '/v1/targets', body: '{}' });
    expect(withBody.json).toMatchObject({ status: 415, code: 'ERR_REST_MEDIA' });
  });
});

describe('a client that is slow', () => {
  /** Lets time pass until the connection is closed; what was heard by then. Before each second `trickle` may say something. */
  async function closedIn(socket: Socket, trickle = () => {}): Promise<{ text: string; seconds: number }> {
    const closed = heard(socket);
    let [text, seconds]: [string | undefined, number] = [undefined, 0];
    void closed.then((all) => {
      text = all;
    });
    await expect
      .poll(async () => {
        trickle();
        await server.clock.advance(1_000);
        seconds++;
        return text;
      })
      .toBeDefined();
    return { text: await closed, seconds };
  }

  it('in its headers is cut off, however many bytes trickle in', async () => {
    server = await startTestRest();
    await isServed(); // Whoever comes first waits until the app is loaded.
    const socket = server.raw();
    socket.write('GET /v1/targets HTTP/1.1\r\n');
    expect((await closedIn(socket, () => void socket.write('x: 1\r\n'))).text).toBe('');
    await isServed();
  });

  it('in its body is told so', async () => {
    server = await startTestRest();
    await isServed();
    const socket = server.raw();
    socket.write(`${POST}content-length: 1000\r\n\r\n{`);
    const { text } = await closedIn(socket, () => void socket.write(' '));
    expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*ERR_REST_TIMEOUT/i);
    await isServed();
  });

  it('in asking again is cut off', async () => {
    server = await startTestRest();
    const socket = server.raw();
    socket.write('GET /v1/targets HTTP/1.1\r\nhost: x\r\n\r\n');
    expect((await closedIn(socket)).text).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('words that are no request', () => {
  it.each([
    ['garbage', 'GARBAGE\r\n\r\n', 400],
    [
      'two lengths of one body',
      'POST /v1/plan HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
      400,
    ],
    ['a length that is none', 'POST /v1/plan HTTP/1.1\r\nhost: x\r\ncontent-length: 1x\r\n\r\n', 400],
    ['a name of a header with a space', 'GET /v1/targets HTTP/1.1\r\nhost: x\r\na b: 1\r\n\r\n', 400],
    ['headers without end', `GET /v1/targets HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(20_000)}\r\n\r\n`, 431],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ])('%s are answered once, and the connection is closed', async (_, words, status) => {
    server = await startTestRest();
    const socket = server.raw();
    const answer = heard(socket);
    socket.write(words, 'latin1');
    expect(await answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*application/problem\\+json`));
    await isServed();
  });

  it.each([
    ['/v1/targets/%', 404],
    ['/v1/targets/%ff', 404],
    ['/v1/targets/%00', 400],
    [`/v1/targets/${'x'.repeat(900)}`, 404],
    ['/v1/targets/..%2f..%2fetc', 400],
    ['/v1//targets', 404],
    ['/v1/targets/', 400],
    ['/V1/targets', 404],
    ['/', 404],
    ['*', 404],
  ])('the path %s leads nowhere', async (path, status) => {
    server = await startTestRest();
    const answer = await server.ask({ path });
    expect([answer.status, answer.headers['content-type']]).toEqual([
      status,
      'application/problem+json; charset=utf-8',
    ]);
  });

  it.each([
    'DELETE',
    'PUT',
    'PATCH',
    'OPTIONS',
    'HEAD',
    'TRACE',
    'PROPFIND',
  ])('%s is no method of a list, nor of the document', async (method) => {
    server = await startTestRest();
    for (const path of ['/v1/targets', '/v1/openapi.json']) {
      const answer = await server.ask({ path, method });
      expect(answer.status === 405 ? answer.headers.allow : answer.status).toBe('GET');
    }
  });
});

describe('a caller that wants too much', () => {
  it('waits its turn, and is told how long', async () => {
    server = await startTestRest({ rest: { admission: { burst: 5, perSecond: 1 } } });
    const statuses: number[] = [];
    for (let n = 0; n < 6; n++) statuses.push((await server.ask({ path: '/v1/targets' })).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    const refused = await server.ask({ path: '/v1/targets' });
    expect([refused.json['code'], refused.headers['retry-after']]).toEqual(['ERR_REST_RATE', '1']);
    await server.clock.advance(1_000);
    await isServed();
  });

  it('has no way around by failing to say who it is', async () => {
    server = await startTestRest({ rest: { admission: { burst: 3, perSecond: 1 } } });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n++) statuses.push((await server.ask({ path: '/v1/targets', as: 'nobody' })).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    await isServed(); // Others are not it.
  });

  it('has no way around by being revoked or in quarantine', async () => {
    server = await startTestRest({ rest: { admission: { burst: 3, perSecond: 1 } } });
    await server.makeAdmin('/ops/eve');
    const as = await server.identify('/ops/eve');
    const subject = { kind: 'identity', spiffeId: 'spiffe://example.org/ops/eve' } as const;
    await server.revocations.add({ subject, mode: 'quarantined', allow: [], running: 'end', reason: '' }, 'admin');
    const codes: unknown[] = [];
    for (let n = 0; n < 5; n++) codes.push((await server.ask({ path: '/v1/targets', as })).json['code']);
    const [refused, rate] = ['ERR_REVOCATION_REVOKED', 'ERR_REST_RATE'];
    expect(codes).toEqual([refused, refused, refused, rate, rate]);
    await isServed(); // Others are not it.
  });

  it('sends a thousand requests in one breath: answered or refused, each of them, in their order', async () => {
    server = await startTestRest();
    const socket = server.raw();
    const answer = heard(socket);
    const one = 'GET /v1/targets HTTP/1.1\r\nhost: x\r\n\r\n';
    socket.write(`${one.repeat(999)}GET /v1/targets HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const text = await answer;
    const statuses = text.match(/HTTP\/1\.1 \d{3}/g) ?? [];
    expect(new Set(statuses)).toEqual(new Set(['HTTP/1.1 200', 'HTTP/1.1 429']));
    expect(statuses).toHaveLength(1000);
    await server.clock.advance(5_000);
    await isServed();
  });
});

describe('event streams', () => {
  const open = (headers: Record<string, string> = {}) => server.open({ path: '/v1/gateway-events', headers });
  const streams: IncomingMessage[] = [];
  afterEach(() => {
    for (const stream of streams.splice(0)) stream.destroy();
  });

  it('of one caller are few, and make room when they end', async () => {
    server = await startTestRest();
    for (let n = 0; n < 8; n++) streams.push(await open());
    expect(streams.map(({ statusCode }) => statusCode)).toEqual(Array(8).fill(200));
    const ninth = await open();
    streams.push(ninth);
    expect(ninth.statusCode).toBe(429);
    streams.shift()?.destroy();
    await expect
      .poll(async () => (await server.ask({ path: '/v1/gateway-events', headers: { 'last-event-id': 'a b' } })).status)
      .toBe(400);
  });

  it('end when their caller may no more', async () => {
    server = await startTestRest();
    await server.makeAdmin('/ops/ada');
    const stream = await server.open({ path: '/v1/gateway-events', as: await server.identify('/ops/ada') });
    streams.push(stream);
    const ended = new Promise((resolve) => stream.resume().on('end', resolve));
    await server.registration.batchDelete(['admin.ops.ada']);
    await expect.poll(() => server.clock.pending()).toBeGreaterThan(0);
    await server.clock.advance(15_500);
    await ended;
  });

  it('that nobody reads are cut off when their caller may no more, and nothing is written to them after their end', async () => {
    const flood = floodOf(32_000_000); // More than the kernel takes for both ends.
    server = await startTestRest({ more: [flood.endpoint] });
    await server.makeAdmin('/ops/ada');
    streams.push(await server.open({ path: '/v1/flood', as: await server.identify('/ops/ada') }));
    await server.registration.batchDelete(['admin.ops.ada']);
    // The check, the end, and the beats that would have come after it.
    for (let beat = 0; beat < 3; beat++) await server.clock.advance(15_000);
    await expect.poll(() => flood.isOver()).toBe(true);
    await isServed();
  });

  it('end in order when the server stops, and what is under way is answered first', async () => {
    let finish = () => {};
    const slow = endpointsOf<object>()({
      ...{ name: 'slow.get', summary: 'Takes its time.', method: 'GET', path: '/v1/slow' },
      action: 'countersign:target.list',
      input: Type.Object({}, { additionalProperties: false }),
      output: Type.Object({ done: Type.Boolean() }, { additionalProperties: false }),
      handle: () =>
        new Promise<{ done: boolean }>((resolve) => {
          finish = () => resolve({ done: true });
        }),
    });
    server = await startTestRest({ more: [slow] });
    const stream = await open();
    const ended = new Promise((resolve) => stream.resume().on('end', resolve));
    let isAsked = false;
    const asked = server.ask({ path: '/v1/slow' });
    await expect
      .poll(async () => {
        isAsked ||= (await server.ask({ path: '/v1/targets' })).status === 200;
        return isAsked;
      })
      .toBe(true);
    const stopped = server.rest.stop();
    await ended;
    finish();
    expect((await asked).json).toEqual({ done: true });
    await stopped;
    await expect(server.ask({ path: '/v1/targets' })).rejects.toThrow();
  });

  it('that nobody reads are cut off, and hold no more than a moment’s worth', async () => {
    const flood = floodOf(100_000);
    server = await startTestRest({ more: [flood.endpoint] });
    await isServed();
    const socket = server.raw();
    socket.write('GET /v1/flood HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.pause();
    await expect.poll(() => flood.sent()).toBeGreaterThan(0);
    // What the kernel takes for both ends, and one event more.
    const held = flood.sent();
    await server.clock.advance(10_000);
    expect(flood.sent() - held).toBeLessThan(50);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    for (let beat = 0; beat < 8; beat++) await server.clock.advance(15_000);
    socket.resume();
    await closed;
    await isServed();
  });
});
