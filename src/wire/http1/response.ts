import { assert } from '../../std/index.ts';
import { CR, kindAt, LF, OBS_TEXT, SPACE, VALUE } from './characters.ts';
import { Http1Error } from './errors.ts';
import {
  applyConnection,
  type ConnectionOptions,
  cutOr,
  type FieldLines,
  headLong,
  parseFieldLines,
} from './field-lines.ts';
import { responseNames } from './field-names.ts';
import { framedBody, parseContentLength } from './framing.ts';
import { type Http1Limits, limitsOf } from './limits.ts';
import { BODY_TO_CLOSE, type BodyLength, NO_BODY, type ResponseEvent, type ResponseHead } from './message.ts';
import { createMessageReader, type MessageReader } from './reader.ts';

export interface ResponseReader extends MessageReader<ResponseEvent> {
  /**
   * Says that a request was sent, before its response is read: its method decides whether a body follows (RFC 9112 §6.3). One at a time. What
   * comes while none is expected is refused.
   *
   * @param upgrade the protocol that it asks for, in lower case; without, a 101 is refused.
   */
  expect(method: string, upgrade?: string): void;
}

/** Reads what a server sends. Behind the end of a 101, or of the answer that grants a CONNECT, `next` gives nothing more: what follows is `takeRest`. */
export function createResponseReader(limits?: Partial<Http1Limits>): ResponseReader {
  const all = limitsOf(limits);
  let expected: Expected | undefined;
  let interim = 0;
  let isTunnel = false;
  const reader = createMessageReader<ResponseEvent>(all, {
    get isAmid() {
      return interim > 0;
    },
    lines(input) {
      const first = input.peek();
      if (first === undefined || isTunnel) return undefined;
      if (expected === undefined) throw unexpected('the server sent bytes that no request asked for');
      if (first !== LETTER_H) throw notALine();
      return input.lines(all.headBytesMax);
    },
    read(text) {
      const head = parseResponseHead(text, all, expected ?? { method: '', upgrade: undefined });
      if (isInterim(head.status)) {
        if (++interim > all.informationalMax) throw unexpected('the server sends interim answers without end');
        return { event: { kind: 'informational', head }, body: undefined };
      }
      isTunnel = head.status === 101 || isGranted(head.status, expected?.method);
      expected = undefined;
      interim = 0;
      return { event: { kind: 'head', head }, body: head.body };
    },
  });
  return {
    expect(method, upgrade) {
      assert(expected === undefined, 'a response is expected already');
      expected = { method, upgrade };
    },
    push: reader.push,
    next: reader.next,
    finish: reader.finish,
    get bufferedBytes() {
      return reader.bufferedBytes;
    },
    takeFromHead: reader.takeFromHead,
    takeRest: reader.takeRest,
    get isBetween() {
      return reader.isBetween;
    },
  };
}

interface Expected {
  readonly method: string;
  readonly upgrade: string | undefined;
}

function parseResponseHead(text: string, limits: Http1Limits, expected: Expected): ResponseHead {
  const line = parseStatusLine(text, limits);
  const { status, reason, version } = line;
  const lines = parseFieldLines(text, line.bytes, responseNames, limits);
  const { fields, controls } = lines;
  const connection = applyConnection(lines);
  const body = responseBody(status, version, controls, expected.method);
  const upgrade = status === 101 ? checkUpgrade(connection, controls.upgrade, expected) : undefined;
  const isBare = expected.method === 'HEAD' || status === 304;
  return {
    ...{ status, reason, version, fields, body },
    announcedBytes:
      isBare && controls.contentLength !== undefined ? parseContentLength(controls.contentLength) : undefined,
    keepAlive: version === '1.1' && !connection.close && body.kind !== 'close',
    upgrade,
    headBytes: text.length,
  };
}

/** RFC 9112 §4. Its last space may be missing: many servers leave it out with the reason. */
function parseStatusLine(text: string, limits: Http1Limits) {
  const version = text.startsWith('HTTP/1.1 ') ? '1.1' : text.startsWith('HTTP/1.0 ') ? '1.0' : undefined;
  if (version === undefined) {
    if (/^HTTP\/\d\.\d /.test(text))
      throw new Http1Error('ERR_HTTP1_VERSION', 'the response is of another version than HTTP/1.1 and HTTP/1.0');
    throw text.length < STATUS_AT && !text.endsWith('\n') ? headLong() : notALine();
  }
  let status = 0;
  for (let at = STATUS_AT; at < REASON_AT; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) throw cutOr(text, at, 'ERR_HTTP1_LINE', 'the status is no number of three digits');
    status = status * 10 + digit;
  }
  if (status < 100 || status > 599) throw new Http1Error('ERR_HTTP1_LINE', 'the status is not in 100 to 599');
  const kinds = limits.allowObsText ? VALUE | OBS_TEXT : VALUE;
  let at = REASON_AT;
  if (text.charCodeAt(at) === SPACE) at++;
  else if (text.charCodeAt(at) !== CR)
    throw cutOr(text, at, 'ERR_HTTP1_LINE', 'the status is no number of three digits');
  const from = at;
  while ((kindAt(text, at) & kinds) !== 0) at++;
  if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF)
    throw cutOr(
      text,
      text.charCodeAt(at) === CR ? at + 1 : at,
      'ERR_HTTP1_LINE',
      'the reason holds a character that none may have',
    );
  return { status, reason: text.slice(from, at), version, bytes: at + 2 } as const;
}

/** RFC 9112 §6.3. */
function responseBody(
  status: number,
  version: '1.0' | '1.1',
  controls: FieldLines['controls'],
  method: string,
): BodyLength {
  const framed = framedBody(controls, version);
  if (status < 200 || status === 204 || isGranted(status, method)) {
    // RFC 9110 §8.6 forbids both here, yet many servers say that a 204 has no byte.
    if (framed !== undefined && framed.kind !== 'none')
      throw new Http1Error('ERR_HTTP1_FRAMING', 'a response that can have no body says that it has one');
    return NO_BODY;
  }
  if (method === 'HEAD' || status === 304) return NO_BODY;
  return framed ?? BODY_TO_CLOSE;
}

/** RFC 9110 §7.8: a server changes to what it was asked for, and says so. */
function checkUpgrade(connection: ConnectionOptions, value: string | undefined, expected: Expected): string {
  const upgrade = value?.toLowerCase();
  if (upgrade === undefined || !connection.upgrade || upgrade !== expected.upgrade)
    throw unexpected('the server changes to a protocol that the request did not ask for');
  return upgrade;
}

function isInterim(status: number): boolean {
  return status < 200 && status !== 101;
}

function isGranted(status: number, method: string | undefined): boolean {
  return method === 'CONNECT' && status >= 200 && status < 300;
}

function notALine(): Http1Error {
  return new Http1Error('ERR_HTTP1_LINE', 'the message does not start with a status line of HTTP/1.1');
}

function unexpected(message: string): Http1Error {
  return new Http1Error('ERR_HTTP1_UNEXPECTED', message);
}

const LETTER_H = 0x48;
const STATUS_AT = 'HTTP/1.1 '.length;
const REASON_AT = 'HTTP/1.1 200'.length;
