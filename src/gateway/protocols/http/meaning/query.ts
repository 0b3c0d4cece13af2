import { foldedText } from './path.ts';
import { bytesKept, encodedByte, percentDecoded, utf8Text } from './percent.ts';
import { type MeaningRefusal, refusal } from './refusal.ts';

/** What somebody wants of a query. */
export interface QueryQuestion {
  /** Names whose values policy reads. */
  readonly reads: readonly string[];
  /** The one that the gateway adds itself, which no client may. */
  readonly credential: string | undefined;
}

/** A query, encoded anew. */
export interface CanonicalQuery {
  /** With its `?`; empty for none. */
  readonly written: string;
  /** Of the names that are read, those that are there. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Reads a query as written, without its `?`. Its pairs stay in their order. What two readers could take for different values is refused where
 * somebody here reads it; of the rest each byte stays what it was.
 */
export function parseQuery(query: string, { reads, credential }: QueryQuestion): CanonicalQuery | MeaningRefusal {
  if (!/^[!-~]*$/.test(query) || query.includes('#'))
    return refused('the query has a # or characters that are no visible ASCII', 'percent-encode them as UTF-8');
  const isRead = reads.length > 0 || credential !== undefined;
  if (isRead && query.includes(';'))
    return refused('the query has a semicolon, which some servers take for &', 'write it as %3B');
  const values = new Map<string, string>();
  const written: string[] = [];
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    // Some servers take a semicolon for &: then each part of the pair is one.
    const parts = pair.split(';').map(cutPair);
    written.push(parts.map(rewrittenPair).join(';'));
    for (const part of parts) {
      const problem = takeValue(part, { reads, credential, values });
      if (problem !== undefined) return problem;
    }
  }
  return { written: written.length === 0 ? '' : `?${written.join('&')}`, values };
}

/** A name as the laxest of readers take it: PHP cuts at `[` and NUL and makes `_` of dots and blanks, others fold case. */
export function foldedName(name: string): string {
  const whole = ENCODED.test(name) ? percentDecoded(name).bytes.toString() : name;
  const [before = ''] = foldedText(whole).split('\0');
  const trimmed = before.replace(/[\p{Cc}\p{Cf}]/gu, '').trim();
  const bracket = trimmed.indexOf('[');
  return (bracket > 0 ? trimmed.slice(0, bracket) : trimmed).replace(/[ .+]/g, '_');
}

interface WrittenPair {
  readonly name: string;
  /** Undefined: it has no `=`. */
  readonly value: string | undefined;
}

function cutPair(pair: string): WrittenPair {
  const cut = pair.indexOf('=');
  return cut < 0 ? { name: pair, value: undefined } : { name: pair.slice(0, cut), value: pair.slice(cut + 1) };
}

function rewrittenPair({ name, value }: WrittenPair): string {
  return value === undefined ? rewritten(name) : `${rewritten(name)}=${rewritten(value)}`;
}

/** Puts a value that is read to the others. */
function takeValue(
  pair: WrittenPair,
  { reads, credential, values }: QueryQuestion & { readonly values: Map<string, string> },
): MeaningRefusal | undefined {
  const { name, isSound } = nameOf(pair.name);
  const folded = foldedName(name);
  if (folded === OVERRIDE)
    return refused('the query has _method, which some servers take for the method', 'send the method itself');
  if (reads.length === 0 && credential === undefined) return undefined;
  if (!isSound)
    return refused('a name in the query is not UTF-8 or not encoded as it must be', 'percent-encode names as UTF-8');
  if (credential !== undefined && folded === foldedName(credential))
    return refused('the query has the parameter that holds the credential', 'leave it away: the gateway adds its own');
  const read = reads.find((one) => foldedName(one) === folded);
  if (read === undefined) return undefined;
  if (name !== read || pair.name.includes('+'))
    return refused(`the query has another spelling of ${read}, which policy reads`, `write it ${read}`);
  if (values.has(read)) return refused(`the query has ${read} twice, which policy reads`, 'send it once');
  const value = valueIn(pair.value ?? '');
  if (value === undefined)
    return refused(
      `the value of ${read} in the query can be read in two ways`,
      'percent-encode it as UTF-8, a blank as %20 and a plus sign as %2B',
    );
  values.set(read, value);
  return undefined;
}

function nameOf(raw: string): { readonly name: string; readonly isSound: boolean } {
  const { bytes, isValid } = percentDecoded(raw);
  const text = utf8Text(bytes);
  return { name: text ?? bytes.toString('latin1'), isSound: isValid && text !== undefined && !/\p{Cc}/u.test(text) };
}

/** Undefined: not all readers take it for the same. */
function valueIn(raw: string): string | undefined {
  const { bytes, isValid } = percentDecoded(raw);
  const text = utf8Text(bytes);
  if (!isValid || raw.includes('+') || text === undefined || /\p{Cc}/u.test(text)) return undefined;
  return text.normalize('NFC') === text ? text : undefined;
}

/** The same bytes in one spelling. `+` and `;` stay as they are, since `%2B` and `%3B` may be another thing. */
function rewritten(raw: string): string {
  if (PLAIN.test(raw)) return raw;
  return raw.replace(/%[0-9a-f]{2}|[^A-Za-z0-9]/gi, (found) => {
    if (found === '+' || found === ';') return found;
    const byte = found.length === 3 ? Number.parseInt(found.slice(1), 16) : found.charCodeAt(0);
    return KEPT.has(byte) ? String.fromCharCode(byte) : encodedByte(byte);
  });
}

function refused(message: string, hint: string): MeaningRefusal {
  return refusal('http-query', message, hint);
}

const KEPT = bytesKept('!$()*,:@/');
const PLAIN = /^[A-Za-z0-9\-._~!$()*,:@/+;]*$/;
const ENCODED = /%[0-9a-f]{2}/i;
const OVERRIDE = '_method';
