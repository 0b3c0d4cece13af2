import { isAscii } from 'node:buffer';
import { JoseError } from './errors.ts';

/** JSON as claims hold it. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/**
 * Reads one JSON object that every reader reads alike: UTF-8 without a byte order mark, no member twice (also none in another spelling, at
 * any depth), no half of a surrogate pair, and not nested without end. Of two members of one name some readers take the first, others the
 * last: then the one who signs and the one who decides would not mean the same.
 * @throws JoseError with `code`; `what` names the text
 * @see RFC 8259 §4, §8; RFC 7515 §4; RFC 7519 §4
 */
export function parseStrictObject(
  bytes: Buffer,
  { code, what }: { readonly code: JoseError['code']; readonly what: string },
): { readonly [name: string]: JsonValue } {
  let value: JsonValue;
  let text: string;
  try {
    // Nearly every text is ASCII, which needs no decoder.
    text = isAscii(bytes) ? bytes.toString('latin1') : utf8.decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new JoseError(code, `${what} is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JoseError(code, `${what} is not a JSON object`);
  }
  const fault = valueFault(value, 0) ?? memberFault(text, value);
  if (fault) throw new JoseError(code, `${what} ${fault}`);
  return value as { readonly [name: string]: JsonValue }; // No list, as just seen, which TypeScript does not conclude for readonly ones.
}

function valueFault(value: JsonValue, depth: number): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : HALF;
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= JSON_DEPTH_MAX) return `nests deeper than ${JSON_DEPTH_MAX} levels`;
  for (const [name, item] of Object.entries(value)) {
    if (!name.isWellFormed()) return HALF;
    const fault = valueFault(item, depth + 1);
    if (fault) return fault;
  }
  return undefined;
}

/** Looks for a member that stands twice. `text` is known to be JSON, so its strings and brackets alone tell where the names are. */
function memberFault(text: string, value: JsonValue): string | undefined {
  // What comes back as it was has lost no member: so are nearly all texts, and this takes a microsecond.
  if (JSON.stringify(value) === text) return undefined;
  const open: (Set<string> | undefined)[] = [];
  let before = '';
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g)) {
    const names = open.at(-1);
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (names && token.startsWith('"') && (before === '{' || before === ',')) {
      const name = String(JSON.parse(token));
      if (names.has(name)) return 'holds a member twice';
      names.add(name);
    }
    before = token;
  }
  return undefined;
}

const HALF = 'holds half of a surrogate pair';
/** By default a decoder takes a byte order mark away in silence. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Claims of real tokens nest two or three levels. */
export const JSON_DEPTH_MAX = 16;
