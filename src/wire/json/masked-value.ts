import { strict as assert } from 'node:assert';
import type { ByteBox } from './byte-box.ts';
import { type JsonMask, type JsonSpan, valueGrowthMax } from './path-states.ts';

/** Writes what `mask` makes of a scalar, given as it stands in a document: a string or null. */
export function writeMasked(out: ByteBox, mask: JsonMask, scalar: JsonSpan, hasEscapes: boolean): void {
  const { buffer, start, end } = scalar;
  const first = buffer[start];
  if (first === LETTER_N) out.add(NULL, 0, NULL.length);
  else if (first !== QUOTE) writeText(out, mask, scalar);
  else if (!hasEscapes) writeText(out, mask, { buffer, start: start + 1, end: end - 1 });
  else {
    const text = Buffer.from(JSON.parse(buffer.toString('utf8', start, end)));
    writeText(out, mask, { buffer: text, start: 0, end: text.length });
  }
}

function writeText(out: ByteBox, mask: JsonMask, text: JsonSpan): void {
  const room = text.end - text.start + valueGrowthMax;
  out.reserve(room + 2);
  const at = out.length + 1;
  const end = mask(text, out.buffer, at);
  if (end === -1) {
    out.add(NULL, 0, NULL.length);
    return;
  }
  assert(end >= at && end <= at + room, 'a mask wrote more than it may');
  if (isPlain(out.buffer, at, end)) {
    out.buffer[at - 1] = QUOTE;
    out.buffer[end] = QUOTE;
    out.length = end + 1;
  } else {
    // Whatever a mask wrote, what is shown is UTF-8 and one string.
    const escaped = Buffer.from(JSON.stringify(out.buffer.toString('utf8', at, end)));
    out.add(escaped, 0, escaped.length);
  }
}

/** True for ASCII that a string holds as it is. */
function isPlain(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const c = bytes[i] ?? 0;
    if (c < SPACE || c > TILDE || c === QUOTE || c === BACKSLASH) return false;
  }
  return true;
}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const TILDE = 0x7e;
const NULL = Buffer.from('null');
