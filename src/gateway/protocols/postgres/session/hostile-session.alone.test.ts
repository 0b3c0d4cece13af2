import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openRawClient, type RawSession } from '../../../../../test/support/raw-session.ts';
import type { ManualClock } from '../../../../std/index.ts';
import {
  encodeDataRow,
  encodeErrorFields,
  encodeReadyForQuery,
  encodeRowDescription,
} from '../../../../wire/postgres/index.ts';
import { type FakeGate, startFakeGate } from '../testing/fake-gate.ts';
import { done, errorOf, type FakeSession, type FakeTarget, header } from '../testing/fake-target.ts';
import { kinds } from '../testing/harness.ts';
import { bind, parse, query, sync } from '../testing/messages.ts';
import { maskedAttributes } from '../testing/stub-sql.ts';

// Goal: an open session between a hostile client and a hostile target. Neither can make the gateway misread the other, hold much, or
// keep what is over; and what a client has asked for in good order happens, or is said not to have.

vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

const SSN = { name: 'ssn', tableOid: 77, attributeNumber: 3, typeOid: 25, typeBytes: -1, typeModifier: -1, format: 0 };
const ROWS = encodeRowDescription([SSN]);
/** 65,535 times the same column. */
const MANY_COLUMNS = (() => {
  const field = ROWS.subarray(7);
  const body = Buffer.concat([Buffer.from('ffff', 'hex'), ...Array.from({ length: 65_535 }, () => field)]);
  return Buffer.concat([header('T', body.length + 4), body]);
})();
const row = (...values: (string | null)[]) =>
  encodeDataRow(values.map((value) => (value === null ? null : Buffer.from(value))));
maskedAttributes.set('77:3', 'redact');

let fake: FakeTarget;
let gate: FakeGate['gate'];
let clock: ManualClock;
let close: () => Promise<void>;
let answer: (session: FakeSession, message: string) => void;

beforeEach(async () => {
  answer = ({ socket }) => void socket.write(done());
  ({ clock, fake, gate, close } = await startFakeGate({ answer: (session, message) => answer(session, message) }));
});
afterEach(() => close());

/** A client whose session is open, and the target's side of it. */
async function open(): Promise<{ client: RawSession; target: FakeSession }> {
  const client = await openRawClient(gate.port);
  const target = fake.sessions.at(-1);
  if (target === undefined) throw new Error('no session at the target');
  return { client, target };
}

/** The session is over, and nothing of it is left on either side. */
async function expectGone() {
  await gate.served();
  expect(gate.heldBytes()).toBe(0);
  await expect.poll(() => fake.sessions.every(({ socket }) => socket.destroyed)).toBe(true);
}

describe('a client’s message', () => {
  test.each(
    ['Q', 'P', 'B', 'd', 'S', 'X', '\0'].flatMap((type) =>
      [0, 3, -1, -(2 ** 31), 2 ** 31 - 1].map((length) => [type, length] as const),
    ),
  )('of type %j that announces %i bytes ends the session, and nothing of it is sent on', async (type, length) => {
    const { client, target } = await open();
    client.send(header(type, length));
    expect(await client.end()).toEqual([expect.stringMatching(/^E:08P01:the client sent a message/)]);
    await expectGone();
    await expect.poll(() => target.messages).toEqual(['X']);
  });

  test('that never becomes whole costs what it has, not what it announces', async () => {
    const { client } = await open();
    client.send(header('B', 60_000_000), Buffer.alloc(10_000));
    await expect.poll(() => gate.heldBytes()).toBeGreaterThanOrEqual(10_000);
    expect(gate.heldBytes()).toBeLessThan(20_000);
    client.close();
    await expectGone();
  });

  test('with a statement of 33 MiB is refused, costs nothing, and the connection goes on', async () => {
    const { client, target } = await open();
    answer = ({ socket, messages }) =>
      void socket.write(
        messages.at(-1)?.startsWith('Q:countersign') ? Buffer.concat([errorOf(), encodeReadyForQuery('I')]) : done(),
      );
    client.send(header('Q', 33 * 1024 * 1024 + 5), Buffer.alloc(20 * 1024 * 1024, 'x'));
    await expect.poll(() => client.socket.writableLength).toBe(0);
    expect(gate.heldBytes()).toBeLessThan(200_000);
    client.send(Buffer.alloc(13 * 1024 * 1024, 'x'), Buffer.alloc(1), query('select 1'));
    expect(await client.ready()).toEqual(['E:54000:a statement text has at most 33554432 bytes here', 'Z:I']);
    expect(await client.ready()).toEqual(['C:SELECT 0', 'Z:I']);
    await expect
      .poll(() => target.messages)
      .toEqual(['Q:countersign: refused before it reached the server', 'Q:select 1']);
    client.close();
  });

  test('with a longer statement than PostgreSQL takes ends the session at its header, whatever is streamed behind it', async () => {
    const { client, target } = await open();
    client.send(header('Q', 1_100_000_000), Buffer.alloc(8 * 1024 * 1024, 'x'));
    expect(await client.end()).toEqual([expect.stringMatching(/^E:08P01:.*1100000000 bytes; the most is 1073741823/)]);
    await expectGone();
    await expect.poll(() => target.messages).toEqual(['X']);
  });
});

