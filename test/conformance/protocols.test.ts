import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GatewaySession, ProtocolMember, SessionPolicy, Target } from '../../src/gateway/index.ts';
import { SessionEnd } from '../../src/gateway/index.ts';
import { localProtocols } from '../../src/gateway/protocols/local-registry.generated.ts';
import { protocols } from '../../src/gateway/protocols/registry.generated.ts';
import { createTestGate } from '../../src/gateway/testing/test-gate.ts';
import { createTestLedger } from '../../src/gateway/testing/test-ledger.ts';
import { composeSchema, loadPolicies } from '../../src/policy/index.ts';
import { createSilentLog } from '../../src/std/index.ts';
import { type Bed, openBed, PASSWORD, type ProtocolFixture, targetDeps } from './protocol-bed.ts';
import { checks } from './protocol-checks.ts';
import { offerChecks, withOffer } from './protocol-offer.ts';

// What every protocol promises to the gateway, whatever it speaks. Each member says here how a target of it looks that nobody answers for.

const members: readonly ProtocolMember[] = protocols;

/** Each protocol brings what the suite must know of it, in `testing/conformance.ts` of its folder. */
interface ProtocolCase {
  readonly conformance: ProtocolFixture;
  readonly others?: Readonly<Record<string, ProtocolFixture>>;
}

it('has schema fragments that make one policy schema', () => {
  const schema = composeSchema(members.map((member) => member.policySchema));
  expect(() => loadPolicies([{ name: 'p', text: 'permit(principal, action, resource);' }], schema)).not.toThrow();
});

const cases = await Promise.all(
  members.map(async (member) => {
    const { conformance, others = {} }: ProtocolCase = await import(
      `../../src/gateway/protocols/${member.id}/testing/conformance.ts`
    );
    const local = localProtocols.find((half) => half.id === member.id);
    return { id: member.id, member, local, path: await member.load(), conformance, others };
  }),
);

describe.each(cases)('the protocol $id', ({ id, member, local, path, conformance, others }) => {
  const { config, hello } = conformance;
  let silent: { port: number; close(): void };
  let target: Target;
  const clients: Socket[] = [];

  beforeAll(async () => {
    silent = await listen((socket) => void socket.on('error', () => {}));
  });
  afterAll(async () => {
    silent.close();
    await conformance.stop?.();
  });
  beforeEach(() => {
    target = path.openTarget(config(silent.port), targetDeps(createSilentLog()));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await target.close();
  });

  it('describes each of its settings, and takes no others', () => {
    for (const [name, schema] of Object.entries(member.config.properties)) {
      expect(schema, name).toHaveProperty('description');
    }
    expect(member.config).toHaveProperty('additionalProperties', false);
    expect(member.checkConfig({ 'no such setting': 1 }).length).toBeGreaterThan(0);
    expect(member.checkConfig(config(1))).toEqual([]);
  });

  it('names its actions after itself', () => {
    for (const action of Object.keys(member.policySchema.actions)) expect(action).toMatch(new RegExp(`^${id}:`));
  });

  it('ends a session that is told to, before its client said a word', async () => {
    const { served, end, seen } = await serve(target, clients);
    end();
    await served;
    expect((await seen).length).toBeGreaterThan(0);
  });

  it('ends a session whose client goes away at once', async () => {
    const { served, client } = await serve(target, clients);
    client.destroy();
    await served;
  });

  it('lets nobody in whom policy does not permit, and records the denial', async () => {
    const { served, client, seen, events } = await serve(target, clients);
    client.write(hello);
    await served;
    expect((await seen).toString('latin1')).not.toContain(PASSWORD);
    expect(events.map((event) => event.kind)).toEqual(['denial']);
  });

  it('opens no session by a way that is there for words about others', async () => {
    const { served, client, seen, events } = await serve(target, clients, { isAside: true });
    client.write(hello);
    await served;
    expect((await seen).length).toBeGreaterThan(0);
    expect(events).toEqual([]);
  });

  it('says why when it refuses, and ends the connection', async () => {
    const { port, close } = await listen((socket) =>
      target.refuse(socket, { code: 'limit', what: 'too many sessions' }),
    );
    const client = connectTcp(port, '127.0.0.1');
    clients.push(client);
    expect((await everything(client)).toString('latin1')).toContain('too many sessions');
    close();
  });

  const ways: readonly [string, ProtocolFixture][] = [['', conformance], ...Object.entries(others)];
  describe.each(ways)('a session%s', (way, fixture) => {
    const { skipped = {} } = fixture;
    let bed: Bed;
    beforeEach(async () => {
      bed = await openBed(path, fixture);
      await bed.until('told hello');
    });
    afterEach(() => bed.close());

    it.each(checks.filter((check) => skipped[check.id] === undefined))('$promise', ({ run }) => run(bed));
    it('is held to whatever its skips do not name', () => {
      expect(Object.keys(skipped).filter((id) => !checks.some((check) => check.id === id))).toEqual([]);
      expect(way === '' ? skipped : {}).toEqual({});
    });
  });

  describe.skipIf(local === undefined)('at an agent’s socket', () => {
    it.each(offerChecks)('$promise', async ({ run }) => {
      if (local === undefined) throw new Error('it has no half for agents');
      await withOffer({ local, path, policySchema: member.policySchema, fixture: conformance }, run);
    });
  });

  it('finds out when a target does not answer', async () => {
    await expect(target.check(AbortSignal.timeout(300))).resolves.toEqual(expect.any(String));
  });
});

async function listen(accept: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close };
}

/** A session without any permit. */
async function serve(target: Target, clients: Socket[], { isAside = false } = {}) {
  const ledger = createTestLedger();
  const policy: SessionPolicy = {
    version: 1,
    policySet: undefined,
    principalKey: 'spiffe://example.org/web',
    decide: () => ({ allow: false, reason: 'no-permit', policies: [] }),
    potentialMasks: () => [],
    onChange: () => () => {},
  };
  const end = new AbortController();
  const accepted = Promise.withResolvers<Socket>();
  const { port } = await listen((socket) => accepted.resolve(socket));
  const client = connectTcp(port, '127.0.0.1');
  clients.push(client);
  const session: GatewaySession = {
    id: 's1',
    identity: parseSpiffeId('spiffe://example.org/web'),
    client: await accepted.promise,
    door: 'agent',
    isAside,
    policy,
    gate: createTestGate(ledger.session, { policy, end }),
    signal: end.signal,
    drain: new AbortController().signal,
    memory: { hold() {} },
  };
  return {
    client,
    events: ledger.events,
    seen: everything(client),
    served: target.serve(session),
    end: () => end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' })),
  };
}

function everything(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {}).on('close', () => resolve(Buffer.concat(chunks)));
  });
}
