/** What clients of HTTP/2 may send and none should: each row of the table in decision 0041 by the bytes of its frames. */
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import {
  block,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  type Heard,
  hear,
  type Pair,
  PREFACE,
  pseudo,
  request,
  uint32,
} from '../testing/frames.ts';
import { answerOf, type HttpBed, openHttp } from '../testing/harness.ts';

let bed: HttpBed;
let heard: Heard;
afterEach(() => bed?.close());

async function open(): Promise<void> {
  bed = await openHttp({ answer: (text) => (isWhole(text) ? answerOf('{"ok":true}') : undefined) });
  heard = hear(bed.client);
  bed.client.write(PREFACE);
}
/** All of the request is there that came last. */
function isWhole(text: string): boolean {
  const [head = '', ...rest] = (text.split('\n---\n').at(-1) ?? '').split('\r\n\r\n');
  if (head.includes('chunked')) return text.endsWith('0\r\n\r\n');
  return rest.length > 0 && rest.join('').length >= Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
}
const send = (...frames: readonly Buffer[]) => void bed.client.write(Buffer.concat(frames));
const POST = pseudo({ ':method': 'POST' });
const denials = () => bed.ledger.events.filter(({ kind }) => kind === 'denial').length;
/** The client is told no, by an answer or by the end of its stream or connection, and nothing of it has reached the upstream. */
async function isRefused(how: 'answer' | 'reset' | 'either' = 'either', stream = 1): Promise<void> {
  await eventually(
    'it is refused',
    () => heard.statuses.has(stream) || heard.resets.has(stream) || heard.goaways.length > 0,
  );
  const status = heard.statuses.get(stream);
  if (how === 'answer') expect(status).toBe(400);
  if (how === 'reset') expect(status).toBeUndefined();
  expect(status).not.toBe(200);
  expect(bed.upstream.join('')).not.toMatch(/\r\n\r\n/);
  expect(bed.asked).toEqual([]);
}

describe('what is no request', () => {
  const faulty: (readonly [string, readonly Pair[]])[] = [
    ['a CR in a value', [['x-a', 'a\rb']]],
    ['an LF in a value', [['x-a', 'a\nx-admin: 1']]],
    ['a NUL in a value', [['x-a', 'a\0b']]],
    ['a blank before a value', [['x-a', ' a']]],
    ['a blank behind a value', [['x-a', 'a ']]],
    ['a byte beyond ASCII in a value', [['x-a', 'caf\xe9']]],
    ['a line end in a name', [['x-a\r\nx-b', 'a']]],
    ['a colon in a name', [['x-a:', 'a']]],
    ['a blank in a name', [['x a', 'a']]],
    ['no name', [['', 'a']]],
    ['a name with a dot that the upstream may fold', [['x.forwarded.for', 'a']]],
    ['a host beside another authority', [['host', 'admin']]],
    [
      'a content type twice',
      [
        ['content-type', 'a/b'],
        ['content-type', 'c/d'],
      ],
    ],
    [
      'an authorization twice',
      [
        ['authorization', 'a'],
        ['authorization', 'b'],
      ],
    ],
    ['an expectation that is unknown', [['expect', 'more']]],
    ['a length without a body', [['content-length', '5']]],
  ];
  it.each(faulty)('is refused with a word, and recorded: %s', async (_, fields) => {
    await open();
    send(request(1, [...pseudo(), ...fields]));
    await isRefused(fields[0]?.[0] === 'expect' || fields[0]?.[0] === 'content-length' ? 'either' : 'answer');
    if (heard.statuses.has(1)) expect(denials()).toBe(1);
    expect(bed.ledger.events.map(({ kind }) => kind)).not.toContain('intent');
  });

  it.each([
    ['a fragment', { ':path': '/v1/x#/admin' }],
    ['a byte beyond ASCII', { ':path': '/v1/caf\xe9' }],
    ['another scheme', { ':scheme': 'https' }],
    ['an unknown scheme', { ':scheme': 'gopher' }],
    ['the absolute form', { ':path': 'http://api/v1/x' }],
    ['dots', { ':path': '/v1/../admin' }],
    ['an encoded slash', { ':path': '/v1%2fadmin' }],
    ['user info', { ':authority': 'me@api' }],
    ['a path in its authority', { ':authority': 'api/x' }],
    ['a blank in its path', { ':path': '/v1/x HTTP/1.1' }],
    ['a line end in its path', { ':path': '/v1/x\r\nhost: b' }],
    ['an empty path', { ':path': '' }],
    ['a blank in its method', { ':method': 'GET /admin' }],
  ])('is refused where the target has %s', async (_, other) => {
    await open();
    send(request(1, pseudo(other)));
    await isRefused();
  });

  it.each<readonly [string, readonly Pair[]]>([
    ['transfer-encoding', [...pseudo(), ['transfer-encoding', 'chunked']]],
    ['connection', [...pseudo(), ['connection', 'close']]],
    ['keep-alive', [...pseudo(), ['keep-alive', '1']]],
    ['proxy-connection', [...pseudo(), ['proxy-connection', 'close']]],
    ['upgrade', [...pseudo(), ['upgrade', 'h2c']]],
    ['HTTP2-Settings', [...pseudo(), ['http2-settings', 'AAMAAABk']]],
    ['te: gzip', [...pseudo(), ['te', 'gzip']]],
    ['a name in capitals', [...pseudo(), ['X-A', 'b']]],
    ['two hosts', [...pseudo(), ['host', 'api'], ['host', 'api']]],
    ['a pseudo-header twice', [...pseudo(), [':path', '/b']]],
    ['a pseudo-header that is unknown', [...pseudo(), [':admin', '1']]],
    ['a pseudo-header behind fields', [['x-a', 'b'], ...pseudo()]],
    ['no host at all', pseudo().filter(([name]) => name !== ':authority')],
  ])('is refused: %s', async (_, fields) => {
    await open();
    send(request(1, fields));
    await isRefused();
  });

  it.each([
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'api:443'],
      ],
    ],
    ['CONNECT of RFC 8441', [...pseudo({ ':method': 'CONNECT' }), [':protocol', 'websocket']]],
  ] as readonly (readonly [string, readonly Pair[]])[])('asks for a tunnel by %s and gets none', async (_, fields) => {
    await open();
    send(frame(FRAME.headers, END_HEADERS, 1, block(fields)));
    await isRefused();
  });
});

