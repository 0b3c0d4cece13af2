import fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldName } from './fold-name.ts';

// Goal: whatever two names some reader takes for one have one fold.

it('each character folds as its lower case, upper case and normal forms do, and a fold folds to itself', () => {
  for (let point = 1; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const character = String.fromCodePoint(point);
    const folded = foldName(character);
    for (const other of [folded, ...spellings(character)])
      if (other !== character && foldName(other) !== folded) expect.fail(`U+${point.toString(16)}`);
  }
});

it('so does any text', () => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom(...ODD), fc.string({ unit: 'binary', maxLength: 1 })),
    maxLength: 8,
  });
  fc.assert(
    fc.property(text, (name) => {
      for (const other of spellings(name)) expect(foldName(other)).toBe(foldName(name));
      expect(foldName(foldName(name))).toBe(foldName(name));
    }),
    { numRuns: 5_000 },
  );
});

it.each([
  ['the long s', 'ſ', 'S'],
  ['the sign of kelvin', '\u212a', 'k'],
  ['sharp s', 'ẞ', 'ss'],
  ['the symbol theta', 'ϴ', 'θ'],
  ['the sign of ohm', 'Ω', 'ω'],
  ['the final sigma', 'ς', 'Σ'],
  ['the sign of micro', 'µ', 'μ'],
  ['the dotless i, rather than too little', 'ı', 'I'],
  ['an iota below, behind a voiced mark and before an accent', 'ᾳﾞ\u0301', 'ΑΙﾞ\u0301'],
  ['a NUL and all behind it', 'Aé\0b', 'aé'],
  ['nothing but a NUL', '\0x', ''],
])('folds %s', (_, a, b) => {
  expect(foldName(a)).toBe(foldName(b));
});

it('keeps apart what no reader takes for one', () => {
  const names = ['a', 'b', 'ab', 'a b', 'a-b', 'a_b', 'ä', 'a\u200b', 'аb'];
  expect(new Set(names.map(foldName)).size).toBe(names.length);
});

function spellings(text: string): string[] {
  return [text.toLowerCase(), text.toUpperCase(), ...FORMS.map((form) => text.normalize(form))];
}

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const;
const ODD = [
  'a',
  'K',
  'ß',
  'ẞ',
  'İ',
  'ı',
  'Σ',
  'ς',
  'α',
  'ι',
  '\u0301',
  '\u0345',
  '\u0316',
  'ﬃ',
  'ﾞ',
  'ᾳ',
  '𝐀',
  'ǰ',
  '가',
  'ᄀ',
];
