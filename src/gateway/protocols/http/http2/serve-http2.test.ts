/** What clients of HTTP/2 get: the same as by HTTP/1.1, many requests at once. Node's own client, and raw frames where it has no word for it. */
import * as http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import {
  block,
  END_HEADERS,
  FRAME,
  frame,
  hear,
  PREFACE,
  pseudo,
  request as rawRequest,
  uint32,
} from '../testing/frames.ts';
import { allowed, answerOf, denied, type HttpBed, type HttpBedOptions, openHttp } from '../testing/harness.ts';

let bed: HttpBed;
let client: http2.ClientHttp2Session;
afterEach(async () => {
  client?.destroy();
  await bed?.close();
});

async function open(options: HttpBedOptions = {}): Promise<void> {
  bed = await openHttp(options);
  client = http2.connect('http://api', { createConnection: () => bed.client });
  client.on('error', () => {});
}

interface Got {
  readonly status: number | undefined;
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: string;
  readonly code: number;
}

function ask(
  headers: http2.OutgoingHttpHeaders = {},
  body?: string,
): Promise<Got> & { stream: http2.ClientHttp2Stream } {
  const stream = client.request({ ':path': '/v1/x', ...headers });
  const got = new Promise<Got>((resolve) => {
    let text = '';
    let answered: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    stream
      .on('error', () => {})
      .on('response', (head) => {
        answered = head;
      });
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    stream.on('close', () =>
      resolve({ status: answered[':status'], headers: answered, body: text, code: stream.rstCode ?? 0 }),
    );
  });
  if (body === undefined) stream.end();
  else stream.end(body);
  return Object.assign(got, { stream });
}

const fine = () => answerOf('{"ok":true}');
const whole = (text: string) => (/\r\n\r\n$/.test(text) ? fine() : undefined);
const kinds = () => bed.ledger.events.map(({ kind }) => kind);
const outcomes = () => bed.ledger.events.filter(({ kind }) => kind === 'outcome');

