import type { BodyLength, Field } from '../../../../wire/http1/index.ts';
import { encodeRequestHead, Http1Error } from '../../../../wire/http1/index.ts';
import { isGrpc } from '../meaning/index.ts';
import type { OwnAnswer } from '../session/refusals/own-answers.ts';

/** A request of a stream, as it can be said in HTTP/1.1. */
export interface StreamRequest {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly Field[];
  /** Undefined: its client does not say. */
  readonly declaredBytes: number | undefined;
  readonly expectsContinue: boolean;
  readonly acceptsTrailers: boolean;
}

/** What node:http2 tells of a stream, and what its frames say. */
export interface StreamHead {
  /** Names and values in turn, pseudo-headers among them. */
  readonly rawHeaders: readonly string[];
  /** As they were sent. */
  readonly fieldsSent: number;
  /** No body follows. */
  readonly isWhole: boolean;
  readonly scheme: 'http' | 'https';
}

/**
 * Reads the head of a stream by the rules of HTTP/1.1 and those of RFC 9113 §8, or says why it is none: what could mean something else in the other
 * version, or was dropped on the way, is refused.
 */
export function requestOf(head: StreamHead): StreamRequest | OwnAnswer {
  try {
    return parse(head);
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    const { status, message } = error;
    return { status, reason: 'malformed', message, hint: 'Send requests as RFC 9113 has them.' };
  }
}

/** It is a call of gRPC, whatever else may be wrong with it. */
export function isGrpcCall(rawHeaders: readonly string[]): boolean {
  const at = rawHeaders.indexOf('content-type');
  return at >= 0 && isGrpc([{ name: 'content-type', value: rawHeaders[at + 1] ?? '' }]);
}

/** What an answer to it has to look like, whatever else may be wrong with it. */
export function methodOf(rawHeaders: readonly string[]): 'HEAD' | 'GET' {
  return rawHeaders[rawHeaders.indexOf(':method') + 1] === 'HEAD' ? 'HEAD' : 'GET';
}

/** Its bytes for whoever reads HTTP/1.1. */
export function encodeHead(request: StreamRequest, body: BodyLength): Buffer {
  const { method, target, host, fields, expectsContinue, acceptsTrailers } = request;
  const bytes = encodeRequestHead({ method, target, host, fields, body, trailers: acceptsTrailers });
  if (!expectsContinue || body.kind === 'none') return bytes;
  return Buffer.concat([bytes.subarray(0, bytes.length - LINE_END_BYTES), EXPECT]);
}

function parse({ rawHeaders, fieldsSent, isWhole, scheme }: StreamHead): StreamRequest | OwnAnswer {
  const lines = readLines(rawHeaders, fieldsSent);
  const { controls } = lines;
  if (controls.method === 'CONNECT') return CONNECT;
  if (controls.scheme !== scheme)
    throw new Http1Error('ERR_HTTP1_TARGET', `:scheme is not ${scheme} on this connection`);
  const declaredBytes = declaredOf(controls.contentLength);
  if (isWhole && declaredBytes !== undefined && declaredBytes > 0)
    throw new Http1Error('ERR_HTTP1_FRAMING', 'Content-Length tells of a body, and there is none');
  const request = {
    ...{ method: controls.method ?? '', target: controls.path ?? '', host: hostOf(controls.authority, controls.host) },
    ...{ fields: lines.fields, declaredBytes, expectsContinue: expectsContinue(controls.expect) },
    acceptsTrailers: lines.acceptsTrailers,
  };
  if (controls.path?.includes('#') === true)
    throw new Http1Error('ERR_HTTP1_TARGET', 'the target holds a fragment, or a character that must be escaped');
  encodeHead(request, isWhole ? { kind: 'none' } : { kind: 'chunked' }); // Throws for what can't be said.
  return request;
}

type Control = 'method' | 'path' | 'scheme' | 'authority' | 'host' | 'contentLength' | 'expect';

interface Lines {
  readonly controls: { [name in Control]?: string };
  readonly fields: Field[];
  acceptsTrailers: boolean;
}

