import { expect, it } from 'vitest';
import { createSeededRandom } from '../std/index.ts';
import { serverAddresses } from './server-addresses.ts';

it('roles spread over the servers that they are told of, and over the others when one is gone', () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 600; n++) {
    const { host, others } = serverAddresses('a.example:1, [::1]:2,c.example:3', createSeededRandom(`${n}`));
    const order = [host, ...others.map((other) => other.host)].join(' ');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  expect(Math.min(...counts.values())).toBeGreaterThan(60);
});

it('one server is the only one', () => {
  expect(serverAddresses('127.0.0.1:8081', createSeededRandom(''))).toEqual({
    host: '127.0.0.1',
    port: 8081,
    others: [],
  });
});
