import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { local } from '../../gateway/protocols/postgres/local.ts';
import { encodeStartup } from '../../wire/postgres/index.ts';
import { carry } from './carry.ts';

// Goal: a session that is asked to end does so behind an answer, and each request that was passed on is answered first, whole.

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const act of cleanUp.splice(0)) act();
});

const READY = 'Z\0\0\0\x05I';
const IN_TRANSACTION = 'Z\0\0\0\x05T';
const WORDS = 'E: 57P01';
const TERMINATE = 'X\0\0\0\x04';
const LOST = 'E: 08006';
const START = encodeStartup(0, [['user', 'web']]).toString('latin1');
const SYNC = 'S\0\0\0\x04';
const tag = (name: string) => `C\0\0\0${String.fromCharCode(name.length + 5)}${name}\0`;

/** One side as its peer has it: what it sends, and what it got. */
interface Side {
  readonly socket: Socket;
  readonly got: () => string;
  readonly ended: () => boolean;
}

/** A session that is carried between two real sockets. */
async function carried() {
  const [client, nearClient] = await pair({ path: join(temporaryFolder(), 'socket') });
  const [gateway, nearGateway] = await pair({ port: 0, host: '127.0.0.1' });
  const drain = new AbortController();
  let over = false;
  const done = carry(nearClient, nearGateway, {
    ...{ signal: drain.signal, session: local.follow() },
    ...{ words: () => Buffer.from(WORDS), lost: () => Buffer.from(LOST) },
  });
  void done.then(() => {
    over = true;
  });
  /** The client asks, and the gateway has it. */
  const ask = async (what: string) => {
    const before = gateway.got();
    client.socket.write(what, 'latin1');
    await expect.poll(gateway.got).toBe(before + what);
  };
  /** The gateway answers, and the client has it. */
  const answer = async (what: string) => {
    const before = client.got();
    gateway.socket.write(what, 'latin1');
    await expect.poll(client.got).toBe(before + what);
  };
  return { client, gateway, link: nearGateway, drain, ask, answer, over: () => over };
}

async function pair(where: { path: string } | { port: number; host: string }): Promise<[Side, Socket]> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, accepted.resolve);
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const at = server.address();
  const place = typeof at === 'object' && at !== null ? { port: at.port } : { path: at ?? '' };
  const socket = connect({ ...place, allowHalfOpen: true });
  const near = await accepted.promise;
  server.close();
  cleanUp.push(
    () => socket.destroy(),
    () => near.destroy(),
  );
  let got = '';
  let ended = false;
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    got += text;
  });
  socket.on('end', () => {
    ended = true;
  });
  for (const one of [socket, near]) one.on('error', () => {});
  return [{ socket, got: () => got, ended: () => ended }, near];
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'carry-'));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it('a side that is gone before it is carried ends the session', async () => {
  const [client, nearClient] = await pair({ path: join(temporaryFolder(), 'socket') });
  const [, nearGateway] = await pair({ port: 0, host: '127.0.0.1' });
  const closed = new Promise((resolve) => nearGateway.once('close', resolve));
  nearGateway.destroy();
  await closed;
  const farewell = {
    signal: new AbortController().signal,
    session: local.follow(),
    words: () => Buffer.from(WORDS),
    lost: () => Buffer.from(LOST),
  };
  await carry(nearClient, nearGateway, farewell);
  await expect.poll(client.ended).toBe(true);
});

