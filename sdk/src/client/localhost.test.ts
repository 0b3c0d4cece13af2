import { expect, it } from 'vitest';
import { lookupOf } from './localhost.ts';

// Goal: what is this machine's own by its name is asked of nobody, and everything else is.

it.each(['localhost', 'countersign.localhost', 'Countersign.LOCALHOST.'])('%s is this machine', async (host) => {
  const lookup = lookupOf(host);
  const found = await new Promise((resolve) =>
    lookup?.(host, { all: true }, (_error, addresses) => resolve(addresses)),
  );
  expect(found).toEqual([
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]);
  const one = await new Promise((resolve) => lookup?.(host, {}, (_error, address) => resolve(address)));
  expect(one).toBe('127.0.0.1');
});

it.each(['localhost.example.org', 'mylocalhost', '127.0.0.1', ''])('%j is looked up as ever', (host) => {
  expect(lookupOf(host)).toBeUndefined();
});
