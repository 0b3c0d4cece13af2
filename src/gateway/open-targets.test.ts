import { createServer, type Server } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Type } from 'typebox';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createManualClock, createSilentLog, createSystemRandom, Secret } from '../std/index.ts';
import { createOpenTargets, type OpenTargets, type OpenTargetsDeps } from './open-targets.ts';
import type { ProtocolMember } from './protocol.ts';
import { createTestAuthority, createTestIdentity, identityOf } from './testing/test-authority.ts';

// Goal: the set of targets stays whole while it changes: what is half open when something else happens is neither lost nor left behind.

const NOW_MS = Date.UTC(2026, 10, 22);
const authority = createTestAuthority('example.org', NOW_MS);

let closed: string[];
let doors: Server[];
let opening: (() => Promise<void> | void) | undefined;
let identity: ReturnType<typeof createTestIdentity>;
let targets: OpenTargets;

/** Its config says where it listens. */
const member: ProtocolMember = {
  kind: 'protocol',
  id: 'fake',
  summary: 'Serves nobody.',
  config: Type.Object({}),
  policySchema: { namespace: 'Fake', entityTypes: {}, actions: {} },
  alpn: 'fake',
  checkConfig: () => [],
  openTarget: (config, { name }) => ({
    listen: config === 'direct' ? { host: '127.0.0.1', port: 0 } : undefined,
    serve: async () => {},
    refuse: (client) => void client.destroy(),
    check: async () => undefined,
    close: async () => void closed.push(name),
  }),
  negotiateDirect: async (socket, startTls) => {
    socket.pause();
    return await startTls(Buffer.alloc(0));
  },
};

const openDoor: OpenTargetsDeps['openDoor'] = async (where, _, tls) => {
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
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
};

beforeEach(() => {
  closed = [];
  doors = [];
  opening = undefined;
  identity = createTestIdentity(identityOf(authority.issue('/first'), [authority]));
  targets = createOpenTargets({
    clock: createManualClock(NOW_MS),
    random: createSystemRandom(),
    log: createSilentLog(),
    identity,
    protocols: [member],
    secrets: { resolve: async () => Secret.fromText('x') },
    maskKey: new Secret(Buffer.alloc(32)),
    sessions: { drain: () => {} },
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

test('a target whose door does not open is closed again and left out, and tried anew when it is applied again', async () => {
  opening = () => Promise.reject(new Error('the port is taken'));
  await targets.apply([of('a', 'direct'), of('b', null)]);
  expect(closed).toEqual(['a']);
  expect(targets.find('a')).toBeUndefined();
  expect(targets.find('b')).toBeDefined();
  opening = undefined;
  await targets.apply([of('a', 'direct'), of('b', null)]);
  expect([...targets.ports().keys()]).toEqual(['a']);
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
