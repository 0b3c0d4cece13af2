import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createHall } from './open-door.ts';
import type { Caller } from './prove-callers.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).toReversed()) step();
});

/** A hall behind a port, and an agent's socket; `answer` serves there. */
async function setUp(answer: (socket: net.Socket) => void, options: { caller?: Caller; connectionsMax?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'hall-'));
  const socket = join(folder, 's');
  const atAgent: net.Socket[] = [];
  const agent = net.createServer({ allowHalfOpen: true }, (one) => {
    atAgent.push(one);
    one.on('error', () => {});
    answer(one);
  });
  agent.listen(socket);
  await once(agent, 'listening');
  const told: string[] = [];
  const looks: number[] = [];
  const hall = createHall({
    socket,
    tell: (kind, line) => told.push(`${kind}: ${line}`),
    prove(origins) {
      looks.push(origins.length);
      return origins.map(() => options.caller ?? { kind: 'own' });
    },
    ...(options.connectionsMax !== undefined && { connectionsMax: options.connectionsMax }),
  });
  const door = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, hall.enter).listen(0, '127.0.0.1');
  await once(door, 'listening');
  undo.push(() => {
    hall.cut();
    for (const one of atAgent) one.destroy();
    for (const server of [agent, door]) server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const connect = () => {
    const { port } = door.address() as net.AddressInfo; // It listens to a port.
    const client = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    client.on('error', () => {});
    undo.push(() => client.destroy());
    return client;
  };
  return { agent, atAgent, connect, hall, looks, socket, told };
}

async function readAll(socket: net.Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}
/** Writes as much as is taken; tells how much that was. */
function pump(socket: net.Socket): () => number {
  let sent = 0;
  const block = Buffer.alloc(64 * 1024);
  const more = () => {
    do sent += block.length;
    while (socket.write(block));
  };
  socket.on('drain', more);
  more();
  return () => sent;
}

/** Resolves once a number is above zero and no longer changes. */
async function stands(what: string, look: () => number): Promise<void> {
  let last = 0;
  const isSame = () => {
    const before = last;
    last = look();
    return last > 0 && last === before;
  };
  await eventually(`${what} stays as it is`, isSame, { everyMs: 200 });
}
const echo = (socket: net.Socket) => void socket.pipe(socket);
/** What the end of a client is called. */
const endOf = (client: net.Socket) =>
  new Promise<string>((resolve) => {
    client.once('end', () => resolve('end'));
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    client.resume();
  });

describe('a connection of one who is let in', () => {
  it('carries bytes both ways, and the end of each by itself', async () => {
    const { connect, hall } = await setUp((one) => {
      void readAll(one).then((text) => one.end(`got ${text.length}`)); // Answers behind the end of what it was asked.
    });
    const client = connect();
    client.end('x'.repeat(300_000));
    expect(await readAll(client)).toBe('got 300000');
    await hall.emptied();
  });

  it('goes on to the agent when the agent has said all that it will', async () => {
    const heard = Promise.withResolvers<string>();
    const { connect, hall } = await setUp((one) => {
      one.end('bye');
      void readAll(one).then(heard.resolve);
    });
    const client = connect();
    expect(await readAll(client)).toBe('bye');
    client.end('still here');
    expect(await heard.promise).toBe('still here');
    await hall.emptied();
  });

  it('is reset, and not ended, where the agent breaks it off', async () => {
    const { atAgent, connect, hall } = await setUp((one) => one.once('data', () => one.pause()));
    const client = connect();
    await stands('what was sent', pump(client));
    atAgent[0]?.destroy(); // What was not read yet makes a broken connection of it.
    expect(await endOf(client)).toMatch('ECONNRESET');
    await hall.emptied();
  });

  it('ends at the agent where the client breaks it off', async () => {
    const { atAgent, connect, hall } = await setUp(echo);
    const client = connect();
    client.write('hello');
    await once(client, 'data');
    client.resetAndDestroy();
    await hall.emptied();
    await eventually('the agent hears of it', () => atAgent[0]?.destroyed);
  });

  it('what a client said before it broke comes to the agent', async () => {
    const heard = Promise.withResolvers<string>();
    const { connect } = await setUp((one) => void readAll(one).then(heard.resolve, heard.reject));
    const client = connect();
    client.end('last words', () => client.destroy());
    expect(await heard.promise).toBe('last words');
  });

  it('holds no more than its buffers while nobody reads', async () => {
    let sent = () => 0;
    const { connect } = await setUp((one) => {
      sent = pump(one);
    });
    const client = connect();
    client.pause();
    await stands('what was sent', () => sent());
    const held = sent();
    // Buffers of three sockets in the kernel are what there is.
    expect(held).toBeLessThan(32 * 1024 * 1024);
    client.resume();
    await eventually('it goes on', () => sent() > held);
  });

  it('is reset, and a person told, where nobody answers at the socket', async () => {
    const { agent, connect, hall, socket, told } = await setUp(echo);
    agent.close();
    await once(agent, 'close');
    expect(await endOf(connect())).toBe('ECONNRESET');
    expect(told).toEqual([`agent: nobody answers at ${socket} (ENOENT); is an agent running on this machine?`]);
    await hall.emptied();
  });
});

describe('a connection of one who is not', () => {
  it.each([
    [{ kind: 'user', uid: 33 }, 'by another user (uid 33)'],
    [{ kind: 'stranger' }, 'by a process that the command did not start'],
    [{ kind: 'gone' }, 'a client keeps its connection until it has its answer'],
    [{ kind: 'unseen', problem: 'EACCES' }, 'can not be told whose it is (EACCES); give the client the socket'],
  ] satisfies [Caller, string][])('is reset before anything is read, and told: %j', async (caller, words) => {
    const { atAgent, connect, hall, told } = await setUp(echo, { caller });
    const client = connect();
    client.write('hello');
    expect(await endOf(client)).toBe('ECONNRESET');
    expect(told).toEqual([expect.stringContaining(words)]);
    expect(told[0]).toMatch(new RegExp(`^${caller.kind}: refused a connection to 127.0.0.1:\\d+`));
    expect(atAgent).toEqual([]);
    await hall.emptied();
  });
});

describe('many connections', () => {
  it('200 at once are carried, with far fewer looks', async () => {
    const { connect, hall, looks } = await setUp(echo);
    const answers = Array.from({ length: 200 }, async (_, index) => {
      const client = connect();
      client.end(`number ${index}`);
      return readAll(client);
    });
    expect(await Promise.all(answers)).toEqual(answers.map((_, index) => `number ${index}`));
    expect(looks.reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(looks.length).toBeLessThan(100);
    await hall.emptied();
  });

  it('past the bound they are reset, and places are given back', async () => {
    const { connect, told } = await setUp(echo, { connectionsMax: 2 });
    const clients = [connect(), connect()];
    for (const client of clients) {
      client.write('hello');
      await once(client, 'data');
    }
    expect(await endOf(connect())).toBe('ECONNRESET');
    expect(told).toEqual([expect.stringMatching(/^busy: 2 connections are open at once/)]);
    clients[0]?.destroy();
    await eventually('there is room', async () => {
      const client = connect();
      client.end('again');
      return (await readAll(client)) === 'again';
    });
  });

  it('are cut at the end, those that go on', async () => {
    const { connect, hall } = await setUp(echo);
    const client = connect();
    client.write('hello');
    await once(client, 'data');
    const end = endOf(client);
    const empty = hall.emptied();
    hall.cut();
    expect(await end).toBe('ECONNRESET');
    await empty;
    expect(await endOf(connect())).toBe('ECONNRESET');
  });
});
