import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Agent,
  Approvals,
  Bundle,
  Control,
  Entry,
  Health,
  Questions,
  Records,
  Revocations,
  Sessions,
  SpiffeWorkloadAPI,
  SVID,
} from '@countersign/sdk/contract';
import {
  PermissionDeniedDetails_Reason,
  PermissionDeniedDetailsSchema,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, pathOf, type RpcClient, RpcError } from '../rpc/index.ts';
import { createLog } from '../std/index.ts';
import { parseCertificate } from '../wire/x509/index.ts';
import { rolesByMethod } from './access/testing/roles.ts';
import { agentsOf, idOf } from './testing/agents.ts';
import { newCsr, startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: what agents can and can not do with the server, over real sockets and a real store.

let lines: string[];
let server: TestServer;
let operator: RpcClient;
let agents: ReturnType<typeof agentsOf>;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  lines = [];
  server = await startTestServer({ log: createLog({ level: 'info', write: (line) => lines.push(line) }) });
  operator = server.operator();
  agents = agentsOf(server);
});
afterEach(() => server.stop());

describe('the table of roles', () => {
  it('lists every method of every service of the server, and no other', () => {
    const served = [
      Agent,
      Approvals,
      Bundle,
      Control,
      Entry,
      Health,
      Questions,
      Records,
      Revocations,
      Sessions,
      SVID,
    ].flatMap((service) => service.methods.map(pathOf));
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
    const first = await agents.attest('join_token', value);
    expect(first.result?.svid?.id).toEqual(expect.objectContaining({ path: `/spire/agent/join_token/${value}` }));
    expect(first.result?.reattestable).toBe(false);
    await expect(agents.attest('join_token', value)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('answers the challenges of its attestor', async () => {
    const { result, challenges } = await agents.attest('knock', 'n1', 'ereht si ohw');
    expect(challenges).toEqual(['who is there']);
    expect(result?.reattestable).toBe(true);
    await expect(agents.attest('knock', 'n1', 'wrong')).rejects.toMatchObject({
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

  it('is told to come again when too many attestations come from its address, and gets in when they are over', async () => {
    const csr = newCsr('spiffe://example.org/x').csr;
    const client = server.client();
    const open = Array.from({ length: 64 }, async () => {
      const cancel = new AbortController();
      const call = client.bidi(Agent.method.attestAgent, { signal: cancel.signal });
      const value = { data: { type: 'knock', payload: Buffer.from('slow') }, params: { csr } };
      await call.send({ step: { case: 'params', value } });
      const answers = call.responses[Symbol.asyncIterator]();
      expect((await answers.next()).value?.step.case).toBe('challenge');
      return async () => {
        cancel.abort();
        await answers.next().catch(() => {});
      };
    });
    const ends = await Promise.all(open);
    const { value } = await operator.unary(Agent.method.createJoinToken, { ttl: 60 }, options);
    await expect(agents.attest('join_token', value)).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: expect.stringMatching(/try again in \d+ s/),
    });
    await Promise.all(ends.map((end) => end()));
    // The token was not used up by the attempt that was refused.
    await expect
      .poll(() =>
        agents.attest('join_token', value).then(
          ({ result }) => result?.reattestable,
          () => undefined,
        ),
      )
      .toBe(false);
  });

  it('may not do what operators do', async () => {
    const agent = server.client(await agents.join());
    await expect(agent.unary(Entry.method.listEntries, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    await expect(agent.unary(Agent.method.createJoinToken, { ttl: 60 }, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
      details: [],
    });
  });

  it('renews: the old SVID holds until the new one is first used, and no longer', async () => {
    const identity = await agents.join();
    const agent = server.client(identity);
    const renewed = newCsr('spiffe://example.org/ignored');
    const { svid } = await agent.unary(Agent.method.renewAgent, { params: { csr: renewed.csr } }, options);
    await agent.unary(Agent.method.postStatus, { agentVersion: '1' }, options);
    const next = server.client({ chainDer: svid?.certChain.map((der) => Buffer.from(der)) ?? [], key: renewed.key });
    await next.unary(Agent.method.postStatus, { agentVersion: '2' }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_NOT_ACTIVE);
    await next.unary(Agent.method.postStatus, { agentVersion: '3' }, options);
  });

  it('whose state was copied is out as soon as the copy renews, and the log says who called with the older SVID', async () => {
    const identity = await agents.join();
    const [agent, copy] = [server.client(identity), server.client(identity)];
    const watch = agent.serverStream(Control.method.watchNode, {}, options)[Symbol.asyncIterator]();
    await watch.next();
    const renewed = newCsr('spiffe://example.org/ignored');
    const { svid } = await copy.unary(Agent.method.renewAgent, { params: { csr: renewed.csr } }, options);
    const next = server.client({ chainDer: svid?.certChain.map((der) => Buffer.from(der)) ?? [], key: renewed.key });
    await next.unary(Agent.method.postStatus, { agentVersion: '2' }, options);
    const superseded = () => lines.filter((line) => line.includes('"api.agent.superseded"'));
    const ended = expect(watch.next()).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    await server.clock.advance(6_000);
    await ended;
    // A stream from before the renewal is what every agent has.
    expect(superseded()).toEqual([]);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_NOT_ACTIVE);
    expect(superseded()).toHaveLength(1);
    expect(JSON.parse(superseded()[0] ?? '')).toMatchObject({
      level: 'warn',
      agent: expect.stringMatching(/^spiffe:\/\/example\.org\/spire\/agent\/join_token\//),
      remote: expect.stringContaining('127.0.0.1'),
    });
  });

  it('that can attest again is told to, instead of renewing', async () => {
    const agent = server.client(await agents.identityFrom('knock', 'n1', 'ereht si ohw'));
    const error = await agent
      .unary(Agent.method.renewAgent, { params: { csr: newCsr('spiffe://example.org/x').csr } }, options)
      .catch((e: unknown) => e);
    expect(reasonOf(error)).toBe(PermissionDeniedDetails_Reason.AGENT_MUST_REATTEST);
  });

  it('is told when it was banned, evicted or has expired, on connections that are open already', async () => {
    const identity = await agents.join();
    const agent = server.client(identity);
    const id = idOf(identity);
    await agent.unary(Agent.method.postStatus, {}, options);
    await operator.unary(Agent.method.banAgent, { id }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_BANNED);
    await operator.unary(Agent.method.deleteAgent, { id }, options);
    await expectRefusal(agent, PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED);

    const late = server.client(await agents.join());
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
    const identity = await agents.join();
    const [entryId] = await agents.createEntries(identity, 1, { x509SvidTtl: 600, dnsNames: ['db.example.org'] });
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
    const identity = await agents.join();
    const other = await agents.join();
    const [mine] = await agents.createEntries(identity, 1);
    const [theirs] = await agents.createEntries(other, 1);
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
    const agent = server.client(await agents.join());
    const params = Array.from({ length: 501 }, () => ({ entryId: 'x' }));
    const call = agent.unary(SVID.method.batchNewX509SVID, { params }, options);
    await expect(call).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('gives agents JWT-SVIDs for entries of theirs, with both times set', async () => {
    const identity = await agents.join();
    const [entryId = ''] = await agents.createEntries(identity, 1);
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
    const identity = await agents.join();
    const ids = await agents.createEntries(identity, 3);
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
    const identity = await agents.join();
    const ids = await agents.createEntries(identity, 501);
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

  it('sends pages that every client of gRPC takes, however large the entries are', async () => {
    const identity = await agents.join();
    const selectors = Array.from({ length: 100 }, (_, n) => ({ type: 't', value: `${n}`.padEnd(2000, 'x') }));
    const ids: string[] = [];
    for (let batch = 0; batch < 3; batch++)
      ids.push(
        ...(await agents.createEntries(identity, 18, {
          selectors: [...selectors, { type: 'b', value: `${batch}` }].slice(1),
        })),
      );
    const call = server.client(identity).bidi(Entry.method.syncAuthorizedEntries, options);
    const answers = call.responses[Symbol.asyncIterator]();
    await call.send({ outputMask: { spiffeId: true, selectors: true, revisionNumber: true } });
    const first = (await answers.next()).value;
    expect([first?.entryRevisions.length, first?.more]).toEqual([54, false]);
    await call.send({ ids });
    const got: string[] = [];
    for (let more = true; more; ) {
      const page = (await answers.next()).value;
      if (page === undefined) throw new Error('the stream ended');
      expect(toBinary(Entry.method.syncAuthorizedEntries.output, page).length).toBeLessThan(4 * 1024 * 1024);
      got.push(...page.entries.map(({ id }: { id: string }) => id));
      more = page.more;
    }
    expect(got.toSorted()).toEqual(ids.toSorted());
    call.end();
    const listed: string[] = [];
    let pageToken = '';
    do {
      const page = await operator.unary(Entry.method.listEntries, { pageSize: 1000, pageToken }, options);
      expect(page.entries.length).toBeLessThan(20);
      listed.push(...page.entries.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(listed.toSorted()).toEqual(ids.toSorted());
  });

  it('refuses first requests that make no sense', async () => {
    const agent = server.client(await agents.join());
    for (const request of [{ ids: ['a'] }, { outputMask: { selectors: true } }]) {
      const call = agent.bidi(Entry.method.syncAuthorizedEntries, options);
      await call.send(request);
      await expect(drain(call.responses)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
  });

  it('shows an agent nothing that is not its own', async () => {
    const [one, two] = [await agents.join(), await agents.join()];
    await agents.createEntries(one, 2);
    const { entries } = await server.client(two).unary(Entry.method.getAuthorizedEntries, {}, options);
    expect(entries).toEqual([]);
  });
});

function reasonOf(error: unknown): PermissionDeniedDetails_Reason | undefined {
  const detail = error instanceof RpcError ? error.details[0] : undefined;
  return detail && fromBinary(PermissionDeniedDetailsSchema, detail.value).reason;
}

async function drain<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}
