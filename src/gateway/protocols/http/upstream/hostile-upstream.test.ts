/** What an upstream of HTTP/2 may send and none should: its session gets a 502 or a cut, nothing waits for ever, and the next request is served. */
import { connect } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame, type Pair, pseudo, uint32 } from '../testing/frames.ts';
import { type HttpBed, openHttp } from '../testing/harness.ts';

const PREFACE_BYTES = 24;
let bed: HttpBed;
let server: Server;
let sockets: Socket[];
afterEach(async () => {
  await bed?.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** `answer` says what stands on the wire behind the first request of each connection, with its number from 1. */
async function open(
  answer: (connection: number, socket: Socket) => readonly Buffer[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  sockets = [];
  server = createServer((socket) => {
    const connection = sockets.push(socket);
    let held = Buffer.alloc(0);
    let isGreeted = false;
    let isAsked = false;
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        held = Buffer.concat([held, chunk]);
        if (!isGreeted && held.length >= PREFACE_BYTES) {
          isGreeted = true;
          held = held.subarray(PREFACE_BYTES);
        }
        while (isGreeted && held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
          const type = held.readUInt8(3);
          held = held.subarray(9 + held.readUIntBE(0, 3));
          if (type !== FRAME.headers || isAsked) continue;
          isAsked = true;
          for (const bytes of [frame(FRAME.settings, 0, 0), frame(FRAME.settings, 1, 0), ...answer(connection, socket)])
            if (!socket.destroyed) socket.write(bytes);
        }
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  bed = await openHttp({ config: { url: `http://127.0.0.1:${port}`, upstreamHttp2: true, ...config } });
}
const head = (fields: readonly Pair[] = [], flags = 0, status = '200') =>
  frame(FRAME.headers, END_HEADERS | flags, 1, block([[':status', status], ...fields]));
const data = (text: string, flags = 0) => frame(FRAME.data, flags, 1, Buffer.from(text));
const reset = (code: number) => frame(FRAME.reset, 0, 1, uint32(code));
const goaway = (last: number, code = 0) => frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code)]));
const many = (count: number, one: Buffer) => Buffer.concat(Array.from({ length: count }, () => one));
const GET = 'GET /v1/x HTTP/1.1\r\nhost: api\r\n\r\n';
const FINE = [head(), data('fine', END_STREAM)];
const JSON_TYPE: Pair = ['content-type', 'application/json'];

describe('instead of an answer', () => {
  const faults: (readonly [string, readonly Buffer[]])[] = [
    ['a reset', [reset(8)]],
    ['a reset in order', [reset(0)]],
    ['a refusal of the stream', [reset(7)]],
    ['a goaway that has not seen it', [goaway(0)]],
    ['a goaway with an error', [goaway(1, 11)]],
    ['data without a head', [data('x')]],
    ['another stream', [frame(FRAME.headers, END_HEADERS, 7, block([[':status', '200']]))]],
    ['a stream of its own', [frame(FRAME.headers, END_HEADERS, 2, block([[':status', '200']]))]],
    ['a push', [frame(5, END_HEADERS, 1, Buffer.concat([uint32(2), block(pseudo())]))]],
    ['a head without a status', [frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block([JSON_TYPE]))]],
    ['a status that is none', [head([], END_STREAM, '2oo')]],
    ['a status of the beginning', [head([], END_STREAM, '099')]],
    ['a change of protocol', [head([], 0, '101')]],
    ['a connection field', [head([['connection', 'close']], END_STREAM)]],
    ['a coding of HTTP/1.1', [head([['transfer-encoding', 'chunked']], END_STREAM)]],
    ['two types', [head([JSON_TYPE, ['content-type', 'text/html']], END_STREAM)]],
    ['a length that is none', [head([['content-length', '-1']])]],
    ['interim answers without end', [many(1_000, head([], 0, '103'))]],
    ['a head of a megabyte', [head([['x-a', 'a'.repeat(15_000)]]), ...heads(64)]],
    ['a head in endless pieces', [frame(FRAME.headers, 0, 1, block([[':status', '200']])), ...pieces(100)]],
    ['a head of ten thousand fields', [manyFields(10_000)]],
    ['settings without end', [many(20_000, frame(FRAME.settings, 0, 0))]],
    ['pings without end', [many(20_000, frame(FRAME.ping, 0, 0, Buffer.alloc(8)))]],
    ['empty data without end', [head(), many(20_000, data(''))]],
    ['a frame that is too long', [frame(FRAME.ping, 0, 0, Buffer.alloc(100_000))]],
    ['HTTP/1.1', [Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')]],
    ['compression that is none', [frame(FRAME.headers, END_HEADERS, 1, Buffer.alloc(50, 0xff))]],
    ['a window beyond all', [frame(FRAME.windowUpdate, 0, 0, uint32(2 ** 31 - 1))]],
  ];
  it.each(faults)('%s is a 502 or a cut, and the next request is served', async (_, bytes) => {
    await open((connection) => (connection === 1 ? bytes : FINE));
    bed.send(GET);
    await eventually('an end', () => /^HTTP\/1\.1 502 /.test(bed.received()) || bed.client.readableEnded);
    expect(bed.received()).not.toMatch(/\r\n0\r\n\r\n/);
    expect(bed.logged.filter((line) => line.includes('session_bug'))).toEqual([]);
    expect(bed.ledger.events.filter(({ kind }) => kind === 'outcome')).toHaveLength(1);
    await eventually(
      'its connection is gone',
      () => sockets[0]?.destroyed === true || sockets[0]?.readableEnded === true,
    );
    if (bed.client.readableEnded) return;
    bed.send(GET);
    await bed.until('fine');
  });
});

describe('amid an answer', () => {
  const cuts: (readonly [string, readonly Buffer[], readonly Pair[]])[] = [
    ['a reset', [reset(2)], []],
    ['a reset in order', [reset(0)], []],
    ['a goaway with an error', [goaway(1, 2)], []],
    [
      'a length behind the body',
      [frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block([['content-length', '3']]))],
      [],
    ],
    ['less than was said', [data('', END_STREAM)], [['content-length', '100']]],
    ['more than was said', [data('x'.repeat(200), END_STREAM)], [['content-length', '100']]],
  ];
  it.each(cuts)('%s is a cut', async (_, bytes, fields) => {
    await open((connection) => (connection === 1 ? [head([JSON_TYPE, ...fields]), data('{"a":'), ...bytes] : FINE));
    bed.send(GET);
    await bed.closed;
    expect(bed.received()).not.toMatch(/\r\n0\r\n\r\n/);
    expect(bed.received().length).toBeLessThan(300);
  });

  it('the end of the connection is one', async () => {
    await open((_, socket) => {
      socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), head([JSON_TYPE]), data('{"a":')]));
      void bed.until('{"a":').then(() => socket.destroy());
      return [];
    });
    bed.send(GET);
    await bed.closed;
    expect(bed.received()).not.toMatch(/\r\n0\r\n\r\n/);
  });
});

