import { isLowerToken, isMadeOf, isValue, OBS_TEXT, TOKEN, VALUE } from './characters.ts';
import { Http1Error } from './errors.ts';
import { isHeadOnly, type NameRule, requestNames, responseNames, trailerNames } from './field-names.ts';
import type { BodyLength, Field } from './message.ts';
import { reasonOf } from './reasons.ts';
import { isSendable, parseHost } from './target.ts';
import { isProtocol } from './upgrade.ts';

/** A request to send. */
export interface RequestToSend {
  readonly method: string;
  /** `/…` in visible ASCII without `#`; `*` of OPTIONS; the same as `host` of CONNECT. */
  readonly target: string;
  readonly host: string;
  /** Names in lower case; none of those that `RequestHead` leaves out. */
  readonly fields: readonly Field[];
  /** Of POST, PUT and PATCH `none` is said by `content-length: 0`, of the others by nothing: RFC 9110 §8.6. */
  readonly body: BodyLength;
  readonly close?: boolean;
  /** The protocol to ask for; no body then. */
  readonly upgrade?: string;
  /** Says that trailers are taken. */
  readonly trailers?: boolean;
  readonly allowObsText?: boolean;
}

/** A response to send. */
export interface ResponseToSend {
  readonly status: number;
  /** The usual one when absent. */
  readonly reason?: string;
  /** Names in lower case; none of those that `ResponseHead` leaves out. */
  readonly fields: readonly Field[];
  /** `none` is said by `content-length: 0`, unless the status or `answersHead` says so. `close` closes. */
  readonly body: BodyLength;
  /** The request was HEAD: `body` is `none`, and so is what is said of it but for `announcedBytes`. */
  readonly answersHead?: boolean;
  /** Content-Length of the body that is not sent: of `answersHead` and of 304 only. */
  readonly announcedBytes?: number | undefined;
  readonly close?: boolean;
  /** The protocol changed to; of 101 only, which must have it. */
  readonly upgrade?: string | undefined;
  readonly allowObsText?: boolean;
}

/**
 * The head of a request, as HTTP/1.1, with one blank where one is enough: there is one way alone to say each. It says nothing that the reader
 * would refuse or leave out; how long it may be is for the receiver.
 *
 * @throws Http1Error
 */
export function encodeRequestHead(request: RequestToSend): Buffer {
  const { method, target, host, body, upgrade } = request;
  if (!isMadeOf(method, TOKEN)) throw new Http1Error('ERR_HTTP1_LINE', 'the method to send is no token');
  if (parseHost(host) !== host) throw new Http1Error('ERR_HTTP1_HOST', 'the host to send is not in lower case');
  if (!isSendable(method, target, host))
    throw new Http1Error('ERR_HTTP1_TARGET', 'the target to send is no path in visible ASCII');
  if (body.kind === 'close')
    throw new Http1Error('ERR_HTTP1_FRAMING', 'a request’s body can not end with the connection');
  const isBodiless = upgrade !== undefined || method === 'CONNECT';
  if (isBodiless && body.kind !== 'none')
    throw new Http1Error('ERR_HTTP1_CONNECTION', 'a request that changes the protocol can have no body');
  const fields = fieldLines(request.fields, requestNames, request.allowObsText === true);
  const connection = connectionLines({ ...request, upgrade });
  const none = !isBodiless && HAVE_CONTENT.has(method) ? NO_BYTES : '';
  return Buffer.from(
    `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n${fields}${connection}${framingLine(body, none)}\r\n`,
    'latin1',
  );
}

/**
 * The head of a response, interim ones too, as HTTP/1.1.
 *
 * @throws Http1Error
 */
