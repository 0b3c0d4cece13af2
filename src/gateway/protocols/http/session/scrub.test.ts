import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScrubber, scrubText } from './scrub.ts';

const FORMS = [Buffer.from('s3cret-token'), Buffer.from('czNjcmV0LXRva2Vu')];

function through(text: string, cuts: readonly number[], forms = FORMS): string {
  const bytes = Buffer.from(text, 'latin1');
  const scrubber = createScrubber(forms);
  let at = 0;
  let shown = '';
  for (const cut of [...cuts, bytes.length]) {
    if (cut < at) continue;
    shown += scrubber.push(bytes.subarray(at, cut)).toString('latin1');
    at = cut;
  }
  return shown + scrubber.end().toString('latin1');
}

describe('a credential in an answer', () => {
  it('becomes asterisks of its length, each time', () => {
    expect(through('a s3cret-token b s3cret-tokens3cret-token', [])).toBe(`a ${'*'.repeat(12)} b ${'*'.repeat(24)}`);
  });

  it('is found in each of its forms', () => {
    expect(through('x=czNjcmV0LXRva2Vu;', [])).toBe(`x=${'*'.repeat(16)};`);
  });

  it('is found wherever its bytes are cut', () => {
    const text = 'before s3cret-token after';
    for (let cut = 0; cut <= text.length; cut++) expect(through(text, [cut])).toBe(`before ${'*'.repeat(12)} after`);
    expect(
      through(
        text,
        [...text].map((_, index) => index),
      ),
    ).toBe(`before ${'*'.repeat(12)} after`);
  });

  it('is struck out of fields as well', () => {
    expect(scrubText('Bearer s3cret-token', FORMS)).toBe(`Bearer ${'*'.repeat(12)}`);
  });

  it('is not what only begins like it', () => {
    expect(through('s3cret-toke', [3])).toBe('s3cret-toke');
    expect(through('s3cret-s3cret-s3', [7, 14])).toBe('s3cret-s3cret-s3');
  });

  it('leaves nothing of itself, and changes nothing else', () => {
    const word = fc.constantFrom('s3cret-token', 's3cret-', 'token', 's3c', 'czNjcmV0LXRva2Vu', 'czNj', ' ', '\n');
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), fc.array(fc.nat(300), { maxLength: 20 }), (words, cuts) => {
        const text = words.join('');
        const shown = through(
          text,
          cuts.toSorted((a, b) => a - b),
        );
        expect(shown).toHaveLength(text.length);
        expect(shown).toBe(through(text, []));
        for (const form of FORMS) expect(shown).not.toContain(form.toString('latin1'));
      }),
      { numRuns: 500, seed: 4_101 },
    );
  });
});
