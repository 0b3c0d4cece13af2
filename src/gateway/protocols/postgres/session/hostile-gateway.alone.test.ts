import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type RawSession, rawSessionOn } from '../../../../../test/support/raw-session.ts';
import { composeSchema, createPolicyLoader } from '../../../../policy/index.ts';
import { createManualClock, type Log, type ManualClock } from '../../../../std/index.ts';
import { encodeRowDescription, encodeStartup } from '../../../../wire/postgres/index.ts';
import { createGateway, type GatewayDeps } from '../../../gateway.ts';
import { loadProtocols } from '../../../protocol.ts';
import { createTestAuthority, createTestIdentity, identityOf, type TestSvid } from '../../../testing/test-authority.ts';
import { testGatewayDeps } from '../../../testing/test-gateway.ts';
import { member } from '../index.ts';
import { done, type FakeSession, type FakeTarget, header, startFakeTarget } from '../testing/fake-target.ts';
import { bind, parse, query, sync } from '../testing/messages.ts';

// Goal: the whole gateway in front of a target, with a clock that the test moves: who is slow, too many, too large or no longer trusted
// loses his place at the promised moment and hears why, and nobody else notices.

vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

const NOW_MS = Date.UTC(2026, 10, 22);
const authority = createTestAuthority('example.org', NOW_MS);
const stranger = createTestAuthority('example.org', NOW_MS);
const gatewaySvid = authority.issue('/countersign/gateway');
const web = authority.issue('/web');
const ROW = encodeRowDescription([
  { name: 'x', tableOid: 0, attributeNumber: 0, typeOid: 25, typeBytes: -1, typeModifier: -1, format: 0 },
]);

let clock: ManualClock;
let identity: ReturnType<typeof createTestIdentity>;
let gateway: ReturnType<typeof createGateway>;
let fake: FakeTarget;
let answer: (session: FakeSession, message: string) => void;
let lines: { event: string; fields: Record<string, unknown> }[];
const open: Socket[] = [];

async function begin(options: Partial<GatewayDeps> = {}) {
  answer = ({ socket }) => void socket.write(done());
  lines = [];
  const note = (event: string, fields = {}) => void lines.push({ event, fields });
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  clock = createManualClock(NOW_MS);
  identity = createTestIdentity(identityOf(gatewaySvid, [authority]));
  fake = await startFakeTarget({ answer: (session, message) => answer(session, message) });
  gateway = createGateway(
    testGatewayDeps({ clock, log, identity, protocols: await loadProtocols([member]), ...options }),
  );
  await gateway.start(AbortSignal.timeout(10_000));
  gateway.applyPolicies(
    createPolicyLoader(composeSchema([member.policySchema])).load([
      { name: 'all', text: '@id("all") permit(principal, action in Action::"postgres:any", resource);' },
    ]),
  );
  await gateway.applyTargets([
    {
      name: 'db',
      protocol: 'postgres',
      config: {
        ...{ host: '127.0.0.1', port: fake.port, database: 'app', user: 'gate' },
        listen: { host: '127.0.0.1', port: 0 },
      },
    },
  ]);
}
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  // Whoever would hold up the end has none of the grace that a test measures.
  const stopped = gateway.stop();
  await clock.advance(60_000);
  await stopped;
  await fake.close();
});

const directPort = () => gateway.address().targets.get('db') ?? 0;

async function tls(port: number, svid: TestSvid, alpn: string): Promise<TLSSocket> {
  const socket = connectTls({
    ...{ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [alpn], allowHalfOpen: true },
    ...{ cert: svid.certPem, key: svid.keyPem },
  });
  open.push(socket);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
  return socket;
}

/** A client at the direct door; its session is open unless it is refused. */
async function client(svid: TestSvid = web): Promise<RawSession> {
  const raw = rawSessionOn(await tls(directPort(), svid, 'postgresql'));
  raw.send(encodeStartup(0, [['user', 'web']]));
  return raw;
}
async function session(svid: TestSvid = web): Promise<{ raw: RawSession; target: FakeSession }> {
  const raw = await client(svid);
  expect((await raw.ready()).at(-1)).toBe('Z:I');
  const target = fake.sessions.at(-1);
  if (target === undefined) throw new Error('no session at the target');
  return { raw, target };
}