describe('what a client prepares and binds and never uses', () => {
  const inTransaction = ({ socket }: Pick<FakeSession, 'socket'>, message: string) => {
    if (message === 'P') socket.write(header('1', 4));
    if (message === 'B') socket.write(header('2', 4));
    if (message === 'S') socket.write(Buffer.from('5a0000000554', 'hex'));
  };
  const FAILED = errorOf();

  test('is limited in bytes: statements', async () => {
    const { client } = await open();
    answer = ({ socket, messages }, message) => {
      if (message === 'P' && messages.filter((one) => one === 'P').length > 9) socket.write(FAILED);
      else inTransaction({ socket }, message);
    };
    const text = 'x'.repeat(1_000_000);
    for (let i = 0; i < 9; i++) {
      client.send(parse(text, `s${i}`), sync());
      expect(await client.ready()).toEqual(['1', 'Z:T']);
    }
    client.send(parse(text, 's9'), sync());
    expect(await client.ready()).toEqual([expect.stringMatching(/^E:53400:statements .* 16777216 bytes/), 'Z:T']);
    expect(gate.heldBytes()).toBeLessThan(20_000_000);
  });

  test('is limited in bytes: values, and those in flight are waited for', async () => {
    const { client } = await open();
    let answers: Buffer[] = [];
    let most = 0;
    // As PostgreSQL does, it keeps its answers until it is told to send them.
    answer = ({ socket }, message) => {
      most = Math.max(most, gate.heldBytes());
      if (message === 'P' || message === 'B') answers.push(header(message === 'P' ? '1' : '2', 4));
      if (message === 'S') answers.push(Buffer.from('5a0000000554', 'hex'));
      if (message !== 'S' && message !== 'H') return;
      socket.write(Buffer.concat(answers));
      answers = [];
    };
    client.send(parse('select $1', 's'), sync());
    await client.ready();
    const value = 'x'.repeat(8_000_000);
    // Each takes the place of the one before, so there is no end to how many there may be; but not all at once.
    for (let i = 0; i < 20; i++) client.send(bind('s', '', [value]));
    client.send(sync());
    const messages = await client.ready();
    expect(messages.filter((message) => message === '2').length).toBe(20);
    // Sixty-four MiB, one more value, and what is on its way between the sockets.
    expect(most).toBeLessThan(100_000_000);
    expect(gate.heldBytes()).toBeLessThan(10_000_000);
  });
});

