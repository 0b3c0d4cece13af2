import { type ChildProcess, fork } from 'node:child_process';
import { createServer } from 'node:http';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createGateway, loadProtocols } from '../src/gateway/index.ts';
import { member } from '../src/gateway/protocols/http/index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../src/gateway/testing/test-authority.ts';
import { testGatewayDeps } from '../src/gateway/testing/test-gateway.ts';
import { createTestRevocations, testRevocation } from '../src/gateway/testing/test-revocations.ts';
import { composeSchema, loadPolicies } from '../src/policy/index.ts';
import { createSystemClock } from '../src/std/index.ts';
import { type Bench, median, percentile, result } from './harness.ts';
import type { ClientOrder, ClientWord } from './revoke/client.ts';

/**
 * What a revocation takes at gateways: 1,000 sessions of one identity by TLS, each in the middle of an answer, over two gateways of this process; the clients are
 * in two processes of their own. From the state being known until a client has lost its connection, and until a gateway would acknowledge it. Beside them,
 * sessions of others, which must not notice.
 */
export const bench: Bench = {
  name: 'revoke',
  summary: '1,000 live sessions over two gateways, from a revocation to the end of each',
  async run(context) {
    const sessions = context.quick ? 20 : 1_000;
    const [ends, acks, cpu]: [number[], number[], number[]] = [[], [], []];
    const load = loadavg()[0] ?? 0;
    for (let round = 0; round < (context.quick ? 1 : 3); round++) {
      const taken = await measure(sessions);
      ends.push(...taken.ends);
      acks.push(...taken.acks);
      cpu.push(taken.cpuMs);
      context.say(`round ${round + 1}: the last session ended after ${Math.max(...taken.ends).toFixed(0)} ms`);
    }
    const row = (name: string, value: number, goal = '') =>
      result({ case: name, subject: 'ours', unit: 'ms', value, goal });
    return [
      row('p50 to the end of a session', percentile(ends, 0.5)),
      row('p99 to the end of a session', percentile(ends, 0.99), '<= 1000'),
      row('CPU of both gateways', median(cpu)),
      row('until it may be acknowledged', Math.max(...acks), '<= 1000'),
      result({ case: 'load of the machine before it', subject: 'ours', unit: '', value: load, goal: '' }),
    ];
  },
};

async function measure(sessions: number): Promise<{ ends: readonly number[]; acks: readonly number[]; cpuMs: number }> {
  const authority = createTestAuthority('example.org', Date.now());
  const upstream = createServer((_request, response) => void response.writeHead(200).write('begun'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const gateways = await Promise.all([0, 1].map(() => startGateway(authority, portOf(upstream.address()))));
  const [web, other] = [authority.issue('/web'), authority.issue('/other')];
  const ports = gateways.map(({ gateway }) => gateway.address().targets.get('api') ?? 0);
  const clients: Client[] = [];
  const open = async ({ certPem, keyPem }: typeof web, count: number) => {
    const client = startClient({ ports, sessions: count, certPem, keyPem });
    clients.push(client);
    await client.opened;
    return client;
  };
  try {
    const ours = await Promise.all([open(web, sessions / 2), open(web, sessions / 2)]);
    const others = await open(other, 10);
    const cpu = process.cpuUsage();
    const beganMs = performance.timeOrigin + performance.now();
    const acks = gateways.map(async ({ gateway, revocations }) => {
      revocations.now(testRevocation(web.uri));
      await gateway.ended(AbortSignal.timeout(60_000));
      return performance.timeOrigin + performance.now() - beganMs;
    });
    const lost = (await Promise.all(ours.map((client) => client.lost))).flat();
    const taken = { ends: lost.map((atMs) => atMs - beganMs), acks: await Promise.all(acks), cpuMs: 0 };
    const { user, system } = process.cpuUsage(cpu);
    taken.cpuMs = (user + system) / 1000;
    if (others.isAnyLost()) throw new Error('a session of somebody else was ended');
    return taken;
  } finally {
    for (const client of clients) client.stop();
    upstream.closeAllConnections();
    upstream.close();
    await Promise.all(gateways.map(({ gateway }) => gateway.stop()));
  }
}

async function startGateway(authority: ReturnType<typeof createTestAuthority>, upstreamPort: number) {
  const revocations = createTestRevocations();
  const gateway = createGateway(
    testGatewayDeps({
      clock: createSystemClock(),
      protocols: await loadProtocols([member]),
      identity: createTestIdentity(identityOf(authority.issue('/countersign/gateway'), [authority])),
      revocations: { current: revocations.current, maxAgeMs: 60_000, whenStale: undefined },
      limits: { sessionsMax: 2_000, sessionsPerIdentityMax: 2_000 },
      drainMs: 0,
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  const text = '@id("all") permit (principal, action, resource);';
  gateway.applyPolicies(loadPolicies([{ name: 'all', text }], composeSchema([member.policySchema])));
  const config = { url: `http://127.0.0.1:${upstreamPort}`, listen: { host: '127.0.0.1', port: 0 } };
  await gateway.applyTargets([{ name: 'api', protocol: 'http', config }]);
  return { gateway, revocations };
}

interface Client {
  readonly opened: Promise<void>;
  /** When each session was lost, epoch milliseconds. */
  readonly lost: Promise<readonly number[]>;
  isAnyLost(): boolean;
  stop(): void;
}

function startClient(order: ClientOrder): Client {
  const child: ChildProcess = fork(fileURLToPath(new URL('./revoke/client.ts', import.meta.url)));
  let isLost = false;
  const word = <Kind extends ClientWord['kind']>(kind: Kind) =>
    new Promise<Extract<ClientWord, { kind: Kind }>>((resolve, reject) => {
      child.on('message', (said: ClientWord) => {
        if (said.kind === 'lost') isLost = true;
        if (said.kind === kind) resolve(said as Extract<ClientWord, { kind: Kind }>); // Of that kind, as just seen.
      });
      child.once('exit', () => reject(new Error('a client has ended')));
    });
  const [opened, lost] = [word('open').then(() => {}), word('lost').then(({ atMs }) => atMs)];
  lost.catch(() => {}); // Of one that is stopped before.
  child.send(order);
  return { opened, lost, isAnyLost: () => isLost, stop: () => void child.kill() };
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}
