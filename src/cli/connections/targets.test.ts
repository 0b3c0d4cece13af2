import { expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { namedTarget } from './targets.ts';

it('a target is named by the first word or by its option, not by both', () => {
  expect(namedTarget({ args: ['shop'], options: {} })).toBe('shop');
  expect(namedTarget({ args: [], options: { target: 'shop' } })).toBe('shop');
  expect(namedTarget({ args: [], options: {} })).toBeUndefined();
  expect(() => namedTarget({ args: ['shop'], options: { target: 'orders' } })).toThrow(UsageError);
});
