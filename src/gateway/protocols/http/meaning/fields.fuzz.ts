import { assert } from '../../../../std/index.ts';
import { createRequestReader, Http1Error } from '../../../../wire/http1/index.ts';
import { parseConfig } from '../config.ts';
import { bearerOf } from '../door/bearer.ts';
import { answeredFields, forwardedFields, isGrpc, isRefusal, jsonFormatOf } from './index.ts';

const plain = parseConfig({ url: 'http://api.test' });
const grpc = parseConfig({
  url: 'http://api.test',
  upstreamHttp2: true,
  credential: { header: { name: 'x-key', value: 'env:K' } },
});
const keyed = parseConfig({
  url: ['https://a.test', 'https://b.test'],
  credential: { query: { name: 'key', value: 'env:K' } },
});

/** Lines of fields, as the reader takes them. Nothing goes on by which an upstream takes its client for another, however its reader folds names; no answer leads past the gateway. */
export function fuzz(input: Uint8Array): void {
  const reader = createRequestReader({ headBytesMax: 256 * 1024, fieldsMax: 10_000 });
  reader.push(Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n'), input, Buffer.from('\r\n\r\n')]));
  const head = headOf(reader);
  if (head === undefined) return;
  const token = bearerOf(head.fields);
  assert(token === undefined || /^[!-~]+$/.test(token), 'a token that is none');
  const format = jsonFormatOf(head.fields);
  assert(!isGrpc(head.fields) || format === undefined || head.fields.length > 1, 'JSON that is gRPC');
  for (const rules of [plain, grpc, keyed]) {
    const forwarded = forwardedFields(head, rules);
    if (!isRefusal(forwarded)) for (const { name } of forwarded) checkForwarded(name, rules === grpc);
    for (const { name, value } of answeredFields(head, rules)) checkAnswered(name, value, rules === keyed);
  }
}

function headOf(reader: ReturnType<typeof createRequestReader>) {
  try {
    const event = reader.next();
    return event?.kind === 'head' ? event.head : undefined;
  } catch (error) {
    if (error instanceof Http1Error) return undefined;
    throw error;
  }
}

function checkForwarded(name: string, isFolded: boolean): void {
  assert(/^[a-z0-9-]+$/.test(name) || isFolded, 'a name that some fold');
  const folded = name.replace(/[^a-z0-9]/g, '-');
  assert(!PROVING.test(folded), 'a field that proves who calls');
  assert(!isFolded || folded !== 'x-key', 'the credential’s own field');
}

function checkAnswered(name: string, value: string, isKeyed: boolean): void {
  assert(!/^(?:x-countersign-|alt-svc$|connection$|proxy-auth)/.test(name), 'a field that leads past the gateway');
  if (name !== 'location' && name !== 'content-location') return;
  const own = isKeyed ? /^https:\/\/[ab]\.test(?::443)?(?:[/?#]|$)/i : /^http:\/\/api\.test(?::80)?(?:[/?#]|$)/i;
  assert(!own.test(value), 'a place at the upstream itself');
}

const PROVING =
  /^(?:authorization|forwarded|via|cookie|proxy-.*|x-forwarded.*|x-countersign-.*|x-real-ip|x-original-.*|client-cert.*|x-http-method.*|te|host|connection|transfer-encoding|content-length)$/;
export const seeds: readonly Uint8Array[] = [
  'Authorization: Bearer eyJ.a.b\r\nAccept: */*',
  'X-Forwarded-For: 1.2.3.4\r\nx_forwarded_for: 1\r\nForwarded: for=1\r\nCookie: a=b',
  'Content-Type: application/json; charset="utf-8"\r\nContent-Encoding: identity',
  'Content-Type: application/grpc+proto\r\nx.tenant_id: a\r\nX-Key: b',
  'Location: https://a.test//b.test/x?key=1&b=2#f\r\nLink: <https://a.test/?key=1>; rel=next\r\nAlt-Svc: h3=":443"',
  'Location: //api.test/x\r\nContent-Location: http://API.test:80?a',
].map((text) => Buffer.from(text));
export const tokens = [
  ...[
    '\r\n',
    ': ',
    ':',
    '_',
    '-',
    '.',
    '/',
    '//',
    '\\',
    '?',
    '#',
    '@',
    '%6b',
    'key=',
    '&',
    ';',
    'http:',
    'https://a.test',
    '//b.test',
  ],
  ...[
    '\r\nAuthorization: Bearer a',
    '\r\nLocation: ',
    '\r\nX-Forwarded-',
    '\r\nX-Countersign-',
    '\r\nProxy-',
    '\r\nContent-Type: ',
  ],
  ...[
    'application/json',
    'application/grpc',
    'text/event-stream',
    'charset=utf-8',
    '\r\nConnection: x-a',
    'Basic ',
    '\r\nx_real_ip: 1',
  ],
];