describe('a session that is asked to end', () => {
  it('is ended at once when its client waits for nothing', async () => {
    const { client, gateway, drain, ask, answer, over } = await carried();
    await ask('S');
    await answer(READY);
    drain.abort();
    await expect.poll(gateway.ended).toBe(true);
    expect(client.ended()).toBe(false);
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    expect(client.got()).toBe(READY + WORDS);
    client.socket.destroy();
    await expect.poll(over).toBe(true);
  });

  it('gets the answers to all that was sent in one go, whichever of them the end was asked at', async () => {
    const { client, gateway, drain, ask, answer } = await carried();
    await ask(START);
    await answer(READY);
    await ask(SYNC + SYNC + SYNC);
    await answer(`${tag('one')}${READY}`);
    drain.abort();
    await answer(`${tag('two')}${READY}`);
    await answer(tag('three').slice(0, 6));
    expect([client.ended(), gateway.ended()]).toEqual([false, false]);
    await answer(`${tag('three').slice(6)}${READY}`);
    await expect.poll(gateway.ended).toBe(true);
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    const answers = ['one', 'two', 'three'].map((name) => `${tag(name)}${READY}`).join('');
    expect(client.got()).toBe(`${READY}${answers}${WORDS}`);
  });

  it('asked before the first of those answers, all the same', async () => {
    const { client, gateway, drain, ask, answer } = await carried();
    await ask(START);
    await answer(READY);
    await ask(SYNC + SYNC);
    drain.abort();
    await answer(READY);
    expect(gateway.ended()).toBe(false);
    await answer(READY);
    await expect.poll(gateway.ended).toBe(true);
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    expect(client.got()).toBe(`${READY}${READY}${READY}${WORDS}`);
  });

  it('passes a COPY on to its end', async () => {
    const { client, gateway, drain, ask, answer } = await carried();
    await ask('S');
    await answer(READY);
    await ask('COPY');
    drain.abort();
    await answer('G');
    await ask('row');
    await ask('row');
    await ask('done');
    expect(gateway.ended()).toBe(false);
    await answer(`COPY 2 ${READY}`);
    await expect.poll(gateway.ended).toBe(true);
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    expect(client.got()).toBe(`${READY}GCOPY 2 ${READY}${WORDS}`);
  });

  it('passes a transaction on to its end', async () => {
    const { client, gateway, drain, ask, answer } = await carried();
    await ask('BEGIN');
    await answer(IN_TRANSACTION);
    drain.abort();
    await ask('COMMIT');
    expect(gateway.ended()).toBe(false);
    await answer(READY);
    await expect.poll(gateway.ended).toBe(true);
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    expect(client.got()).toBe(IN_TRANSACTION + READY + WORDS);
  });

  it('passes nothing on of a client that does not stop', async () => {
    const { client, gateway, drain, ask, answer } = await carried();
    await ask('S1');
    drain.abort();
    await answer(READY);
    await expect.poll(gateway.ended).toBe(true);
    await new Promise((resolve) => client.socket.write('S2'.repeat(1_000_000), resolve));
    gateway.socket.end();
    await expect.poll(client.got).toBe(READY + WORDS);
    expect(gateway.got()).toBe('S1');
  });

  it('has no last words behind half an answer', async () => {
    const { client, gateway, drain, ask, answer, over } = await carried();
    await ask('S1 S2');
    drain.abort();
    await answer(READY);
    await expect.poll(gateway.ended).toBe(true);
    await answer('half');
    gateway.socket.resetAndDestroy();
    await expect.poll(over).toBe(true);
    expect(client.got()).toBe(`${READY}half`);
  });
});

describe('a session that is not', () => {
  it('passes the end of one side on while the other still speaks', async () => {
    const { client, gateway, answer, over } = await carried();
    client.socket.end('done');
    await expect.poll(gateway.ended).toBe(true);
    await answer('last words');
    gateway.socket.end();
    await expect.poll(client.ended).toBe(true);
    await expect.poll(over).toBe(true);
    expect(client.got()).toBe('last words');
  });

  it('lets a client go that only sends, once the gateway has said its last words and is gone', async () => {
    const { client, gateway, ask, over, link } = await carried();
    await ask('S');
    client.socket.pause(); // As one in the midst of COPY, which looks for no answer.
    let isOpen = true;
    client.socket.once('close', () => {
      isOpen = false;
    });
    const send = () => {
      while (isOpen && client.socket.write('d'.repeat(8_192)));
    };
    client.socket.on('drain', send);
    gateway.socket.end('E: 57P01');
    await expect.poll(() => link.readableEnded).toBe(true);
    send();
    gateway.socket.destroy();
    await expect.poll(() => isOpen).toBe(false);
    await expect.poll(over).toBe(true);
  });

  describe.each([
    ['breaks off', (socket: Socket) => void socket.resetAndDestroy()],
    ['ends it without a word', (socket: Socket) => void socket.end()],
  ])('when the gateway %s', (_, leave) => {
    it.each([
      ['between two requests', [READY], READY + LOST],
      ['in a transaction', [IN_TRANSACTION], IN_TRANSACTION + LOST],
      ['before it answers', [READY, 'S2'], READY + LOST],
      ['in the middle of an answer', [READY, 'S2', 'half'], `${READY}half`],
      ['before it greets', [], ''],
      ['because the client has said goodbye', [READY, TERMINATE], READY],
    ])('%s, the client is told as far as it can be', async (_name, steps, got) => {
      const { client, gateway, ask, answer, over } = await carried();
      await ask('S');
      for (const [at, step] of steps.entries()) await (at === 1 ? ask(step) : answer(step));
      leave(gateway.socket);
      await expect.poll(client.ended).toBe(true);
      expect(client.got()).toBe(got);
      client.socket.destroy();
      await expect.poll(over).toBe(true);
    });

    it('after the client has ended its side, nothing more is said', async () => {
      const { client, gateway, ask, answer } = await carried();
      await ask('S');
      await answer(READY);
      client.socket.end();
      await expect.poll(gateway.ended).toBe(true);
      leave(gateway.socket);
      await expect.poll(client.ended).toBe(true);
      expect(client.got()).toBe(READY);
    });
  });
});