describe('a body that is not as long as was said', () => {
  it.each([
    ['longer', '3', 'abcd'],
    ['shorter', '9', 'abc'],
    ['of no byte', '0', 'abc'],
  ])('is never carried out: one %s', async (_, length, body) => {
    await open();
    send(
      frame(FRAME.headers, END_HEADERS, 1, block([...POST, ['content-length', length]])),
      frame(FRAME.data, END_STREAM, 1, Buffer.from(body)),
    );
    await eventually('its end', () => heard.resets.has(1) || heard.goaways.length > 0);
    expect(heard.statuses.get(1)).not.toBe(200);
    expect(bed.upstream.join('')).not.toContain('---'); // The upstream has answered nothing: it had no whole request.
    expect(wholeBodies()).toEqual([]);
  });

  it('is not carried out when more comes later, in a frame of its own', async () => {
    await open();
    send(frame(FRAME.headers, END_HEADERS, 1, block([...POST, ['content-length', '3']])));
    send(frame(FRAME.data, 0, 1, Buffer.from('abc')));
    await bed.heard('content-length: 3');
    send(frame(FRAME.data, END_STREAM, 1, Buffer.from('d')));
    await eventually('its end', () => heard.resets.has(1) || heard.goaways.length > 0);
    expect(wholeBodies()).toEqual([]);
  });

  it('is refused with two lengths', async () => {
    await open();
    send(request(1, [...POST, ['content-length', '3'], ['content-length', '3']], 'abc'));
    await isRefused();
  });

  it.each([0, 8])('is not taken for whole when its client takes it back with code %i', async (code) => {
    await open();
    send(frame(FRAME.headers, END_HEADERS, 1, block(POST)), frame(FRAME.data, 0, 1, Buffer.from('abc')));
    await bed.heard('abc');
    send(frame(FRAME.reset, 0, 1, uint32(code)));
    await eventually('its outcome', () => bed.ledger.events.some(({ kind }) => kind === 'outcome'));
    expect(bed.upstream.join('')).not.toContain('0\r\n\r\n');
    expect(bed.ledger.events.find(({ kind }) => kind === 'outcome')?.detail['status']).toBe('unknown');
  });

  it.each<readonly [string, readonly Pair[]]>([
    ['a pseudo-header', [[':path', '/admin']]],
    ['content-length', [['content-length', '3']]],
    ['transfer-encoding', [['transfer-encoding', 'chunked']]],
  ])('is not taken for whole with %s behind it', async (_, trailers) => {
    await open();
    send(
      frame(FRAME.headers, END_HEADERS, 1, block(POST)),
      frame(FRAME.data, 0, 1, Buffer.from('abc')),
      frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block(trailers)),
    );
    await eventually('its end', () => heard.resets.has(1) || heard.goaways.length > 0 || heard.statuses.has(1));
    expect(heard.statuses.get(1)).not.toBe(200);
    expect(bed.upstream.join('')).not.toContain('0\r\n\r\n');
  });

  const wholeBodies = () => bed.upstream.filter((text) => /\r\n\r\n(?:abc|3\r\nabc\r\n0\r\n\r\n)/.test(text));
});

