import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import type { Log, ManualClock } from '../../../../std/index.ts';
import { encodeCancelRequest, encodeStartup } from '../../../../wire/postgres/index.ts';
import { type FakeGate, startFakeGate } from '../testing/fake-gate.ts';
import { type FakeTarget, header, LOGIN } from '../testing/fake-target.ts';

// Goal: whatever a client says first, and whatever a target says while the gateway logs in, costs little, ends soon, and is never
// misread. Nothing of a refused start-up reaches the target.

vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

let fake: FakeTarget;
let gate: FakeGate['gate'];
let clock: ManualClock;
let close: () => Promise<void>;

async function begin(options: Parameters<typeof startFakeGate>[0] = {}) {
  ({ clock, fake, gate, close } = await startFakeGate(options));
}
afterEach(() => close());

/** What comes back for those bytes until the other side ends. */
async function say(...parts: readonly Buffer[]): Promise<string[]> {
  const client = await openRawClient(gate.port, { start: false });
  client.send(...parts);
  return await client.end();
}

/** A start-up packet of that code and body, its length as it is unless told otherwise. */
function packet(code: number, body: Buffer, length = body.length + 8): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(length | 0, 0);
  head.writeInt32BE(code | 0, 4);
  return Buffer.concat([head, body]);
}
const PROTOCOL_3 = 3 << 16;
const strings = (...texts: readonly string[]) => Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');
const USER = ['user', 'web'];

describe('a start-up packet', () => {
  test.each([
    0,
    3,
    4,
    7,
    -1,
    -(2 ** 31),
    2 ** 31 - 1,
    10_001,
  ])('that announces %i bytes is refused at once', async (length) => {
    await begin();
    expect(await say(packet(PROTOCOL_3, Buffer.alloc(0), length))).toEqual([
      `E:08P01:start-up packet of ${length} bytes; 8 to 10000 are allowed`,
    ]);
    expect(fake.connections()).toBe(0);
  });

  test('of the longest size is read', async () => {
    await begin();
    // The user's name goes no further than the gateway.
    const body = Buffer.concat([strings('user', 'x'.repeat(10_000 - 8 - 7)), Buffer.alloc(1)]);
    const client = await openRawClient(gate.port, { start: false });
    client.send(packet(PROTOCOL_3, body));
    expect((await client.ready()).at(-1)).toBe('Z:I');
    client.close();
  });

  test.each([
    ['no user', PROTOCOL_3, Buffer.concat([strings('database', 'app'), Buffer.alloc(1)]), /^E:28000/],
    [
      'the same parameter twice',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, ...USER), Buffer.alloc(1)]),
      /^E:08P01.*twice/,
    ],
    [
      'a name that is not UTF-8',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, '\xff', 'x'), Buffer.alloc(1)]),
      /^E:08P01.*UTF-8/,
    ],
    [
      'a value that is not UTF-8',
      PROTOCOL_3,
      Buffer.concat([strings('user', '\xc0\x80'), Buffer.alloc(1)]),
      /^E:08P01.*UTF-8/,
    ],
    ['no end', PROTOCOL_3, strings(...USER), /^E:08P01/],
    ['a name without a value', PROTOCOL_3, Buffer.concat([strings(...USER, 'role')]), /^E:08P01/],
    [
      'bytes behind its end',
      PROTOCOL_3,
      Buffer.concat([strings(...USER), Buffer.from('\0role\0postgres\0\0')]),
      /^E:08P01/,
    ],
    [
      '2,400 parameters',
      PROTOCOL_3,
      Buffer.concat([
        strings(...USER),
        ...Array.from({ length: 2_400 }, (_, i) =>
          strings(String.fromCharCode(33 + (i % 90), 33 + Math.floor(i / 90)), ''),
        ),
        Buffer.alloc(1),
      ]),
      /^E:08P01.*more than 64/,
    ],
    ['protocol 2.0', 2 << 16, strings('app', 'web'), /^E:08P01.*2\.0/],
    ['protocol 4.0', 4 << 16, Buffer.concat([strings(...USER), Buffer.alloc(1)]), /^E:08P01.*4\.0/],
    ['a role', PROTOCOL_3, Buffer.concat([strings(...USER, 'role', 'postgres'), Buffer.alloc(1)]), /^E:42501/],
    [
      'a role in options',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'options', '-c role=postgres'), Buffer.alloc(1)]),
      /^E:42501/,
    ],
    [
      'a role in options, quoted away',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'options', '-c\\ role=postgres'), Buffer.alloc(1)]),
      /^E:42501|^E:0A000/,
    ],
    [
      'options cut by other white space',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'options', '-c\x0bstatement_timeout=1\x0b-crole=postgres'), Buffer.alloc(1)]),
      /^E:42501|^E:0A000/,
    ],
    [
      'replication',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'replication', 'database'), Buffer.alloc(1)]),
      /^E:0A000/,
    ],
    [
      'replication spelled for the server only',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'replication', 'tRu'), Buffer.alloc(1)]),
      /^E:0A000/,
    ],
    [
      'a database that is not served',
      PROTOCOL_3,
      Buffer.concat([strings(...USER, 'database', 'postgres'), Buffer.alloc(1)]),
      /^E:3D000/,
    ],
  ])('with %s is refused, and nothing of it reaches the target', async (_, code, body, expected) => {
    await begin();
    expect(await say(packet(code, body))).toEqual([expect.stringMatching(expected)]);
    expect(fake.sessions).toEqual([]);
  });

  test.each([
    ['3.9999', 9_999, []],
    ['an option of a newer protocol', 2, ['_pq_.what', '1']],
  ])('with %s is answered with what is spoken here, and never asked of the target', async (_, minor, more) => {
    await begin();
    const client = await openRawClient(gate.port, { start: false });
    client.send(packet(PROTOCOL_3 | minor, Buffer.concat([strings(...USER, ...more), Buffer.alloc(1)])));
    const messages = await client.ready();
    expect(messages[0]).toBe('v');
    expect(messages.at(-1)).toBe('Z:I');
    expect([...(fake.sessions[0]?.parameters.keys() ?? [])]).not.toContain('_pq_.what');
    expect(fake.sessions[0]?.parameters.get('user')).toBe('gate');
    client.close();
  });

  test('is understood wherever it is cut, encryption requests before it too', async () => {
    await begin();
    const ssl = packet((1234 << 16) | 5679, Buffer.alloc(0));
    const startup = encodeStartup(2, [
      ['user', 'web'],
      ['application_name', 'cut'],
      ['options', '-c lock_timeout=1s'],
    ]);
    const run = async (pieces: readonly Buffer[]) => {
      const client = await openRawClient(gate.port, { start: false });
      for (const piece of pieces) {
        client.send(piece);
        await settle();
      }
      const messages = await client.ready();
      client.close();
      return messages.map((text) => (text.startsWith('K:') ? 'K' : text)); // Each session has a key of its own.
    };
    const wanted = await run([startup]);
    expect(wanted.at(-1)).toBe('Z:I');
    for (let at = 1; at < startup.length; at++)
      expect(await run([startup.subarray(0, at), startup.subarray(at)]), `cut at ${at}`).toEqual(wanted);
    expect(await run(Array.from(startup, (_, i) => startup.subarray(i, i + 1)))).toEqual(wanted);
    for (const { parameters } of fake.sessions) expect(parameters.get('lock_timeout')).toBe('1s');
    const twice = await openRawClient(gate.port, { start: false });
    const seen: Buffer[] = [];
    twice.socket.removeAllListeners('data');
    twice.socket.on('data', (bytes: Buffer) => seen.push(bytes));
    twice.send(ssl.subarray(0, 5));
    await settle();
    twice.send(ssl.subarray(5));
    await expect.poll(() => Buffer.concat(seen).toString()).toBe('N');
    twice.send(ssl);
    await expect.poll(() => Buffer.concat(seen).toString('latin1')).toMatch(/^NE.*twice/s);
    twice.close();
  });

  test('behind which more comes at once loses nothing of it', async () => {
    await begin();
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]), serialize.query('select 1'));
    await client.ready();
    expect(await client.ready()).toEqual(['C:SELECT 0', 'Z:I']);
    client.close();
  });
});

