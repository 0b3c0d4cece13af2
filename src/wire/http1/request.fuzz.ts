import { isDeepStrictEqual } from 'node:util';
import { createRequestReader, encodeChunk, encodeLastChunk, encodeRequestHead, type RequestHead } from './index.ts';
import { cut, drain, type ReadMessage, readRequests } from './testing/read.ts';

/** What a hostile client sends: read alike wherever it is cut; what is sent on reads as the same requests, and as no other beside them. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const limits = { allowObsText: (input.length & 1) === 1 };
  const whole = readRequests(bytes, limits);
  for (const pieceBytes of [1, 1 + ((input[0] ?? 0) % 37)])
    if (!isDeepStrictEqual(drain(createRequestReader(limits), cut(bytes, pieceBytes)), whole))
      throw new Error(`read otherwise in pieces of ${pieceBytes}`);
  const complete = whole.messages.filter(({ trailers }) => trailers !== undefined);
  for (const { head, body } of complete) checkHead(head, body);
  const sent = Buffer.concat(complete.map((message) => encode(message, limits.allowObsText)));
  const again = readRequests(sent, { ...limits, headBytesMax: 64 * 1024, fieldsMax: 200 });
  if (again.error !== undefined) throw new Error(`what is sent on is refused: ${again.error}`);
  if (!isDeepStrictEqual(again.messages.map(comparable), complete.map(comparable)))
    throw new Error('what is sent on is read as something else');
}

/** What every reader behind us may rely on. */
function checkHead(head: RequestHead, body: Buffer): void {
  if (head.body.kind === 'length' && head.body.bytes !== body.length) throw new Error('a body of another length');
  if (head.body.kind === 'none' && body.length > 0) throw new Error('a body where none is');
  for (const { name, value } of head.fields) {
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw new Error('a name that is no token in lower case');
    if (!/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value))
      throw new Error('a value that none may have');
    if (/^(host|connection|te|transfer-encoding|content-length|expect|upgrade|keep-alive|trailer)$/.test(name))
      throw new Error('a field that is between neighbours');
  }
  if (/[\s#]/.test(head.target) || /[^a-z0-9._:[\]-]/.test(head.host))
    throw new Error('a target or host of two readings');
}

function encode({ head, body, trailers }: ReadMessage<RequestHead>, allowObsText: boolean): Buffer {
  const { method, target, host, fields } = head;
  const bytes = encodeRequestHead({
    ...{ method, target, host, fields, body: head.body, close: !head.keepAlive, allowObsText },
    ...(head.upgrade !== undefined && { upgrade: head.upgrade }),
    trailers: head.acceptsTrailers,
  });
  if (head.body.kind !== 'chunked') return Buffer.concat([bytes, body]);
  const plain = allowObsText ? [] : trailers;
  return Buffer.concat([bytes, ...encodeChunk(body), encodeLastChunk(plain)]);
}

/** What must be the same at the next reader. */
function comparable({ head, body }: ReadMessage<RequestHead>): unknown {
  const { method, target, host, fields, upgrade, acceptsTrailers, keepAlive } = head;
  return { method, target, host, fields, upgrade, acceptsTrailers, keepAlive, kind: head.body.kind, body };
}

const get = (...lines: string[]) =>
  `GET /a?b=c HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

export const seeds: readonly Uint8Array[] = [
  get(),
  get('Accept: */*', 'X-Many: 1', 'x-many:\t2 ', 'Connection: keep-alive, X-Own', 'X-Own: 1', 'TE: trailers'),
  get('Connection: upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'),
  get('Connection: upgrade, http2-settings', 'Upgrade: h2c', 'HTTP2-Settings: x'),
  `POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\n\r\nhello${get()}`,
  'PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi',
  'POST http://A/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
  `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get()}`,
].map((text) => Buffer.from(text, 'latin1'));

export const tokens = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    '\t',
    ' ',
    ':',
    ';',
    ',',
    '#',
    '\0',
    '\x80',
    '0\r\n\r\n',
    '5\r\nhello\r\n',
    '00',
    'HTTP/1.1',
    'HTTP/1.0',
  ],
  ...[
    '\r\nContent-Length: 5',
    '\r\nContent-Length: 0',
    '\r\nTransfer-Encoding: chunked',
    '\r\nTransfer-Encoding: gzip, chunked',
  ],
  ...[
    '\r\nConnection: close',
    '\r\nConnection: content-length',
    '\r\nUpgrade: websocket',
    '\r\nHost: b',
    '\r\nExpect: 100-continue',
  ],
  ...['GET ', 'POST ', 'HEAD ', 'OPTIONS ', 'CONNECT ', 'http://a', '*', '\r\nCookie: a', '\r\nX-Sum: 1'],
];
