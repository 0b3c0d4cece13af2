import { expect, it } from 'vitest';
import type { RpcClient } from '../../rpc/index.ts';
import { formatStanding, standingPolicies } from './standing-policies.ts';

// Goal: whoever applies a folder knows what else is in force, above all what keeps the folder's permits from working.

const options = { signal: new AbortController().signal, timeoutMs: 1000 };
const READS =
  '@id("web-reads") permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource in Target::"shop");';

async function standing(declared: Readonly<Record<string, string>>, present: Readonly<Record<string, string>>) {
  const resources = Object.entries(present).map(([name, cedar]) => ({
    kind: 'Policy',
    name,
    specJson: JSON.stringify({ cedar }),
  }));
  const client = { unary: async () => ({ resources }) } as unknown as RpcClient; // All that is asked of it.
  const files = Object.entries(declared).map(([name, cedar]) => ({
    kind: 'Policy' as const,
    name,
    spec: { cedar },
    where: '',
  }));
  return formatStanding(await standingPolicies(client, files, options));
}

it('what is not in the files is named, with the ids that it holds', async () => {
  const more = {
    'by-hand':
      '@id("a") forbid(principal, action, resource in Target::"x"); @id("b") permit(principal, action, resource);',
  };
  expect(
    await standing({ shop: READS }, { ...more, shop: READS, old: '@id("old") permit(principal, action, resource);' }),
  ).toEqual(['2 other policies stand: by-hand (a, b), old; --prune deletes what these files do not declare']);
  expect(await standing({ shop: READS }, { shop: READS })).toEqual([]);
});

it('a forbid from elsewhere is named with the permit that it keeps from working', async () => {
  const [line] = await standing(
    { shop: READS },
    { 'by-hand': '@id("stop") forbid(principal, action, resource in Target::"shop");' },
  );
  expect(line).toBe(
    'forbid stop (Policy by-hand, not in these files) refuses what permit web-reads allows: postgres:select',
  );
});

it.each([
  'forbid(principal, action, resource == Postgres::Table::"shop/shop/public/secrets");',
  'forbid(principal, action, resource in Target::"shop") when { !context.hasWhere };',
])('of one that does so for some, that is said: %s', async (text) => {
  const forbid = text.replace('action', 'action == Action::"postgres:select"');
  const [line] = await standing({ shop: READS }, { 'by-hand': `@id("stop") ${forbid}` });
  expect(line).toContain('may refuse some of what permit web-reads allows');
});

it.each([
  'forbid(principal == Identity::"spiffe://example.org/other", action, resource);',
  'forbid(principal, action == Action::"postgres:truncate", resource);',
  'forbid(principal, action, resource in Target::"other");',
  'forbid(principal, action, resource) when { principal.path == "/other" };',
])('one that does not touch them is not: %s', async (forbid) => {
  const lines = await standing({ shop: READS }, { 'by-hand': `@id("stop") ${forbid}` });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^1 other policy stands: by-hand \(stop\)/);
});

it('files without a policy are about other things', async () => {
  expect(await standing({}, { old: READS })).toEqual([]);
});
