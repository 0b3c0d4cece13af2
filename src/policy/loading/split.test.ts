import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from './cedar.ts';
import { splitPolicies, unitsFromBytes } from './split.ts';

// Goal: cutting a text before Cedar reads it hides nothing from Cedar, above all no forbid.

const PERMIT = 'permit(principal, action, resource);';

describe('cutting a text into policies', () => {
  it.each([
    ['a comment that a lone carriage return ends', `// x\r${PERMIT}`, 1],
    ['a comment that a newline ends', `// x\n${PERMIT}`, 1],
    ['a comment marker inside a string', `@id("//") ${PERMIT}${PERMIT}`, 2],
    ['a semicolon inside a string', `@id("a;b\\";c") ${PERMIT}`, 1],
    ['a quote inside a comment', `// "\n${PERMIT}`, 1],
    ['blanks of every kind', `\ufeff\u00a0\t\r\n${PERMIT}\u2028`, 1],
    ['nothing', '', 0],
  ])('knows %s', (_, text, count) => {
    expect(splitPolicies({ name: 'p', text })).toHaveLength(count);
  });

  it('finds as many policies as Cedar does in the whole, whatever stands between them', async () => {
    const piece = fc.constantFrom(
      '//',
      '/',
      '\n',
      '\r',
      '\u2028',
      '\u0085',
      '"',
      '\\',
      ';',
      ' ',
      'é',
      '😀',
      '@id("x")',
      PERMIT,
      PERMIT,
      PERMIT.slice(0, -1),
    );
    await fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const whole = cedar.policySetTextToParts(text);
        const parts = splitPolicies({ name: 'p', text });
        const accepted = parts.every((part) => 'json' in parsePolicy(part.text));
        if (whole.type === 'success') expect([parts.length, accepted]).toEqual([whole.policies.length, true]);
        // What we take beyond Cedar is a blank that it does not know, outside of policies.
        else if (accepted)
          expect(cedar.checkParsePolicySet({ staticPolicies: parts.map((part) => part.text).join('\n') }).type).toBe(
            'success',
          );
      }),
      { numRuns: 1500 },
    );
  });

  it('gives places by line and column of the source', () => {
    const [, second] = splitPolicies({ name: 'p', text: `${PERMIT}\r\n\n  ${PERMIT}` });
    expect(second?.position(0)).toEqual({ source: 'p', line: 3, column: 3 });
    expect(second?.position(7)).toEqual({ source: 'p', line: 3, column: 10 });
  });

  it('reads a text of the largest size in no time, whatever is in it', () => {
    for (const unit of ['"', '\\', '/', '//\n', '"\\"', ' ', 'a', ';', '@'])
      splitPolicies({ name: 'p', text: unit.repeat(Math.floor((1 << 20) / unit.length)) });
  });
});

describe('offsets', () => {
  it('in bytes become offsets in characters, also inside a character', () => {
    expect([0, 1, 3, 6, 10].map((at) => unitsFromBytes('aé€😀', at))).toEqual([0, 1, 2, 3, 5]);
  });
});
