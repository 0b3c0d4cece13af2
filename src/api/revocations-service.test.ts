import { Agent, Control, Entry, Revocations, SVID } from '@countersign/sdk/contract';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import type { RevocationSubject } from '../model/index.ts';
import type { RevocationRequest } from '../revocation/index.ts';
import { Code, type RpcClient, type TlsIdentity } from '../rpc/index.ts';
import { sha256 } from '../std/index.ts';
import { agentsOf, idOf } from './testing/agents.ts';
import { connectVerifier } from './testing/revocation-verifier.ts';
import { newCsr, startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: what is revoked gets nothing signed by whatever way it asks, its own credentials are taken no more, and who has to end something hears of it.

let server: TestServer;
let operator: RpcClient;
let agents: ReturnType<typeof agentsOf>;
let ends: AbortController;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
  agents = agentsOf(server);
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const revoke = (subject: RevocationSubject, over: Partial<RevocationRequest> = {}) =>
  server.revocations.add({ subject, mode: 'revoked', allow: [], running: 'end', reason: 'leaked', ...over }, 'admin');
const uriOf = (identity: TlsIdentity) => `spiffe://example.org${idOf(identity).path}`;
const WORKLOAD = 'spiffe://example.org/workload/0';
const REFUSED = { code: Code.INVALID_ARGUMENT, message: expect.stringContaining('it is revoked') };

describe('what is revoked', () => {
  const issue = async (agent: RpcClient, entryIds: readonly string[], { csr } = newCsr(WORKLOAD)) => {
    const params = entryIds.map((entryId) => ({ entryId, csr }));
    const { results } = await agent.unary(SVID.method.batchNewX509SVID, { params }, options);
    return results.map(({ status, svid }) => ({ code: status?.code, isThere: svid !== undefined }));
  };
  const createEntry = async (agent: TlsIdentity, uri: string, team: string) => {
    const spiffeId = { trustDomain: 'example.org', path: uri.slice('spiffe://example.org'.length) };
    const entry = { spiffeId, parentId: idOf(agent), selectors: [{ type: 'unix', value: 'uid:1' }] };
    const attributes = { labels: [{ name: 'team', value: team }] };
    const made = await operator.unary(Control.method.createEntry, { entry, attributes }, options);
    return made.entry?.id ?? '';
  };
  const SIGNED = { code: Code.OK, isThere: true };
  const KEPT = { code: Code.INVALID_ARGUMENT, isThere: false };

  it.each<[string, (entryId: string) => RevocationSubject]>([
    ['an identity', () => ({ kind: 'identity', spiffeId: WORKLOAD })],
    ['an entry', (entryId) => ({ kind: 'entry', entryId, spiffeId: WORKLOAD })],
    ['a label', () => ({ kind: 'label', name: 'team', value: 'red' })],
  ])('as %s gets neither certificate nor token, and what stands beside it in a batch does', async (_, subjectOf) => {
    const identity = await agents.join();
    const agent = server.client(identity);
    const [first, second] = [
      await createEntry(identity, WORKLOAD, 'red'),
      await createEntry(identity, `${WORKLOAD}1`, ''),
    ];
    await revoke(subjectOf(first));
    expect(await issue(agent, [first, second])).toEqual([KEPT, SIGNED]);
    const audience = ['db'];
    await expect(agent.unary(SVID.method.newJWTSVID, { entryId: first, audience }, options)).rejects.toMatchObject(
      REFUSED,
    );
    await agent.unary(SVID.method.newJWTSVID, { entryId: second, audience }, options);
    const id = { trustDomain: 'example.org', path: '/workload/0' };
    const minted = operator.unary(SVID.method.mintJWTSVID, { id, audience, ttl: 60 }, options);
    await expect(minted).rejects.toMatchObject(REFUSED);
    const { csr } = newCsr(WORKLOAD);
    await expect(operator.unary(SVID.method.mintX509SVID, { csr, ttl: 60 }, options)).rejects.toMatchObject(REFUSED);
  });

  it('as a key gets no certificate for any identity, and the same identity does for another key', async () => {
    const identity = await agents.join();
    const agent = server.client(identity);
    const entries = await agents.createEntries(identity, 2);
    const stolen = newCsr(WORKLOAD);
    await revoke({ kind: 'key', thumbprint: sha256(stolen.publicKeyDer).toString('hex') });
    expect(await issue(agent, entries, stolen)).toEqual([KEPT, KEPT]);
    expect(await issue(agent, entries)).toEqual([SIGNED, SIGNED]);
  });

  it('as a node gets nothing through its agent, does not renew, and can not attest again', async () => {
    const knock = () => agents.identityFrom('knock', 'n1', 'ereht si ohw');
    const identity = await knock();
    const joined = await agents.join();
    const [agent, other] = [server.client(identity), server.client(joined)];
    const [entryId = ''] = await agents.createEntries(identity, 1);
    await revoke({ kind: 'node', nodeId: uriOf(identity) });
    await revoke({ kind: 'node', nodeId: uriOf(joined) });
    await expect(issue(agent, [entryId])).rejects.toMatchObject(REFUSED);
    const { csr } = newCsr('spiffe://example.org/ignored');
    await expect(other.unary(Agent.method.renewAgent, { params: { csr } }, options)).rejects.toMatchObject(REFUSED);
    await expect(knock()).rejects.toMatchObject(REFUSED);
    const { serial } = (await server.nodes.find(parseSpiffeId(uriOf(identity)))) ?? {};
    expect(serial).not.toBe('');
    await agents.identityFrom('knock', 'n2', 'ereht si ohw');
  });

  it('and operates the server is refused at its next call, and so is who is quarantined', async () => {
    const admin = await server.identify('/ops');
    await server.registration.batchCreate([
      ...[{ id: 'ops', spiffeId: 'spiffe://example.org/ops', parentId: 'spiffe://example.org/node', admin: true }].map(
        (entry) => ({ ...entry, selectors: [{ type: 'unix', value: 'uid:1' }] }),
      ),
    ]);
    const client = server.client(admin);
    await client.unary(Control.method.listGateways, {}, options);
    const { id } = await revoke({ kind: 'identity', spiffeId: 'spiffe://example.org/ops' }, { mode: 'quarantined' });
    await expect(client.unary(Control.method.listGateways, {}, options)).rejects.toMatchObject(REFUSED);
    await server.revocations.lift(id);
    await client.unary(Control.method.listGateways, {}, options);
  });

  it('and is an agent that policy lets do what operators do is refused that in quarantine, and goes on with its node', async () => {
    const agent = await agents.join();
    const text = 'permit(principal is Countersign::Node, action == Action::"countersign:gateway.list", resource);';
    const by = { principal: { kind: 'operator', uid: 0, text: undefined }, allowsLockOut: true } as const;
    await server.access.apply([{ name: 'p', text }], { ...by, ...options });
    const client = server.client(agent);
    await client.unary(Control.method.listGateways, {}, options);
    await revoke({ kind: 'node', nodeId: uriOf(agent) }, { mode: 'quarantined' });
    await expect(client.unary(Control.method.listGateways, {}, options)).rejects.toMatchObject(REFUSED);
    await client.unary(Entry.method.getAuthorizedEntries, {}, options);
  });

  it('is cut from what it watches, save from hearing that it is revoked', async () => {
    const identity = await server.identify('/countersign/gateway/one');
    const { client, seen } = await connectVerifier(server, { identity, gateway: 'one', signal: ends.signal });
    const own = { advertise: 'one:7443', instance: 'one' };
    const stream = client.serverStream(Control.method.watchGateway, own, options)[Symbol.asyncIterator]();
    await stream.next();
    await revoke({ kind: 'identity', spiffeId: 'spiffe://example.org/countersign/gateway/one' });
    await eventually('it is told', () => seen.state?.sequence === 1);
    const ended = expect(stream.next()).rejects.toMatchObject(REFUSED);
    await server.clock.advance(6_000);
    await ended;
    expect(seen.wrong).toEqual([]);
  });
});

describe('a verifier', () => {
  it('is told of what stands, of each change and that nothing has changed, and its word is kept', async () => {
    const first = await revoke({ kind: 'node', nodeId: 'spiffe://example.org/spire/agent/x' });
    const agent = await connectVerifier(server, { identity: await agents.join(), signal: ends.signal });
    const identity = await server.identify('/countersign/gateway/one');
    const gateway = await connectVerifier(server, { identity, gateway: 'one', signal: ends.signal });
    expect(agent.seen.state?.revocations).toMatchObject([{ id: first.id }]);
    const { id } = await revoke({ kind: 'identity', spiffeId: WORKLOAD });
    const { verifiers } = await server.revocations.effect(id, { waitMs: 5_000, ...options });
    expect(verifiers.map(({ kind, state }) => `${kind} ${state}`)).toEqual(['agent in-effect', 'gateway in-effect']);
    expect(gateway.seen.state?.revocations.map((one) => one.id)).toEqual([first.id, id]);
    await server.clock.advance(3_500);
    await eventually('it is told that nothing has changed', () => agent.seen.heartbeats > 0);
    expect([agent.seen.wrong, gateway.seen.wrong]).toEqual([[], []]);
  });

  it('speaks for itself alone', async () => {
    const identity = await server.identify('/countersign/gateway/one');
    const other = await server.identify('/countersign/gateway/two');
    await connectVerifier(server, { identity, gateway: 'one', take: () => false, signal: ends.signal });
    const { id } = await revoke({ kind: 'identity', spiffeId: WORKLOAD });
    const { incarnation } = (await connectVerifier(server, { identity: other, gateway: 'two', signal: ends.signal }))
      .seen.state ?? { incarnation: '' };
    const lie = { advertise: 'one:7443', instance: 'one', incarnation, sequence: 1n };
    await server.client(other).unary(Revocations.method.ackRevocations, lie, options);
    const { verifiers } = await server.revocations.effect(id, { waitMs: 0, ...options });
    expect(verifiers.find(({ address }) => address === 'one:7443')).toMatchObject({ state: 'waiting' });
  });

  it('that has a state which the store has not is told so, and nothing else', async () => {
    await revoke({ kind: 'identity', spiffeId: WORKLOAD });
    const identity = await agents.join();
    const { seen } = await connectVerifier(server, { identity, signal: ends.signal });
    expect(seen.state?.sequence).toBe(1);
    const known = { incarnation: '0'.repeat(32), sequence: 7, mark: '1'.repeat(32), issuedAtMs: 0, revocations: [] };
    await expect(connectVerifier(server, { identity, known, signal: ends.signal })).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
  });

  it.each([
    ['a short nonce', { nonce: Buffer.alloc(8) }],
    ['a state by halves', { nonce: Buffer.alloc(16), incarnation: '0'.repeat(32), mark: 'x' }],
    ['a sequence without a store', { nonce: Buffer.alloc(16), sequence: 4n }],
  ])('with %s is refused', async (_, request) => {
    const client = server.client(await agents.join());
    const stream = client.serverStream(Revocations.method.watchRevocations, request, options)[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });
});
