import { describe, expect, it } from 'vitest';
import {
  encodeChunk,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  Http1Error,
  type RequestToSend,
  type ResponseToSend,
} from './index.ts';

const request: RequestToSend = {
  ...{ method: 'GET', target: '/a?b', host: 'example.org' },
  ...{ fields: [{ name: 'accept', value: '*/*' }], body: { kind: 'none' } },
};
const response: ResponseToSend = { status: 200, reason: 'OK', fields: [], body: { kind: 'none' } };
const said = (head: Buffer) => head.toString('latin1');

describe('what is sent', () => {
  it('is said in one way', () => {
    expect(said(encodeRequestHead(request))).toBe('GET /a?b HTTP/1.1\r\nhost: example.org\r\naccept: */*\r\n\r\n');
    expect(said(encodeRequestHead({ ...request, method: 'POST' }))).toContain('\r\ncontent-length: 0\r\n\r\n');
    expect(
      said(encodeRequestHead({ ...request, body: { kind: 'length', bytes: 7 }, close: true, trailers: true })),
    ).toContain('connection: close, te\r\nte: trailers\r\ncontent-length: 7\r\n\r\n');
    expect(said(encodeRequestHead({ ...request, upgrade: 'websocket' }))).toContain(
      'connection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    expect(said(encodeResponseHead(response))).toBe('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect(said(encodeResponseHead({ ...response, body: { kind: 'close' } }))).toBe(
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n',
    );
    expect(said(encodeResponseHead({ ...response, answersHead: true, announcedBytes: 12 }))).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n',
    );
    expect(said(encodeResponseHead({ status: 100, fields: [], body: { kind: 'none' } }))).toBe(
      'HTTP/1.1 100 Continue\r\n\r\n',
    );
    expect(said(Buffer.concat([...encodeChunk(Buffer.from('hello world, hello')), encodeLastChunk()]))).toBe(
      '12\r\nhello world, hello\r\n0\r\n\r\n',
    );
    expect(said(encodeLastChunk([{ name: 'x-sum', value: '7' }]))).toBe('0\r\nx-sum: 7\r\n\r\n');
    expect(encodeChunk(Buffer.alloc(0))).toEqual([]);
  });
});

