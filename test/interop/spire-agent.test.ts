/**
 * A SPIRE agent attached to our server, as far as the wire goes: a Go program that sends what a SPIRE agent sends, with SPIRE's own
 * messages, grpc-go and go-spiffe, against a server as it runs in production.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Stack, startStack } from '../support/stack.ts';
import { buildGo, go } from './go-toolchain.ts';
import { type Line, startLineProcess } from './line-process.ts';
import { createNodeCa, type NodeCertificate } from './node-certificates.ts';
import { mayLack } from './toolchain.ts';

interface Agent extends AsyncDisposable {
  /** Has the agent do one thing and resolves to what came of it. */
  obey(what: string, more?: Line): Promise<Line>;
}

describe.skipIf(mayLack(go))('a SPIRE agent', () => {
  let stack: Stack;
  let address: string;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-spire-'));
  fs.chmodSync(directory, 0o755);
  let machines: ReturnType<typeof createNodeCa>;

  const startAgent = (): Agent => {
    const child = startLineProcess(path.join(directory, 'agent'), [address, 'example.org', stack.folder.trustBundle]);
    return {
      obey(what, more = {}) {
        child.send({ do: what, ...more });
        return child.next();
      },
      [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
    };
  };
  const cli = async (...args: string[]): Promise<unknown> => {
    const finished = await stack.cli([...args, '--json']);
    expect(finished, args.join(' ')).toMatchObject({ code: 0 });
    return JSON.parse(finished.stdout);
  };
  const joined = async (agent: Agent) => {
    const { token } = Object(await cli('node', 'token'));
    const attested = await agent.obey('attest', { type: 'join_token', token });
    expect(attested).toMatchObject({ id: `spiffe://example.org/spire/agent/join_token/${token}` });
    return { ...attested, id: String(attested['id']), token: String(token) };
  };
  const popped = async (agent: Agent, { certificate, key }: NodeCertificate) => {
    const attested = await agent.obey('attest', { type: 'x509pop', certificate, key });
    return { ...attested, id: String(attested['id']) };
  };

  beforeAll(async () => {
    machines = createNodeCa(directory);
    const attestors = { 'join-token': {}, x509pop: { caBundle: machines.caBundle } };
    [stack] = await Promise.all([
      startStack({ store: 'sqlite', settings: { server: { attestors } } }),
      buildGo(directory, ['agent']),
    ]);
    address = String(parse(fs.readFileSync(stack.folder.config, 'utf8')).agent.server);
  });
  afterAll(async () => {
    await stack?.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  it('joins by token, tells its version, and is given entries, X.509-SVIDs, JWT-SVIDs and bundles', async () => {
    await using agent = startAgent();
    const { id, ...attested } = await joined(agent);
    expect(attested).toMatchObject({ reattestable: false, challenges: 0, dnsNames: [] });
    expect(await agent.obey('status', { version: '1.15.3' })).toEqual({});
    expect(await cli('node', 'show', id)).toMatchObject({ id, attestation: 'join_token', version: '1.15.3' });

    const { entries, ...synced } = await agent.obey('sync');
    expect(synced).toEqual({ fetched: ENTRIES.length, revisionPages: 1, paged: false });
    expect(entries).toEqual(
      ENTRIES.map(([entry, spiffeId]) => ({
        ...{ id: entry, spiffeId, selectors: 1, masked: true, hint: '', revision: 0, createdAt: expect.any(Number) },
      })),
    );
    const { svids } = await agent.obey('mint', { entries: ['web', 'no-such-entry', 'gateway'] });
    expect(svids).toMatchObject([
      { status: 0, id: 'spiffe://example.org/web', dnsNames: [] },
      { status: NOT_FOUND },
      // It is there, for another node: this one is told no more than of one that is not.
      { status: NOT_FOUND },
    ]);
    expect(await agent.obey('jwt', { entries: ['web'], audience: ['one', 'two'] })).toMatchObject({
      ...{ id: 'spiffe://example.org/web', audience: ['one', 'two'] },
    });
    expect(await agent.obey('bundle')).toMatchObject({ x509Authorities: 1, jwtAuthorities: 1 });
    // A SPIRE agent takes this code for "not there yet"; any other would fail its whole sync.
    expect(await agent.obey('federated', { trustDomain: 'unknown.test' })).toMatchObject({
      error: { code: 'NotFound' },
    });
  });

  it('is refused a token that was used, with a code on which it tries again', async () => {
    await using first = startAgent();
    const { token } = await joined(first);
    await using second = startAgent();
    expect(await second.obey('attest', { type: 'join_token', token })).toMatchObject({
      error: { code: 'InvalidArgument' },
    });
  });

  it('renews, and goes on with the new SVID on a new connection', async () => {
    await using agent = startAgent();
    const { id, ...attested } = await joined(agent);
    const renewed = await agent.obey('renew');
    expect(renewed).toMatchObject({ id });
    expect(renewed['serial']).not.toBe(Object(attested)['serial']);
    expect(await agent.obey('sync')).toMatchObject({ fetched: ENTRIES.length });
    expect(await agent.obey('renew')).toMatchObject({ id });
  });

  it.each([
    'ec',
    'rsa',
  ] as const)('proves its %s certificate by a challenge, and attests anew instead of renewing', async (kind) => {
    await using agent = startAgent();
    const certificate = machines.issue(`renewing-${kind}`, kind);
    const attested = await popped(agent, certificate);
    expect(attested).toMatchObject({ reattestable: true, challenges: 1 });
    expect(attested.id).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/x509pop\/[0-9a-f]{40}$/);
    expect(await agent.obey('renew')).toMatchObject({ error: refused('AGENT_MUST_REATTEST') });
    expect(await popped(agent, certificate)).toMatchObject({ id: attested.id, challenges: 1 });
    expect(await agent.obey('sync')).toMatchObject({ fetched: ENTRIES.length });
  });

  it('is refused a certificate of a CA that is not accepted', async () => {
    const strangers = path.join(directory, 'strangers');
    fs.mkdirSync(strangers);
    await using agent = startAgent();
    const attested = await popped(agent, createNodeCa(strangers).issue('stranger', 'ec'));
    expect(attested).toMatchObject({ error: { code: 'InvalidArgument' } });
  });

  it('is told on its open connection that it was banned, and so when it tries to attest again', async () => {
    await using agent = startAgent();
    const certificate = machines.issue('banned', 'ec');
    const { id } = await popped(agent, certificate);
    expect(await agent.obey('status', { version: '1' })).toEqual({});
    await cli('node', 'ban', id);
    for (const what of ['sync', 'renew', 'status']) {
      expect(await agent.obey(what), what).toMatchObject({ error: refused('AGENT_BANNED') });
    }
    expect(await popped(agent, certificate)).toMatchObject({ error: { code: 'PermissionDenied' } });
  });

  it('is told on its open connection that it was evicted; with a certificate it then comes back, with a used token not', async () => {
    await using lasting = startAgent();
    const certificate = machines.issue('evicted', 'ec');
    const { id } = await popped(lasting, certificate);
    await using passing = startAgent();
    const { id: joinedId, token } = await joined(passing);
    for (const node of [id, joinedId]) await cli('node', 'delete', node);
    for (const agent of [lasting, passing]) {
      expect(await agent.obey('sync')).toMatchObject({ error: refused('AGENT_NOT_ATTESTED') });
    }
    expect(await popped(lasting, certificate)).toMatchObject({ id });
    expect(await lasting.obey('sync')).toMatchObject({ fetched: ENTRIES.length });
    expect(await passing.obey('attest', { type: 'join_token', token })).toMatchObject({
      error: { code: 'InvalidArgument' },
    });
  });

  it('goes on with its SVID after the server was killed and started again', async () => {
    await using agent = startAgent();
    await joined(agent);
    await stack.roles.server.end('SIGKILL');
    expect(await agent.obey('sync')).toMatchObject({ error: { code: 'Unavailable' } });
    stack.roles.server.start();
    await stack.roles.server.ready();
    await expect.poll(() => agent.obey('sync')).toMatchObject({ fetched: ENTRIES.length });
    expect(await agent.obey('mint', { entries: ['web'] })).toMatchObject({ svids: [{ status: 0 }] });
  });

  it('is given more than 500 entries in pages, and later only what has changed', async () => {
    await using agent = startAgent();
    await joined(agent);
    const before = await agent.obey('sync');
    expect(before).toMatchObject({ paged: false });
    const many = Array.from({ length: MANY }, (_, index) => entry(index));
    expect(await stack.apply({ 'many.yaml': many.map((one) => stringify(one)).join('---\n') })).toMatchObject({
      code: 0,
    });

    const total = ENTRIES.length + MANY;
    const { entries, ...all } = await agent.obey('sync');
    expect(all).toEqual({ paged: true, revisionPages: Math.ceil(total / 500), fetched: MANY });
    expect(entries).toHaveLength(total);
    expect(await agent.obey('sync')).toMatchObject({ paged: true, fetched: 0 });

    expect(await stack.apply({ 'one.yaml': stringify(entry(7, { hint: 'changed' })) })).toMatchObject({ code: 0 });
    await cli('entry', 'delete', 'many-8');
    const changed = await agent.obey('sync');
    expect(changed).toMatchObject({ fetched: 1 });
    expect(changed['entries']).toHaveLength(total - 1);
    expect(changed['entries']).toContainEqual(expect.objectContaining({ id: 'many-7', hint: 'changed', revision: 1 }));

    const batch = many.slice(0, 500).map(({ name }) => name);
    const { svids } = await agent.obey('mint', { entries: batch });
    const expected = batch.map((name) => (name === 'many-8' ? { status: NOT_FOUND } : { status: 0 }));
    expect(svids).toMatchObject(expected);
  });
});

function entry(index: number, more: object = {}) {
  const spec = { spiffeId: `spiffe://example.org/many/${index}`, selectors: [`unix:uid:${20_000 + index}`], ...more };
  return { kind: 'Entry', name: `many-${index}`, spec };
}

function refused(reason: string) {
  return { code: 'PermissionDenied', reason };
}

/** What the stack declares for every node, in the order of their ids; its gateway lives on one node only. */
const ENTRIES = [
  ['batch', 'spiffe://example.org/batch'],
  ['web', 'spiffe://example.org/web'],
  ['web-tests', 'spiffe://example.org/web'],
] as const;
const MANY = 1_100;
/** Status codes of gRPC. */
const NOT_FOUND = 5;
