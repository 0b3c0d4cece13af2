import { createServer, type Server } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { freePorts } from '../../../../../test/support/processes.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createSystemClock } from '../../../../std/index.ts';
import { createGateway, loadProtocols } from '../../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../../testing/test-authority.ts';
import { testGatewayDeps } from '../../../testing/test-gateway.ts';
import { member } from '../index.ts';

// Several targets behind one port of a whole gateway: which of them a client means it says by TLS.
const authority = createTestAuthority('example.org', Date.now());
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');
const schema = composeSchema([member.policySchema]);

let gateway: ReturnType<typeof createGateway>;
let upstreams: Record<'a' | 'b', Server>;
let port: number;
let seen: string[];
const open: TLSSocket[] = [];

beforeEach(async () => {
  seen = [];
  upstreams = { a: await startUpstream('a'), b: await startUpstream('b') };
  [port = 0] = await freePorts(1);
  gateway = createGateway(
    testGatewayDeps({
      ...{ clock: createSystemClock(), identity: createTestIdentity(identityOf(gatewaySvid, [authority])) },
      ...{ protocols: await loadProtocols([member]), drainMs: 100 },
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  gateway.applyPolicies(loadPolicies([{ name: 'all', text: 'permit (principal, action, resource);' }], schema));
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await gateway.stop();
  for (const server of Object.values(upstreams)) {
    server.closeAllConnections();
    server.close();
  }
});

async function startUpstream(name: string): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url !== '*') seen.push(`${name} ${request.url}`);
    response.end(`of ${name}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function target(name: 'a' | 'b', { listen = {}, ...config }: Readonly<Record<string, object>> = {}) {
  const address = upstreams[name].address();
  const to = typeof address === 'object' && address !== null ? address.port : 0;
  const door = { host: '127.0.0.1', port, ...listen };
  return {
    ...{ name, protocol: 'http' },
    config: { url: `http://127.0.0.1:${to}`, hosts: [`${name}.test`], ...config, listen: door },
  };
}

/** All that comes of one request of a connection that asks for that host by TLS. */
async function ask(
  serverName: string | undefined,
  host: string,
  { hasSvid = true, method = 'GET' } = {},
): Promise<string> {
  const socket = connect({
    ...{ port, host: '127.0.0.1', rejectUnauthorized: false },
    ...(hasSvid ? { cert: web.certPem, key: web.keyPem } : {}),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  open.push(socket);
  let text = '';
  let isOver = false;
  socket
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
  for (const event of ['end', 'close'])
    socket.on(event, () => {
      isOver = true;
    });
  socket.write(`${method} /${host} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  await eventually('it is over', () => isOver, { everyMs: 1, withinMs: 5_000 });
  return text;
}

describe('two targets of one port', () => {
  beforeEach(() => gateway.applyTargets([target('a'), target('b')]));

  it('are told apart by the host that TLS asks for', async () => {
    expect(gateway.problems()).toEqual([]);
    expect(await ask('a.test', 'a.test')).toContain('of a');
    expect(await ask('B.TEST', 'b.test')).toContain('of b');
    expect([...gateway.address().targets]).toEqual([
      ['a', port],
      ['b', port],
    ]);
  });

  it.each([
    ['whose request is for another than its TLS', 'a.test', 'b.test', 'http-host'],
    ['whose TLS names no host', undefined, 'a.test', 'no target of this door'],
    ['whose TLS names a host of none', 'c.test', 'a.test', 'no target of this door'],
    ['whose TLS names the beginning of a host', 'a.test.evil', 'a.test', 'no target of this door'],
  ])('serve no client %s', async (_, serverName, host, why) => {
    const text = await ask(serverName, host);
    expect(text).toMatch(/^HTTP\/1\.1 421 /);
    expect(text).toContain(why);
    expect(seen).toEqual([]);
  });

  it('answer a HEAD that is refused without a body', async () => {
    const text = await ask('c.test', 'a.test', { method: 'HEAD' });
    expect(text).toMatch(/^HTTP\/1\.1 421 /);
    expect(text).toMatch(/content-length: [1-9]/);
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  it('come and go without the other', async () => {
    await gateway.applyTargets([target('b')]);
    expect(await ask('b.test', 'b.test')).toContain('of b');
    expect(await ask('a.test', 'a.test')).toMatch(/^HTTP\/1\.1 421 /);
    await gateway.applyTargets([target('b'), target('a', { allow: { emptySegments: true } })]);
    expect(await ask('a.test', 'a.test')).toContain('of a');
    await gateway.applyTargets([target('a')]);
    expect(await ask('a.test', 'a.test')).toContain('of a');
    await gateway.applyTargets([]);
    await gateway.applyTargets([target('a')]);
    expect(await ask('a.test', 'a.test')).toContain('of a');
    expect(seen).toEqual(['b /b.test', 'a /a.test', 'a /a.test', 'a /a.test']);
  });

  it('have each its own proof of who calls', async () => {
    await gateway.applyTargets([target('a'), target('b', { listen: { tokens: true } })]);
    expect(await ask('a.test', 'a.test', { hasSvid: false })).toContain('the client certificate is no trusted SVID');
    expect(await ask('b.test', 'b.test', { hasSvid: false })).toContain('--audience countersign:b');
    expect(await ask('b.test', 'b.test')).toContain('of b');
  });
});

describe('a target that can’t share a port', () => {
  it('opens it once the other has gone, and others may share it with that one then', async () => {
    const second = target('b', { hosts: ['b.test', 'a.test'] });
    await gateway.applyTargets([target('a'), second]);
    expect(gateway.problems()).toMatchObject([{ target: 'b' }]);
    await gateway.applyTargets([second]);
    await eventually('its door opens', () => gateway.address().targets.get('b') === port);
    await gateway.applyTargets([second, target('a', { hosts: ['c.test'] })]);
    expect(gateway.problems()).toEqual([]);
    expect(await ask('b.test', 'b.test')).toContain('of b');
    expect(await ask('c.test', 'c.test')).toContain('of a');
  });

  it.each<[string, Readonly<Record<string, object>>]>([
    ['since it has a host of another', { hosts: ['b.test', 'a.test'] }],
    ['since it lists no hosts', { hosts: undefined as unknown as object }],
  ])('is a problem of its own, %s', async (_, config) => {
    await gateway.applyTargets([target('a'), target('b', config)]);
    expect(gateway.problems()).toMatchObject([{ target: 'b', what: expect.stringContaining(`port ${port}`) }]);
    expect(await ask('a.test', 'a.test')).toContain('of a');
    expect(seen).toEqual(['a /a.test']);
  });
});