describe('trailers', () => {
  const trailers = frame(
    FRAME.headers,
    END_HEADERS | END_STREAM,
    1,
    block([
      ['x-sum', '7'],
      ['set-cookie', 'a=b'],
      ['x-forwarded-for', '1.2.3.4'],
    ]),
  );
  const ANSWER = [head(), data('fine'), trailers];

  it('go to a client that takes them, but for those that frame or belong in front', async () => {
    await open(() => ANSWER);
    bed.send('GET /v1/x HTTP/1.1\r\nhost: api\r\nconnection: te\r\nte: trailers\r\n\r\n');
    await bed.until('\r\n0\r\nx-sum: 7\r\n\r\n');
  });

  it('go to no other', async () => {
    await open(() => ANSWER);
    bed.send(GET);
    await bed.until('\r\n0\r\n\r\n');
    expect(bed.received()).not.toContain('x-sum');
  });
});

it('a call answered in compressed messages is refused where a credential is looked for', async () => {
  const compressed = head([
    ['content-type', 'application/grpc'],
    ['grpc-encoding', 'gzip'],
  ]);
  await open(() => [compressed, data('abc', END_STREAM)], { credential: { bearer: 'env:PW' } });
  bed.send(
    'POST /a/b HTTP/1.1\r\nhost: api\r\ncontent-type: application/grpc\r\nconnection: te\r\nte: trailers\r\ncontent-length: 0\r\n\r\n',
  );
  await bed.until('grpc-status: 13\r\n');
  expect(bed.received()).not.toContain('abc');
});