export function encodeResponseHead(response: ResponseToSend): Buffer {
  const { status, body, upgrade, announcedBytes } = response;
  const allowObsText = response.allowObsText === true;
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new Http1Error('ERR_HTTP1_LINE', 'the status to send is not in 100 to 599');
  const reason = response.reason ?? reasonOf(status);
  if (reason !== '' && !isMadeOf(reason, allowObsText ? VALUE | OBS_TEXT : VALUE))
    throw new Http1Error('ERR_HTTP1_LINE', 'the reason to send holds a character that none may have');
  if ((status === 101) !== (upgrade !== undefined))
    throw new Http1Error('ERR_HTTP1_CONNECTION', 'a response names a protocol if it is 101, and only then');
  const isBare = status < 200 || status === 204 || status === 304 || response.answersHead === true;
  if (isBare && body.kind !== 'none')
    throw new Http1Error('ERR_HTTP1_FRAMING', 'a response that can have no body is to have one');
  if (
    announcedBytes !== undefined &&
    !(response.answersHead === true ? status >= 200 && status !== 204 : status === 304)
  )
    throw new Http1Error('ERR_HTTP1_FRAMING', 'a length is announced by a response to HEAD or a 304 alone');
  const announced = announcedBytes === undefined ? '' : framingLine({ kind: 'length', bytes: announcedBytes }, '');
  const fields = fieldLines(response.fields, responseNames, allowObsText);
  const connection = connectionLines({ ...response, close: response.close === true || body.kind === 'close' });
  const framing = isBare ? announced : framingLine(body, NO_BYTES);
  return Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${fields}${connection}${framing}\r\n`, 'latin1');
}

/** A piece of a chunked body, `bytes` themselves among what is to be written; nothing for none, since that would end the body. */
export function encodeChunk(bytes: Buffer): readonly Buffer[] {
  if (bytes.length === 0) return [];
  return [Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, LINE_END];
}

/**
 * The end of a chunked body.
 *
 * @throws Http1Error for a field that the reader would refuse or drop behind a body.
 */
export function encodeLastChunk(trailers: readonly Field[] = []): Buffer {
  if (trailers.length === 0) return Buffer.from('0\r\n\r\n', 'latin1');
  for (const { name } of trailers)
    if (isHeadOnly(name)) throw new Http1Error('ERR_HTTP1_FIELD', 'a field to send may not stand behind a body');
  return Buffer.from(`0\r\n${fieldLines(trailers, trailerNames, false)}\r\n`, 'latin1');
}

function fieldLines(fields: readonly Field[], names: ReadonlyMap<string, NameRule>, allowObsText: boolean): string {
  let text = '';
  let seen = 0;
  for (const { name, value } of fields) {
    if (!isLowerToken(name))
      throw new Http1Error('ERR_HTTP1_FIELD', 'the name of a field to send is no token in lower case');
    if (!isValue(value, allowObsText))
      throw new Http1Error('ERR_HTTP1_FIELD', `the value of the field ${name} to send holds what none may have`);
    const rule = names.get(name);
    if (rule !== undefined) {
      if (rule.role !== 'keep')
        throw new Http1Error('ERR_HTTP1_FIELD', `the field ${name} is not sent as one that the caller makes`);
      if ((rule.bit & seen) !== 0)
        throw new Http1Error('ERR_HTTP1_REPEATED', `the field ${name} is to be sent twice, and may be once`);
      seen |= rule.bit;
    }
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

function connectionLines(wanted: {
  readonly close?: boolean;
  readonly upgrade?: string | undefined;
  readonly trailers?: boolean;
}): string {
  const { close, upgrade, trailers } = wanted;
  if (upgrade !== undefined && (!isProtocol(upgrade) || upgrade !== upgrade.toLowerCase() || upgrade === 'h2c'))
    throw new Http1Error('ERR_HTTP1_CONNECTION', 'the protocol to change to is none in lower case');
  if (close !== true && upgrade === undefined && trailers !== true) return '';
  const names = [...(close ? ['close'] : []), ...(upgrade ? ['upgrade'] : []), ...(trailers ? ['te'] : [])];
  const others = `${upgrade ? `upgrade: ${upgrade}\r\n` : ''}${trailers ? 'te: trailers\r\n' : ''}`;
  return `connection: ${names.join(', ')}\r\n${others}`;
}

function framingLine(body: BodyLength, none: string): string {
  switch (body.kind) {
    case 'none':
      return none;
    case 'close':
      return '';
    case 'chunked':
      return 'transfer-encoding: chunked\r\n';
    case 'length':
      if (!Number.isSafeInteger(body.bytes) || body.bytes < 0 || body.bytes >= LENGTH_END)
        throw new Http1Error('ERR_HTTP1_FRAMING', 'the length to send is no whole number of at most 15 digits');
      return `content-length: ${body.bytes}\r\n`;
    default:
      return body satisfies never;
  }
}

const NO_BYTES = 'content-length: 0\r\n';
/** Methods whose requests say so when they have no content. */
const HAVE_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
const LENGTH_END = 10 ** 15;
const LINE_END = Buffer.from('\r\n', 'latin1');
