import { describe, expect, it } from 'vitest';
import { createRequestReader } from './index.ts';
import { readRequests } from './testing/read.ts';

/** The one request that these bytes are. */
function one(bytes: string) {
  const { messages, error } = readRequests(bytes);
  expect(error).toBeUndefined();
  expect(messages).toHaveLength(1);
  const [message] = messages;
  if (message === undefined) throw new Error('no message');
  return message;
}

const get = (...lines: string[]) => `GET / HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const post = (framing: string, body: string) => `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`;

describe('a request', () => {
  it('is read with its names in lower case, its values trimmed, and what is between neighbours left out', () => {
    const { head, body, trailers } = one(
      'GET /v1/a?b=c HTTP/1.1\r\nHost: API.example.org:8443\r\nAccept:*/*\r\nX-Many: 1\r\nx-many: \t2 \t\r\n' +
        'Connection: keep-alive, X-Own\r\nX-Own: gone\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nX-Empty:\r\n\r\n',
    );
    expect(head).toEqual({
      ...{ method: 'GET', target: '/v1/a?b=c', version: '1.1', host: 'api.example.org:8443' },
      fields: [
        { name: 'accept', value: '*/*' },
        { name: 'x-many', value: '1' },
        { name: 'x-many', value: '2' },
        { name: 'x-empty', value: '' },
      ],
      ...{ body: { kind: 'none' }, keepAlive: true, expectsContinue: false, upgrade: undefined },
      ...{ acceptsTrailers: true, headBytes: 182 },
    });
    expect(body).toHaveLength(0);
    expect(trailers).toEqual([]);
  });

  it('has the body that its length says, and the next follows', () => {
    const { messages, error } = readRequests(post('Content-Length: 5', 'hello') + get());
    expect(error).toBeUndefined();
    expect(messages.map(({ head, body }) => [head.method, body.toString()])).toEqual([
      ['POST', 'hello'],
      ['GET', ''],
    ]);
  });

  it('has the body that its chunks hold, without their extensions, and the trailers that may be', () => {
    const { head, body, trailers } = one(
      post(
        'Transfer-Encoding: Chunked',
        '5;a=b\r\nhello\r\nA\r\n, my world\r\n0;last\r\nX-Sum: 7\r\nCookie: a\r\nContent-Type: b\r\n\r\n',
      ),
    );
    expect(head.body).toEqual({ kind: 'chunked' });
    expect(body.toString()).toBe('hello, my world');
    expect(trailers).toEqual([{ name: 'x-sum', value: '7' }]);
  });

  it('of a length of 0 has no body', () => {
    expect(one(post('Content-Length: 0', '')).head.body).toEqual({ kind: 'none' });
  });

  it('shows its body where it lies, uncopied', () => {
    const chunk = Buffer.from(post('Content-Length: 5', 'hello'), 'latin1');
    const reader = createRequestReader();
    reader.push(chunk);
    reader.next();
    const event = reader.next();
    if (event?.kind !== 'data') throw new Error('no data');
    expect(event.bytes.buffer).toBe(chunk.buffer);
    const whole = Buffer.from('12345');
    const another = createRequestReader();
    another.push(Buffer.from(post('Content-Length: 5', ''), 'latin1'));
    another.next();
    another.push(whole);
    expect(another.next()).toEqual({ kind: 'data', bytes: whole });
  });
});