const noted = (event: string) => lines.filter((line) => line.event === event);
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('bytes held for all sessions', () => {
  test('have a limit: the session that holds most is ended with 53200, the others go on', async () => {
    await begin({ heldBytesMax: 1_000_000 });
    const modest = await session();
    modest.raw.send(header('B', 60_000_000), Buffer.alloc(300_000));
    await expect.poll(() => gateway.counts().heldBytes).toBeGreaterThan(290_000);
    const greedy = await session();
    greedy.raw.send(header('B', 60_000_000), Buffer.alloc(900_000));
    expect(await greedy.raw.end()).toEqual([
      'E:53200:the gateway holds as many bytes as it may, and this session held most of them',
    ]);
    expect(noted('gateway.session.memory')).toMatchObject([{ fields: { identity: web.uri } }]);
    expect(gateway.counts().heldBytes).toBeLessThan(400_000);
    expect(gateway.sessions().length).toBe(1);
    const other = await session();
    other.raw.send(query('select 1'));
    expect(await other.raw.ready()).toEqual(['C:SELECT 0', 'Z:I']);
  });

  test('count what a client binds and prepares and never uses', async () => {
    await begin({ heldBytesMax: 1_000_000 });
    answer = ({ socket }, message) => {
      if (message === 'P') socket.write(header('1', 4));
      if (message === 'B') socket.write(header('2', 4));
      if (message === 'S') socket.write(Buffer.from('5a0000000554', 'hex'));
    };
    const { raw } = await session();
    raw.send(parse('select $1', 's'), sync());
    await raw.ready();
    for (let i = 0; i < 9; i++) {
      raw.send(bind('s', `p${i}`, ['x'.repeat(90_000)]), sync());
      await raw.ready();
    }
    expect(gateway.counts().heldBytes).toBeGreaterThan(800_000);
    raw.send(bind('s', 'p9', ['x'.repeat(200_000)]), sync());
    expect((await raw.end()).at(-1)).toMatch(/^E:53200/);
    expect(gateway.counts().heldBytes).toBe(0);
  });

  test('count an answer that has to be whole before it is read', async () => {
    await begin({ heldBytesMax: 8_000_000 });
    const { raw } = await session();
    answer = ({ socket }) => void socket.write(Buffer.concat([header('T', 40_000_000), Buffer.alloc(39_000_000)]));
    raw.send(query('select 1'));
    await expect.poll(() => noted('gateway.session.memory').length).toBe(1);
    await expect.poll(() => gateway.sessions().length).toBe(0);
    await expect.poll(() => fake.sessions[0]?.socket.destroyed).toBe(true);
  });
});

describe('a session whose SVID expires', () => {
  /** A session in the middle of an answer. */
  async function busy(svid: TestSvid) {
    const { raw, target } = await session(svid);
    answer = ({ socket }) => void socket.write(Buffer.concat([ROW, Buffer.from('440000000b00010000000161', 'hex')]));
    raw.send(query('select endless'));
    await raw.until('D');
    return { raw, target };
  }

  test('ends within a second when it is idle, with 57P01', async () => {
    await begin();
    const { raw } = await session(authority.issue('/web', 60));
    await clock.advance(59_000);
    expect(gateway.sessions().length).toBe(1);
    const closed = raw.end();
    await clock.advance(2_000);
    expect(await closed).toEqual(['E:57P01:the SVID of this session has expired; connect again']);
  });

  test('may finish what it does for half a minute, and is told then', async () => {
    await begin();
    const { raw, target } = await busy(authority.issue('/web', 60));
    await clock.advance(80_000);
    expect(gateway.sessions().length).toBe(1);
    target.socket.write(done('SELECT 1'));
    expect(await raw.end()).toEqual([
      'C:SELECT 1',
      'Z:I',
      'E:57P01:the SVID of this session has expired; connect again',
    ]);
  });

  test('is cut in the middle of an answer after half a minute, and not before', async () => {
    await begin();
    const { raw, target } = await busy(authority.issue('/web', 60));
    await clock.advance(89_000);
    target.socket.write(Buffer.from('440000000b00010000000162', 'hex'));
    expect(await raw.until('D')).toEqual(['D:b']);
    const closed = raw.end();
    await clock.advance(2_000);
    expect(await closed).toEqual(['E:57P01:the SVID of this session has expired; connect again']);
    await expect.poll(() => target.socket.destroyed).toBe(true);
  });

  test('is cut at once, by the wall clock, when that was put right by more than the grace', async () => {
    await begin();
    const { raw } = await busy(authority.issue('/web', 3_600));
    clock.step(3_631_000);
    const closed = raw.end();
    await clock.advance(1_001);
    expect((await closed).at(-1)).toMatch(/^E:57P01/);
  });
});