describe('time', () => {
  test('a client that dribbles its start-up is told and cut after ten seconds', async () => {
    await begin();
    const client = await openRawClient(gate.port, { start: false });
    const startup = encodeStartup(0, [
      ['user', 'web'],
      ['application_name', 'slow'],
    ]);
    for (let i = 0; i < 9; i++) {
      client.send(startup.subarray(i, i + 1));
      await settle();
      await clock.advance(1_000);
    }
    expect(client.socket.destroyed).toBe(false);
    const closed = client.end();
    await clock.advance(1_001);
    expect(await closed).toEqual(['E:08006:no start-up packet within 10 seconds']);
    await gate.served();
    expect([fake.connections(), clock.pending()]).toEqual([0, 0]);
  });

  test.each([
    ['says nothing', () => {}],
    ['dribbles', (socket: Socket) => void socket.write(LOGIN.subarray(0, 7))],
    ['asks for what never ends', (socket: Socket) => void socket.write(header('R', 60_000))],
  ])('a target that %s while the gateway logs in is away after ten seconds, and nothing is left of it', async (_, login) => {
    await begin({ login });
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    await expect.poll(() => fake.sessions.length).toBe(1);
    await settle();
    const closed = client.end();
    await clock.advance(9_999);
    expect(client.socket.destroyed).toBe(false);
    await clock.advance(2);
    expect(await closed).toEqual(['E:08006:target db can not be reached at the moment']);
    await gate.served();
    await expect.poll(() => fake.sessions[0]?.socket.destroyed).toBe(true);
  });

  test('a target whose catalog never comes holds up nobody for longer than three quarters of a minute', async () => {
    await begin({ catalog: 'hangs' });
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    await expect.poll(() => fake.connections()).toBe(2);
    for (let turn = 0; turn < 20; turn++) await settle();
    const closed = client.end();
    await clock.advance(45_001);
    expect(await closed).toEqual(['E:08006:target db can not be reached at the moment']);
    await gate.served();
    await expect.poll(() => fake.connections()).toBe(0);
  });

  test('a client that has said nothing yet is sent away when the gateway drains', async () => {
    await begin();
    const client = await openRawClient(gate.port, { start: false });
    await settle();
    gate.drain();
    expect(await client.end()).toEqual(['E:57P01:told to drain']);
  });

  test('a session that opens while the gateway drains is sent away at once', async () => {
    let go = () => {};
    await begin({ login: (socket) => (go = () => void socket.write(LOGIN)) });
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    await expect.poll(() => fake.sessions.length).toBe(1);
    gate.drain();
    go();
    expect(await client.end()).toEqual(['E:57P01:told to drain']);
  });
});

