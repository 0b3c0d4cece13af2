import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from '../std/index.ts';
import { createGateway, type GatewayDeps, type LoadedProtocol } from './index.ts';
import { portOf } from './listeners/socket-listeners.ts';
import { createTestAuthority, createTestIdentity, identityOf, type TestSvid } from './testing/test-authority.ts';
import { testGatewayDeps } from './testing/test-gateway.ts';

// The core with a protocol that echoes: who gets in, to what, for how long.
const echo: LoadedProtocol = {
  id: 'echo',
  policySchema: { namespace: 'Echo', entityTypes: {}, actions: {} },
  openTarget(config, deps) {
    if (config === 'broken') throw new Error('broken');
    const [word, port] = String(config).split(' ');
    return {
      listen: word === 'direct' ? { host: '127.0.0.1', port: Number(port ?? 0) } : undefined,
      async serve(session) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const bye = (word: string) => session.client.end(`${word}\n`);
        session.client.write(
          `${deps.name} ${session.identity.uri} ${session.door}${session.isAside ? ' aside' : ''}\n`,
        );
        session.client
          .on('data', (chunk) => session.client.write(chunk))
          .on('end', () => session.client.end())
          .on('close', () => resolve())
          .resume();
        session.signal.addEventListener('abort', () => bye('cut'));
        if (word !== 'busy') session.drain.addEventListener('abort', () => bye('drained'));
        await promise;
      },
      refuse: (client, refusal) => void client.end(`refused ${refusal.code}\n`),
      check: async () => undefined,
      close: async () => {},
    };
  },
  door: {
    ...{ proof: 'svid', alpn: ['echo'] },
    async negotiate(socket, startTls) {
      accepted++;
      const first = await new Promise<Buffer>((resolve) => socket.once('data', resolve).resume());
      if (first[0] !== 0x16) {
        socket.end('TLS please\n');
        return undefined;
      }
      socket.pause();
      return await startTls(first);
    },
  },
};

const NOW_MS = Date.UTC(2026, 10, 22);
const authority = createTestAuthority('example.org', NOW_MS);
const stranger = createTestAuthority('example.org', NOW_MS);
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');

let clock: ManualClock;
let identity: ReturnType<typeof createTestIdentity>;
let gateway: ReturnType<typeof createGateway>;
/** Connections at direct doors. */
let accepted: number;
const open: (Socket | TLSSocket)[] = [];

async function startGateway(options: Partial<GatewayDeps> = {}) {
  accepted = 0;
  clock = createManualClock(NOW_MS);
  identity = createTestIdentity(identityOf(gatewaySvid, [authority]));
  gateway = createGateway(testGatewayDeps({ clock, identity, protocols: [echo], ...options }));
  await gateway.start(AbortSignal.timeout(5000));
  await gateway.applyTargets([
    { name: 'one', protocol: 'echo', config: null },
    { name: 'two', protocol: 'echo', config: 'direct' },
    { name: 'three', protocol: 'echo', config: 'broken' },
    { name: 'four', protocol: 'unknown', config: null },
  ]);
}

beforeEach(() => startGateway());
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await gateway.stop();
});

/** Everything that comes until the other side closes, or the text shows up. */
function read(socket: Socket, until = '\n'): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const done = () => resolve(text);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes(until)) done();
    });
    socket.on('close', done).on('error', done);
  });
}

function connect(port: number, svid: TestSvid | undefined, alpn: readonly string[]): TLSSocket {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: [...alpn],
    minVersion: 'TLSv1.2',
    ...(svid === undefined ? {} : { cert: svid.certPem, key: svid.keyPem }),
  });
  open.push(socket);
  return socket;
}

function link(svid: TestSvid | undefined, target: string, magic = 'CSL1'): TLSSocket {
  const socket = connect(gateway.address().link, svid, ['countersign-link/1']);
  const name = Buffer.from(target);
  socket.write(Buffer.concat([Buffer.from(magic), Buffer.from([0, name.length]), name]));
  return socket;
}

