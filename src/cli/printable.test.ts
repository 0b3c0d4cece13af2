import fc from 'fast-check';
import { expect, it } from 'vitest';
import { printable } from './printable.ts';

it.each([
  ['customers é 表 🙂\n\tnext', 'customers é 表 🙂\n\tnext'],
  ['\u001b[2Jall is well', '\\u{1b}[2Jall is well'],
  ['\u009bJ', '\\u{9b}J'],
  ['a\rb\bc\u007f', 'a\\u{d}b\\u{8}c\\u{7f}'],
  ['ab\u202ecd\u2066\u200f\u061c', 'ab\\u{202e}cd\\u{2066}\\u{200f}\\u{61c}'],
  ['one\u2028two\u2029', 'one\\u{2028}two\\u{2029}'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

it('nothing that is shown moves a cursor, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const character of printable(text)) {
        const code = character.codePointAt(0) ?? 0;
        expect(code === 9 || code === 10 || (code >= 0x20 && code < 0x7f) || code > 0x9f).toBe(true);
      }
    }),
  );
});