describe('a stream', () => {
  it('is an operation, with the credential and without what is the client’s own', async () => {
    await open({ answer: whole, config: { credential: { bearer: 'env:TOKEN' } } });
    const { status, headers, body } = await ask({ authorization: 'Bearer mine', cookie: ['a=1', 'b=2'], 'x-a': 'b' });
    expect([status, body, headers['content-type']]).toEqual([200, '{"ok":true}', 'application/json']);
    expect(bed.upstream[0]).toContain('authorization: Bearer correct-horse');
    expect(bed.upstream[0]).not.toMatch(/mine|a=1/);
    expect(bed.upstream[0]).toContain('x-a: b');
    expect(kinds()).toEqual(['session-open', 'intent', 'outcome']);
  });

  it('keeps its cookies as one, where they may pass', async () => {
    await open({ answer: whole, config: { passCookies: true } });
    await ask({ cookie: ['a=1', 'b=2'] });
    expect(bed.upstream[0]).toContain('cookie: a=1; b=2\r\n');
  });

  it('is refused by policy with a word, and the others go on', async () => {
    await open({ answer: whole, decide: ({ context }) => (context['path'] === '/v1/no' ? denied : undefined) });
    const [no, yes] = await Promise.all([ask({ ':path': '/v1/no' }), ask()]);
    expect([no.status, yes.status]).toEqual([403, 200]);
    expect(JSON.parse(no.body)).toMatchObject({ reason: 'no-permit' });
    expect(kinds().filter((kind) => kind === 'denial')).toHaveLength(1);
  });

  it('is masked', async () => {
    await open({
      answer: () => answerOf('{"ssn":"123-45-6789","a":1}'),
      decide: () => allowed({ masks: [{ path: ['body', 'ssn'], kind: 'redact' }] }),
    });
    const { body } = await ask();
    expect(JSON.parse(body)).toEqual({ ssn: '[redacted]', a: 1 });
  });

  it('has its body handed on with its length, where that is known', async () => {
    await open({ answer: (text) => (text.endsWith('hello') ? fine() : undefined) });
    expect((await ask({ ':method': 'POST', 'content-length': '5' }, 'hello')).status).toBe(200);
    expect(bed.upstream[0]).toContain('content-length: 5\r\n\r\nhello');
  });

  it('has its body handed on in chunks, where it is not', async () => {
    await open({ answer: (text) => (text.endsWith('0\r\n\r\n') ? fine() : undefined) });
    expect((await ask({ ':method': 'POST' }, 'hello')).status).toBe(200);
    expect(bed.upstream[0]).toContain('5\r\nhello\r\n0\r\n\r\n');
  });

  it('of a HEAD has the answer’s length and no body', async () => {
    await open({ answer: () => 'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n' });
    const { status, headers, body } = await ask({ ':method': 'HEAD' });
    expect([status, headers['content-length'], body]).toEqual([200, '11', '']);
  });

  it('is told to go on once it was decided about', async () => {
    await open({ answer: (text) => (text.endsWith('0\r\n\r\n') ? fine() : undefined) });
    const stream = client.request({ ':path': '/v1/x', ':method': 'POST', expect: '100-continue' });
    await new Promise((resolve) => stream.once('continue', resolve));
    expect(kinds()).toEqual(['session-open', 'intent']);
    const status = new Promise((resolve) => stream.once('response', (head) => resolve(head[':status'])));
    stream.end('hello');
    expect(await status).toBe(200);
  });

  it('whose answer breaks off without a length is reset, where its last frame would have told of its end', async () => {
    await open({ answer: () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n' });
    const got = ask();
    await new Promise((resolve) => got.stream.once('data', resolve));
    bed.socket.destroy();
    expect((await got).code).toBe(2);
  });

  it('whose answer breaks off is reset, so that nobody takes it for whole', async () => {
    await open({ answer: () => 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf' });
    const got = ask();
    await new Promise((resolve) => got.stream.once('data', resolve));
    bed.socket.destroy();
    const { code, body } = await got;
    expect([code, body]).toEqual([2, 'half']);
    expect(outcomes()[0]?.detail['status']).toBe('unknown');
  });

  it('that is taken back breaks its connection upstream, and its end is not known', async () => {
    await open();
    const got = ask();
    await bed.heard('GET /v1/x');
    got.stream.close(8);
    await eventually('its outcome', () => outcomes().length === 1);
    expect(outcomes()[0]?.detail['status']).toBe('unknown');
    await eventually('the upstream hears of it', () => bed.socket.readableEnded || bed.socket.destroyed);
  });
});

describe('many streams', () => {
  it('run side by side, each with one intent and one outcome, over no more connections than may be', async () => {
    await open({ answer: whole });
    const all = await Promise.all(Array.from({ length: 100 }, (_, at) => ask({ ':path': `/v1/${at}` })));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
    const ids = (kind: string) =>
      bed.ledger.events
        .filter((event) => event.kind === kind)
        .map(({ operation }) => operation)
        .toSorted();
    expect(ids('intent')).toHaveLength(100);
    expect(ids('outcome')).toEqual(ids('intent'));
    expect(bed.upstream.length).toBeLessThanOrEqual(32);
    expect(kinds().filter((kind) => kind === 'session-open')).toHaveLength(1);
  });

  it('use connections upstream again', async () => {
    await open({ answer: whole });
    for (let at = 0; at < 20; at++) await ask();
    expect(bed.upstream).toHaveLength(1);
  });

  it('that are under way when the client goes are recorded, each with one outcome', async () => {
    await open();
    for (let at = 0; at < 100; at++) void ask({ ':path': `/v1/${at}` });
    await eventually('they run', () => bed.upstream.join('').split('GET /v1').length - 1 === 32);
    client.destroy();
    await bed.served;
    const of = (kind: string) => kinds().filter((one) => one === kind).length;
    expect(of('outcome')).toBe(of('intent'));
    // One that was taken back before the others may have made room for another.
    expect(of('intent')).toBeLessThan(40);
    expect(outcomes().every(({ detail }) => detail['status'] === 'unknown')).toBe(true);
  });
});

describe('the end', () => {
  it('of the session ends its streams with a word, and its connection', async () => {
    await open();
    const got = ask();
    await bed.heard('GET /v1/x');
    bed.end();
    const { status, body } = await got;
    expect([status, body]).toEqual([401, expect.stringContaining('identity')]);
    await bed.clock.advance(200);
    await bed.served;
    expect(outcomes()).toHaveLength(1);
    await bed.closed;
  });

  it('by draining lets running streams finish, and takes no more', async () => {
    await open();
    const got = ask();
    await bed.heard('GET /v1/x');
    const goaway = new Promise((resolve) => client.once('goaway', resolve));
    bed.drain();
    await goaway;
    bed.say(fine());
    expect((await got).status).toBe(200);
    await bed.served;
    await bed.closed;
  });

  it('comes by itself when nothing was asked for two minutes', async () => {
    await open({ answer: whole });
    await ask();
    await bed.clock.advance(140_000);
    await bed.served;
  });
});

describe('a client that does not read', () => {
  it('holds its upstream back, and loses its stream after a minute, but not its connection', async () => {
    bed = await openHttp({ answer: () => answerOf('x'.repeat(4_000_000)) });
    const heard = hear(bed.client);
    bed.client.write(PREFACE);
    bed.client.write(rawRequest(1, pseudo()));
    await eventually('its window is used up', () => (heard.bodies.get(1)?.length ?? 0) >= 65_535);
    await bed.clock.advance(80_000);
    await eventually('it is reset', () => heard.resets.has(1));
    expect(heard.goaways).toEqual([]);
  });

  it('with windows of nothing gets the head alone', async () => {
    bed = await openHttp({ answer: fine });
    const heard = hear(bed.client);
    const noWindow = Buffer.concat([Buffer.from([0, 4]), uint32(0)]);
    bed.client.write(PREFACE);
    bed.client.write(frame(FRAME.settings, 0, 0, noWindow));
    bed.client.write(rawRequest(1, pseudo()));
    await eventually('its head', () => heard.statuses.has(1));
    expect(heard.bodies.get(1) ?? '').toBe('');
  });
});

it('a body that comes before its stream is served is not held beyond a window', async () => {
  bed = await openHttp();
  hear(bed.client);
  bed.client.write(PREFACE);
  bed.client.write(frame(FRAME.headers, END_HEADERS, 1, block(pseudo({ ':method': 'POST' }))));
  for (let at = 0; at < 4; at++) bed.client.write(frame(FRAME.data, 0, 1, Buffer.alloc(16_000)));
  await bed.heard('POST /v1/x');
  expect(bed.upstream).toHaveLength(1);
});
