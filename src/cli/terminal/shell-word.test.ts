import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellWord } from './shell-word.ts';

describe('a word of a command to paste', () => {
  it.each([
    ['/run/countersign/agent.sock', '/run/countersign/agent.sock'],
    ["/srv/a b'c", "'/srv/a b'\\''c'"],
    ['~', "'~'"],
    ['', "''"],
    ['$(reboot)', "'$(reboot)'"],
  ])('is, for %j, %s', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });

  it('is read by a shell as the one word it was, whatever is in it', () => {
    const words = fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '').toWellFormed()));
    fc.assert(
      fc.property(words, (texts) => {
        const script = `for w in ${texts.map(shellWord).join(' ')}; do printf '%s\\0' "$w"; done`;
        const read = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
        expect(read.split('\0').slice(0, -1)).toEqual(texts);
      }),
      { numRuns: 30 },
    );
  });
});
