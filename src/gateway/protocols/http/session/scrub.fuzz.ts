import { assert } from '../../../../std/index.ts';
import { createScrubber, scrubText } from './scrub.ts';

/** Whatever an upstream says, wherever it is cut: of the credential no form is left, nothing else is changed, and no length. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input.subarray(1));
  for (const pieceBytes of [1, 1 + (input[0] ?? 0), Math.max(1, bytes.length)]) {
    const scrubber = createScrubber(FORMS);
    const shown: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes)
      shown.push(scrubber.push(bytes.subarray(at, at + pieceBytes)));
    shown.push(scrubber.end());
    checkShown(bytes, Buffer.concat(shown));
  }
  checkShown(bytes, Buffer.from(scrubText(bytes.toString('latin1'), FORMS), 'latin1'));
  assert(bytes.equals(input.subarray(1)), 'what came was changed');
}

function checkShown(bytes: Buffer, shown: Buffer): void {
  assert(shown.length === bytes.length, 'another length');
  for (const form of FORMS) assert(!shown.includes(form), 'a form of the credential is shown');
  for (let at = 0; at < bytes.length; at++)
    assert(shown[at] === bytes[at] || shown[at] === ASTERISK, 'a byte was changed that is none of it');
  if (!FORMS.some((form) => bytes.includes(form))) assert(shown.equals(bytes), 'something was taken out for nothing');
}

/** One begins with the end of another, one is within another, and one repeats itself. */
const FORMS = ['abcabcab', 'cabxyz', 'xyz/abc', 'bca', 'aXaXaY'].map((text) => Buffer.from(text));
const ASTERISK = 0x2a;
export const seeds: readonly Uint8Array[] = [
  '\x03--abcabcab--',
  '\x00abcabcabcabxyz/abc',
  '\x07aXaXaXaYaXaXaY',
  '\x01bcabca*',
].map((text) => Buffer.from(text, 'latin1'));
export const tokens = ['abc', 'ab', 'cab', 'xyz', '/', 'aX', 'aY', '*', 'bca'];