describe('a client that leaves', () => {
  const withRows = ({ socket }: FakeSession, message: string) => {
    if (message.startsWith('Q')) socket.write(Buffer.concat([ROWS, row('a'), done('SELECT 1')]));
  };

  test.each([
    ['says goodbye right behind it', (client: RawSession) => client.send(query('insert 1'), serialize.end())],
    ['ends its side right behind it', (client: RawSession) => void client.socket.end(query('insert 1'))],
  ])('has what it asked for carried out and answered, when it %s', async (_, leave) => {
    const { client, target } = await open();
    answer = withRows;
    leave(client);
    expect(await client.end()).toEqual(['T', 'D:a', 'C:SELECT 1', 'Z:I']);
    await expectGone();
    await expect.poll(() => target.messages).toEqual(['Q:insert 1', 'X']);
    expect(kinds(gate.ledger.events, 'outcome').map((event) => event.detail['status'])).toEqual(['done']);
  });

  test('holds nothing when the target, too, has answered all and does not hang up', async () => {
    const { client, target } = await open();
    answer = withRows;
    target.socket.end = () => target.socket;
    client.send(query('insert 1'), serialize.end());
    expect((await client.end()).at(-1)).toBe('Z:I');
    await gate.served();
  });

  test('has even that carried out which waits for the disk first', async () => {
    gate.ledger.durability = { reads: 'strict', changes: 'strict' };
    const { client, target } = await open();
    answer = withRows;
    const release = gate.ledger.hold();
    client.send(query('insert 1'), serialize.end());
    await expect.poll(() => kinds(gate.ledger.events, 'intent').length).toBe(1);
    expect(target.messages).toEqual([]);
    release();
    expect(await client.end()).toEqual(['T', 'D:a', 'C:SELECT 1', 'Z:I']);
    await expect.poll(() => target.messages).toEqual(['Q:insert 1', 'X']);
  });

  test('with all of a pipeline read, however much waits in the gateway', async () => {
    const { client, target } = await open();
    answer = withRows;
    client.socket.end(Buffer.concat([...Array.from({ length: 50 }, () => query('select 1 /*ddl*/')), query('last')]));
    const messages = await client.end();
    expect(messages.filter((message) => message === 'Z:I').length).toBe(51);
    expect(target.messages.slice(-2)).toEqual(['Q:last', 'X']);
  });

  test('in the middle of a message, or of COPY data, has nothing done by halves', async () => {
    const half = await open();
    half.client.socket.end(query('insert 1').subarray(0, 8));
    expect(await half.client.end()).toEqual([]);
    await expect.poll(() => half.target.messages).toEqual(['X']);
    const copying = await open();
    answer = ({ socket }, message) => {
      if (message.startsWith('Q')) socket.write(Buffer.from('47000000070000' + '00', 'hex').subarray(0, 8));
    };
    copying.client.send(query('copy notes from stdin'));
    await copying.client.until('G');
    copying.client.socket.end(serialize.copyData(Buffer.from('1\tone\n')));
    expect(await copying.client.end()).toEqual([]);
    await expect.poll(() => copying.target.messages).toEqual(['Q:copy notes from stdin', 'd', 'X']);
    await expectGone();
  });

  test('by a reset costs its session only, and the outcome is unknown', async () => {
    const { client } = await open();
    answer = () => {};
    client.send(query('select pg_sleep(100)'));
    await expect.poll(() => fake.sessions[0]?.messages.length).toBe(1);
    client.socket.resetAndDestroy();
    await expectGone();
    expect(kinds(gate.ledger.events, 'outcome').map((event) => event.detail['status'])).toEqual(['unknown']);
    const other = await open();
    answer = withRows;
    other.client.send(query('select 1'));
    expect((await other.client.ready()).at(-1)).toBe('Z:I');
  });

  test('while it talks on behind its goodbye is not listened to', async () => {
    const { client } = await open();
    answer = () => {};
    client.send(query('select pg_sleep(100)'), serialize.end());
    for (let i = 0; i < 50; i++) client.send(Buffer.alloc(100_000));
    await expect.poll(() => client.socket.writableLength).toBe(0);
    for (let turns = 0; turns < 20; turns++) await turn();
    // No more than what came in one read with the goodbye.
    expect(gate.heldBytes()).toBeLessThan(100_000);
  });
});

