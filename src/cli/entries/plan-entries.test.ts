import { expect, it } from 'vitest';
import type { RpcClient } from '../../rpc/index.ts';
import { UsageError } from '../command.ts';
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

it('every bad entry is told at once, with its place, before the server is asked', async () => {
  const client = {} as RpcClient; // Any call would fail with a TypeError.
  const entry = (name: string, spec: object, line: number) => ({
    ...{ kind: 'Entry' as const, name, where: `five.yaml:${line}:1` },
    spec: { spiffeId: 'spiffe://example.org/web', selectors: ['unix:uid:1'], ...spec },
  });
  const declared = [
    entry('good', {}, 1),
    entry('bad', { spiffeId: 'https://example.org/web' }, 5),
    entry('upper', { parentId: 'spiffe://Example.org/node' }, 9),
    entry('short', { x509Ttl: '1ms' }, 13),
  ];
  const options = { trustDomain: 'example.org', signal: new AbortController().signal, timeoutMs: 1000 };
  const failure: unknown = await planEntries(client, declared, options).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UsageError);
  expect(String(failure).split('\n')).toEqual([
    expect.stringContaining('five.yaml:5:1: entry bad: a SPIFFE ID starts with spiffe://'),
    expect.stringMatching(/^five\.yaml:9:1: entry upper: ./),
    expect.stringMatching(/^five\.yaml:13:1: entry short: 1ms is no duration/),
  ]);
});
