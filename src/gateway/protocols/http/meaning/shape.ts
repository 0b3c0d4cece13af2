import { encodeSegment } from './path.ts';

/** What requests that no route takes have in common: `/v1/customers/{}`, with `{}` for each segment that looks like a value. */
export function pathShape(segments: readonly string[]): string {
  const shown = segments.slice(0, SEGMENTS_MAX).map((text) => (WORD.test(text) ? encodeSegment(text) : '{}'));
  return `/${shown.join('/')}${segments.length > SEGMENTS_MAX ? '/…' : ''}`;
}

/** A word of letters, or one that ends in a number of two digits, as versions do. */
const WORD = /^(?=.{1,32}$)[a-z]+(?:[._:-][a-z]+)*(?<![a-z]{24})\d{0,2}$/i;
const SEGMENTS_MAX = 12;
