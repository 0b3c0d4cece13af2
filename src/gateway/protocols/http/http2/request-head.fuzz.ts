import { isDeepStrictEqual } from 'node:util';
import { assert } from '../../../../std/index.ts';
import { createRequestReader } from '../../../../wire/http1/index.ts';
import { encodeHead, isGrpcCall, requestOf } from './request-head.ts';

/**
 * Lines, names and values in turn, as node:http2 tells of a stream; the first byte says whether a body follows and whether a field was lost. Whatever is not
 * refused is one request to a reader of HTTP/1.1, with the same words, and nothing behind it.
 */
export function fuzz(input: Uint8Array): void {
  const flags = input[0] ?? 0;
  const lines = Buffer.from(input.subarray(1)).toString('latin1').split('\n');
  const rawHeaders = lines.length % 2 === 0 ? lines : lines.slice(0, -1);
  const isWhole = (flags & 1) === 1;
  const lost = flags % 16 === 0 ? 1 : 0;
  isGrpcCall(rawHeaders);
  const request = requestOf({ rawHeaders, fieldsSent: rawHeaders.length / 2 + lost, isWhole, scheme: 'https' });
  if ('status' in request) {
    assert(request.status >= 400 && request.message !== '' && request.hint !== '', 'a refusal that does not say why');
    return;
  }
  assert(lost === 0, 'a request of which a field was dropped on the way');
  const reader = createRequestReader({ headBytesMax: 128 * 1024, fieldsMax: 200 });
  reader.push(encodeHead(request, isWhole ? { kind: 'none' } : { kind: 'chunked' }));
  const read = reader.next();
  if (read?.kind !== 'head') throw new Error('it is no request in HTTP/1.1');
  const { method, target, host, fields, acceptsTrailers } = read.head;
  assert(method === request.method && target === request.target && host === request.host, 'another request');
  assert(isDeepStrictEqual(fields, request.fields), 'other fields');
  assert(acceptsTrailers === request.acceptsTrailers, 'other trailers');
  assert(read.head.keepAlive && read.head.upgrade === undefined, 'it says more of its connection than was said');
  const next = reader.next();
  assert(isWhole ? next?.kind === 'end' && reader.next() === undefined : next === undefined, 'something behind it');
}

const seed = (flags: number, ...lines: readonly string[]) =>
  Buffer.from(`${String.fromCharCode(flags)}${lines.join('\n')}`, 'latin1');
const GET = [':method', 'GET', ':scheme', 'https', ':path', '/v1/x?a=b', ':authority', 'api'];
export const seeds: readonly Uint8Array[] = [
  seed(1, ...GET),
  seed(2, ...GET, 'x-a', 'b', 'cookie', 'a=1', 'cookie', 'b=2', 'te', 'trailers'),
  seed(2, ':method', 'POST', ...GET.slice(2), 'content-length', '5', 'expect', '100-continue', 'host', 'api'),
  seed(3, ':method', 'OPTIONS', ':scheme', 'https', ':path', '*', ':authority', '[::1]:443'),
  seed(2, ':method', 'POST', ...GET.slice(2), 'content-type', 'application/grpc', 'te', 'trailers'),
];
export const tokens = [
  ...[
    '\n',
    '\r',
    '\0',
    ' ',
    '\t',
    ':',
    '#',
    ',',
    '\x80',
    ':path\n',
    ':authority\n',
    ':scheme\nhttps\n',
    ':protocol\nwebsocket\n',
  ],
  ...['\nhost\napi', '\ncontent-length\n0', '\ntransfer-encoding\nchunked', '\nconnection\nclose', '\nte\ntrailers'],
  ...['\nupgrade\nh2c', '\nproxy-authorization\na', '\ntrailer\na', 'CONNECT', 'http://api/', ' HTTP/1.1', 'X-A\nb'],
];
