/**
 * A target of a protocol behind a real gateway, offered by a real agent: all that an agent knows of the protocol is the half that its member brings.
 * And what every such half promises. Time stands still once it is offered, so nothing in it ends for having waited.
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { expect } from 'vitest';
import { createHarness, type Harness } from '../../src/agent/testing/harness.ts';
import { createGateway, type ProtocolPath } from '../../src/gateway/index.ts';
import { createTestIdentity } from '../../src/gateway/testing/test-authority.ts';
import { createMemoryLedger, testGatewayDeps } from '../../src/gateway/testing/test-gateway.ts';
import type { LedgerEvent, LocalProtocol } from '../../src/model/index.ts';
import { composeSchema, loadPolicies, type PolicySchemaFragment } from '../../src/policy/index.ts';
import { Secret } from '../../src/std/index.ts';
import { eventually } from '../support/eventually.ts';
import { PASSWORD, type ProtocolFixture, type RequestKind, type Told } from './protocol-bed.ts';

export interface Offer {
  readonly fixture: ProtocolFixture;
  readonly local: LocalProtocol;
  readonly agent: Harness;
  readonly ledger: { readonly events: readonly LedgerEvent[] };
  /** Names of the operations that the target heard of. */
  readonly heard: readonly string[];
  /** The folder that clients are told, in place of a host. */
  readonly folder: string;
  connect(): OfferClient;
  close(): Promise<void>;
}

export interface OfferClient {
  /** Says what a client of the protocol says first; one whose server speaks first has nothing to say. */
  begin(): void;
  send(kind: RequestKind, name: string): void;
  /** Resolves when it was told that. */
  until(what: Told): Promise<void>;
  /** Resolves when its connection is over. */
  readonly closed: Promise<void>;
  received(): string;
}

/** The halves of one protocol. */
export interface OfferedProtocol {
  readonly local: LocalProtocol;
  readonly path: ProtocolPath;
  readonly policySchema: PolicySchemaFragment;
  readonly fixture: ProtocolFixture;
  /** How long a client waits for what it is to be told. */
  readonly patienceMs?: number;
}

/** Offers it as long as that runs. */
export async function withOffer(halves: OfferedProtocol, run: (offer: Offer) => Promise<void>): Promise<void> {
  const offer = await openOffer(halves);
  try {
    await run(offer);
  } finally {
    await offer.close();
  }
}

async function openOffer(halves: OfferedProtocol): Promise<Offer> {
  const { local, path, policySchema, fixture, patienceMs = PATIENCE_MS } = halves;
  const agent = await createHarness();
  agent.protocols = [local];
  agent.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] });
  const heard: string[] = [];
  const target = await fixture.startTarget((name) => void heard.push(name), PASSWORD);
  const ledger = createMemoryLedger();
  const gateway = createGateway(
    testGatewayDeps({
      ...{ clock: agent.clock, ledger, protocols: [{ id: local.id, policySchema, ...path }] },
      identity: createTestIdentity(identityOfGateway(agent)),
      secrets: { resolve: async () => Secret.fromText(PASSWORD) },
    }),
  );
  await gateway.start(new AbortController().signal);
  const text = 'permit(principal, action, resource);';
  gateway.applyPolicies(loadPolicies([{ name: 'all', text }], composeSchema([policySchema])));
  await gateway.applyTargets([{ name: 'orders', protocol: local.id, config: fixture.config(target.port) }]);
  const place = { address: `127.0.0.1:${gateway.address().link}`, spiffeId: GATEWAY };
  agent.server.targets = [{ name: 'orders', protocol: local.id, gateways: [place] }];
  await agent.startAgent();
  await agent.until(() => agent.agent().status().targets.includes('orders'));
  const folder = join(agent.targetsDir, 'orders');
  const sockets: Socket[] = [];
  return {
    ...{ fixture, local, agent, ledger, heard, folder },
    connect() {
      const socket = connect(join(folder, local.socketFile));
      sockets.push(socket);
      return clientOf(socket, { fixture, patienceMs });
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await agent.close();
      const stopped = gateway.stop();
      await agent.run(stopped);
      await target.close();
    },
  };
}

function identityOfGateway({ server }: Harness) {
  const { chainDer, keyDer, expiresAtS } = server.authority.issueWithKey('/countersign/gateway', 86_400);
  const { trustDomain, x509Authorities } = server.authority.bundle(1);
  return {
    id: parseSpiffeId(GATEWAY),
    chainDer,
    keyDer,
    expiresAtS,
    bundles: new Map([[trustDomain, x509Authorities]]),
  };
}

function clientOf(
  socket: Socket,
  { fixture, patienceMs: withinMs }: { fixture: ProtocolFixture; patienceMs: number },
): OfferClient {
  const told: Told[] = [];
  const read = fixture.createReader();
  let received = '';
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    told.push(...read(chunk));
  });
  return {
    closed,
    begin: () => void socket.write(fixture.hello),
    send: (kind, name) => void socket.write(fixture.request(kind, name)),
    until: (what) =>
      eventually(`${what} in ${told.join(', ')} of ${received}`, () => told.includes(what), {
        everyMs: 1,
        withinMs,
      }).then(() => {}),
    received: () => received,
  };
}

/** What every protocol with a half for agents promises. */
export const offerChecks: readonly {
  readonly id: string;
  readonly promise: string;
  run(offer: Offer): Promise<void>;
}[] = [
  {
    id: 'offered',
    promise:
      'is offered by an agent: a client finds the socket, and what it asks is decided, recorded, done and answered',
    async run({ fixture, connect: open, heard, ledger }) {
      const client = open();
      if (fixture.hello.length > 0) client.begin();
      await client.until('hello');
      client.send('change', 'op-1');
      await client.until('answer');
      expect(heard).toEqual(['op-1']);
      const kinds = ledger.events.map(({ kind }) => kind);
      expect(kinds).toEqual(['session-open', 'intent', 'outcome']);
    },
  },
  {
    id: 'refused',
    promise: 'tells a process without an identity why it gets no session, in its own words',
    async run({ agent, fixture, connect: open, local, heard }) {
      agent.selectors = ['unix:uid:4000'];
      const client = open();
      // Where the server speaks first, a client that has said nothing is waiting for it.
      if (local.speaksFirst === 'client') client.begin();
      else expect(fixture.hello).toHaveLength(0);
      // The server is asked first whether there is one by now.
      await agent.run(client.until('end'));
      expect(client.received()).toContain('no identity issued');
      expect(heard).toEqual([]);
    },
  },
  {
    id: 'stopping',
    promise:
      'tells a client in the middle of nothing that its agent stops, in its own words or, where it has none, by its end, and has given all answers before',
    async run({ agent, connect: open, local }) {
      const client = open();
      client.begin();
      await client.until('hello');
      client.send('many', 'op-2');
      await client.until('answer');
      const stopped = agent.agent().stop();
      const refusal = { kind: 'stopping', message: 'the agent is shutting down', hint: '' } as const;
      if (local.refusal(refusal, 'session').length === 0) await client.closed;
      else {
        await client.until('end');
        expect(client.received()).toContain(refusal.message);
      }
      await agent.run(stopped);
    },
  },
  {
    id: 'amid',
    promise: 'says nothing into an answer that its agent’s stop cuts off',
    async run({ local, fixture }) {
      const session = local.follow();
      expect(session.place()).toBe('amid');
      session.saw('client', Buffer.concat([fixture.hello, fixture.request('read', 'op-3')]));
      expect(session.place()).toBe('amid');
    },
  },
];

const PATIENCE_MS = 60_000;
const GATEWAY = 'spiffe://example.org/countersign/gateway';
