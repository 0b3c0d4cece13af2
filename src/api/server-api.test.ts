import { fromBinary } from '@bufbuild/protobuf';
import { Agent, Bundle, Control, Entry, Health, SpiffeWorkloadAPI, SVID } from '@countersign/sdk/contract';
import {
  PermissionDeniedDetails_Reason,
  PermissionDeniedDetailsSchema,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, pathOf, type RpcClient, RpcError, type TlsIdentity } from '../rpc/index.ts';
import { parseCertificate } from '../wire/x509/index.ts';
import { rolesByMethod } from './authorize.ts';
import { newCsr, startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: what agents, gateways and operators can and can not do with the server, over real sockets and a real store.

let server: TestServer;
let operator: RpcClient;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
});
afterEach(() => server.stop());

describe('the table of roles', () => {
  it('lists every method of every service of the server, and no other', () => {
    const served = [Agent, Bundle, Control, Entry, Health, SVID].flatMap((service) => service.methods.map(pathOf));
    expect([...rolesByMethod.keys()].toSorted()).toEqual(served.toSorted());
    expect(served).not.toContain(pathOf(SpiffeWorkloadAPI.method.fetchJWTSVID));
  });

  it('lets strangers do nothing but attest, fetch the bundle and ask for health', () => {
    const open = [...rolesByMethod].filter(([, roles]) => roles.includes('anyone')).map(([path]) => path.split('/')[2]);
    expect(open.toSorted()).toEqual(['AttestAgent', 'Check', 'GetBundle']);
  });
});