describe('a target that leaves', () => {
  const LOST = 'E:08006:the gateway lost the connection to the target';

  test.each([
    ['by an end', (socket: Socket) => void socket.end()],
    ['by a reset', (socket: Socket) => void setImmediate(() => socket.resetAndDestroy())],
  ])('in the middle of an answer %s: whole messages are shown, half ones are not', async (_, leave) => {
    const { client } = await open();
    answer = ({ socket }) => {
      socket.write(Buffer.concat([ROWS, row('a'), row('bcdefgh').subarray(0, 9)]), () => leave(socket));
    };
    client.send(query('select 1'));
    expect(await client.end()).toEqual(['T', 'D:a', LOST]);
    await expectGone();
    expect(kinds(gate.ledger.events, 'outcome').map((event) => event.detail['status'])).toEqual(['unknown']);
  });

  test('while its answer waits for the ledger: the answer comes, then the end', async () => {
    const { client } = await open();
    const release = gate.ledger.hold();
    answer = ({ socket }) => void socket.end(done('INSERT 0 1'));
    client.send(query('insert 1'));
    await expect.poll(() => fake.sessions[0]?.socket.destroyed).toBe(true);
    release();
    expect(await client.end()).toEqual(['C:INSERT 0 1', 'Z:I', LOST]);
    expect(kinds(gate.ledger.events, 'outcome').map((event) => event.detail['status'])).toEqual(['done']);
  });

  test('with a last word, while another answer waits for the ledger: the word comes too', async () => {
    const { client } = await open();
    const release = gate.ledger.hold();
    const fatal = encodeErrorFields(
      'E',
      new Map([
        ['S', 'FATAL'],
        ['V', 'FATAL'],
        ['C', '57P01'],
        ['M', 'going down'],
      ]),
    );
    answer = ({ socket }) => void socket.end(Buffer.concat([done('INSERT 0 1'), fatal]));
    client.send(query('insert 1'));
    await expect.poll(() => fake.sessions[0]?.socket.destroyed).toBe(true);
    release();
    expect(await client.end()).toEqual(['C:INSERT 0 1', 'Z:I', 'E:57P01:going down']);
  });
});

describe('a target that breaks the protocol', () => {
  const BROKEN = 'E:08P01:the target broke the protocol; the session is ended';

  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a length of 0', header('D', 0)],
    ['a length of 3', header('C', 3)],
    ['a negative length', header('D', -1)],
    ['the longest length', header('D', 2 ** 31 - 1)],
    ['a row that was not described, masked', Buffer.concat([row('123-45-6789'), done()])],
    ['a row of two columns where one was described, masked', Buffer.concat([ROWS, row('1', '123-45-6789'), done()])],
    ['a row of no columns, masked', Buffer.concat([ROWS, row(), done()])],
    [
      'a row longer than itself, masked',
      Buffer.concat([ROWS, Buffer.from('440000000c0001000000ff3132', 'hex'), done()]),
    ],
    ['65,535 columns', Buffer.concat([MANY_COLUMNS, row('123-45-6789'), done()])],
    ['the end of a statement twice', Buffer.concat([done().subarray(0, -6), done()])],
    ['the end of a statement that was not asked for', Buffer.concat([done(), done()])],
    ['readiness before the end', encodeReadyForQuery('I')],
    ['an unknown message', header('?', 4)],
    ['a replication stream', Buffer.from('5700000007000000', 'hex')],
    ['rows of a COPY that nobody asked for', Buffer.from('48000000070000006400000004', 'hex')],
  ])('by %s ends the session, and shows nothing of it', async (_, bytes) => {
    const { client } = await open();
    answer = ({ socket }, message) => {
      if (message.startsWith('Q')) socket.write(bytes);
    };
    client.send(query('/*mask*/ select ssn from people'));
    const messages = await client.end();
    expect(messages.at(-1)).toBe(BROKEN);
    expect(messages.join()).not.toContain('123-45-6789');
    await expectGone();
  });

  test('by an encoding that is none ends the session as well', async () => {
    const { client } = await open();
    answer = ({ socket }, message) => {
      if (message.startsWith('Q'))
        socket.write(Buffer.concat([header('S', 4 + 21), Buffer.from('client_encoding\0SJIS\0'), ROWS]));
    };
    client.send(query('/*mask*/ select ssn from people'));
    expect(await client.end()).toEqual(['E:0A000:client_encoding SJIS is not served at a database in ']);
    await expectGone();
  });

  test('by an answer before the question', async () => {
    const { client, target } = await open();
    target.socket.write(done());
    expect(await client.end()).toEqual([BROKEN]);
  });

  test('by a row with masked cells that is longer than what is held, which is told', async () => {
    const { client } = await open();
    answer = ({ socket }) => void socket.write(Buffer.concat([ROWS, header('D', 64 * 1024 * 1024), Buffer.alloc(100)]));
    client.send(query('/*mask*/ select ssn from people'));
    expect(await client.end()).toEqual(['T', expect.stringMatching(/^E:54000:a row with masked columns/)]);
    await expectGone();
  });

  test('by a longer row than PostgreSQL sends', async () => {
    const { client } = await open();
    answer = ({ socket }) => void socket.write(Buffer.concat([header('D', 1_100_000_000), Buffer.alloc(100)]));
    client.send(query('select 1'));
    expect(await client.end()).toEqual([BROKEN]);
  });
});