describe('the link door', () => {
  test('serves an agent’s client under the identity that its SVID proves', async () => {
    const socket = link(web, 'one');
    expect(await read(socket)).toBe('\0one spiffe://example.org/web agent\n');
    socket.write('hello\n');
    expect(await read(socket)).toBe('hello\n');
    expect(gateway.sessions()).toMatchObject([{ identity: 'spiffe://example.org/web', target: 'one', door: 'agent' }]);
  });

  test.each([
    ['no certificate', undefined, 'one', /not trusted: empty-chain/],
    ['an SVID of another authority', stranger.issue('/web'), 'one', /not trusted/],
    ['an expired SVID', authority.issue('/web', -30), 'one', /not trusted/],
    ['a target that does not exist', web, 'none', /does not serve/],
    ['a target whose config is broken', web, 'three', /does not serve/],
    ['a target of an unknown protocol', web, 'four', /does not serve/],
  ])('refuses %s, and says why', async (_, svid, target, reason) => {
    const text = await read(link(svid, target), 'none of it');
    expect(text.charCodeAt(0)).toBe(1);
    expect(text.slice(3)).toMatch(reason);
  });

  test('refuses peers that do not speak the link, or not in TLS 1.3', async () => {
    expect(await read(connect(gateway.address().link, web, []))).toBe('');
    expect(await read(connect(gateway.address().link, web, ['h2']))).toBe('');
    const other = connect(gateway.address().link, web, ['countersign-link/1']);
    other.write('GET / HTTP/1.1\r\n\r\n');
    expect(await read(other)).toBe('');
    const plain = connectTcp(gateway.address().link, '127.0.0.1');
    open.push(plain);
    plain.write('CSL1\0\u0003one');
    expect(await read(plain, 'CSL')).not.toContain('one');
  });

  test('reads a preface that comes byte by byte, with the client’s first bytes behind it', async () => {
    const socket = connect(gateway.address().link, web, ['countersign-link/1']);
    for (const byte of Buffer.from('CSL1\0\u0003onehi\n')) socket.write(Buffer.from([byte]));
    expect(await read(socket, 'hi\n')).toBe('\0one spiffe://example.org/web agent\nhi\n');
  });

  test('lets nobody wait longer than the handshake may take', async () => {
    const silent = connectTcp(gateway.address().link, '127.0.0.1');
    open.push(silent);
    const half = connect(gateway.address().link, web, ['countersign-link/1']);
    await new Promise((resolve) => half.once('secureConnect', resolve));
    const closed = Promise.all([read(silent), read(half)]);
    await clock.advance(10_001);
    expect(await closed).toEqual(['', '']);
  });
});

test('a peer that was refused and does not hang up is hung up on', async () => {
  const port = gateway.address().targets.get('two') ?? 0;
  const rude = [link(undefined, 'one'), connect(port, undefined, [])];
  for (const socket of rude) socket.allowHalfOpen = true;
  await Promise.all(rude.map((socket) => read(socket, 'identity')));
  const gone = (socket: TLSSocket) => {
    socket.write('still here');
    return socket.destroyed;
  };
  await clock.advance(4_999);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(rude.map(gone)).toEqual([false, false]);
  await clock.advance(2);
  await expect.poll(() => rude.map(gone)).toEqual([true, true]);
});

describe('the direct door', () => {
  test('serves a client that shows its SVID, and tells others why not', async () => {
    const port = gateway.address().targets.get('two') ?? 0;
    expect(await read(connect(port, web, ['echo']))).toBe('two spiffe://example.org/web direct\n');
    expect(await read(connect(port, stranger.issue('/web'), []))).toBe('refused identity\n');
    expect(await read(connect(port, undefined, []))).toBe('refused identity\n');
    const plain = connectTcp(port, '127.0.0.1');
    open.push(plain);
    plain.write('hello');
    expect(await read(plain)).toBe('TLS please\n');
  });

  test.each([
    ['is no longer served', []],
    ['has changed', [{ name: 'two', protocol: 'echo', config: null }]],
  ])('refuses a client whose target %s by the time it has said who it is', async (_, targets) => {
    const socket = connectTcp(gateway.address().targets.get('two') ?? 0, '127.0.0.1');
    open.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    await expect.poll(() => accepted).toBe(1);
    await gateway.applyTargets(targets);
    const { certPem: cert, keyPem: key } = web;
    const tls = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['echo'], cert, key });
    open.push(tls);
    expect(await read(tls)).toBe('refused target\n');
    expect(gateway.sessions()).toEqual([]);
  });
});

