import { expect, it } from 'vitest';
import { splitAddress } from './link.ts';

it('an address is host:port, with brackets for IPv6, and nothing else', () => {
  expect(splitAddress('gw.example.org:7443')).toEqual({ host: 'gw.example.org', port: 7443 });
  expect(splitAddress('[::1]:7443')).toEqual({ host: '::1', port: 7443 });
  for (const wrong of ['', 'host', ':1', 'host:', 'host:0', 'host:65536', 'host:-1', 'host:1e3']) {
    expect(() => splitAddress(wrong)).toThrow('host:port');
  }
});
