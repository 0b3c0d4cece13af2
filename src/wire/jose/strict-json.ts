import { JsonError, type JsonValue, readStrictJson } from '../json/index.ts';
import { JoseError } from './errors.ts';

/**
 * Reads one JSON object that every reader reads alike: UTF-8 without a byte order mark, no member twice (also none in another spelling, at
 * any depth), no half of a surrogate pair, and not nested without end. Of two members of one name some readers take the first, others the
 * last: then the one who signs and the one who decides would not mean the same. Names are those of their exact letters, as the standards say.
 * @throws JoseError with `code`; `what` names the text
 * @see RFC 8259 §4, §8; RFC 7515 §4; RFC 7519 §4
 */
export function parseStrictObject(
  bytes: Buffer,
  { code, what }: { readonly code: JoseError['code']; readonly what: string },
): { readonly [name: string]: JsonValue } {
  let value: JsonValue;
  try {
    value = readStrictJson(bytes, { depth: JSON_DEPTH_MAX, foldsNames: false, checksNumbers: false });
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new JoseError(code, `${what} can't be read in one way only: ${cause.message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JoseError(code, `${what} is not a JSON object`);
  }
  return value as { readonly [name: string]: JsonValue }; // No list, as just seen, which TypeScript does not conclude for readonly ones.
}

/** Claims of real tokens nest two or three levels. */
export const JSON_DEPTH_MAX = 16;
