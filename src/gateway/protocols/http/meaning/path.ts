import { bytesKept, percentDecoded, percentEncoded, utf8Text } from './percent.ts';
import { isRefusal, type MeaningRefusal, refusal } from './refusal.ts';

/** What a path may have only where config says that the upstream reads it as it is read here. */
export type PathLiberty = 'encodedSlash' | 'emptySegments' | 'matrixParameters';

/** A path that all readers take for the same segments. */
export interface CanonicalPath {
  /** Each decoded, without its parameters. */
  readonly segments: readonly string[];
  /** For the upstream: every segment encoded anew. */
  readonly written: string;
  /** For policy: without parameters, and without a slash at its end, which few servers tell apart. */
  readonly seen: string;
  /** What it has of which config must say so. */
  readonly needs: ReadonlySet<PathLiberty>;
}

/**
 * Reads a path as written, `/…` without its query. What some reader could decode twice, resolve, cut, fold or split otherwise is refused: then
 * policy would judge another thing than the upstream serves.
 */
export function parsePath(path: string): CanonicalPath | MeaningRefusal {
  if (!path.startsWith('/'))
    return refused('the path does not begin with a slash', 'send a path such as /v1/customers');
  if (path.includes('\\')) return refused('the path has a backslash', 'separate segments by / alone');
  if (path.includes('#')) return refused('the path has a #', 'leave the fragment away, or write # as %23');
  if (!/^[!-~]*$/.test(path))
    return refused('the path has characters that are no visible ASCII', 'percent-encode them as UTF-8');
  const pieces = path.slice(1).split('/');
  const hasSlashAtEnd = pieces.length > 1 && pieces.at(-1) === '';
  if (pieces.at(-1) === '') pieces.pop();
  if (pieces.length > SEGMENTS_MAX)
    return refusal('http-size', `the path has more than ${SEGMENTS_MAX} segments`, 'ask for a shorter path', 414);
  const needs = new Set<PathLiberty>();
  const segments: string[] = [];
  let written = '';
  for (const piece of pieces) {
    const segment = parseSegment(piece, needs);
    if (isRefusal(segment)) return segment;
    segments.push(segment.text);
    written += `/${segment.written}`;
  }
  if (pieces.length === 0 || hasSlashAtEnd) written += '/';
  return { segments, written, seen: `/${segments.map(encodeSegment).join('/')}`, needs };
}

/** A segment as the canonical form has it. */
export function encodeSegment(text: string): string {
  return PLAIN.test(text) ? text : percentEncoded(Buffer.from(text), KEPT);
}

/** A text as readers that fold case and compatibility forms see it. */
export function foldedText(text: string): string {
  return ASCII.test(text) ? text.toLowerCase() : text.normalize('NFKC').toLowerCase().normalize('NFKC');
}

interface Segment {
  readonly text: string;
  readonly written: string;
}

function parseSegment(piece: string, needs: Set<PathLiberty>): Segment | MeaningRefusal {
  if (piece === '') {
    needs.add('emptySegments');
    return { text: '', written: '' };
  }
  // Most are, and nothing of what follows can befall them.
  if (SIMPLE.test(piece)) return { text: piece, written: piece };
  const [name = '', ...parameters] = piece.split(';').map(decoded);
  if (typeof name !== 'string') return name;
  const problem = problemOf(name, needs);
  if (problem !== undefined) return problem;
  let written = encodeSegment(name);
  for (const parameter of parameters) {
    needs.add('matrixParameters');
    if (typeof parameter !== 'string') return parameter;
    // A slash in one would make segments of it for whoever decodes first.
    if (parameter.includes('/')) return refused('a path parameter has an encoded slash', SLASH_HINT);
    const wrong = parameter === '' ? undefined : problemOf(parameter, needs);
    if (wrong !== undefined) return wrong;
    written += `;${encodeSegment(parameter)}`;
  }
  return { text: name, written };
}

function decoded(text: string): string | MeaningRefusal {
  const { bytes, isValid } = percentDecoded(text);
  if (!isValid)
    return refused('the path has a percent sign without two hexadecimal digits', 'write a percent sign as %25');
  return utf8Text(bytes) ?? refused('the path is not UTF-8 when decoded', 'percent-encode its characters as UTF-8');
}

/** What is wrong with a decoded segment, for readers that take it as it is and for those that fold compatibility forms. */
function problemOf(text: string, needs: Set<PathLiberty>): MeaningRefusal | undefined {
  if (text === '') return refused('a path segment has parameters but no name', 'name the segment before its ;');
  if (text.normalize('NFC') !== text)
    return refused('the path has characters that are not composed (NFC)', 'normalize it to NFC before encoding it');
  const own = problemOfForm(text);
  if (own !== undefined) return own;
  const folded = text.normalize('NFKC');
  if (folded !== text) {
    if (signs(folded) !== signs(text) || problemOfForm(folded) !== undefined)
      return refused('the path has a character that some servers take for a delimiter', 'leave that character away');
  }
  if (text.includes('/')) needs.add('encodedSlash');
  if (text.includes('/') && text.split('/').includes('')) needs.add('emptySegments');
  return undefined;
}

function problemOfForm(text: string): MeaningRefusal | undefined {
  if (HIDDEN.test(text)) return refused('the path has an encoded control character', 'leave it away');
  if (text.includes('\\')) return refused('the path has an encoded backslash', 'separate segments by / alone');
  if (text.includes(';')) return refused('the path has an encoded semicolon', 'leave it away');
  if (ENCODED_TWICE.test(text)) return refused('the path is percent-encoded twice', 'encode each character once');
  for (const part of text.split('/')) {
    if (part === '.' || part === '..')
      return refused('the path has a dot segment', 'send the path resolved, without . and ..');
    if (/^\s|[.\s]$/u.test(part))
      return refused('a path segment ends with a dot, or begins or ends with a blank', 'leave that character away');
  }
  return undefined;
}

/** The delimiters in a text, in their order. */
function signs(text: string): string {
  return text.replace(/[^/\\;?#%]/g, '');
}

function refused(message: string, hint: string): MeaningRefusal {
  return refusal('http-path', message, hint);
}

const SLASH_HINT = 'leave the slash away';
/** Deeper than any that is served; a route is looked for segment by segment. */
const SEGMENTS_MAX = 256;
/** What a path may have as it is (RFC 3986 §3.3), but for `;`, which separates parameters, and `+`, which some take for a blank. */
const KEPT = bytesKept("!$&'()*,=:@");
const PLAIN = /^[A-Za-z0-9\-._~!$&'()*,=:@]*$/;
/** Letters, digits and hyphens: without a sign that any reader gives a meaning. */
const SIMPLE = /^[A-Za-z0-9_-]+$/;
const ASCII = /^[\0-\x7f]*$/;
const HIDDEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
const ENCODED_TWICE = /%(?:[0-9a-f]{2}|u[0-9a-f]{4})/i;
