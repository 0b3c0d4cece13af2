import { describe, expect, it } from 'vitest';
import {
  encodeChunk,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
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
    expect(said(encodeResponseHead({ status: 100, fields: [], body: { kind: 'none' } }))).toBe('HTTP/1.1 100 \r\n\r\n');
    expect(said(Buffer.concat([...encodeChunk(Buffer.from('hello world, hello')), encodeLastChunk()]))).toBe(
      '12\r\nhello world, hello\r\n0\r\n\r\n',
    );
    expect(said(encodeLastChunk([{ name: 'x-sum', value: '7' }]))).toBe('0\r\nx-sum: 7\r\n\r\n');
    expect(encodeChunk(Buffer.alloc(0))).toEqual([]);
  });
});
