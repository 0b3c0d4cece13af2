import { createServer, type Server } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createCacheBudget,
  createLog,
  createManualClock,
  createSystemRandom,
  type ManualClock,
  raceAbort,
  Secret,
} from '../../std/index.ts';
import { GatewayError } from '../errors.ts';
import { portOf } from '../listeners/socket-listeners.ts';
import type { LoadedProtocol, LoginProblem, TargetDeps } from '../protocol.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../testing/test-authority.ts';
import { createOpenTargets, type OpenTargets, type OpenTargetsDeps } from './open-targets.ts';
import type { TargetHealth } from './target-health.ts';

// Goal: the set of targets stays whole while it changes: what is half open when something else happens is neither lost nor left behind.

const NOW_MS = Date.UTC(2026, 10, 22);
const authority = createTestAuthority('example.org', NOW_MS);

let closed: string[];
let doors: Server[];
let opening: (() => Promise<void> | void) | undefined;
let identity: ReturnType<typeof createTestIdentity>;
let targets: OpenTargets;
let clock: ManualClock;
/** Events that were logged. */
let lines: string[];
/** One for all targets: what it does by itself has its own test. */
let health: TargetHealth & { failing: LoginProblem[]; told: string[] };
/** What each target got to work with. */
let given: Map<string, TargetDeps>;
let secretError: Error | undefined;
/** Targets that were looked into, and how long that takes. */
let looked: string[];
let looking: Promise<void> | undefined;
let policiesChange: () => void;
const never = new AbortController().signal;

/** Its config says whether it listens, and at which port: `direct`, `direct PORT`. */
const member: LoadedProtocol = {
  id: 'fake',
  policySchema: { namespace: 'Fake', entityTypes: {}, actions: {} },
  openTarget(config, deps) {
    if (config === 'refused') throw new GatewayError('ERR_GATEWAY_TARGET_CONFIG', 'port is 0');
    if (config === 'bug') throw new TypeError('password is undefined');
    given.set(deps.name, deps);
    const [word, port] = String(config).split(' ');
    return {
      listen: word === 'direct' ? { host: '127.0.0.1', port: Number(port ?? 0) } : undefined,
      serve: async () => {},
      refuse: (client) => void client.destroy(),
      check: async () => undefined,
      async look(signal) {
        looked.push(deps.name);
        if (looking !== undefined) await raceAbort(looking, signal);
      },
      ...(word === 'odd' ? { warnings: () => [{ about: 'names' as const, what: 'odd', remedy: 'Look.' }] } : {}),
      close: async () => void closed.push(deps.name),
    };
  },
  door: {
    ...{ proof: 'svid', alpn: ['fake'] },
    async negotiate(socket, startTls) {
      socket.pause();
      return await startTls(Buffer.alloc(0));
    },
  },
};

const openDoor: OpenTargetsDeps['openDoor'] = async (where, _owner, { tls }) => {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    tls
      .handshake(
        socket.on('error', () => {}),
        AbortSignal.timeout(10_000),
      )
      .catch(() => socket.destroy());
  });
  doors.push(server);
  await opening?.();
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ message }) =>
      reject(new GatewayError('ERR_GATEWAY_LISTEN', `can't listen on ${where.host} port ${where.port}: ${message}`)),
    );
    server.listen(where, resolve);
  });
  return server;
};

beforeEach(() => {
  closed = [];
  doors = [];
  opening = undefined;
  lines = [];
  given = new Map();
  secretError = undefined;
  looked = [];
  looking = undefined;
  policiesChange = () => {};
  health = {
    ...{ failing: [], told: [] },
    attempted: (place, problem) => void health.told.push(`${place}: ${problem?.what ?? 'fine'}`),
    problems: () => health.failing,
    settled: async () => {},
    start: () => void health.told.push('start'),
    close: () => void health.told.push('close'),
  };
  clock = createManualClock(NOW_MS);
  identity = createTestIdentity(identityOf(authority.issue('/first'), [authority]));
  targets = createOpenTargets({
    clock,
    random: createSystemRandom(),
    log: createLog({ level: 'info', write: (line) => lines.push((JSON.parse(line) as { event: string }).event) }), // As the log writes it.
    identity,
    protocols: [member, { ...member, id: 'agents only', door: undefined }],
    secrets: {
      resolve: async () => {
        if (secretError !== undefined) throw secretError;
        return Secret.fromText('x');
      },
    },
    policies: {
      names: () => undefined,
      onChange(listener) {
        policiesChange = listener;
        return () => {};
      },
    },
    caches: createCacheBudget(0),
    maskKey: new Secret(Buffer.alloc(32)),
    createTargetHealth: () => health,
    sessions: { list: () => [], drain: () => {}, end: () => {} },
    drainMs: 10_000,
    openDoor,
  });
});
afterEach(() => targets.close());

