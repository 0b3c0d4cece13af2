import { CR, kindAt, SPACE, TARGET, TOKEN } from './characters.ts';
import { Http1Error } from './errors.ts';
import { applyConnection, type FieldLines, headLong, parseFieldLines } from './field-lines.ts';
import { requestNames } from './field-names.ts';
import { framedBody } from './framing.ts';
import { type Http1Limits, limitsOf } from './limits.ts';
import { NO_BODY, type RequestEvent, type RequestHead } from './message.ts';
import { createMessageReader, type MessageReader } from './reader.ts';
import { parseHost, parseTarget } from './target.ts';
import { isProtocol } from './upgrade.ts';

export type RequestReader = MessageReader<RequestEvent>;

/**
 * Reads what a client sends. Behind the end of a request that asks for an upgrade, or of CONNECT, the caller reads on only when it has refused
 * that; else what follows is `takeRest`.
 */
export function createRequestReader(limits?: Partial<Http1Limits>): RequestReader {
  const all = limitsOf(limits);
  let skipped = false;
  return createMessageReader(all, {
    isAmid: false,
    lines(input) {
      if (input.peek() === CR && !skipped) {
        const line = input.lines(2);
        if (line !== EMPTY_LINE) return line;
        skipped = true;
      }
      const first = input.peek();
      if (first === undefined) return undefined;
      if ((kindAt(String.fromCharCode(first), 0) & TOKEN) !== 0) return input.lines(all.headBytesMax);
      // No line begins so. What was passed over is a part of what is refused, for whoever reads it anew.
      return `${skipped ? EMPTY_LINE : ''}${input.lines(1)}`;
    },
    read(text) {
      skipped = false;
      const head = parseRequestHead(text, all);
      return { event: { kind: 'head', head }, body: head.body };
    },
  });
}

function parseRequestHead(text: string, limits: Http1Limits): RequestHead {
  const line = parseRequestLine(text, limits);
  const { method, version } = line;
  const lines = parseFieldLines(text, line.bytes, requestNames, limits);
  const { controls, fields } = lines;
  if (controls.host === undefined) throw new Http1Error('ERR_HTTP1_HOST', 'the request has no Host');
  const host = parseHost(controls.host);
  const target = parseTarget(method, line.target, host);
  const body = framedBody(controls, version) ?? NO_BODY;
  const connection = applyConnection(lines);
  const upgrade = connection.upgrade && version === '1.1' ? parseUpgrade(controls.upgrade) : undefined;
  if (body.kind !== 'none' && (upgrade !== undefined || method === 'CONNECT'))
    throw new Http1Error('ERR_HTTP1_CONNECTION', 'a request that changes the protocol has a body');
  return {
    ...{ method, target, version, host, fields, body },
    keepAlive: version === '1.1' && !connection.close,
    expectsContinue: expectsContinue(controls.expect) && version === '1.1' && body.kind !== 'none',
    upgrade,
    acceptsTrailers: acceptsTrailers(controls.te),
    headBytes: text.length,
  };
}

/** RFC 9112 §3, with one space between its parts. */
function parseRequestLine(text: string, limits: Http1Limits) {
  let at = 0;
  while ((kindAt(text, at) & TOKEN) !== 0) at++;
  if (text.charCodeAt(at) !== SPACE || at === 0) throw at < text.length ? notALine() : targetLong(limits);
  const method = text.slice(0, at);
  const from = at + 1;
  at = from;
  while ((kindAt(text, at) & TARGET) !== 0) at++;
  if (at - from > limits.targetBytesMax || at >= text.length) throw targetLong(limits);
  const code = text.charCodeAt(at);
  if (code !== SPACE && code !== CR)
    throw new Http1Error('ERR_HTTP1_TARGET', 'the target holds a fragment, or a character that must be escaped');
  if (code === CR || at === from) throw notALine();
  return { method, target: text.slice(from, at), ...versionAt(text, at + 1) };
}

/** RFC 9112 §2.3. */
function versionAt(text: string, at: number): { readonly version: '1.0' | '1.1'; readonly bytes: number } {
  const bytes = at + VERSION_LINE_BYTES;
  if (text.startsWith('HTTP/1.1\r\n', at)) return { version: '1.1', bytes };
  if (text.startsWith('HTTP/1.0\r\n', at)) return { version: '1.0', bytes };
  const rest = text.slice(at, bytes);
  if (/^HTTP\/\d\.\d\r\n/.test(rest))
    throw new Http1Error('ERR_HTTP1_VERSION', 'the request is of another version than HTTP/1.1 and HTTP/1.0');
  throw rest.length === VERSION_LINE_BYTES || rest.endsWith('\n') ? notALine() : headLong();
}

/** RFC 9110 §7.8. Several to choose from are refused: what is chosen must be known before it is decided about. */
function parseUpgrade(value: FieldLines['controls']['upgrade']): string | undefined {
  const upgrade = value?.toLowerCase();
  if (upgrade === undefined || upgrade === 'h2c') return undefined;
  if (!isProtocol(upgrade))
    throw new Http1Error('ERR_HTTP1_CONNECTION', 'Upgrade names several protocols, or something that is none');
  return upgrade;
}

/** RFC 9110 §10.1.1. */
function expectsContinue(value: string | undefined): boolean {
  if (value === undefined) return false;
  if (value.toLowerCase() === '100-continue') return true;
  throw new Http1Error('ERR_HTTP1_EXPECT', 'Expect asks for something other than 100-continue');
}

/** RFC 9110 §10.1.4. */
function acceptsTrailers(te: string | undefined): boolean {
  return te?.split(',').some((coding) => coding.trim().toLowerCase() === 'trailers') === true;
}

function notALine(): Http1Error {
  return new Http1Error('ERR_HTTP1_LINE', 'the message does not start with a request line of HTTP/1.1');
}

function targetLong({ targetBytesMax }: Http1Limits): Http1Error {
  return new Http1Error('ERR_HTTP1_TARGET_LONG', `the target is longer than ${targetBytesMax} bytes`);
}

/**
 * One before a request is passed over, as RFC 9112 §2.2 wants: old clients send it behind a body, out of the count. It can't hide anything, since what
 * goes on is written anew.
 */
const EMPTY_LINE = '\r\n';
const VERSION_LINE_BYTES = 'HTTP/1.1\r\n'.length;
