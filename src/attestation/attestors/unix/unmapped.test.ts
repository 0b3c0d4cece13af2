import { describe, expect, it } from 'vitest';
import { coversAll, isUnmapped } from './unmapped.ts';

// With a real user namespace: ../../process/namespaces.test.ts.

describe('a map of users', () => {
  it.each(['         0          0 4294967295\n', '0 0 1000\n1000 100000 4294966295\n'])('covers all: %j', (map) => {
    expect(coversAll(map)).toBe(true);
  });

  it.each([
    '',
    '0 0 1\n',
    '0 1000 1\n1 100000 65536\n',
    '0 0 4294967294\n',
    'x y z\n',
  ])('leaves some out: %j', (map) => {
    expect(coversAll(map)).toBe(false);
  });
});

it('a user with a number of his own is not one without', () => {
  expect(isUnmapped('uid', 1000)).toBe(false);
  expect(isUnmapped('gid', 0)).toBe(false);
});
