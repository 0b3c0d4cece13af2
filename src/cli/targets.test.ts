import { describe, expect, it } from 'vitest';
import { splitTarget } from './targets.ts';

const split = (args: readonly string[], target?: string) =>
  splitTarget({ args, options: target === undefined ? {} : { target } });

describe('what a command that hands words on was given', () => {
  it('is a target as the first word, and the words behind it', () => {
    expect(split(['shop', '-c', 'select 1'])).toEqual({ target: 'shop', rest: ['-c', 'select 1'] });
    expect(split(['shop', '--', '-c', 'select 1'])).toEqual({ target: 'shop', rest: ['-c', 'select 1'] });
  });

  it('is a target by its option, and then all words are the other program’s', () => {
    expect(split(['-c', 'select 1'], 'shop')).toEqual({ target: 'shop', rest: ['-c', 'select 1'] });
    expect(split(['psql', '-c'], 'shop')).toEqual({ target: 'shop', rest: ['psql', '-c'] });
  });

  it('is no target where the first word is an option of the other program', () => {
    expect(split(['-c', 'select 1'])).toEqual({ target: undefined, rest: ['-c', 'select 1'] });
    expect(split(['--', '-c'])).toEqual({ target: undefined, rest: ['-c'] });
    expect(split([])).toEqual({ target: undefined, rest: [] });
  });
});