const of = (name: string, config: string | null) => ({ name, protocol: 'fake', config });
const listening = () => doors.filter((door) => door.listening).length;

/** The subject alternative name of whoever answers at that door. */
function nameAt(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('changes come one after the other: a target asked for twice at once has one door', async () => {
  await Promise.all([targets.apply([of('a', 'direct')]), targets.apply([of('a', 'direct'), of('b', null)])]);
  expect(doors.length).toBe(1);
  expect([...targets.ports().keys()]).toEqual(['a']);
  expect(targets.find('b')?.name).toBe('b');
});

test('a target that changes is closed with its door; one that stays keeps both', async () => {
  await targets.apply([of('a', 'direct'), of('b', 'direct')]);
  const kept = targets.find('b');
  await targets.apply([of('a', null), of('b', 'direct')]);
  expect(closed).toEqual(['a']);
  expect(doors.map((door) => door.listening)).toEqual([false, true]);
  expect(targets.find('b')).toBe(kept);
  expect([...targets.ports().keys()]).toEqual(['b']);
});

describe('a door that can’t be opened', () => {
  /** Takes a port, as another program would. */
  async function takePort(): Promise<{ readonly where: string; readonly port: number; free(): Promise<void> }> {
    const taker = createServer();
    await new Promise<void>((resolve) => taker.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const port = portOf(taker);
    return {
      ...{ port, where: `direct ${port}` },
      free: () => new Promise((resolve) => void taker.close(() => resolve())),
    };
  }
  let taken: Awaited<ReturnType<typeof takePort>>;
  beforeEach(async () => {
    taken = await takePort();
  });
  afterEach(() => taken.free());

  const inUse = (target: string) => ({
    target,
    what: expect.stringMatching(new RegExp(`^can't listen on 127.0.0.1 port ${taken.port}: .*EADDRINUSE`)),
    remedy: expect.stringContaining('address'),
  });

  test('leaves its target served to agents’ clients, and is a problem that can be read', async () => {
    await targets.apply([of('a', taken.where), of('b', null)]);
    expect(targets.find('a')?.name).toBe('a');
    expect(targets.find('b')?.name).toBe('b');
    expect(closed).toEqual([]);
    expect([...targets.ports()]).toEqual([]);
    expect(targets.problems()).toEqual([inUse('a')]);
  });

  test('opens by itself once the port is free, with one line in the log when it fails and one when it opens', async () => {
    await targets.apply([of('a', taken.where)]);
    const kept = targets.find('a');
    for (let turn = 0; turn < 6; turn++) {
      await clock.advance(10_000);
      await expect.poll(() => clock.pending()).toBe(1);
    }
    expect(doors.length).toBeGreaterThan(6);
    expect(targets.problems()).toEqual([inUse('a')]);
    await taken.free();
    await clock.advance(10_000);
    await expect.poll(() => [...targets.ports()]).toEqual([['a', taken.port]]);
    expect(targets.problems()).toEqual([]);
    expect(targets.find('a')).toBe(kept);
    expect(await nameAt(taken.port)).toBe('URI:spiffe://example.org/first');
    expect(lines).toEqual(['gateway.target.door_failed', 'gateway.target.door_opened']);
    expect(clock.pending()).toBe(0);
  });

  test('shows the newest identity when it opens', async () => {
    await targets.apply([of('a', taken.where)]);
    const renewed = identityOf(authority.issue('/second'), [authority]);
    identity.set(renewed);
    targets.present(renewed);
    await taken.free();
    await clock.advance(1_000);
    await expect.poll(() => targets.ports().size).toBe(1);
    expect(await nameAt(taken.port)).toBe('URI:spiffe://example.org/second');
  });

  test('is tried after one second, then ever more seldom, but every ten seconds at least', async () => {
    await targets.apply([of('a', taken.where)]);
    let tries = 1;
    for (const delayMs of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      await expect.poll(() => clock.pending()).toBe(1);
      await clock.advance(delayMs - 1);
      expect(doors.length).toBe(tries);
      await clock.advance(1);
      expect(doors.length).toBe(++tries);
    }
  });

  test.each([
    ['no door may be opened any more', () => targets.closeDoors()],
    ['the targets are closed', () => targets.close()],
    ['its target goes', () => targets.apply([])],
    ['its target is served without a door', () => targets.apply([of('a', null)])],
  ])('is tried no more once %s', async (_, act) => {
    await targets.apply([of('a', taken.where)]);
    expect(clock.pending()).toBe(1);
    await act();
    expect(clock.pending()).toBe(0);
    await taken.free();
    await clock.advance(60_000);
    expect(doors.length).toBe(1);
    expect(targets.ports().size).toBe(0);
  });

  test('gives way to the one of a changed target', async () => {
    const other = await takePort();
    try {
      await targets.apply([of('a', taken.where)]);
      await targets.apply([of('a', other.where)]);
      expect(targets.problems()).toMatchObject([{ what: expect.stringContaining(`${other.port}`) }]);
      expect(clock.pending()).toBe(1);
      await Promise.all([taken.free(), other.free()]);
      await clock.advance(1_000);
      await expect.poll(() => [...targets.ports()]).toEqual([['a', other.port]]);
      expect(listening()).toBe(1);
    } finally {
      await other.free();
    }
  });

  test.each([
    ['the targets are closed', () => targets.close()],
    ['its target goes', () => targets.apply([])],
  ])('and that opens just when %s is closed at once', async (_, act) => {
    await targets.apply([of('a', taken.where)]);
    await taken.free();
    const open = Promise.withResolvers<void>();
    opening = () => open.promise;
    await clock.advance(1_000);
    expect(doors.length).toBe(2);
    const over = act();
    open.resolve();
    await over;
    expect([listening(), clock.pending(), closed]).toEqual([0, 0, ['a']]);
  });
});

describe('a look', () => {
  test('is into what is new, and into all of it once policies change', async () => {
    await targets.apply([of('a', null), of('b', null)]);
    await targets.look(never);
    expect(looked).toEqual(['a', 'b']);
    await targets.look(never);
    await targets.apply([of('a', null), of('b', 'odd')]);
    await targets.look(never);
    expect(looked).toEqual(['a', 'b', 'b']);
    policiesChange();
    await targets.look(never);
    expect(looked).toEqual(['a', 'b', 'b', 'a', 'b']);
  });

  test('is into no target that lets nobody in, until it does', async () => {
    await targets.apply([of('a', null)]);
    health.failing = [{ what: 'it is away', remedy: 'Start it.' }];
    await targets.look(never);
    expect(looked).toEqual([]);
    health.failing = [];
    await targets.look(never);
    expect(looked).toEqual(['a']);
  });

  test('that takes too long is left, and begun again the next time; one of a target that is gone is not', async () => {
    looking = new Promise(() => {});
    await targets.apply([of('a', null), of('b', null)]);
    const timeout = new AbortController();
    const look = targets.look(timeout.signal);
    await new Promise((resolve) => setImmediate(resolve));
    await targets.apply([of('a', null)]);
    timeout.abort();
    await look;
    looking = undefined;
    await targets.look(never);
    expect(looked).toEqual(['a', 'b', 'a']);
  });
});

describe('problems', () => {
  test('name targets that could not be opened, until they are mended or go', async () => {
    const unknown = { name: 'c', protocol: 'unheard', config: null };
    await targets.apply([of('a', 'refused'), of('b', 'bug'), unknown, of('d', null)]);
    expect(targets.problems()).toEqual([
      { target: 'a', what: 'port is 0', remedy: expect.stringContaining('Correct the target') },
      { target: 'b', what: 'the gateway failed to open it', remedy: expect.stringContaining('log') },
      { target: 'c', what: expect.stringContaining('unheard'), remedy: expect.stringContaining('protocols') },
    ]);
    await targets.apply([of('a', null), of('b', 'bug')]);
    expect(targets.problems()).toMatchObject([{ target: 'b' }]);
    await targets.apply([]);
    expect(targets.problems()).toEqual([]);
  });

  test('name a target that listens though its protocol has no door for clients without an agent', async () => {
    const target = { name: 'shut', protocol: 'agents only' };
    await targets.apply([{ ...target, config: 'direct' }]);
    expect(targets.problems()).toMatchObject([{ target: 'shut', what: expect.stringContaining('without an agent') }]);
    expect([closed, listening()]).toEqual([['shut'], 0]);
    await targets.apply([{ ...target, config: null }]);
    expect(targets.problems()).toEqual([]);
  });

  test('name a target that became faulty, which is served no more', async () => {
    await targets.apply([of('a', null)]);
    await targets.apply([of('a', 'refused')]);
    expect(targets.find('a')).toBeUndefined();
    expect(targets.problems()).toMatchObject([{ target: 'a' }]);
  });

  test('name a secret that could not be read, until it can or its target goes', async () => {
    await targets.apply([of('a', null), of('b', null)]);
    secretError = new GatewayError('ERR_GATEWAY_SECRET', 'keystore:shop is missing or empty');
    await expect(given.get('a')?.secrets.resolve('keystore:shop', never)).rejects.toThrow(secretError);
    await expect(given.get('b')?.secrets.resolve('keystore:shop', never)).rejects.toThrow(secretError);
    const missing = (target: string) => ({
      target,
      what: 'keystore:shop is missing or empty',
      remedy: expect.stringContaining('keystore'),
    });
    expect(targets.problems()).toEqual([missing('a'), missing('b')]);
    await targets.apply([of('a', null)]);
    expect(targets.problems()).toEqual([missing('a')]);
    secretError = undefined;
    await given.get('a')?.secrets.resolve('keystore:shop', never);
    expect(targets.problems()).toEqual([]);
  });

  test('name a target that did not let the gateway in; one that has no secret for it is named once', async () => {
    await targets.apply([of('a', null)]);
    given.get('a')?.attempted('app', { what: 'closed', remedy: 'Open it.' });
    expect(health.told).toEqual(['start', 'app: closed']);
    secretError = new GatewayError('ERR_GATEWAY_SECRET', 'keystore:shop is missing or empty');
    await expect(given.get('a')?.secrets.resolve('keystore:shop', never)).rejects.toThrow(secretError);
    health.failing = [
      { what: 'closed', remedy: 'Open it.' },
      { what: 'keystore:shop is missing or empty', remedy: 'Put it there.' },
    ];
    expect(targets.problems()).toEqual([
      { target: 'a', what: 'keystore:shop is missing or empty', remedy: expect.stringContaining('keystore') },
      { target: 'a', what: 'closed', remedy: 'Open it.' },
    ]);
    await targets.apply([of('a', 'changed')]);
    expect(health.told).toEqual(['start', 'app: closed', 'close', 'start']);
    targets.closeDoors();
    expect(health.told.at(-1)).toBe('start');
    targets.end();
    expect(health.told.at(-1)).toBe('close');
  });

  test('name as a warning what a target finds odd about itself', async () => {
    await targets.apply([of('a', 'odd'), of('b', null)]);
    expect(targets.problems()).toEqual([{ target: 'a', what: 'odd', remedy: 'Look.', about: 'names' }]);
    await targets.apply([of('b', null)]);
    expect(targets.problems()).toEqual([]);
  });

  test('do not name a secret that nobody waited for any more', async () => {
    await targets.apply([of('a', null)]);
    secretError = new Error('aborted');
    await expect(given.get('a')?.secrets.resolve('keystore:shop', AbortSignal.abort())).rejects.toThrow('aborted');
    expect(targets.problems()).toEqual([]);
  });
});

test('an identity that is renewed while a door opens is the one shown there', async () => {
  opening = () => {
    const renewed = identityOf(authority.issue('/second'), [authority]);
    identity.set(renewed);
    targets.present(renewed);
  };
  await targets.apply([of('a', 'direct')]);
  expect(await nameAt(targets.ports().get('a') ?? 0)).toBe('URI:spiffe://example.org/second');
  const third = identityOf(authority.issue('/third'), [authority]);
  targets.present(third);
  expect(await nameAt(targets.ports().get('a') ?? 0)).toBe('URI:spiffe://example.org/third');
});

test('a door that opens while the targets are closed is closed as well', async () => {
  const open = Promise.withResolvers<void>();
  opening = () => open.promise;
  const applied = targets.apply([of('a', 'direct')]);
  await expect.poll(() => doors.length).toBe(1);
  targets.closeDoors();
  const over = targets.close();
  open.resolve();
  await Promise.all([applied, over]);
  expect(listening()).toBe(0);
  expect(closed).toEqual(['a']);
});

test('without doors, targets still come, change and go, for the sessions of others', async () => {
  await targets.apply([of('a', 'direct'), of('b', null)]);
  targets.closeDoors();
  await targets.apply([of('a', 'direct'), of('c', 'direct')]);
  expect([targets.find('b'), targets.find('c')?.name]).toEqual([undefined, 'c']);
  expect([doors.length, listening(), closed]).toEqual([1, 0, ['b']]);
});

test('once closed, nothing is opened any more: whoever applies targets late leaves no door behind', async () => {
  await targets.close();
  await targets.apply([of('a', 'direct')]);
  expect(doors).toEqual([]);
  expect(targets.find('a')).toBeUndefined();
});

test('of changes that wait while the targets are closed, none is begun', async () => {
  const open = Promise.withResolvers<void>();
  opening = () => open.promise;
  const applied = [targets.apply([of('a', 'direct')]), targets.apply([of('b', 'direct')])];
  await expect.poll(() => doors.length).toBe(1);
  const over = targets.close();
  open.resolve();
  await Promise.all([...applied, over]);
  expect([doors.length, listening(), closed]).toEqual([1, 0, ['a']]);
});
