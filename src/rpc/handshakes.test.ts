import { connect as connectSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Health } from '@countersign/sdk/contract';
import { afterEach, expect, it } from 'vitest';
import { createSilentLog, type Log } from '../std/index.ts';
import { type Started, start } from './testing/start.ts';

// Goal: who begins handshakes and does not go on with them keeps nobody out: not from elsewhere, and not from the same address.

let started: Started | undefined;
const cleanUp: (() => void)[] = [];
afterEach(async () => {
  for (const act of cleanUp.splice(0)) act();
  await started?.stop();
  started = undefined;
});

/** A server that lets so many handshakes of one address be under way; `crowded` is whom it said that of, as far as it logs them. */
async function begin(handshakesPerSourceMax: number) {
  const crowded: unknown[] = [];
  const log: Log = {
    ...createSilentLog(),
    warn: (event, fields) => void (event === 'rpc.handshakes.crowded' && crowded.push(fields?.['source'])),
  };
  const test = await start('tls', { log, limits: { handshakesPerSourceMax } });
  started = test;
  if ('unix' in test.connect) throw new Error('this is about TLS');
  const { host, port } = test.connect;
  /** A connection over which nothing is said. */
  const knock = async (localAddress = '127.0.0.1') => {
    const socket = connectSocket({ host, port, localAddress });
    cleanUp.push(() => socket.destroy());
    let over = false;
    socket
      .on('error', () => {})
      .on('close', () => {
        over = true;
      });
    socket.resume();
    await new Promise((resolve) => socket.once('connect', resolve));
    return Object.assign(socket, { isOver: () => over });
  };
  const ask = () => test.client().unary(Health.method.check, {}, { signal: new AbortController().signal });
  return { ...test, crowded, host, port, knock, ask };
}

it('the oldest handshake of an address makes room for its newest', async () => {
  const { knock, ask, crowded } = await begin(2);
  const [oldest, older] = [await knock(), await knock()];
  expect((await ask()).status).toBe(1);
  await expect.poll(oldest.isOver).toBe(true);
  expect(older.isOver()).toBe(false);
  expect(crowded).toEqual(['127.0.0.1']);
});

it('one address takes no room from another', async () => {
  const { knock, crowded } = await begin(1);
  const one = await knock('127.0.0.2');
  const first = await knock('127.0.0.3');
  await knock('127.0.0.3');
  await expect.poll(first.isOver).toBe(true);
  expect(one.isOver()).toBe(false);
  expect(crowded).toEqual(['127.0.0.3']);
});

it('a handshake that is done takes none', async () => {
  const { knock, ask, host, port, crowded } = await begin(1);
  const secured = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  cleanUp.push(() => secured.destroy());
  // Its first word in HTTP/2: to the server the handshake is done later than to the client.
  await new Promise((resolve, reject) => secured.once('data', resolve).once('error', reject));
  expect((await ask()).status).toBe(1);
  await knock();
  expect(crowded).toEqual([]);
  expect(secured.destroyed).toBe(false);
});

it('nor does one that was given up', async () => {
  const { knock, client, crowded } = await begin(1);
  const one = client();
  const options = { signal: new AbortController().signal };
  await one.unary(Health.method.check, {}, options);
  const given = await knock();
  given.end(); // The server's end tells that it has seen it go.
  await expect.poll(given.isOver).toBe(true);
  await knock();
  expect((await one.unary(Health.method.check, {}, options)).status).toBe(1);
  expect(crowded).toEqual([]);
});

it('a crowd that knocks and stays silent is held to its share, and those behind it are served', async () => {
  const { knock, ask } = await begin(20);
  const silent = await Promise.all(Array.from({ length: 200 }, () => knock()));
  const answers = await Promise.all(Array.from({ length: 10 }, ask));
  expect(answers.map(({ status }) => status)).toEqual(new Array(10).fill(1));
  await expect.poll(() => silent.filter((socket) => !socket.isOver()).length).toBeLessThanOrEqual(20);
});