describe('a target that logs the gateway in', () => {
  test('is understood wherever its bytes are cut', async () => {
    let at = 0;
    const login = (socket: Socket) => {
      socket.write(LOGIN.subarray(0, at));
      setImmediate(() => socket.write(LOGIN.subarray(at)));
    };
    await begin({ login });
    for (at = 1; at < LOGIN.length; at++) {
      const client = await openRawClient(gate.port);
      client.close();
    }
    expect(fake.sessions.length).toBe(LOGIN.length - 1);
  });

  test.each([
    ['with a length of 0', header('R', 0)],
    ['with a length of 3', header('R', 3)],
    ['with a negative length', header('R', -1)],
    ['with the longest length', header('S', 2 ** 31 - 1)],
    ['with an unknown authentication', Buffer.from('52000000080000007f', 'hex')],
    ['with Kerberos', Buffer.from('520000000800000002', 'hex')],
    ['twice', Buffer.concat([LOGIN.subarray(0, 9), LOGIN])],
    ['with a row', Buffer.from('44000000060000', 'hex')],
    [
      'with a thousand settings',
      Buffer.concat([
        LOGIN.subarray(0, 9),
        ...Array.from({ length: 1_000 }, (_, i) =>
          Buffer.concat([header('S', 4 + 7), Buffer.from(`${1000 + i}\0x\0`)]),
        ),
      ]),
    ],
    ['with answers to what nobody asked', Buffer.concat([LOGIN, Buffer.from('430000000d53454c454354203100', 'hex')])],
  ])('%s is none', async (_, bytes) => {
    await begin({ login: (socket) => void socket.write(bytes) });
    const answer = await say(encodeStartup(0, [['user', 'web']]));
    expect(answer).toEqual([expect.stringMatching(/^E:(08P01|28P01|28000|XX000):/)]);
    await gate.served();
    await expect.poll(() => fake.sessions.every(({ socket }) => socket.destroyed)).toBe(true);
  });

  test('with a flood of notices is heard out, and they are not kept', async () => {
    const notice = Buffer.concat([header('N', 4 + 60_000), Buffer.from(`M${'x'.repeat(59_997)}\0\0`)]);
    await begin({
      login(socket) {
        socket.write(LOGIN.subarray(0, 9));
        for (let i = 0; i < 500; i++) socket.write(notice);
        socket.write(LOGIN.subarray(9));
      },
    });
    const client = await openRawClient(gate.port);
    expect(gate.heldBytes()).toBeLessThan(1_000);
    client.close();
  });
});

test('a target that is away fills no log, however often a client tries', async () => {
  const lines: string[] = [];
  const note = (event: string, fields: object = {}) =>
    void lines.push(`${event} ${'unshown' in fields ? fields.unshown : ''}`);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  await begin({ login: (socket) => void socket.end(), log });
  for (let i = 0; i < 30; i++) await say(encodeStartup(0, [['user', 'web']]));
  const failed = () => lines.filter((line) => line.startsWith('gateway.postgres.target_failed'));
  expect(failed().length).toBe(10);
  await clock.advance(10_001);
  expect(failed().slice(10)).toEqual(['gateway.postgres.target_failed 20']);
});

test('a cancel request with a key of any size is dropped without a word', async () => {
  await begin();
  for (const bytes of [4, 32, 256]) expect(await say(encodeCancelRequest(7, Buffer.alloc(bytes, 7)))).toEqual([]);
  expect(await say(encodeCancelRequest(7, Buffer.alloc(257)))).toEqual([expect.stringMatching(/^E:08P01/)]);
  expect(fake.connections()).toBe(0);
});

/** Lets what was written be read. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
