import { createServer, type Server } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createSystemClock } from '../../../../std/index.ts';
import { createGateway, loadProtocols } from '../../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../../testing/test-authority.ts';
import { testGatewayDeps } from '../../../testing/test-gateway.ts';
import { createTestRevocations, testRevocation } from '../../../testing/test-revocations.ts';
import { member } from '../index.ts';

// Goal: what a client keeps of a TLS connection from before it was revoked lets it in no more than its SVID does.
const authority = createTestAuthority('example.org', Date.now());
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');

let gateway: ReturnType<typeof createGateway>;
let upstream: Server;
let revocations: ReturnType<typeof createTestRevocations>;
let asked: number;

beforeEach(async () => {
  asked = 0;
  upstream = createServer((request, response) => {
    if (request.url === '/') asked++; // The gateway itself asks for `*`.
    response.end('served');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  revocations = createTestRevocations();
  gateway = createGateway(
    testGatewayDeps({
      ...{ clock: createSystemClock(), identity: createTestIdentity(identityOf(gatewaySvid, [authority])) },
      ...{ protocols: await loadProtocols([member]), drainMs: 100 },
      revocations: { current: revocations.current, maxAgeMs: 60_000, whenStale: undefined },
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  const schema = composeSchema([member.policySchema]);
  gateway.applyPolicies(loadPolicies([{ name: 'all', text: 'permit (principal, action, resource);' }], schema));
  const at = upstream.address();
  const url = `http://127.0.0.1:${typeof at === 'object' && at !== null ? at.port : 0}`;
  await gateway.applyTargets([
    { name: 'api', protocol: 'http', config: { url, listen: { host: '127.0.0.1', port: 0 } } },
  ]);
});
afterEach(async () => {
  await gateway.stop();
  upstream.closeAllConnections();
  upstream.close();
});

/** One request on a connection of its own; what comes of it, and what TLS gave the client to come again with. */
async function ask(ticket?: Buffer): Promise<{ text: string; ticket: Buffer | undefined }> {
  const socket: TLSSocket = connect({
    ...{ port: gateway.address().targets.get('api') ?? 0, host: '127.0.0.1', rejectUnauthorized: false },
    ...{ cert: web.certPem, key: web.keyPem },
    ...(ticket === undefined ? {} : { session: ticket }),
  });
  let text = '';
  let given: Buffer | undefined;
  socket.on('session', (session: Buffer) => {
    given = session;
  });
  socket
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
  const over = new Promise((resolve) => socket.once('close', resolve));
  socket.write('GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n');
  await over;
  return { text, ticket: given };
}

describe('a client that was revoked', () => {
  it.each([
    ['its identity', {}],
    [
      'a label that it belonged to',
      { subject: { kind: 'label', name: 'team', value: 'red' }, members: [web.uri] } as const,
    ],
  ])('by %s is refused with what TLS gave it before, and served again once that is lifted', async (_, given) => {
    const before = await ask();
    expect(before.text).toContain('served');
    revocations.now(testRevocation(web.uri, given));
    for (const ticket of [before.ticket, undefined]) {
      const { text } = await ask(ticket);
      expect(text).toMatch(/^HTTP\/1\.1 403.*r1/s);
    }
    expect(asked).toBe(1);
    revocations.now();
    expect((await ask(before.ticket)).text).toContain('served');
  });
});