describe('an agent', () => {
  it('attests with a join token once, over a connection without certificate', async () => {
    const { value } = await operator.unary(Agent.method.createJoinToken, { ttl: 60 }, options);
    const first = await attest('join_token', value);
    expect(first.result?.svid?.id).toEqual(expect.objectContaining({ path: `/spire/agent/join_token/${value}` }));
    expect(first.result?.reattestable).toBe(false);
    await expect(attest('join_token', value)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('answers the challenges of its attestor', async () => {
    const { result, challenges } = await attest('knock', 'n1', 'ereht si ohw');
    expect(challenges).toEqual(['who is there']);
    expect(result?.reattestable).toBe(true);
    await expect(attest('knock', 'n1', 'wrong')).rejects.toMatchObject({
      code: Code.INTERNAL,
      message: 'internal error',
    });
  });

  it('is refused by the attestation stream unless it says what it must', async () => {
    const csr = newCsr('spiffe://example.org/x').csr;
    const cases = [
      { case: 'challengeResponse', value: Buffer.from('hello') },
      { case: 'params', value: { params: { csr } } },
      { case: 'params', value: { data: { type: 'join_token', payload: Buffer.from('t') } } },
      { case: 'params', value: { data: { type: 'unheard_of', payload: Buffer.from('t') }, params: { csr } } },
      {
        case: 'params',
        value: { data: { type: 'join_token', payload: Buffer.from('t') }, params: { csr: Buffer.from([1]) } },
      },
    ] as const;
    for (const step of cases) {
      const call = server.client().bidi(Agent.method.attestAgent, options);
      await call.send({ step });
      await expect(drain(call.responses)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
  });

  it('gets a time limit for attesting', async () => {
    const call = server.client().bidi(Agent.method.attestAgent, options);
    const csr = newCsr('spiffe://example.org/x').csr;
    const value = { data: { type: 'knock', payload: Buffer.from('slow') }, params: { csr } };
    await call.send({ step: { case: 'params', value } });
    const answers = call.responses[Symbol.asyncIterator]();
    expect((await answers.next()).value?.step.case).toBe('challenge');
    const end = answers.next().catch((error: unknown) => error);
    await server.clock.advance(61_000);
    expect(await end).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  it('may not do what operators do', async () => {
    const agent = server.client(await joinedAgent());
    await expect(agent.unary(Entry.method.listEntries, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    await expect(agent.unary(Agent.method.createJoinToken, { ttl: 60 }, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
      details: [],
    });
  });

  it('renews: the old SVID holds until the new one is first used, and no longer', async () => {
    const identity = await joinedAgent();
    const agent = server.client(identity);
    const renewed = newCsr('spiffe://example.org/ignored');
    const { svid } = await agent.unary(Agent.method.renewAgent, { params: { csr: renewed.csr } }, options);
    await agent.unary(Agent.method.postStatus, { agentVersion: '1' }, options);
    const next = server.client({ chainDer: svid?.certChain.map((der) => Buffer.from(der)) ?? [], key: renewed.key });
    await next.unary(Agent.method.postStatus, { agentVersion: '2' }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_NOT_ACTIVE);
    await next.unary(Agent.method.postStatus, { agentVersion: '3' }, options);
  });

  it('that can attest again is told to, instead of renewing', async () => {
    const agent = server.client(await attestedIdentity('knock', 'n1', 'ereht si ohw'));
    const error = await agent
      .unary(Agent.method.renewAgent, { params: { csr: newCsr('spiffe://example.org/x').csr } }, options)
      .catch((e: unknown) => e);
    expect(reasonOf(error)).toBe(PermissionDeniedDetails_Reason.AGENT_MUST_REATTEST);
  });

  it('is told when it was banned, evicted or has expired, on connections that are open already', async () => {
    const identity = await joinedAgent();
    const agent = server.client(identity);
    const id = idOf(identity);
    await agent.unary(Agent.method.postStatus, {}, options);
    await operator.unary(Agent.method.banAgent, { id }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_BANNED);
    await operator.unary(Agent.method.deleteAgent, { id }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED);

    const late = server.client(await joinedAgent());
    await late.unary(Agent.method.postStatus, {}, options);
    server.clock.step(3_601_000);
    await expectRefusal(late, PermissionDeniedDetails_Reason.AGENT_EXPIRED);
  });

  it("can't use an SVID that no attestation gave it", async () => {
    const forged = server.client(await server.identify('/spire/agent/join_token/never-attested'));
    await expectRefusal(forged, PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED);
    const workload = server.client(await server.identify('/workload'));
    const call = workload.unary(Agent.method.postStatus, {}, options);
    await expect(call).rejects.toMatchObject({ code: Code.PERMISSION_DENIED, details: [] });
  });

  async function expectRefusal(agent: RpcClient, reason: PermissionDeniedDetails_Reason): Promise<void> {
    const error = await agent.unary(Agent.method.postStatus, {}, options).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: Code.PERMISSION_DENIED });
    expect(reasonOf(error)).toBe(reason);
  }
});

describe('issuing', () => {
  it('takes everything but the key from the entry', async () => {
    const identity = await joinedAgent();
    const [entryId] = await createEntries(identity, 1, { x509SvidTtl: 600, dnsNames: ['db.example.org'] });
    const agent = server.client(identity);
    const { csr, publicKeyDer } = newCsr('spiffe://example.org/somebody-else', ['evil.example.org']);
    const params = [{ entryId: entryId ?? '', csr }];
    const { results } = await agent.unary(SVID.method.batchNewX509SVID, { params }, options);
    const leaf = parseCertificate(Buffer.from(results[0]?.svid?.certChain[0] ?? []));
    expect(leaf.names.uris).toEqual(['spiffe://example.org/workload/0']);
    expect(leaf.names.dnsNames).toEqual(['db.example.org']);
    expect(leaf.spkiDer.equals(publicKeyDer)).toBe(true);
    expect(leaf.notAfterS).toBe(server.clock.now() / 1000 + 600);
  });

  it('answers each item of a batch in order, the bad ones too', async () => {
    const identity = await joinedAgent();
    const other = await joinedAgent();
    const [mine] = await createEntries(identity, 1);
    const [theirs] = await createEntries(other, 1);
    const { csr } = newCsr('spiffe://example.org/x');
    const params = [
      { entryId: 'unknown', csr },
      { entryId: mine ?? '', csr: Buffer.from('no csr') },
      { entryId: theirs ?? '', csr },
      { entryId: mine ?? '', csr },
      { entryId: '', csr },
    ];
    const { results } = await server.client(identity).unary(SVID.method.batchNewX509SVID, { params }, options);
    const { NOT_FOUND, INVALID_ARGUMENT, OK } = Code;
    expect(results.map(({ status }) => status?.code)).toEqual([
      NOT_FOUND,
      INVALID_ARGUMENT,
      NOT_FOUND,
      OK,
      INVALID_ARGUMENT,
    ]);
    expect(results.map(({ svid }) => svid !== undefined)).toEqual([false, false, false, true, false]);
  });

  it('refuses batches of more than 500', async () => {
    const agent = server.client(await joinedAgent());
    const params = Array.from({ length: 501 }, () => ({ entryId: 'x' }));
    const call = agent.unary(SVID.method.batchNewX509SVID, { params }, options);
    await expect(call).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('gives agents JWT-SVIDs for entries of theirs, with both times set', async () => {
    const identity = await joinedAgent();
    const [entryId = ''] = await createEntries(identity, 1);
    const agent = server.client(identity);
    const { svid } = await agent.unary(SVID.method.newJWTSVID, { entryId, audience: ['a'] }, options);
    expect(svid?.id).toMatchObject({ trustDomain: 'example.org', path: '/workload/0' });
    expect(Number(svid?.expiresAt) - Number(svid?.issuedAt)).toBeGreaterThan(0);
    for (const bad of [
      { entryId, audience: [] },
      { entryId, audience: [''] },
    ]) {
      await expect(agent.unary(SVID.method.newJWTSVID, bad, options)).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    }
    const unknown = agent.unary(SVID.method.newJWTSVID, { entryId: 'unknown', audience: ['a'] }, options);
    await expect(unknown).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });

  it('mints for operators, but never the identity of a server or an agent', async () => {
    const { csr } = newCsr('spiffe://example.org/adhoc', ['a.example.org']);
    const { svid } = await operator.unary(SVID.method.mintX509SVID, { csr, ttl: 60 }, options);
    expect(parseCertificate(Buffer.from(svid?.certChain[0] ?? [])).names.dnsNames).toEqual(['a.example.org']);
    const uris = [
      'spiffe://example.org/spire/server',
      'spiffe://example.org/spire',
      'spiffe://example.org',
      'spiffe://other.org/x',
    ];
    for (const uri of uris) {
      const call = operator.unary(SVID.method.mintX509SVID, { csr: newCsr(uri).csr }, options);
      await expect(call).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
    const id = { trustDomain: 'example.org', path: '/spire/agent/x' };
    const jwt = operator.unary(SVID.method.mintJWTSVID, { id, audience: ['a'] }, options);
    await expect(jwt).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });
});

describe('syncing authorised entries', () => {
  it('sends all of them at once when they fit a page', async () => {
    const identity = await joinedAgent();
    const ids = await createEntries(identity, 3);
    const call = server.client(identity).bidi(Entry.method.syncAuthorizedEntries, options);
    await call.send({ outputMask: { selectors: true, revisionNumber: true } });
    const answers = await drain(call.responses);
    expect(answers).toHaveLength(1);
    expect(answers[0]?.entryRevisions).toEqual([]);
    expect(answers[0]?.entries.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(answers[0]?.entries[0]).toMatchObject({
      selectors: [{ type: 'unix' }],
      hint: '',
      createdAt: 0n,
    });
  });

  it('sends pages of revisions, then pages of what is asked for, when they do not', async () => {
    const identity = await joinedAgent();
    const ids = await createEntries(identity, 501);
    const call = server.client(identity).bidi(Entry.method.syncAuthorizedEntries, options);
    const answers = call.responses[Symbol.asyncIterator]();
    const next = async () => (await answers.next()).value;
    await call.send({});
    const [first, second] = [await next(), await next()];
    expect([first?.entryRevisions.length, first?.more, first?.entries.length]).toEqual([500, true, 0]);
    expect([second?.entryRevisions.length, second?.more]).toEqual([1, false]);
    await call.send({ ids: [...ids, 'unknown', ids[0] ?? ''] });
    const [third, fourth] = [await next(), await next()];
    expect([third?.entries.length, third?.more, third?.entryRevisions.length]).toEqual([500, true, 0]);
    expect([fourth?.entries.length, fourth?.more]).toEqual([1, false]);
    await call.send({ ids: ['unknown'] });
    expect(await next()).toMatchObject({ entries: [], more: false });
    call.end();
    expect((await answers.next()).done).toBe(true);
  });

  it('refuses first requests that make no sense', async () => {
    const agent = server.client(await joinedAgent());
    for (const request of [{ ids: ['a'] }, { outputMask: { selectors: true } }]) {
      const call = agent.bidi(Entry.method.syncAuthorizedEntries, options);
      await call.send(request);
      await expect(drain(call.responses)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
  });

  it('shows an agent nothing that is not its own', async () => {
    const [one, two] = [await joinedAgent(), await joinedAgent()];
    await createEntries(one, 2);
    const { entries } = await server.client(two).unary(Entry.method.getAuthorizedEntries, {}, options);
    expect(entries).toEqual([]);
  });
});

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
    await expect(operator.unary(Entry.method.getEntry, { id }, options)).rejects.toMatchObject({ code: NOT_FOUND });
  });

  it('lists, bans and evicts agents', async () => {
    const identity = await attestedIdentity('knock', 'n1', 'ereht si ohw');
    await joinedAgent();
    const { agents } = await operator.unary(Agent.method.listAgents, { filter: { byCanReattest: true } }, options);
    expect(agents).toMatchObject([{ id: { path: '/spire/agent/knock/n1' }, attestationType: 'knock', banned: false }]);
    await operator.unary(Agent.method.banAgent, { id: idOf(identity) }, options);
    expect(await operator.unary(Agent.method.countAgents, { filter: { byBanned: true } }, options)).toMatchObject({
      count: 1,
    });
    await expect(attest('knock', 'n1', 'ereht si ohw')).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
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
    const agent = server.client(await joinedAgent());
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

  it('are deleted with, or in spite of, the entries that name them', async () => {
    const { x509Authorities } = await operator.unary(Bundle.method.getBundle, {}, options);
    const bundle = [{ trustDomain: 'other.org', x509Authorities }];
    const identity = await joinedAgent();
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
    const [id = ''] = await createEntries(identity, 1, { federatesWith: ['other.org'] });
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

/** Attests over an anonymous connection. */
async function attest(type: string, payload: string, response = '') {
  const { csr, key } = newCsr('spiffe://example.org/ignored');
  const call = server.client().bidi(Agent.method.attestAgent, options);
  const value = { data: { type, payload: Buffer.from(payload) }, params: { csr } };
  await call.send({ step: { case: 'params', value } });
  const challenges: string[] = [];
  for await (const { step } of call.responses) {
    if (step.case === 'result') return { result: step.value, challenges, key };
    challenges.push(Buffer.from(step.value ?? []).toString());
    await call.send({ step: { case: 'challengeResponse', value: Buffer.from(response) } });
  }
  throw new Error('the stream ended without a result');
}

async function attestedIdentity(type: string, payload: string, response = ''): Promise<TlsIdentity> {
  const { result, key } = await attest(type, payload, response);
  return { chainDer: result?.svid?.certChain.map((der) => Buffer.from(der)) ?? [], key };
}

async function joinedAgent(): Promise<TlsIdentity> {
  const { value } = await operator.unary(Agent.method.createJoinToken, { ttl: 60 }, options);
  return attestedIdentity('join_token', value);
}

function idOf({ chainDer }: TlsIdentity): { trustDomain: string; path: string } {
  const [uri = ''] = parseCertificate(chainDer[0] ?? Buffer.alloc(0)).names.uris;
  return { trustDomain: 'example.org', path: uri.slice('spiffe://example.org'.length) };
}

/** Entries under that agent; their ids. */
async function createEntries(agent: TlsIdentity, count: number, more: object = {}): Promise<string[]> {
  const entries = Array.from({ length: count }, (_, i) => ({
    spiffeId: { trustDomain: 'example.org', path: `/workload/${i}` },
    parentId: idOf(agent),
    selectors: [{ type: 'unix', value: `uid:${i}` }],
    ...more,
  }));
  const { results } = await operator.unary(Entry.method.batchCreateEntry, { entries }, options);
  return results.map(({ status, entry }) => {
    expect(status?.code).toBe(Code.OK);
    return entry?.id ?? '';
  });
}

function reasonOf(error: unknown): PermissionDeniedDetails_Reason | undefined {
  const detail = error instanceof RpcError ? error.details[0] : undefined;
  return detail && fromBinary(PermissionDeniedDetailsSchema, detail.value).reason;
}

async function drain<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}
