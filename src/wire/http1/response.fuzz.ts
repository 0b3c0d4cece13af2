import { isDeepStrictEqual } from 'node:util';
import { encodeChunk, encodeLastChunk, encodeResponseHead, type ResponseHead } from './index.ts';
import { type ReadMessage, readResponses } from './testing/read.ts';

/**
 * What a hostile server sends: the first byte says what was asked for. Read alike wherever it is cut; no more than one response to a request,
 * and what is sent on reads as the same.
 */
export function fuzz(input: Uint8Array): void {
  const asked = input[0] ?? 0;
  const methods = METHODS[asked % METHODS.length] ?? ['GET'];
  const bytes = Buffer.from(input.subarray(1));
  const whole = readResponses(bytes, methods, OPTIONS);
  for (const pieceBytes of [1, 1 + (asked % 37)])
    if (!isDeepStrictEqual(readResponses(bytes, methods, { ...OPTIONS, pieceBytes }), whole))
      throw new Error(`read otherwise in pieces of ${pieceBytes}`);
  if (whole.messages.length > methods.length) throw new Error('more responses than requests');
  const complete = whole.messages.filter(({ trailers }) => trailers !== undefined);
  for (const [at, message] of complete.entries()) checkAgain(message, methods[at] ?? 'GET');
}

function checkAgain(message: ReadMessage<ResponseHead>, method: string): void {
  const { head, body } = message;
  if (head.body.kind === 'length' && head.body.bytes !== body.length) throw new Error('a body of another length');
  if (head.body.kind === 'none' && body.length > 0) throw new Error('a body where none is');
  if (method === 'CONNECT' && head.status < 300) return; // Nobody sends that on.
  const again = readResponses(encode(message, method), [method], {
    ...OPTIONS,
    limits: { headBytesMax: 64 * 1024, fieldsMax: 200 },
  });
  const [same] = again.messages;
  if (again.error !== undefined || again.messages.length !== 1 || same === undefined)
    throw new Error(`what is sent on is refused: ${again.error}`);
  if (!isDeepStrictEqual(comparable(same), comparable(message)))
    throw new Error('what is sent on is read as something else');
}

function encode({ head, body, informational, trailers }: ReadMessage<ResponseHead>, method: string): Buffer {
  const interim = informational.map(({ status, reason, fields }) =>
    encodeResponseHead({ status, reason, fields, body: { kind: 'none' } }),
  );
  const { status, reason, fields, announcedBytes, upgrade } = head;
  const bytes = encodeResponseHead({
    ...{ status, reason, fields, body: head.body, close: !head.keepAlive, answersHead: method === 'HEAD' },
    ...{ announcedBytes, upgrade },
  });
  const chunked = [...encodeChunk(body), encodeLastChunk(trailers)];
  return Buffer.concat([...interim, bytes, ...(head.body.kind === 'chunked' ? chunked : [body])]);
}

function comparable({ head, body, informational, trailers }: ReadMessage<ResponseHead>): unknown {
  const { status, reason, fields, upgrade, keepAlive, announcedBytes } = head;
  const interim = informational.map((one) => [one.status, one.reason, one.fields]);
  return { status, reason, fields, upgrade, keepAlive, announcedBytes, kind: head.body.kind, body, interim, trailers };
}

const METHODS = [['GET'], ['HEAD', 'GET'], ['POST', 'GET', 'GET'], ['CONNECT']];
const OPTIONS = { upgrade: 'websocket' };

export const seeds: readonly Uint8Array[] = [
  '\0HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  '\0HTTP/1.0 200\r\nContent-Type: a/b\r\n\r\nto the end',
  '\x01HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
  '\x02HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 None\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
  '\0HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbytes',
  '\x03HTTP/1.1 200 Granted\r\n\r\nbytes',
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
    ',',
    '\0',
    '\x80',
    '0\r\n\r\n',
    '5\r\nhello\r\n',
    'HTTP/1.1 ',
    'HTTP/1.0 ',
  ],
  ...[
    '\r\nContent-Length: 5',
    '\r\nContent-Length: 0',
    '\r\nTransfer-Encoding: chunked',
    '\r\nConnection: close',
    '\r\nSet-Cookie: a',
  ],
  ...[
    '100',
    '101',
    '103',
    '199',
    '200',
    '204',
    '304',
    '599',
    '600',
    'HTTP/1.1 200 OK\r\n',
    '\r\nUpgrade: websocket',
    '\r\nConnection: upgrade',
  ],
];
