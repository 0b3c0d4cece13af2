import { describe, expect, it } from 'vitest';
import { createSeededRandom } from '../../std/index.ts';
import { createSerials } from './serials.ts';

describe('serial numbers', () => {
  it('never come twice, have 16 bytes and are positive', () => {
    const next = createSerials(createSeededRandom('serials'));
    const serials = Array.from({ length: 1000 }, next);
    expect(new Set(serials.map((serial) => serial.toString('hex'))).size).toBe(1000);
    expect(serials.every((serial) => serial.length === 16 && ((serial[0] ?? 0) & 0xc0) === 0x40)).toBe(true);
  });

  it('draw fresh chance when the drawn is used up', () => {
    const asked: number[] = [];
    const random = createSeededRandom('draws');
    const bytes = (count: number) => {
      asked.push(count);
      return random.bytes(count);
    };
    const next = createSerials({ ...random, bytes });
    for (let index = 0; index < 65; index++) next();
    expect(asked).toEqual([1024, 1024]);
  });
});
