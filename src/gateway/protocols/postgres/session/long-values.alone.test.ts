// Goal: what nobody here has to look at passes in pieces, whatever its length, and is never held; what has to be held has a limit that is told.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import { encodeReadyForQuery } from '../../../../wire/postgres/index.ts';
import { encodeMessage } from '../../../../wire/postgres/writer.ts';
import { type FakeGate, startFakeGate } from '../testing/fake-gate.ts';
import { done, errorOf, type FakeSession, type FakeTarget, header } from '../testing/fake-target.ts';
import { kinds } from '../testing/harness.ts';
import { parse, query, sync } from '../testing/messages.ts';

vi.mock('../sql/index.ts', async (original) => ({
  ...(await original<object>()),
  ...(await import('../testing/stub-sql.ts')).stubSql,
}));

/** More than what is held of one message. */
const BYTES = 66 * 1024 * 1024;
const CHUNK = Buffer.alloc(1024 * 1024, 'x');
const HELD_BYTES_MAX = 8 * 1024 * 1024;

let fake: FakeTarget;
let gate: FakeGate['gate'];
let close: () => Promise<void>;
let answer: (session: FakeSession, message: string) => void;

beforeEach(async () => {
  answer = ({ socket }) => void socket.write(done());
  ({ fake, gate, close } = await startFakeGate({ answer: (session, message) => answer(session, message) }));
});
afterEach(() => close());

/** Writes a message of that many bytes behind its header, no faster than it is taken, with `last` behind it. */
function sendLong(socket: FakeSession['socket'], head: Buffer, last: Buffer): void {
  let rest = BYTES;
  socket.write(head);
  const more = () => {
    for (; rest > 0; rest -= CHUNK.length) {
      if (socket.writableLength > 4 * CHUNK.length) return void socket.once('drain', more);
      socket.write(CHUNK);
    }
    socket.write(last);
  };
  more();
}

/** The most that the gateway holds while that is going on. */
async function held<T>(act: (look: () => void) => Promise<T>): Promise<number> {
  let most = 0;
  await act(() => {
    most = Math.max(most, gate.heldBytes());
  });
  return most;
}

describe('a long row', () => {
  /** One column of that length. */
  const row = Buffer.concat([header('D', BYTES + 10), Buffer.from([0, 1]), Buffer.alloc(4)]);
  row.writeInt32BE(BYTES, 7);

  test('passes in pieces, is counted as one row, and what follows is read as ever', async () => {
    answer = ({ socket }, message) => {
      if (message === 'Q:select 1') socket.write(done());
      else sendLong(socket, row, done('SELECT 1'));
    };
    const client = await openRawClient(gate.port);
    const most = await held(async (look) => {
      client.socket.on('data', look);
      client.send(query('select blob from files'));
      expect((await client.ready()).slice(1)).toEqual(['C:SELECT 1', 'Z:I']);
    });
    expect(most).toBeLessThan(HELD_BYTES_MAX);
    const [outcome] = kinds(gate.ledger.events, 'outcome');
    expect(outcome?.detail).toMatchObject({ items: 1, bytesOut: BYTES + 11, status: 'done' });
    client.send(query('select 1'));
    expect(await client.ready()).toEqual(['C:SELECT 0', 'Z:I']);
    client.close();
  });

  test('over the limit of rows is dropped whole', async () => {
    answer = ({ socket }) => sendLong(socket, row, done('SELECT 1'));
    const client = await openRawClient(gate.port);
    client.send(query('/*limit 0*/ select blob from files'));
    expect(await client.ready()).toEqual([expect.stringMatching(/^E:54000/), 'Z:I']);
    client.close();
  });

  test('that is cut short by the end of the session has nothing behind it: no error is taken for its content', async () => {
    answer = ({ socket }) => void socket.write(Buffer.concat([row, CHUNK]));
    const client = await openRawClient(gate.port);
    const before = client.received().length;
    client.send(query('select blob from files'));
    await expect.poll(() => client.received().length - before).toBe(CHUNK.length + row.length);
    gate.end();
    await client.end();
    expect(client.received().length - before).toBe(CHUNK.length + row.length);
  });
});

describe('COPY data in one long message', () => {
  test('comes out in pieces', async () => {
    const begin = encodeMessage('H', Buffer.from([0, 0, 0]));
    answer = ({ socket }) =>
      sendLong(
        socket,
        Buffer.concat([begin, header('d', BYTES + 4)]),
        Buffer.concat([encodeMessage('c'), done('COPY 1')]),
      );
    const client = await openRawClient(gate.port);
    const most = await held(async (look) => {
      client.socket.on('data', look);
      client.send(query('copy files to stdout'));
      expect((await client.ready()).slice(-2)).toEqual(['C:COPY 1', 'Z:I']);
    });
    expect(most).toBeLessThan(HELD_BYTES_MAX);
    client.close();
  });

  test('goes in in pieces, also behind an error that ends the COPY meanwhile', async () => {
    const failed = errorOf('22P02');
    for (const fails of [false, true]) {
      answer = ({ socket }, message) => {
        if (message.startsWith('Q:copy')) socket.write(encodeMessage('G', Buffer.from([0, 0, 0])));
        if (message.startsWith('Q:copy') && fails) socket.write(Buffer.concat([failed, encodeReadyForQuery('I')]));
        if (message === 'c' && !fails) socket.write(done('COPY 1'));
        if (message === 'Q:select 1') socket.write(done());
      };
      const client = await openRawClient(gate.port);
      client.send(query('copy files from stdin'));
      await client.until('G');
      const most = await held(async (look) => {
        sendLong(client.socket, header('d', BYTES + 4), Buffer.concat([encodeMessage('c'), query('select 1')]));
        fake.sessions.at(-1)?.socket.on('data', look);
        expect((await client.ready()).at(-2)).toMatch(fails ? /^E:22P02/ : /^C:COPY 1/);
        expect(await client.ready()).toEqual(['C:SELECT 0', 'Z:I']);
      });
      expect(most).toBeLessThan(HELD_BYTES_MAX);
      client.close();
    }
  });
});

describe('bound values that are longer than what is held', () => {
  test('are refused by an error of their own, and the connection stays', async () => {
    answer = ({ socket }, message) => {
      const isFirst = fake.sessions.at(-1)?.messages.length === 1;
      if (message === 'P') socket.write(isFirst ? header('1', 4) : refused);
      if (message === 'S') socket.write(encodeReadyForQuery('I'));
    };
    const refused = errorOf();
    const client = await openRawClient(gate.port);
    client.send(parse('insert into files values ($1)'));
    sendLong(client.socket, header('B', BYTES + 4), sync());
    expect(await client.ready()).toEqual([
      '1',
      expect.stringMatching(/^E:54000:the values of one message have at most 67108864 bytes/),
      'Z:I',
    ]);
    client.close();
  });
});
