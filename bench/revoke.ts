import { createServer } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { createGateway, loadProtocols } from '../src/gateway/index.ts';
import { member } from '../src/gateway/protocols/http/index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../src/gateway/testing/test-authority.ts';
import { testGatewayDeps } from '../src/gateway/testing/test-gateway.ts';
import { createTestRevocations, testRevocation } from '../src/gateway/testing/test-revocations.ts';
import { composeSchema, loadPolicies } from '../src/policy/index.ts';
import { createSystemClock } from '../src/std/index.ts';
import { type Bench, median, percentile, result } from './harness.ts';

/**
 * What a revocation takes at gateways: 1,000 sessions of one identity by TLS, each in the middle of an answer, over two gateways of this process. From the
 * state being known until a client has lost its connection, and until a gateway would acknowledge it. Beside them, sessions of others, which must not notice.
 */
export const bench: Bench = {
  name: 'revoke',
  summary: '1,000 live sessions over two gateways, from a revocation to the end of each',
  async run(context) {
    const sessions = context.quick ? 20 : 1_000;
    const [ends, acks, cpu]: [number[], number[], number[]] = [[], [], []];
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
      row('CPU of clients and gateways together', median(cpu)),
      row('until it may be acknowledged', Math.max(...acks), '<= 1000'),
    ];
  },
};

async function measure(sessions: number): Promise<{ ends: readonly number[]; acks: readonly number[]; cpuMs: number }> {
  const authority = createTestAuthority('example.org', Date.now());
  const upstream = createServer((_request, response) => void response.writeHead(200).write('begun'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const gateways = await Promise.all([0, 1].map(() => startGateway(authority, portOf(upstream.address()))));
  const [web, other] = [authority.issue('/web'), authority.issue('/other')];
  const open = (svid: typeof web, count: number) =>
    inTurns(count, (n) => openSession(gateways[n % 2]?.gateway.address().targets.get('api') ?? 0, svid));
  try {
    const [ours, others] = [await open(web, sessions), await open(other, 10)];
    const cpu = process.cpuUsage();
    const beganMs = performance.now();
    const ends = ours.map(
      (socket) => new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now() - beganMs))),
    );
    const acks = gateways.map(async ({ gateway, revocations }) => {
      revocations.now(testRevocation(web.uri));
      await gateway.ended(AbortSignal.timeout(60_000));
      return performance.now() - beganMs;
    });
    const taken = { ends: await Promise.all(ends), acks: await Promise.all(acks), cpuMs: 0 };
    const { user, system } = process.cpuUsage(cpu);
    taken.cpuMs = (user + system) / 1000;
    if (others.some((socket) => socket.destroyed)) throw new Error('a session of somebody else was ended');
    for (const socket of others) socket.destroy();
    return taken;
  } finally {
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

function openSession(port: number, svid: { certPem: string; keyPem: string }): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const files = { cert: svid.certPem, key: svid.keyPem };
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...files });
    socket.once('data', () => resolve(socket)).on('error', reject);
    socket.write('GET /stream HTTP/1.1\r\nhost: api\r\n\r\n');
  });
}

/** So many at once, since each handshake costs both sides. */
async function inTurns<T>(count: number, open: (n: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, n) => open(from + n));
    all.push(...(await Promise.all(some)));
  }
  return all;
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const AT_ONCE = 25;