test('an authority that leaves the bundle ends its sessions in the middle of an answer, with 28000, and no others', async () => {
  await begin();
  identity.set(identityOf(gatewaySvid, [authority, stranger]));
  const kept = await session(stranger.issue('/other'));
  const sessions = await Promise.all([session(), session()]);
  answer = ({ socket }) => void socket.write(Buffer.concat([ROW, Buffer.from('440000000b00010000000161', 'hex')]));
  for (const { raw } of sessions) raw.send(query('select endless'));
  for (const { raw } of sessions) await raw.until('D');
  identity.set(identityOf(gatewaySvid, [stranger]));
  for (const { raw } of sessions)
    expect(await raw.end()).toEqual(['E:28000:the identity of this session is no longer trusted']);
  expect(gateway.sessions().map((one) => one.identity)).toEqual(['spiffe://example.org/other']);
  answer = ({ socket }) => void socket.write(done());
  kept.raw.send(query('select 1'));
  expect((await kept.raw.ready()).at(-1)).toBe('Z:I');
  expect((await rawSessionOn(await tls(directPort(), web, 'postgresql')).end())[0]).toMatch(/^E:28000/);
});

describe('a gateway that stops', () => {
  const inTransaction = ({ socket }: FakeSession) =>
    void socket.write(Buffer.from('430000000a424547494e00' + '5a0000000554', 'hex'));
  const STOPPED = 'E:57P01:the gateway is shutting down; connect again';

  test('ends idle sessions at once, lets an open transaction finish, and takes no new ones', async () => {
    await begin({ drainMs: 30_000 });
    const idle = await session();
    const silent = rawSessionOn(await tls(directPort(), web, 'postgresql'));
    const halfway = connectTcp(gateway.address().link, '127.0.0.1');
    open.push(halfway);
    const working = await session();
    answer = inTransaction;
    working.raw.send(query('begin'));
    await working.raw.ready();
    const { link } = gateway.address();
    const port = directPort();
    let stopped = false;
    const stopping = gateway.stop().then(() => {
      stopped = true;
    });
    expect(await idle.raw.end()).toEqual([STOPPED]);
    expect(await silent.end()).toEqual([STOPPED]);
    await new Promise((resolve) =>
      halfway
        .on('error', () => {})
        .once('close', resolve)
        .resume(),
    );
    for (const refused of [link, port]) {
      const late = connectTcp(refused, '127.0.0.1');
      await expect(
        new Promise((resolve, reject) => late.once('connect', resolve).once('error', reject)),
      ).rejects.toThrow();
    }
    await clock.advance(29_000);
    expect(stopped).toBe(false);
    answer = ({ socket }) => void socket.write(done('COMMIT'));
    working.raw.send(query('commit'));
    expect(await working.raw.end()).toEqual(['C:COMMIT', 'Z:I', STOPPED]);
    await stopping;
  });

  test('cuts whoever has not ended when the grace is over', async () => {
    await begin({ drainMs: 30_000 });
    const { raw, target } = await session();
    answer = inTransaction;
    raw.send(query('begin'));
    await raw.ready();
    const stopping = gateway.stop();
    const closed = raw.end();
    await clock.advance(29_999);
    expect(gateway.sessions().length).toBe(1);
    await clock.advance(1);
    expect(await closed).toEqual([STOPPED]);
    await stopping;
    await expect.poll(() => target.socket.destroyed).toBe(true);
  });

  test('is not held up by a client that reads nothing and never hangs up', async () => {
    await begin({ drainMs: 1_000 });
    const { raw } = await session();
    raw.socket.pause();
    answer = ({ socket }) =>
      void socket.write(
        Buffer.concat([
          ROW,
          ...Array.from({ length: 1_000 }, () =>
            Buffer.concat([header('D', 10 + 9_996), Buffer.from('000100002708', 'hex'), Buffer.alloc(9_996 - 4)]),
          ),
        ]),
      );
    raw.send(query('select 1'));
    await expect.poll(() => gateway.counts().heldBytes).toBeGreaterThan(0);
    const stopping = gateway.stop();
    await clock.advance(1_001);
    await stopping;
    expect(gateway.sessions()).toEqual([]);
  });
});

