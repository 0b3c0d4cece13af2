import { Agent, Bundle, Entry } from '@countersign/sdk/contract';
import { BatchDeleteFederatedBundleRequest_Mode } from '@countersign/sdk/contract/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { FederatesWithMatch_MatchBehavior } from '@countersign/sdk/contract/gen/spire/api/types/federateswith_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, type RpcClient } from '../rpc/index.ts';
import { agentsOf, idOf } from './testing/agents.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: what operators can and can not do with the server, over real sockets and a real store; and that it is recorded.

let server: TestServer;
let operator: RpcClient;
let agents: ReturnType<typeof agentsOf>;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
  agents = agentsOf(server);
});
afterEach(() => server.stop());

describe('an operator', () => {
  it('is whoever reaches the local socket, or has the SVID of an admin entry', async () => {
    const admin = server.client(await server.identify('/ops/alice'));
    await expect(admin.unary(Entry.method.countEntries, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    await server.registration.batchCreate([
      {
        spiffeId: 'spiffe://example.org/ops/alice',
        parentId: 'spiffe://example.org/laptop',
        selectors: [{ type: 'unix', value: 'uid:1' }],
        admin: true,
        expiresAtS: server.clock.now() / 1000 + 100,
      },
    ]);
    expect(await admin.unary(Entry.method.countEntries, {}, options)).toMatchObject({ count: 1 });
    server.clock.step(101_000);
    await expect(admin.unary(Entry.method.countEntries, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
  });

  it('manages entries, item by item', async () => {
    const entry = {
      spiffeId: { trustDomain: 'example.org', path: '/a' },
      parentId: { trustDomain: 'example.org', path: '/node' },
      selectors: [{ type: 'unix', value: 'uid:1' }],
    };
    const reserved = { ...entry, spiffeId: { trustDomain: 'example.org', path: '/spire/server' } };
    const extra = { ...entry, additionalAttributes: { jwtSvidIncludeJti: true } };
    const { results } = await operator.unary(
      Entry.method.batchCreateEntry,
      { entries: [entry, reserved, extra, entry] },
      options,
    );
    const { OK, INVALID_ARGUMENT, ALREADY_EXISTS, NOT_FOUND } = Code;
    expect(results.map(({ status }) => status?.code)).toEqual([OK, INVALID_ARGUMENT, INVALID_ARGUMENT, ALREADY_EXISTS]);
    const id = results[0]?.entry?.id ?? '';
    expect(results[3]?.entry?.id).toBe(id);
    const update = { entries: [{ id, hint: 'new', x509SvidTtl: 5 }, { id: 'unknown' }], inputMask: { hint: true } };
    const updated = await operator.unary(Entry.method.batchUpdateEntry, update, options);
    expect(updated.results.map(({ status }) => status?.code)).toEqual([OK, NOT_FOUND]);
    expect(server.ledger.slice(-2)).toMatchObject([
      { action: 'BatchUpdateEntry', detail: { step: 'request', fields: ['hint'] } },
      { action: 'BatchUpdateEntry', detail: { step: 'done', codes: [OK, NOT_FOUND] } },
    ]);
    expect(await operator.unary(Entry.method.getEntry, { id }, options)).toMatchObject({
      hint: 'new',
      x509SvidTtl: 0,
      revisionNumber: 1n,
    });
    const filter = { bySelectors: { selectors: entry.selectors, match: 0 as const } };
    const listed = await operator.unary(Entry.method.listEntries, { filter, outputMask: { spiffeId: true } }, options);
    expect(listed.entries).toMatchObject([{ id, spiffeId: { path: '/a' }, selectors: [] }]);
    const deleted = await operator.unary(Entry.method.batchDeleteEntry, { ids: [id, 'unknown'] }, options);
    expect(deleted.results.map(({ status }) => status?.code)).toEqual([OK, NOT_FOUND]);
    expect(server.ledger.at(-1)).toMatchObject({ action: 'BatchDeleteEntry', detail: { codes: [OK, NOT_FOUND] } });
    await expect(operator.unary(Entry.method.getEntry, { id }, options)).rejects.toMatchObject({ code: NOT_FOUND });
  });

  it('lists, bans and evicts agents', async () => {
    const identity = await agents.identityFrom('knock', 'n1', 'ereht si ohw');
    await agents.join();
    const listed = await operator.unary(Agent.method.listAgents, { filter: { byCanReattest: true } }, options);
    expect(listed.agents).toMatchObject([
      { id: { path: '/spire/agent/knock/n1' }, attestationType: 'knock', banned: false },
    ]);
    await operator.unary(Agent.method.banAgent, { id: idOf(identity) }, options);
    expect(await operator.unary(Agent.method.countAgents, { filter: { byBanned: true } }, options)).toMatchObject({
      count: 1,
    });
    await expect(agents.attest('knock', 'n1', 'ereht si ohw')).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    const none = { trustDomain: 'example.org', path: '/spire/agent/none' };
    await expect(operator.unary(Agent.method.deleteAgent, { id: none }, options)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
    });
    const filter = { byExpiresBefore: '2027-01-15 08:00:00 +0000 UTC' };
    expect(await operator.unary(Agent.method.countAgents, { filter }, options)).toMatchObject({ count: 0 });
    await expect(
      operator.unary(Agent.method.countAgents, { filter: { byExpiresBefore: 'tomorrow' } }, options),
    ).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('is recorded before and after each act, and can not act unrecorded', async () => {
    await operator.unary(Agent.method.createJoinToken, { ttl: 60, token: 'my-secret-token' }, options);
    expect(
      server.ledger.map(({ kind, actor, action, detail }) => ({ kind, actor, action, step: detail['step'] })),
    ).toEqual([
      { kind: 'admin', actor: 'admin', action: 'CreateJoinToken', step: 'request' },
      { kind: 'admin', actor: 'admin', action: 'CreateJoinToken', step: 'done' },
    ]);
    expect(JSON.stringify(server.ledger)).not.toContain('my-secret-token');
    server.write.fails = true;
    const entry = {
      spiffeId: { trustDomain: 'example.org', path: '/a' },
      parentId: { trustDomain: 'example.org', path: '/node' },
      selectors: [{ type: 'unix', value: 'uid:1' }],
    };
    const call = operator.unary(Entry.method.batchCreateEntry, { entries: [entry] }, options);
    await expect(call).rejects.toMatchObject({ code: Code.INTERNAL });
    expect(await server.registration.count()).toBe(0);
  });
});

describe('bundles', () => {
  it('are given to anyone: own; to agents: federated', async () => {
    const bundle = await server.client().unary(Bundle.method.getBundle, {}, options);
    expect(bundle).toMatchObject({ trustDomain: 'example.org' });
    expect(bundle.x509Authorities.length).toBeGreaterThan(0);
    expect(bundle.jwtAuthorities.length).toBeGreaterThan(0);
    const masked = await server
      .client()
      .unary(Bundle.method.getBundle, { outputMask: { sequenceNumber: true } }, options);
    expect(masked).toMatchObject({ x509Authorities: [], sequenceNumber: bundle.sequenceNumber });
    const agent = server.client(await agents.join());
    const other = { trustDomain: 'other.org' };
    await expect(agent.unary(Bundle.method.getFederatedBundle, other, options)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
    });
    const { results } = await operator.unary(
      Bundle.method.batchSetFederatedBundle,
      {
        bundle: [
          { ...other, x509Authorities: bundle.x509Authorities, sequenceNumber: 7n },
          { trustDomain: 'example.org' },
          { trustDomain: 'BAD' },
        ],
      },
      options,
    );
    expect(results.map(({ status }) => status?.code)).toEqual([Code.OK, Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT]);
    expect(await agent.unary(Bundle.method.getFederatedBundle, other, options)).toMatchObject({ sequenceNumber: 7n });
    expect(await operator.unary(Bundle.method.countBundles, {}, options)).toMatchObject({ count: 2 });
    await expect(server.client().unary(Bundle.method.getFederatedBundle, other, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
  });

  it("may be named by the trust domain's SPIFFE ID wherever its name is asked for, as operators of SPIRE do", async () => {
    const { x509Authorities } = await operator.unary(Bundle.method.getBundle, {}, options);
    const trustDomain = 'spiffe://other.org';
    const set = await operator.unary(
      Bundle.method.batchSetFederatedBundle,
      {
        bundle: [{ trustDomain, x509Authorities }, { trustDomain: 'https://other.org' }, { trustDomain: 'spiffe://' }],
      },
      options,
    );
    expect(set.results.map(({ status }) => status?.code)).toEqual([
      Code.OK,
      Code.INVALID_ARGUMENT,
      Code.INVALID_ARGUMENT,
    ]);
    expect(await operator.unary(Bundle.method.getFederatedBundle, { trustDomain }, options)).toMatchObject({
      trustDomain: 'other.org',
    });
    const identity = await agents.join();
    const [id = ''] = await agents.createEntries(identity, 1, { federatesWith: [trustDomain] });
    expect((await server.registration.get(id))?.federatesWith).toEqual(['other.org']);
    const filter = {
      byFederatesWith: { trustDomains: [trustDomain], match: FederatesWithMatch_MatchBehavior.MATCH_EXACT },
    };
    expect(await operator.unary(Entry.method.countEntries, { filter }, options)).toMatchObject({ count: 1 });
    const remove = { trustDomains: [trustDomain], mode: BatchDeleteFederatedBundleRequest_Mode.DELETE };
    const { results } = await operator.unary(Bundle.method.batchDeleteFederatedBundle, remove, options);
    expect(results).toMatchObject([{ trustDomain, status: { code: Code.OK } }]);
    expect(server.ledger.at(-1)).toMatchObject({ action: 'BatchDeleteFederatedBundle', detail: { codes: [Code.OK] } });
  });

  it('are deleted with, or in spite of, the entries that name them', async () => {
    const { x509Authorities } = await operator.unary(Bundle.method.getBundle, {}, options);
    const bundle = [{ trustDomain: 'other.org', x509Authorities }];
    const identity = await agents.join();
    const remove = async (mode: 0 | 1 | 2) => {
      await operator.unary(Bundle.method.batchSetFederatedBundle, { bundle }, options);
      const { results } = await operator.unary(
        Bundle.method.batchDeleteFederatedBundle,
        { trustDomains: ['other.org'], mode },
        options,
      );
      return results[0]?.status?.code;
    };
    await operator.unary(Bundle.method.batchSetFederatedBundle, { bundle }, options);
    const [id = ''] = await agents.createEntries(identity, 1, { federatesWith: ['other.org'] });
    expect(await remove(0)).toBe(Code.FAILED_PRECONDITION);
    expect(await remove(2)).toBe(Code.OK);
    expect((await server.registration.get(id))?.federatesWith).toEqual([]);
    await operator.unary(Bundle.method.batchSetFederatedBundle, { bundle }, options);
    const update = { entries: [{ id, federatesWith: ['other.org'] }], inputMask: { federatesWith: true } };
    await operator.unary(Entry.method.batchUpdateEntry, update, options);
    expect(await remove(1)).toBe(Code.OK);
    expect(await server.registration.get(id)).toBeUndefined();
  });
});