describe('a target that floods', () => {
  test.each([
    [
      'notices',
      encodeErrorFields(
        'N',
        new Map([
          ['S', 'NOTICE'],
          ['C', '00000'],
          ['M', 'x'.repeat(1_000)],
        ]),
      ),
    ],
    ['settings', Buffer.concat([header('S', 4 + 1_003), Buffer.from(`x\0${'y'.repeat(1_000)}\0`)])],
    ['rows', row('x'.repeat(1_000))],
  ])('with %s is read as fast as the client reads, and no faster', async (_, message) => {
    const { client, target } = await open();
    const flood = Buffer.concat(Array.from({ length: 1_000 }, () => message));
    client.socket.pause();
    answer = ({ socket }) => {
      const pour = () => {
        while (socket.bytesWritten < 200 * flood.length && socket.write(flood));
      };
      socket.on('drain', pour);
      socket.write(ROWS);
      pour();
    };
    client.send(query('select 1'));
    const taken = await standstill(() => target.socket.bytesWritten - target.socket.writableLength);
    expect(taken).toBeGreaterThan(100_000);
    expect(taken).toBeLessThan(30 * 1024 * 1024);
    expect(gate.heldBytes()).toBeLessThan(2 * 1024 * 1024);
    client.socket.resume();
    await expect.poll(() => client.socket.bytesRead).toBeGreaterThan(taken + 10 * 1024 * 1024);
  });
});

test('a target that does not read is sent COPY data as fast as it reads, and no faster', async () => {
  const { client, target } = await open();
  answer = ({ socket }, message) => {
    if (message.startsWith('Q')) socket.write(Buffer.from('470000000700000000', 'hex').subarray(0, 8));
    target.socket.pause();
  };
  client.send(query('copy notes from stdin'));
  await client.until('G');
  const piece = Buffer.concat(Array.from({ length: 1_000 }, () => serialize.copyData(Buffer.alloc(1_000, 'x'))));
  const pour = () => {
    while (client.socket.bytesWritten < 200 * piece.length && client.socket.write(piece));
  };
  client.socket.on('drain', pour);
  pour();
  const taken = await standstill(() => client.socket.bytesWritten - client.socket.writableLength);
  expect(taken).toBeGreaterThan(100_000);
  expect(taken).toBeLessThan(30 * 1024 * 1024);
  expect(gate.heldBytes()).toBeLessThan(2 * 1024 * 1024);
  gate.end();
  await gate.served();
  // Its goodbye can't be delivered either: the socket goes all the same.
  expect(target.socket.destroyed).toBe(false);
  await clock.advance(5_001);
  answer = () => {};
  target.socket.resume();
  await expect.poll(() => target.socket.destroyed).toBe(true);
});

/** What `bytes` is once it no longer grows. */
async function standstill(bytes: () => number): Promise<number> {
  let before = -1;
  const same = () => {
    const now = bytes();
    const still = now === before && now > 0;
    before = now;
    return still;
  };
  await expect.poll(same, { interval: 200 }).toBe(true);
  return bytes();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
