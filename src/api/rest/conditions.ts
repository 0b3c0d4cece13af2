import { sha256 } from '../../std/index.ts';
import { RestError } from './errors.ts';

/** The tag of an answer, without quotes: its own word for its state, else a digest of its bytes. */
export function tagOf(body: string, own: string | undefined): string {
  return own ?? sha256(Buffer.from(body)).toString('base64url').slice(0, 22);
}

/** Whether what the caller has is that. Which of the two forms a tag has makes no difference here. @see RFC 9110 §13.1.2 */
export function isSeen(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((one) => one.trim().replace(/^W\//, '') === `"${tag}"`);
}

/**
 * The one tag of `If-Match`; undefined where there is none, or anything will do. Some caches make a strong tag a weak one, and then it does not
 * prove that nothing has changed. @throws RestError ERR_REST_HEADER @see RFC 9110 §13.1.1
 */
export function readIfMatch(header: string | undefined): string | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const tag = /^"([\x21\x23-\x7e]{1,128})"$/.exec(header.trim())?.[1];
  if (tag !== undefined) return tag;
  throw new RestError('ERR_REST_HEADER', 'If-Match has one tag, in quotes, as an ETag gave it');
}