function readLines(rawHeaders: readonly string[], fieldsSent: number): Lines {
  if (rawHeaders.length / 2 !== fieldsSent)
    throw new Http1Error('ERR_HTTP1_FIELD', 'a field’s name or value holds a character that none may have');
  const lines: Lines = { controls: {}, fields: [], acceptsTrailers: false };
  const cookies: string[] = [];
  let bytes = 0;
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]];
    bytes += name.length + value.length + FIELD_BYTES;
    if (!name.startsWith(':')) count++;
    if (bytes > HEAD_BYTES_MAX || count > FIELDS_MAX)
      throw new Http1Error(
        'ERR_HTTP1_HEAD_LONG',
        `the head has more than ${HEAD_BYTES_MAX} bytes or ${FIELDS_MAX} fields`,
      );
    if (name === 'cookie') cookies.push(value);
    else put(lines, name, value);
  }
  // A client may send its cookies one by one: RFC 9113 §8.2.3.
  if (cookies.length > 0) lines.fields.push({ name: 'cookie', value: cookies.join('; ') });
  return lines;
}

function put(lines: Lines, name: string, value: string): void {
  const { controls, fields } = lines;
  const control = CONTROLS.get(name);
  if (control !== undefined) {
    if (controls[control] !== undefined)
      throw new Http1Error('ERR_HTTP1_REPEATED', `the field ${name} stands there twice, and may once`);
    controls[control] = value;
  } else if (name === 'te') {
    if (value !== 'trailers') throw betweenNeighbours();
    lines.acceptsTrailers = true;
  } else if (name.startsWith(':'))
    throw new Http1Error('ERR_HTTP1_LINE', 'there is a pseudo-header that none may have');
  else if (OF_CONNECTIONS.has(name)) throw betweenNeighbours();
  else if (!OF_PROXIES.has(name)) fields.push({ name, value });
}

/** RFC 9113 §8.3.1. */
function hostOf(authority: string | undefined, host: string | undefined): string {
  const named = (authority ?? host)?.toLowerCase();
  if (named === undefined) throw new Http1Error('ERR_HTTP1_HOST', 'the request has neither :authority nor Host');
  if (host !== undefined && host.toLowerCase() !== named)
    throw new Http1Error('ERR_HTTP1_HOST', ':authority names another host than Host does');
  return named;
}

function declaredOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text))
    throw new Http1Error('ERR_HTTP1_FRAMING', 'Content-Length is no plain number of at most 15 digits');
  return Number(text);
}

function expectsContinue(value: string | undefined): boolean {
  if (value === undefined) return false;
  if (value.toLowerCase() === '100-continue') return true;
  throw new Http1Error('ERR_HTTP1_EXPECT', 'Expect asks for something other than 100-continue');
}

function betweenNeighbours(): Http1Error {
  return new Http1Error('ERR_HTTP1_CONNECTION', 'there is a field that HTTP/2 has no use for, such as Connection');
}

const CONNECT: OwnAnswer = {
  ...{ status: 501, reason: 'http-method', message: 'CONNECT is not served: this is no forward proxy' },
  hint: 'Send the request itself.',
};
const CONTROLS: ReadonlyMap<string, Control> = new Map([
  [':method', 'method'],
  [':path', 'path'],
  [':scheme', 'scheme'],
  [':authority', 'authority'],
  ['host', 'host'],
  ['content-length', 'contentLength'],
  ['expect', 'expect'],
]);
/** RFC 9113 §8.2.2. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'],
]);
/** Dropped here as there. */
const OF_PROXIES: ReadonlySet<string> = new Set(['proxy-authorization', 'proxy-authenticate', 'trailer']);
const EXPECT = Buffer.from('expect: 100-continue\r\n\r\n', 'latin1');
const LINE_END_BYTES = 2;
/** Counted as RFC 9113 §6.5.2 does. */
export const HEAD_BYTES_MAX = 32 * 1024;
const FIELD_BYTES = 32;
export const FIELDS_MAX = 100;
