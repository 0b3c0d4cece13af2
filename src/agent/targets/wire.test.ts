import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePreface, parseStatus, splitAddress } from './link.ts';
import { fuzz, seeds } from './wire.fuzz.ts';

describe('the link', () => {
  it('opens with CSL1, the length of the name and the name', () => {
    expect(encodePreface('orders', 'session').toString('latin1')).toBe('CSL1\0\x06orders');
    expect(encodePreface('orders', 'aside').toString('latin1')).toBe('CSA1\0\x06orders');
  });

  it('waits for the whole answer of the gateway, however it is split', () => {
    const refusal = Buffer.concat([Buffer.from([1, 0, 4]), Buffer.from('no!\n')]);
    for (let length = 0; length < refusal.length; length++) {
      expect(parseStatus(refusal.subarray(0, length))).toEqual({ done: false });
    }
    expect(parseStatus(refusal)).toMatchObject({ done: true, bytes: 7, reason: 'no! ', isPassing: false });
    expect(parseStatus(Buffer.from([0, 9, 9]))).toMatchObject({ done: true, bytes: 1, reason: undefined });
    refusal[0] = 2;
    expect(parseStatus(refusal)).toMatchObject({ done: true, reason: 'no! ', isPassing: true });
  });

  it('shows no more of a reason than fits a message', () => {
    const long = Buffer.concat([Buffer.from([1, 0xff, 0xff]), Buffer.alloc(65_535, 'a')]);
    expect(parseStatus(long)).toMatchObject({ bytes: 65_538, reason: 'a'.repeat(512) });
  });

  it('takes host:port, with brackets for IPv6, and nothing else', () => {
    expect(splitAddress('gw.example.org:7443')).toEqual({ host: 'gw.example.org', port: 7443 });
    expect(splitAddress('[::1]:7443')).toEqual({ host: '::1', port: 7443 });
    for (const wrong of ['', 'host', ':1', 'host:', 'host:0', 'host:65536', 'host:-1', 'host:1e3']) {
      expect(() => splitAddress(wrong)).toThrow('host:port');
    }
  });

  it('reads whatever bytes come', () => {
    for (const seed of seeds) fuzz(seed);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => fuzz(bytes)));
  });
});
