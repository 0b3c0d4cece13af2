import { describe, expect, it } from 'vitest';
import { createMessageEnds } from './message-ends.ts';

const message = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

describe('a message has ended', () => {
  it('with its last byte, and not before', () => {
    const body = Buffer.concat([message('one'), message(''), message('x'.repeat(200))]);
    const ends = createMessageEnds();
    const found = [...body].flatMap((byte, at) => (ends.push(Buffer.from([byte])) ? [at + 1] : []));
    expect(found).toEqual([8, 13, 218]);
  });

  it('also of a piece with several, or with the end of one', () => {
    const ends = createMessageEnds();
    expect(ends.push(Buffer.concat([message('one'), message('two')]))).toBe(true);
    expect(ends.push(Buffer.concat([message('one'), message('two').subarray(0, 7)]))).toBe(false);
    expect(ends.push(message('two').subarray(7))).toBe(true);
    expect(ends.push(message('three').subarray(0, 4))).toBe(false);
  });
});
