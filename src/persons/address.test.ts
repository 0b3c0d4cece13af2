/** Goal: from where a sign-in is good is compared as people mean it, however a socket was opened. */
import { describe, expect, it } from 'vitest';
import { addressIn, plainAddress } from './address.ts';

describe('addresses', () => {
  it.each([
    ['address', '192.0.2.7', '192.0.2.7', true],
    ['address', '192.0.2.7', '192.0.2.8', false],
    ['network', '192.0.2.7', '192.0.2.200', true],
    ['network', '192.0.2.7', '192.0.3.7', false],
    ['network', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['network', '2001:db8::1', '2001:db8:0:1::1', false],
    ['network', '192.0.2.7', '2001:db8::1', false],
    ['network', '', '192.0.2.7', false],
    ['anywhere', '192.0.2.7', '2001:db8::1', true],
  ] as const)('by %s, what began at %s goes on from %s: %s', (rule, first, now, expected) => {
    expect(addressIn(rule, first, now)).toBe(expected);
  });

  it('are one, however a socket was opened', () => {
    expect(plainAddress('::ffff:192.0.2.7')).toBe('192.0.2.7');
    expect(plainAddress('FE80::1%eth0')).toBe('fe80::1');
  });
});
