import { describe, expect, it } from 'vitest';
import { readResponses } from './testing/read.ts';

const answer = (status: string, ...lines: string[]) =>
  `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

/** The one response to a request of that method. */
function one(bytes: string, method = 'GET', upgrade?: string) {
  const { messages, error } = readResponses(bytes, [method], upgrade === undefined ? {} : { upgrade });
  expect(error).toBeUndefined();
  expect(messages).toHaveLength(1);
  const [message] = messages;
  if (message === undefined) throw new Error('no message');
  return message;
}

const errorOf = (bytes: string, methods?: readonly string[]) => readResponses(bytes, methods).error;

describe('a response', () => {
  it('is read like a request, with its status and reason', () => {
    const { head, body, trailers } = one(
      `${answer('201 Made it', 'Server: x', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'Keep-Alive: 5', 'Content-Length: 2')}hi`,
    );
    expect(head).toMatchObject({
      ...{ status: 201, reason: 'Made it', version: '1.1', body: { kind: 'length', bytes: 2 }, keepAlive: true },
      fields: [
        { name: 'server', value: 'x' },
        { name: 'set-cookie', value: 'a=1' },
        { name: 'set-cookie', value: 'b=2' },
      ],
    });
    expect([body.toString(), trailers]).toEqual(['hi', []]);
  });

  it('without a length ends with the connection, and is the last', () => {
    const { head, body, trailers } = one(`${answer('200 OK')}all of it`);
    expect([head.body, head.keepAlive]).toEqual([{ kind: 'close' }, false]);
    expect([body.toString(), trailers]).toEqual(['all of it', []]);
  });

  it('has no body when the method or the status says so, whatever its length says', () => {
    const { messages, error } = readResponses(
      answer('200 OK', 'Content-Length: 7') + answer('304 Not Modified', 'Content-Length: 9') + answer('204 None'),
      ['HEAD', 'GET', 'GET'],
    );
    expect(error).toBeUndefined();
    expect(messages.map(({ head }) => [head.body.kind, head.announcedBytes])).toEqual([
      ['none', 7],
      ['none', 9],
      ['none', undefined],
    ]);
  });

  it('may have interim ones before it, eight at most', () => {
    const hints = answer('103 Early Hints', 'Link: </a>');
    const { head, informational } = one(hints.repeat(8) + answer('200 OK', 'Content-Length: 0'));
    expect(head.status).toBe(200);
    expect(informational.map(({ status }) => status)).toEqual(Array(8).fill(103));
    expect(errorOf(hints.repeat(9))).toBe('ERR_HTTP1_UNEXPECTED');
  });

  it('that nobody asked for is refused', () => {
    const ok = answer('200 OK', 'Content-Length: 0');
    expect(readResponses(ok + ok, ['GET'])).toMatchObject({
      messages: [{ body: Buffer.alloc(0) }],
      error: 'ERR_HTTP1_UNEXPECTED',
    });
    expect(errorOf(`${ok}\r\n`)).toBe('ERR_HTTP1_UNEXPECTED');
  });

  it('may change the protocol to the one that was asked for alone', () => {
    const change = answer('101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: WebSocket');
    expect(one(change, 'GET', 'websocket').head).toMatchObject({ upgrade: 'websocket', body: { kind: 'none' } });
    expect(errorOf(change)).toBe('ERR_HTTP1_UNEXPECTED');
    expect(readResponses(change, ['GET'], { upgrade: 'other' }).error).toBe('ERR_HTTP1_UNEXPECTED');
  });
});
