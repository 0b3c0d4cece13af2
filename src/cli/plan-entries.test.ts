import { expect, it } from 'vitest';
import type { RpcClient } from '../rpc/index.ts';
import { planEntries } from './plan-entries.ts';

it.each([
  {},
  { parentId: 'spiffe://example.org/countersign/nodes' },
])('an admin entry that would hold on every node (%j) is refused before the server is asked', async (parent) => {
  const client = {} as RpcClient; // Any call would fail with a TypeError.
  const spec = { spiffeId: 'spiffe://example.org/ops', selectors: ['unix:user:ops'], admin: true, ...parent };
  const declared = [{ kind: 'Entry' as const, name: 'ops', spec, where: 'ops.yaml:1:1' }];
  const options = { trustDomain: 'example.org', signal: new AbortController().signal, timeoutMs: 1000 };
  await expect(planEntries(client, declared, options)).rejects.toThrow('entry ops is admin and holds on every');
});
