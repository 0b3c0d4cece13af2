import type { OutgoingHttpHeaders } from 'node:http2';
import {
  type BodyLength,
  encodeLastChunk,
  encodeResponseHead,
  type Field,
  Http1Error,
  type RequestHead,
} from '../../../../wire/http1/index.ts';
import { isGrpc } from '../meaning/index.ts';

/** The head of a request on a stream, from one in HTTP/1.1. */
export function streamHead({ method, target, host, fields, body, acceptsTrailers }: RequestHead, scheme: string) {
  // Without a prototype: a field may be named `constructor`.
  const headers: OutgoingHttpHeaders = Object.assign(Object.create(null), {
    ...{ ':method': method, ':scheme': scheme, ':authority': host, ':path': target },
  });
  for (const { name, value } of fields) {
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = `${String(before)}, ${value}`; // As it may be: RFC 9110 §5.3. None of those that may stand there once is there twice.
  }
  if (acceptsTrailers) headers['te'] = 'trailers';
  if (body.kind === 'length') headers['content-length'] = body.bytes;
  return headers;
}

/** What is known of an answer when its head has come. */
export interface StreamAnswerHead {
  /** In HTTP/1.1. */
  readonly bytes: Buffer;
  readonly body: BodyLength;
}

/**
 * The head of an answer in HTTP/1.1.
 * @param rawHeaders names and values in turn, pseudo-headers among them.
 * @param endsThere no body follows.
 * @throws Http1Error for what can't be said there
 */
export function answerHead(
  rawHeaders: readonly string[],
  { method, endsThere }: { readonly method: string; readonly endsThere: boolean },
): StreamAnswerHead {
  const status = Number(rawValue(rawHeaders, ':status'));
  const declared = rawValue(rawHeaders, 'content-length');
  if (declared !== undefined && !/^\d{1,14}$/.test(declared))
    throw new Http1Error('ERR_HTTP1_FRAMING', 'the length of an answer is no plain number');
  const fields = fieldsOf(rawHeaders);
  const isHead = method === 'HEAD';
  const isBare = isHead || status === 204 || status === 304;
  const body = isBare || endsThere ? NONE : framingOf(fields, declared);
  const announces = declared !== undefined && (status === 304 || (isHead && status !== 204));
  const bytes = encodeResponseHead({
    ...{ status, fields, body, allowObsText: true, answersHead: isHead },
    announcedBytes: announces ? Number(declared) : undefined,
  });
  return { bytes, body };
}

/** The end of a chunked body: of trailers, those that may stand there. */
export function answerEnd(rawTrailers: readonly string[]): Buffer {
  const trailers = fieldsOf(rawTrailers).filter((trailer) => {
    try {
      return encodeLastChunk([trailer]).length > 0;
    } catch (error) {
      if (error instanceof Http1Error) return false;
      throw error;
    }
  });
  return encodeLastChunk(trailers);
}

/** Only a chunked body has trailers, and gRPC has them always. */
function framingOf(fields: readonly Field[], declared: string | undefined): BodyLength {
  if (declared === undefined || isGrpc(fields)) return { kind: 'chunked' };
  return { kind: 'length', bytes: Number(declared) };
}

function fieldsOf(raw: readonly string[]): readonly Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const [name = '', value = ''] = [raw[at], raw[at + 1]];
    if (!name.startsWith(':') && !OF_CONNECTIONS.has(name)) fields.push({ name, value });
  }
  return fields;
}

function rawValue(raw: readonly string[], name: string): string | undefined {
  // Its name may be the value of another one, as of Vary.
  const at = raw.findIndex((text, place) => place % 2 === 0 && text === name);
  return at < 0 ? undefined : raw[at + 1];
}

const NONE: BodyLength = { kind: 'none' };
/** What frames an answer, or is between two neighbours: said anew, or by nobody. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te', 'host'],
  ...['trailer', 'expect', 'content-length', 'proxy-authorization', 'proxy-authenticate'],
]);
