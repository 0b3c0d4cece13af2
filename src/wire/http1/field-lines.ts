import { COLON, CR, isBlank, kindAt, LF, OBS_TEXT, TOKEN, UPPER, VALUE } from './characters.ts';
import { Http1Error, type Http1ErrorCode } from './errors.ts';
import { type ControlName, isEndToEnd, isHeadOnly, type NameRule, trailerNames } from './field-names.ts';
import type { Http1Limits } from './limits.ts';
import type { Field } from './message.ts';

/** The fields of a head: those for the caller, and what the codec reads of the others. */
export interface FieldLines {
  readonly fields: Field[];
  readonly controls: { [Name in ControlName]: string | undefined };
}

/**
 * Reads field lines up to the empty one that ends them: RFC 9112 §5. A colon follows the name at once (§5.1), a line is never folded
 * (§5.2), ends in CR LF (§2.2), and holds no control character (RFC 9110 §5.5).
 *
 * @param text of the whole head; may be cut, see `Input.lines`.
 * @param from where the first field line starts.
 */
export function parseFieldLines(
  text: string,
  from: number,
  names: ReadonlyMap<string, NameRule>,
  limits: Http1Limits,
): FieldLines {
  const lines: FieldLines = { fields: [], controls: { ...NO_CONTROLS } };
  let [at, count, seen] = [from, 0, 0];
  while (text.charCodeAt(at) !== CR) {
    const nameEnd = endOfName(text, at);
    const valueEnd = endOfValue(text, nameEnd + 1, limits.allowObsText);
    if (++count > limits.fieldsMax)
      throw new Http1Error('ERR_HTTP1_HEAD_LONG', `there are more than ${limits.fieldsMax} fields`);
    const name = nameOf(text, at, nameEnd);
    const value = trimmed(text, nameEnd + 1, valueEnd);
    const rule = names.get(name);
    if (rule === undefined) lines.fields.push({ name, value });
    else {
      if ((rule.bit & seen) !== 0)
        throw new Http1Error('ERR_HTTP1_REPEATED', `the field ${name} stands there twice, and may once`);
      seen |= rule.bit;
      // A blank by RFC 9110 §5.6.3, and part of the value to some readers.
      if (FRAMING.has(rule.control) && text.slice(nameEnd, valueEnd).includes('\t'))
        throw new Http1Error('ERR_HTTP1_FRAMING', `a tab stands beside the value of ${name}`);
      put(lines, rule, name, value);
    }
    at = valueEnd + LINE_END_BYTES;
  }
  if (text.charCodeAt(at + 1) !== LF) throw cutOr(text, at + 1, 'ERR_HTTP1_FIELD', 'a CR stands there without LF');
  return lines;
}

/** Reads the trailers of a body: RFC 9112 §7.1.2. Those that frame are refused, those that mean something in a head alone are dropped. */
export function parseTrailers(text: string, limits: Http1Limits): readonly Field[] {
  const { fields } = parseFieldLines(text, 0, trailerNames, limits);
  return fields.filter(({ name }) => !isHeadOnly(name));
}

/** What `Connection` asks for: RFC 9110 §7.6.1. */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly upgrade: boolean;
}

/** Reads `Connection`, and takes out of the fields those that it names. */
export function applyConnection(lines: FieldLines): ConnectionOptions {
  const value = lines.controls.connection;
  if (value === undefined || value === 'keep-alive') return NO_OPTIONS;
  if (value === 'close') return CLOSE;
  const names = value
    .toLowerCase()
    .split(',')
    .map((name) => trimmed(name, 0, name.length))
    .filter((name) => name !== '');
  for (const name of names) {
    for (let at = 0; at < name.length; at++)
      if ((kindAt(name, at) & TOKEN) === 0)
        throw new Http1Error('ERR_HTTP1_CONNECTION', 'Connection holds something that is no name');
    if (isEndToEnd(name))
      throw new Http1Error('ERR_HTTP1_CONNECTION', 'Connection names a field that is meant for the other end');
  }
  const named = new Set(names);
  const kept = lines.fields.filter(({ name }) => !named.has(name));
  lines.fields.splice(0, lines.fields.length, ...kept);
  return { close: named.has('close'), upgrade: named.has('upgrade') };
}

/** That the text was cut where it is too long, else what is wrong at `at`. */
export function cutOr(text: string, at: number, code: Http1ErrorCode, message: string): Http1Error {
  return at < text.length ? new Http1Error(code, message) : headLong();
}

export function headLong(): Http1Error {
  return new Http1Error('ERR_HTTP1_HEAD_LONG', 'the head or the trailers are longer than is allowed');
}

function endOfName(text: string, from: number): number {
  let at = from;
  while ((kindAt(text, at) & TOKEN) !== 0) at++;
  const code = text.charCodeAt(at);
  if (code === COLON && at > from) return at;
  if (at === from && isBlank(code))
    throw cutOr(text, at, 'ERR_HTTP1_FIELD', 'a line is folded, or a blank stands before a field’s name');
  if (isBlank(code)) throw cutOr(text, at, 'ERR_HTTP1_FIELD', 'a blank stands between a field’s name and its colon');
  throw cutOr(text, at, 'ERR_HTTP1_FIELD', 'a field’s name is no token with a colon behind it');
}

/** Where the CR of its line end stands. */
function endOfValue(text: string, from: number, allowObsText: boolean): number {
  const kinds = allowObsText ? VALUE | OBS_TEXT : VALUE;
  let at = from;
  while ((kindAt(text, at) & kinds) !== 0) at++;
  if (text.charCodeAt(at) !== CR)
    throw cutOr(text, at, 'ERR_HTTP1_FIELD', 'a field’s value holds a character that none may have');
  if (text.charCodeAt(at + 1) !== LF) throw cutOr(text, at + 1, 'ERR_HTTP1_FIELD', 'a CR stands there without LF');
  return at;
}

function nameOf(text: string, from: number, until: number): string {
  let kinds = 0;
  for (let at = from; at < until; at++) kinds |= kindAt(text, at);
  const name = text.slice(from, until);
  return (kinds & UPPER) === 0 ? name : name.toLowerCase();
}

function trimmed(text: string, from: number, until: number): string {
  let [start, end] = [from, until];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function put(lines: FieldLines, rule: NameRule, name: string, value: string): void {
  const { role, control } = rule;
  if (role === 'keep') lines.fields.push({ name, value });
  else if (role === 'refuse') throw new Http1Error('ERR_HTTP1_FIELD', `the field ${name} may not stand behind a body`);
  else if (control !== undefined) {
    // Of these two a list may be split over lines; the others stand there once.
    const before = lines.controls[control];
    lines.controls[control] = before === undefined ? value : `${before},${value}`;
  }
}

const FRAMING: ReadonlySet<ControlName | undefined> = new Set(['transferEncoding', 'contentLength']);
const NO_CONTROLS = {
  ...{ host: undefined, connection: undefined, te: undefined, transferEncoding: undefined, contentLength: undefined },
  ...{ expect: undefined, upgrade: undefined },
};
const NO_OPTIONS: ConnectionOptions = { close: false, upgrade: false };
const CLOSE: ConnectionOptions = { close: true, upgrade: false };
const LINE_END_BYTES = 2;