describe('too much', () => {
  it.each([
    [
      'one field of 40 kB',
      [
        ['x-a', 'a'.repeat(16_000)],
        ['x-b', 'b'.repeat(20_000)],
      ],
    ],
    ['101 fields', Array.from({ length: 101 }, (_, at) => [`x-${at}`, 'a'])],
  ] as readonly (readonly [string, readonly Pair[]])[])('is refused with a word: %s', async (_, fields) => {
    await open();
    const bytes = block([...pseudo(), ...fields]);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 16_000) }, (_, at) =>
      bytes.subarray(at * 16_000, (at + 1) * 16_000),
    );
    const last = pieces.length - 1;
    send(
      ...pieces.map((piece, at) =>
        at === 0
          ? frame(FRAME.headers, END_STREAM | (last === 0 ? END_HEADERS : 0), 1, piece)
          : frame(FRAME.continuation, at === last ? END_HEADERS : 0, 1, piece),
      ),
    );
    await isRefused();
    if (heard.goaways.length === 0) expect(heard.statuses.has(1)).toBe(true);
  });

  it('is refused whatever it is: 2,000 fields', async () => {
    await open();
    send(request(1, [...pseudo(), ...Array.from({ length: 2_000 }, (): Pair => ['x', 'a'])]));
    await isRefused('reset');
  });

  const pings = (times: number) => Array.from({ length: times }, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
  const floods: (readonly [string, readonly Buffer[]])[] = [
    [
      'a head of 200 kB in pieces',
      [
        frame(FRAME.headers, END_STREAM, 1, block(pseudo())),
        ...Array.from({ length: 20 }, () => frame(FRAME.continuation, 0, 1, block([['x-a', 'a'.repeat(10_000)]]))),
      ],
    ],
    [
      'a head of a thousand empty pieces',
      [
        frame(FRAME.headers, END_STREAM, 1, block(pseudo())),
        ...Array.from({ length: 1_000 }, () => frame(FRAME.continuation, 0, 1)),
      ],
    ],
    ['10,000 settings', Array.from({ length: 10_000 }, () => frame(FRAME.settings, 0, 0))],
    ['10,000 pings', pings(10_000)],
    ['10,000 priorities', Array.from({ length: 10_000 }, () => frame(FRAME.priority, 0, 1, Buffer.alloc(5, 3)))],
    ['10,000 frames of unknown kinds', Array.from({ length: 10_000 }, () => frame(0x42, 0, 0))],
    ['10,000 windows', Array.from({ length: 10_000 }, () => frame(FRAME.windowUpdate, 0, 0, uint32(1)))],
    [
      '10,000 pieces of a body without a byte',
      [
        frame(FRAME.headers, END_HEADERS, 1, block(POST)),
        ...Array.from({ length: 10_000 }, () => frame(FRAME.data, 0, 1)),
      ],
    ],
    ['a window larger by nothing', [frame(FRAME.windowUpdate, 0, 0, uint32(0))]],
  ];
  it.each(floods)('ends the connection, and nothing else: %s', async (_, frames) => {
    await open();
    send(...frames);
    await bed.closed;
    await bed.served;
    expect(bed.logged.filter((line) => line.includes('session_bug'))).toEqual([]);
  });

  it('a few hundred requests that are taken back in the same write begin nothing', async () => {
    await open();
    const id = (at: number) => at * 2 + 1;
    send(
      ...Array.from({ length: 3_000 }, (_, at) =>
        Buffer.concat([request(id(at), pseudo()), frame(FRAME.reset, 0, id(at), uint32(8))]),
      ),
    );
    await bed.closed;
    await bed.served;
    expect(bed.asked.length).toBeLessThan(3);
    expect(bed.upstream.length).toBeLessThan(3);
  });

  it('streams that the server has to take back are counted as well', async () => {
    await open();
    const wrong = (at: number) =>
      Buffer.concat([
        frame(FRAME.headers, END_HEADERS, at * 2 + 1, block(POST)),
        frame(FRAME.windowUpdate, 0, at * 2 + 1, uint32(2 ** 31 - 1)),
      ]);
    for (let at = 0; at < 1_000 && !bed.client.destroyed; at++) {
      send(wrong(at));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await bed.closed;
    await bed.served;
    expect(bed.asked.length).toBeLessThan(250);
  });

  it('more streams at once than may be are refused, and those that may be are served', async () => {
    await open();
    send(...Array.from({ length: 130 }, (_, at) => request(at * 2 + 1, pseudo())));
    await eventually('all are told', () => heard.statuses.size + heard.resets.size === 130);
    expect([...heard.statuses.values()].every((status) => status === 200)).toBe(true);
    expect(heard.statuses.size).toBeGreaterThanOrEqual(100);
    expect(new Set(heard.resets.values())).toEqual(new Set(heard.resets.size === 0 ? [] : [7]));
  });
});
