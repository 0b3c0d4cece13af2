import { Agent, Entry } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentsOf } from '../../api/testing/agents.ts';
import { startTestServer, type TestServer } from '../../api/testing/test-server.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { createManualClock } from '../../std/index.ts';
import { aliasesOf } from './node-aliases.ts';
import { formatNode } from './nodes.ts';

// Goal: who wonders why an entry holds on a node, or does not, sees by which names the node can be a parent.

const options = { signal: new AbortController().signal };
const NOW_S = 1_800_000_000;
const clock = createManualClock(NOW_S * 1000);
const id = (path: string) => ({ trustDomain: 'example.org', path });
let server: TestServer;
let operator: RpcClient;
beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
});
afterEach(() => server.stop());

/** A node that joined with a token for that alias. */
async function join(alias?: string) {
  const agentId = alias === undefined ? {} : { agentId: id(alias) };
  const { value } = await operator.unary(Agent.method.createJoinToken, { ttl: 60, ...agentId }, options);
  await agentsOf(server).identityFrom('join_token', value);
  return operator.unary(Agent.method.getAgent, { id: id(`/spire/agent/join_token/${value}`) }, options);
}

async function create(entry: { id: string; path: string; parent: string; selectors: string[]; expiresAtS?: number }) {
  const selectors = entry.selectors.map((text) => ({
    type: text.slice(0, text.indexOf(':')),
    value: text.slice(text.indexOf(':') + 1),
  }));
  const message = { id: entry.id, spiffeId: id(entry.path), parentId: id(entry.parent), selectors };
  const entries = [{ ...message, expiresAt: BigInt(entry.expiresAtS ?? 0) }];
  const { results } = await operator.unary(Entry.method.batchCreateEntry, { entries }, options);
  expect(results).toMatchObject([{ status: { code: 0 } }]);
}

describe('the aliases of a node', () => {
  it('are that of its token and those whose selectors all hold for it, and no others', async () => {
    const node = await join('/node/first');
    const attested = 'countersign:node:attested';
    const below = { parent: '/spire/server' };
    await create({ id: 'all', path: '/countersign/nodes', ...below, selectors: [attested] });
    await create({ id: 'more', path: '/node/more', ...below, selectors: [attested, 'x509pop:subject:cn:a'] });
    await create({ id: 'past', path: '/node/past', ...below, selectors: [attested], expiresAtS: NOW_S });
    await create({ id: 'web', path: '/web', parent: '/node/first', selectors: ['unix:uid:1'] });
    await create({ id: 'own', path: '/own', parent: node.id?.path ?? '', selectors: ['unix:uid:2'] });
    const aliases = await aliasesOf(operator, node, { ...options, clock });
    expect(aliases).toEqual([
      { spiffeId: 'spiffe://example.org/countersign/nodes', entry: 'all' },
      { spiffeId: 'spiffe://example.org/node/first', entry: expect.stringMatching(/./) },
    ]);
    expect(formatNode(node, aliases, 100)).toMatch(
      /^aliases +spiffe:\/\/example\.org\/countersign\/nodes \(entry all\)\n +spiffe:\/\/example\.org\/node\/first \(entry .+\)$/m,
    );
  });

  it('are none where nothing names the node', async () => {
    const node = await join();
    expect(await aliasesOf(operator, node, { ...options, clock })).toEqual([]);
    expect(formatNode(node, [], 80)).toMatch(/^aliases +-$/m);
  });

  it('are that of the token alone for a node without selectors', async () => {
    const node = { ...(await join('/node/first')), selectors: [] };
    expect(await aliasesOf(operator, node, { ...options, clock })).toHaveLength(1);
  });
});
