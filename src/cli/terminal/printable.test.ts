import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonLine, printable } from './printable.ts';

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

it('nor does a line of JSON, and whoever parses it has the text as it was', () => {
  expect(jsonLine({ name: 'a\u009bJ\u202e' })).toBe('{"name":"a\\u009bJ\\u202e"}\n');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = jsonLine({ text });
      expect(JSON.parse(line)).toEqual({ text });
      expect(printable(line)).toBe(line);
      expect(line.indexOf('\n')).toBe(line.length - 1);
    }),
  );
});
