import { assert } from '../../../../std/index.ts';
import { createResponseReader, encodeChunk, Http1Error } from '../../../../wire/http1/index.ts';
import { answerEnd, answerHead } from './h2-messages.ts';

/**
 * Lines, names and values in turn, as node:http2 tells of an answer, and behind an empty one its trailers; the first byte says what was asked. Whatever is
 * not refused is one answer to a reader of HTTP/1.1, of that status, whose end is where it was said.
 */
export function fuzz(input: Uint8Array): void {
  const flags = input[0] ?? 0;
  const [front = '', behind = ''] = Buffer.from(input.subarray(1)).toString('latin1').split('\n\n');
  const method = (flags & 1) === 1 ? 'HEAD' : 'GET';
  const endsThere = (flags & 2) !== 0;
  const raw = pairsOf(front);
  const made = orRefused(() => answerHead(raw, { method, endsThere }));
  if (made === undefined) return;
  const { bytes, body } = made;
  const reader = createResponseReader({ allowObsText: true, headBytesMax: 256 * 1024, fieldsMax: 10_000 });
  reader.expect(method);
  reader.push(bytes);
  const read = orRefused(() => [reader.next()]);
  if (read === undefined) return; // Its session takes it for none.
  const [first] = read;
  if (first?.kind === 'informational') return;
  if (first?.kind !== 'head') throw new Error('it is no answer in HTTP/1.1');
  assert(String(first.head.status) === String(Number(raw[raw.indexOf(':status') + 1])), 'another status');
  const framing = body.kind === 'length' && body.bytes === 0 ? 'none' : body.kind;
  assert(first.head.body.kind === framing || first.head.body.kind === body.kind, 'another framing');
  if (body.kind !== 'chunked') return;
  reader.push(Buffer.concat([...encodeChunk(Buffer.from('abc')), answerEnd(pairsOf(behind))]));
  assert(reader.next()?.kind === 'data', 'a body that does not begin');
  assert(reader.next()?.kind === 'end' && reader.next() === undefined, 'trailers that are not the end');
}

function pairsOf(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.length % 2 === 0 ? lines : lines.slice(0, -1);
}

function orRefused<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof Http1Error) return undefined;
    throw error;
  }
}

const seed = (flags: number, ...lines: readonly string[]) =>
  Buffer.from(`${String.fromCharCode(flags)}${lines.join('\n')}`, 'latin1');
export const seeds: readonly Uint8Array[] = [
  seed(0, ':status', '200', 'content-type', 'application/grpc', '', 'grpc-status', '0', 'grpc-message', 'fine'),
  seed(0, ':status', '200', 'content-length', '3', 'vary', 'content-length'),
  seed(1, ':status', '200', 'content-length', '3'),
  seed(2, ':status', '204'),
  seed(2, ':status', '304', 'content-length', '9', 'etag', '"a"'),
  seed(0, ':status', '404', 'set-cookie', 'a=b', 'x-a', 'caf\xe9', '', 'content-length', '3', 'x-sum', '7'),
];
export const tokens = [
  ...[
    '\n',
    '\n\n',
    '\r',
    '\0',
    ':',
    ' ',
    '\x80',
    ':status\n',
    '\ncontent-length\n0',
    '\ncontent-length\n-1',
    '\nconnection\nclose',
  ],
  ...[
    '\ntransfer-encoding\nchunked',
    '\ngrpc-status\n7',
    '\ntrailer\nx',
    '\nhost\na',
    '100',
    '101',
    '199',
    '600',
    '2oo',
  ],
];