describe('too many', () => {
  test('sessions are refused with 53300 at the limit, which descriptors may lower; those that run go on', async () => {
    await begin({ descriptorsMax: 30 });
    expect(noted('gateway.limits.descriptors')).toMatchObject([{ fields: { descriptors: 30, sessionsMax: 6 } }]);
    const running = [];
    for (let i = 0; i < 6; i++) running.push(await session());
    const refused = await client();
    expect(await refused.end()).toEqual(['E:53300:the gateway has as many sessions as it may have']);
    for (const { raw } of running) raw.send(query('select 1'));
    for (const { raw } of running) expect(await raw.ready()).toEqual(['C:SELECT 0', 'Z:I']);
    running[0]?.raw.close();
    await expect.poll(() => gateway.sessions().length).toBe(5);
    await session();
  });

  test('who do not say who they are make room for those who do', async () => {
    await begin({ descriptorsMax: 60 });
    const silent = Array.from({ length: 40 }, () => {
      const socket = connectTcp(directPort(), '127.0.0.1');
      open.push(socket);
      return socket.on('error', () => {}).resume();
    });
    await expect.poll(() => silent.filter((socket) => socket.destroyed).length).toBeGreaterThanOrEqual(33);
    const { raw } = await session();
    raw.send(query('select 1'));
    expect(await raw.ready()).toEqual(['C:SELECT 0', 'Z:I']);
    expect(gateway.counts().refused).toBeGreaterThanOrEqual(33);
    expect(noted('gateway.client.crowded').length).toBeLessThanOrEqual(10);
  });

  test('refusals are ten lines and a number', async () => {
    await begin();
    const before = gateway.counts().refused;
    for (let i = 0; i < 25; i++) {
      const refused = rawSessionOn(await tls(directPort(), stranger.issue('/web'), 'postgresql'));
      expect((await refused.end())[0]).toMatch(/^E:28000/);
    }
    expect(gateway.counts().refused - before).toBe(25);
    expect(noted('gateway.client.untrusted').length).toBe(10);
    await clock.advance(10_001);
    expect(noted('gateway.client.untrusted').at(-1)?.fields).toEqual({ unshown: 15 });
  });
});

describe('slow', () => {
  test.each([
    ['a TLS handshake', () => connectTcp(directPort(), '127.0.0.1'), Buffer.from('16030100c8010000c40303', 'hex')],
    [
      'a TLS handshake at the agents’ door',
      () => connectTcp(gateway.address().link, '127.0.0.1'),
      Buffer.from('16030100c8010000c40303', 'hex'),
    ],
    ['a request for TLS', () => connectTcp(directPort(), '127.0.0.1'), Buffer.from('0000000804d216', 'hex')],
    ['a preface', () => tls(gateway.address().link, web, 'countersign-link/1'), Buffer.from('CSL1\0\u00ffx')],
  ])('%s that dribbles is cut after ten seconds, and nothing is left of it', async (_, knock, bytes) => {
    await begin();
    const socket = await knock();
    open.push(socket);
    socket.on('error', () => {}).resume();
    const closed = new Promise((resolve) => socket.once('close', resolve).once('end', resolve));
    for (const byte of bytes.subarray(0, 7)) {
      socket.write(Buffer.from([byte]));
      for (let turns = 0; turns < 4; turns++) await turn();
      await clock.advance(1_000);
    }
    expect(socket.readableEnded).toBe(false);
    await clock.advance(3_001);
    await closed;
    expect(gateway.sessions()).toEqual([]);
    expect(gateway.counts()).toMatchObject({ refused: 1, heldBytes: 0 });
  });

  test('a peer that ends its side in the middle of a handshake, or of asking for one, is let go at once', async () => {
    await begin();
    const hello = Buffer.from('16030100c8010000c40303', 'hex');
    const request = Buffer.from('0000000804d216', 'hex');
    for (const [port, bytes] of [
      [directPort(), hello],
      [directPort(), request],
      [gateway.address().link, hello],
    ] as const) {
      const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
      open.push(socket);
      const closed = new Promise((resolve) =>
        socket
          .on('error', () => {})
          .once('end', resolve)
          .once('close', resolve)
          .resume(),
      );
      socket.end(bytes);
      await closed; // The clock stands still: nothing had to run out.
    }
  });
});

test('a client that ends its side of TLS right behind a statement is answered', async () => {
  await begin();
  const { raw, target } = await session();
  answer = ({ socket }, message) => {
    if (message !== 'X') socket.write(done());
  };
  raw.socket.end(query('select 1'));
  expect(await raw.end()).toEqual(['C:SELECT 0', 'Z:I']);
  expect(target.messages).toEqual(['Q:select 1', 'X']);
});
