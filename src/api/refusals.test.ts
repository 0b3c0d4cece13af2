import { Agent, Control } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, type RpcClient } from '../rpc/index.ts';
import { agentsOf } from './testing/agents.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: who was turned away, and who acted as an operator, stands in the ledger by a name that a person can follow.

let server: TestServer;
const options = { signal: new AbortController().signal };
const refusal = { uid: 4711, pid: 99, target: 'shop', count: 3n, firstMs: 1000n, lastMs: 2000n };

beforeEach(async () => {
  server = await startTestServer({
    readOperator: () => ({ uid: 0, text: 'root (uid 0), logged in as ada (uid 1000)' }),
  });
});
afterEach(() => server.stop());

describe('processes that an agent turned away', () => {
  let agent: RpcClient;
  beforeEach(async () => {
    agent = server.client(await agentsOf(server).join());
    server.ledger.length = 0;
  });
  const report = (request: object) => agent.unary(Control.method.reportRefusals, request, options);

  it('are denials in the ledger, by user, door and node', async () => {
    await report({ refusals: [refusal, { ...refusal, target: '' }], leftOut: 5n });
    const about = { kind: 'denial', action: 'agent:identify', session: '', operation: '' };
    const detail = { reason: 'no-identity', node: expect.stringContaining('/spire/agent/'), count: 3, firstMs: 1000 };
    expect(server.ledger).toMatchObject([
      { ...about, actor: 'unix:uid:4711', target: 'shop', detail: { ...detail, pid: 99, lastMs: 2000 } },
      { ...about, actor: 'unix:uid:4711', target: 'Workload API', detail },
      { ...about, actor: expect.stringContaining('/spire/agent/'), target: '', detail: { count: 5, others: true } },
    ]);
  });

  it('are taken from a node each five seconds only, so that none can fill the ledger', async () => {
    await report({ refusals: [refusal] });
    await expect(report({ refusals: [refusal] })).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect(server.ledger).toHaveLength(1);
    await server.clock.advance(5000);
    await report({ refusals: [refusal] });
    expect(server.ledger).toHaveLength(2);
  });

  it.each([
    ['more than twenty', { refusals: Array.from({ length: 21 }, () => refusal) }],
    ['a door that is no name', { refusals: [{ ...refusal, target: 'a b\n' }] }],
  ])('are refused whole: %s', async (_, request) => {
    await expect(report(request)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(server.ledger).toEqual([]);
  });

  it('are for agents alone to tell of', async () => {
    const call = server.operator().unary(Control.method.reportRefusals, { refusals: [refusal] }, options);
    await expect(call).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
  });
});

describe('an act by the operator socket', () => {
  it('is that of the user who came in by it, with the login that stays through sudo', async () => {
    await server.operator().unary(Agent.method.createJoinToken, { ttl: 60 }, options);
    const operator = 'root (uid 0), logged in as ada (uid 1000)';
    expect(server.ledger).toMatchObject([
      { actor: 'unix:uid:0', detail: { operator, step: 'request' } },
      { actor: 'unix:uid:0', detail: { operator, step: 'done' } },
    ]);
  });
});
