import { expect, it } from 'vitest';
import { policySchema } from '../../app/policy-schema.ts';
import { loadPolicies } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { lostPolicies } from './lost-policies.ts';

// Goal: a plan says which policies will be gone, those within a long text too.

const policy = (id: string) => `@id("${id}") permit(principal, action, resource);`;
const anonymous = 'permit(principal, action, resource);';
const stored = { shop: `${policy('a')} ${policy('b')} ${anonymous}`, old: policy('c'), moves: policy('d') };
const options = { signal: new AbortController().signal, timeoutMs: 1000 };

async function lost(
  changes: Readonly<Record<string, string>>,
  declared: string,
  texts: Record<string, string> = stored,
) {
  const resources = Object.entries(texts).map(([name, cedar]) => ({
    kind: 'Policy',
    name,
    specJson: JSON.stringify({ cedar }),
  }));
  const client = { unary: async () => ({ resources }) } as unknown as RpcClient; // All that is asked of it.
  return lostPolicies(
    client,
    {
      changes: Object.entries(changes).map(([name, action]) => ({ kind: 'Policy', name, action })),
      declared: loadPolicies([{ name: 'shop', text: declared }], policySchema),
    },
    options,
  );
}

it('those that a changed text has no longer, by id', async () => {
  expect(await lost({ shop: 'update' }, policy('a'))).toEqual(['b']);
  expect(await lost({ shop: 'update', old: 'unchanged' }, `${policy('b')} ${policy('a')}`)).toEqual([]);
});

it('those of deleted resources, but not what another one has now', async () => {
  const changes = { shop: 'update', old: 'delete', moves: 'delete' };
  expect(await lost(changes, `${policy('a')} ${policy('b')} ${policy('d')}`)).toEqual(['c']);
});

it('none of a set that can not be read, and the server is asked nothing when nothing changes', async () => {
  expect(await lost({ shop: 'update' }, policy('a'), { shop: 'permit(' })).toEqual([]);
  const client = {} as RpcClient; // Any call would fail with a TypeError.
  const changes = [{ kind: 'Target', name: 'shop', action: 'update' }];
  expect(await lostPolicies(client, { changes, declared: undefined }, options)).toEqual([]);
});