describe('nothing is sent that the reader would refuse or leave out', () => {
  const code = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return error instanceof Http1Error ? error.code : error;
    }
    return undefined;
  };
  const field = (name: string, value: string) => ({ fields: [{ name, value }] });

  it.each([
    ['a line end in a value', 'x-a', 'b\r\nx-b: c'],
    ['a bare LF', 'x-a', 'b\nc'],
    ['a NUL', 'x-a', 'b\0c'],
    ['a byte beyond ASCII', 'x-a', '\xe4'],
    ['a character that is no byte', 'x-a', '\u0130'],
    ['a character whose low byte is a line end', 'x-a', 'b\u010dc\u010a'],
    ['a space before a value', 'x-a', ' b'],
    ['a tab behind a value', 'x-a', 'b\t'],
    ['a capital letter in a name', 'X-a', 'b'],
    ['a colon in a name', 'x-a:', 'b'],
    ['a line end in a name', 'x-a\r\nx-b', 'c'],
    ['no name', '', 'b'],
    ['a length', 'content-length', '5'],
    ['a coding', 'transfer-encoding', 'chunked'],
    ['a host', 'host', 'b'],
    ['a connection', 'connection', 'close'],
    ['an upgrade', 'upgrade', 'websocket'],
    ['an expectation', 'expect', '100-continue'],
    ['what is between neighbours', 'keep-alive', '5'],
    ['what is for a proxy', 'proxy-authorization', 'b'],
  ])('%s in a field', (_, name, value) => {
    expect(code(() => encodeRequestHead({ ...request, ...field(name, value) }))).toBe('ERR_HTTP1_FIELD');
    expect(code(() => encodeResponseHead({ ...response, ...field(name, value) }))).toBe('ERR_HTTP1_FIELD');
    expect(code(() => encodeLastChunk(field(name, value).fields))).toBe('ERR_HTTP1_FIELD');
  });

  it('bytes beyond ASCII, unless they are wanted', () => {
    const sent = { ...field('x-a', '\xe4'), allowObsText: true };
    expect(said(encodeRequestHead({ ...request, ...sent }))).toContain('x-a: \xe4\r\n');
    expect(said(encodeResponseHead({ ...response, ...sent, reason: '\xe4' }))).toContain('x-a: \xe4\r\n');
    expect(code(() => encodeRequestHead({ ...request, ...field('x-a', '\u0130'), allowObsText: true }))).toBe(
      'ERR_HTTP1_FIELD',
    );
  });

  it('twice what may stand there once', () => {
    const [one] = field('authorization', 'b').fields;
    const fields = one === undefined ? [] : [one, one];
    expect(code(() => encodeRequestHead({ ...request, fields }))).toBe('ERR_HTTP1_REPEATED');
    expect(
      code(() =>
        encodeRequestHead({
          ...request,
          fields: [
            { name: 'x-a', value: '' },
            { name: 'x-a', value: '' },
          ],
        }),
      ),
    ).toBeUndefined();
  });

  it.each<readonly [Partial<RequestToSend>, string]>([
    [{ method: 'G T' }, 'ERR_HTTP1_LINE'],
    [{ method: '' }, 'ERR_HTTP1_LINE'],
    [{ target: '/a b' }, 'ERR_HTTP1_TARGET'],
    [{ target: '/a\r\n' }, 'ERR_HTTP1_TARGET'],
    [{ target: '/a#b' }, 'ERR_HTTP1_TARGET'],
    [{ target: '' }, 'ERR_HTTP1_TARGET'],
    [{ target: 'http://example.org/' }, 'ERR_HTTP1_TARGET'],
    [{ target: '*' }, 'ERR_HTTP1_TARGET'],
    [{ method: 'CONNECT', target: '/' }, 'ERR_HTTP1_TARGET'],
    [{ host: 'a\r\nb' }, 'ERR_HTTP1_HOST'],
    [{ host: 'A' }, 'ERR_HTTP1_HOST'],
    [{ body: { kind: 'close' } }, 'ERR_HTTP1_FRAMING'],
    [{ body: { kind: 'length', bytes: -1 } }, 'ERR_HTTP1_FRAMING'],
    [{ body: { kind: 'length', bytes: 0.5 } }, 'ERR_HTTP1_FRAMING'],
    [{ body: { kind: 'length', bytes: 10 ** 15 } }, 'ERR_HTTP1_FRAMING'],
    [{ body: { kind: 'length', bytes: Number.NaN } }, 'ERR_HTTP1_FRAMING'],
    [{ upgrade: 'h2c' }, 'ERR_HTTP1_CONNECTION'],
    [{ upgrade: 'a\r\nb' }, 'ERR_HTTP1_CONNECTION'],
    [{ upgrade: 'WebSocket' }, 'ERR_HTTP1_CONNECTION'],
    [{ upgrade: '' }, 'ERR_HTTP1_CONNECTION'],
    [{ upgrade: 'websocket', body: { kind: 'chunked' } }, 'ERR_HTTP1_CONNECTION'],
  ])('the request %j', (wrong, expected) => {
    expect(code(() => encodeRequestHead({ ...request, ...wrong }))).toBe(expected);
  });

  it.each<readonly [Partial<ResponseToSend>, string]>([
    [{ status: 99 }, 'ERR_HTTP1_LINE'],
    [{ status: 600 }, 'ERR_HTTP1_LINE'],
    [{ status: 200.5 }, 'ERR_HTTP1_LINE'],
    [{ reason: 'O\r\nK' }, 'ERR_HTTP1_LINE'],
    [{ status: 101 }, 'ERR_HTTP1_CONNECTION'],
    [{ upgrade: 'websocket' }, 'ERR_HTTP1_CONNECTION'],
    [{ status: 204, body: { kind: 'chunked' } }, 'ERR_HTTP1_FRAMING'],
    [{ status: 304, body: { kind: 'length', bytes: 1 } }, 'ERR_HTTP1_FRAMING'],
    [{ answersHead: true, body: { kind: 'close' } }, 'ERR_HTTP1_FRAMING'],
    [{ announcedBytes: 5 }, 'ERR_HTTP1_FRAMING'],
    [{ announcedBytes: 5, answersHead: true, status: 204 }, 'ERR_HTTP1_FRAMING'],
  ])('the response %j', (wrong, expected) => {
    expect(code(() => encodeResponseHead({ ...response, ...wrong }))).toBe(expected);
  });

  it.each(['cookie', 'content-type', 'x-forwarded-for', 'host'])('%s behind a body', (name) => {
    expect(code(() => encodeLastChunk([{ name, value: 'b' }]))).toBe('ERR_HTTP1_FIELD');
  });
});