describe('a call that has two statuses', () => {
  const outcome = () => bed.ledger.events.find(({ kind }) => kind === 'outcome')?.detail;
  const GRPC: Pair = ['content-type', 'application/grpc'];
  const status = (...values: string[]): Pair[] => values.map((value): Pair => ['grpc-status', value]);
  const ends = (pairs: readonly Pair[]) => frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block(pairs));
  /** All fields of its answer, in front and behind. */
  async function call(): Promise<readonly string[]> {
    const session = connect('http://api', { createConnection: () => bed.client });
    session.on('error', () => {});
    const fields: string[] = [];
    const stream = session.request({
      ':method': 'POST',
      ':path': '/a/b',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream
      .on('error', () => {})
      .on('response', (_headers, _flags, raw?: string[]) => void fields.push(...(raw ?? [])))
      .on('trailers', (_headers: unknown, _flags: number, raw?: string[]) => void fields.push(...(raw ?? [])))
      .resume()
      .end(Buffer.alloc(5));
    await new Promise((resolve) => stream.once('close', resolve));
    session.destroy();
    return fields;
  }
  const statusesIn = (fields: readonly string[]) => fields.filter((_, at) => fields[at - 1] === 'grpc-status');

  it.each<readonly [string, readonly Buffer[]]>([
    ['behind its messages', [head([GRPC]), data('abc'), ends(status('0', '7'))]],
    ['alike, behind its messages', [head([GRPC]), data('abc'), ends(status('0', '0'))]],
    ['alone', [head([GRPC, ...status('0', '7')], END_STREAM)]],
    ['one before its messages and one behind', [head([GRPC, ...status('0')]), data('abc'), ends(status('7'))]],
  ])('%s has failed, and says so once', async (_, bytes) => {
    await open(() => bytes);
    // Of one that stands in front of messages clients think nothing.
    expect(statusesIn(await call()).filter((_one, at, all) => at > 0 || all.length === 1)).toEqual(['13']);
    expect(outcome()).toMatchObject({ status: 'failed' });
  });

  it.each([
    ['no number', [head([GRPC]), data(''), ends(status('fine'))]],
    ['none', [head([GRPC]), data('', END_STREAM)]],
  ])('or one that is %s has not been done', async (_name, bytes) => {
    await open(() => bytes);
    await call();
    expect(outcome()).toMatchObject({ status: 'failed', code: 'grpc-2' });
  });
});

it('a client of HTTP/1.1 that is silent amid a body is told so, whatever its type, where the target is none of gRPC', async () => {
  await open(() => [], { upstreamHttp2: false });
  bed.send(
    'POST /a/b HTTP/1.1\r\nhost: api\r\ncontent-type: application/grpc\r\nconnection: te\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n',
  );
  await eventually('it is upstream', () => sockets[0] !== undefined && sockets[0].bytesRead > 0);
  await bed.clock.advance(61_000);
  await bed.until('grpc-status: 14\r\n');
});

it('an answer before the request has ended is shown, and its connection is not used again', async () => {
  await open(() => FINE);
  bed.send('POST /v1/x HTTP/1.1\r\nhost: api\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n');
  await bed.until('fine');
  await bed.closed;
});

it('a goaway behind an answer has the next request go elsewhere', async () => {
  await open(() => [...FINE, goaway(1)]);
  bed.send(GET);
  await bed.until('fine');
  await eventually('it has gone', () => sockets[0]?.destroyed === true || sockets[0]?.readableEnded === true);
  bed.send(GET);
  await eventually('two', () => bed.received().split('fine').length === 3);
  expect(sockets).toHaveLength(2);
});

it('an upstream that answers and never takes the rest of the request is not asked by that connection again', async () => {
  await open(() => FINE);
  const body = 'x'.repeat(100_000);
  bed.send(`POST /v1/x HTTP/1.1\r\nhost: api\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await bed.until('fine');
  bed.send(GET);
  await eventually('two', () => bed.received().split('fine').length === 3);
  expect(sockets).toHaveLength(2);
});

it('the length of an answer is found, whatever other fields say of it', async () => {
  await open(() => [
    head([
      ['vary', 'content-length'],
      ['content-length', '4'],
    ]),
    data('fine', END_STREAM),
  ]);
  bed.send(GET);
  await bed.until('content-length: 4\r\n\r\nfine');
});

it('an upgrade is refused, since HTTP/2 has none', async () => {
  await open(() => FINE);
  bed.send('GET /v1/x HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  await bed.until('HTTP/1.1 501 ');
  expect(sockets).toEqual([]);
});

it('an upstream that heeds no window loses its connection', async () => {
  await open(() => [head(), ...Array.from({ length: 400 }, () => data('x'.repeat(16_000)))]);
  bed.client.pause();
  bed.send(GET);
  await eventually('it is gone', () => sockets[0]?.destroyed === true);
});

function heads(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, at) =>
    frame(FRAME.headers, END_HEADERS, 1, block([[`x-${at}`, 'a'.repeat(15_000)]])),
  );
}
function pieces(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, at) =>
    frame(FRAME.continuation, 0, 1, block([[`x-${at}`, 'a'.repeat(1_000)]])),
  );
}
function manyFields(count: number): Buffer {
  const bytes = block([[':status', '200'], ...Array.from({ length: count }, (): Pair => ['x-a', 'a'])]);
  const at = 16_000;
  return Buffer.concat([
    frame(FRAME.headers, 0, 1, bytes.subarray(0, at)),
    ...Array.from({ length: Math.ceil((bytes.length - at) / at) }, (_, n) =>
      frame(
        FRAME.continuation,
        at * (n + 2) >= bytes.length ? END_HEADERS : 0,
        1,
        bytes.subarray(at * (n + 1), at * (n + 2)),
      ),
    ),
  ]);
}