describe('a direct door whose port is taken', () => {
  /** Stands in the place of another program. */
  const taker = createServer();
  afterEach(() => taker.close());

  test('leaves the way by the agent open, is named among the problems, and opens when the port is free', async () => {
    await new Promise<void>((resolve) => taker.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const port = portOf(taker);
    await gateway.applyTargets([{ name: 'two', protocol: 'echo', config: `direct ${port}` }]);
    expect(await read(link(web, 'two'))).toBe('\0two spiffe://example.org/web agent\n');
    expect(gateway.problems()).toMatchObject([{ target: 'two', what: expect.stringContaining(`port ${port}: `) }]);
    expect(gateway.address().targets.size).toBe(0);
    await new Promise((resolve) => taker.close(resolve));
    await clock.advance(1_000);
    await expect.poll(() => gateway.address().targets.get('two')).toBe(port);
    expect(gateway.problems()).toEqual([]);
    expect(await read(connect(port, web, ['echo']))).toBe('two spiffe://example.org/web direct\n');
  });

  test('is tried no more once the gateway stops, even while sessions still run out', async () => {
    await new Promise<void>((resolve) => taker.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const port = portOf(taker);
    await gateway.applyTargets([{ name: 'two', protocol: 'echo', config: `direct ${port}` }]);
    await new Promise((resolve) => taker.close(resolve));
    await read(link(web, 'two'));
    const stopped = gateway.stop();
    await clock.advance(5_000);
    await expect(
      new Promise((resolve, reject) => connectTcp(port, '127.0.0.1', () => resolve('open')).on('error', reject)),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await clock.advance(10_000);
    await stopped;
  });
});

describe('before it stops, a gateway', () => {
  const leaving = new AbortController();
  /** All that comes until the other side closes. */
  const readAll = (socket: Socket) => read(socket, 'nothing has this');

  test('tells each link that comes that it takes nobody, and goes on with the sessions that it has', async () => {
    const before = link(web, 'one');
    await read(before);
    const left = gateway.leave(leaving.signal);
    expect(await readAll(link(web, 'one'))).toMatch(/^\x02..the gateway is about to stop/);
    expect(await readAll(link(web, 'none'))).toMatch(/^\x02/);
    await clock.advance(60_000);
    before.write('still\n');
    expect(await read(before)).toBe('still\n');
    before.end();
    await left;
    expect(gateway.sessions()).toEqual([]);
    expect(await readAll(link(web, 'one'))).toMatch(/^\x02/);
  });

  test('takes what is said of those sessions, and knows it from a session', async () => {
    await read(link(web, 'one'));
    void gateway.leave(leaving.signal);
    const aside = link(web, 'one', 'CSA1');
    expect(await read(aside)).toBe('\0one spiffe://example.org/web agent aside\n');
    expect(await readAll(link(stranger.issue('/web'), 'one', 'CSA1'))).toMatch(/^\x01/);
  });

  test('does not tell who it is not', async () => {
    void gateway.leave(leaving.signal);
    expect(await readAll(link(stranger.issue('/web'), 'one'))).toMatch(/^\x01..the identity is not trusted/);
  });

  test('waits no longer than it is told to', async () => {
    const end = new AbortController();
    await read(link(web, 'one'));
    const left = gateway.leave(end.signal);
    end.abort();
    await left;
    expect(gateway.sessions().length).toBe(1);
  });

  test('lets nobody in at its direct doors, but whoever is in', async () => {
    const port = gateway.address().targets.get('two') ?? 0;
    const early = connectTcp(port, '127.0.0.1');
    open.push(early);
    await new Promise((resolve) => early.once('connect', resolve));
    const left = gateway.leave(leaving.signal);
    const late = connectTcp(port, '127.0.0.1');
    await expect(new Promise((resolve, reject) => late.once('connect', resolve).on('error', reject))).rejects.toThrow();
    expect(gateway.address().targets.size).toBe(0);
    await left;
    await gateway.applyTargets([{ name: 'two', protocol: 'echo', config: 'direct 0' }]);
    expect(gateway.address().targets.size).toBe(0);
    expect(await readAll(link(web, 'two'))).toMatch(/^\x02/);
  });

  test('lets nobody in who had found a direct door before, and says who he is only now', async () => {
    const socket = connectTcp(gateway.address().targets.get('two') ?? 0, '127.0.0.1');
    open.push(socket);
    await expect.poll(() => accepted).toBe(1);
    await read(link(web, 'one'));
    void gateway.leave(leaving.signal);
    const { certPem: cert, keyPem: key } = web;
    const tls = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['echo'], cert, key });
    open.push(tls);
    expect(await readAll(tls)).toBe('refused closed\n');
    expect(gateway.sessions()).toMatchObject([{ target: 'one' }]);
  });

  test('still does as policies and targets say', async () => {
    const session = link(web, 'one');
    await read(session);
    const left = gateway.leave(leaving.signal);
    const farewell = read(session);
    await gateway.applyTargets([]);
    expect(await farewell).toBe('drained\n');
    await left;
  });

  test('and one that knows no targets yet tells each link that it takes nobody', async () => {
    await gateway.stop();
    gateway = createGateway(testGatewayDeps({ clock, identity, protocols: [echo] }));
    await gateway.start(AbortSignal.timeout(5000));
    expect(await readAll(link(web, 'one'))).toMatch(/^\x02..the gateway is starting/);
    await gateway.applyTargets([{ name: 'one', protocol: 'echo', config: null }]);
    expect(await read(link(web, 'one'))).toMatch(/^\0one/);
  });
});

test('targets that can’t be opened are named among the problems', () => {
  expect(gateway.problems().map(({ target }) => target)).toEqual(['three', 'four']);
});

test('new handshakes at every door show the newest identity of the gateway', async () => {
  const { link: linkPort, targets } = gateway.address();
  const shown = async (port: number, alpn: string) => {
    const socket = connect(port, web, [alpn]);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    return socket.getPeerCertificate().subjectaltname;
  };
  const doors = [
    [linkPort, 'countersign-link/1'],
    [targets.get('two') ?? 0, 'echo'],
  ] as const;
  for (const [port, alpn] of doors)
    expect(await shown(port, alpn)).toBe('URI:spiffe://example.org/countersign/gateway');
  identity.set(identityOf(authority.issue('/countersign/renewed'), [authority]));
  for (const [port, alpn] of doors)
    expect(await shown(port, alpn)).toBe('URI:spiffe://example.org/countersign/renewed');
});

test('a target is checked by its name; one that is not there is said not to be', async () => {
  const { signal } = new AbortController();
  expect(await gateway.checkTarget('one', signal)).toBeUndefined();
  expect(await gateway.checkTarget('three', signal)).toBe('there is no target three');
});

describe('a session ends', () => {
  test('when its SVID expires: when idle, and for certain soon after', async () => {
    const socket = link(authority.issue('/short', 60), 'one');
    await read(socket);
    await clock.advance(59_000);
    expect(gateway.sessions().length).toBe(1);
    const farewell = read(socket);
    await clock.advance(2_000);
    expect(await farewell).toBe('drained\n');
  });

  test('when its authority leaves the bundle', async () => {
    const socket = link(web, 'one');
    await read(socket);
    identity.set(identityOf(gatewaySvid, [stranger]));
    expect(await read(socket)).toBe('cut\n');
  });

  test('and stays when a new authority joins the bundle', async () => {
    const socket = link(web, 'one');
    await read(socket);
    identity.set(identityOf(gatewaySvid, [authority, stranger]));
    socket.write('still\n');
    expect(await read(socket)).toBe('still\n');
    expect(await read(link(stranger.issue('/web'), 'one'))).toContain('spiffe://example.org/web');
  });

  test('when its target changes or goes, and only then', async () => {
    const one = link(web, 'one');
    await read(one);
    const two = link(web, 'two');
    await read(two);
    await gateway.applyTargets([{ name: 'two', protocol: 'echo', config: 'direct' }]);
    expect(await read(one)).toBe('drained\n');
    two.write('still\n');
    expect(await read(two)).toBe('still\n');
  });

  test('when its target changes while it is busy: not at once, but as when the gateway stops; one that came after stays', async () => {
    const busy = (more: string) => [{ name: 'one', protocol: 'echo', config: `busy${more}` }];
    await gateway.applyTargets(busy(''));
    const before = link(web, 'one');
    await read(before);
    await gateway.applyTargets(busy(' 0'));
    const after = link(web, 'one');
    await read(after);
    await clock.advance(9_999);
    before.write('still\n');
    expect(await read(before)).toBe('still\n');
    const farewell = read(before);
    await clock.advance(1);
    expect(await farewell).toBe('cut\n');
    after.write('still\n');
    expect(await read(after)).toBe('still\n');
  });

  test('when an operator says so', async () => {
    const socket = link(web, 'one');
    await read(socket);
    const act = { by: 'unix:uid:0', why: '' };
    expect(await gateway.endSessions(new Set(['nope']), act)).toEqual([]);
    const ids = gateway.sessions().map(({ id }) => id);
    const ended = gateway.endSessions(new Set(ids), act);
    // It ends by the first word; whoever comes second has ended nothing.
    expect(await gateway.endSessions(new Set(ids), { by: 'unix:uid:1', why: '' })).toEqual([]);
    expect(await read(socket)).toBe('cut\n');
    expect(await ended).toEqual(ids);
    expect(gateway.sessions()).toEqual([]);
  });
});

describe('limits', () => {
  test('hold for the gateway and for each identity', async () => {
    await gateway.stop();
    await startGateway({ limits: { sessionsMax: 3, sessionsPerIdentityMax: 2 } });
    for (let i = 0; i < 2; i++) await read(link(web, 'one'));
    expect(await read(link(web, 'one'), 'no more')).toMatch(/it may have no more/);
    const other = link(authority.issue('/other'), 'one');
    await read(other);
    expect(await read(link(authority.issue('/third'), 'one'), 'may have')).toMatch(/as many sessions/);
    other.destroy();
    for (let turn = 0; turn < 50 && gateway.sessions().length > 2; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    expect(await read(link(authority.issue('/third'), 'one'))).toContain('third');
  });
});

describe('listening', () => {
  test('fails with a code where something else listens', async () => {
    const taken = gateway.address().link;
    const second = createGateway(
      testGatewayDeps({ clock, identity, protocols: [], listen: { host: '127.0.0.1', port: taken } }),
    );
    await expect(second.start(AbortSignal.timeout(5000))).rejects.toMatchObject({ code: 'ERR_GATEWAY_LISTEN' });
    await second.stop();
  });
});
