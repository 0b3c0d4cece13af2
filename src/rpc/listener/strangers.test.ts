import { connect as connectSocket } from 'node:net';
import { Health } from '@countersign/sdk/contract';
import { afterEach, expect, it } from 'vitest';
import { createSilentLog, type Log } from '../../std/index.ts';
import { type Started, start } from '../testing/start.ts';

// Goal: who connects and does not say who he is keeps nobody out: not from elsewhere, and not from the same address.

let started: Started | undefined;
const cleanUp: (() => void)[] = [];
afterEach(async () => {
  for (const act of cleanUp.splice(0)) act();
  await started?.stop();
  started = undefined;
});

/** A server that lets so many strangers of one address connect, and vouches for who calls it as `knows` says; `crowded` is whom it said that of, as far as it logs them. */
async function begin(
  strangersPerSourceMax: number,
  options: { knows?: () => boolean; strangersMax?: number; answers?: boolean } = {},
) {
  const crowded: unknown[] = [];
  const unanswered: string[] = [];
  const log: Log = {
    ...createSilentLog(),
    warn: (event, fields) => void (event === 'rpc.strangers.crowded' && crowded.push(fields?.['source'])),
  };
  const { knows = () => true, strangersMax = 1000, answers = true } = options;
  const test = await start('tls', {
    log,
    limits: { strangersPerSourceMax, strangersMax, strangerStreamsMax: 20 },
    async interceptor(context, next) {
      if (knows()) context.vouch();
      if (answers) return await next();
      unanswered.push(context.method);
      await new Promise(() => {});
    },
  });
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
  return { ...test, crowded, unanswered, host, port, knock, ask };
}

it('the oldest stranger of an address makes room for its newest', async () => {
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

it('when all together are too many, the address that has most makes room', async () => {
  const { knock, crowded } = await begin(3, { strangersMax: 3 });
  const first = await knock('127.0.0.3');
  await knock('127.0.0.2');
  await knock('127.0.0.3');
  await knock('127.0.0.4');
  await expect.poll(first.isOver).toBe(true);
  await expect.poll(() => crowded).toEqual(['127.0.0.3']);
});

it.each([
  ['a known one takes none', true],
  ['one whose handshake is done, and who has called, takes room as long as nobody knows who it is', false],
])('%s', async (_name, known) => {
  const { knock, client, crowded } = await begin(1, { knows: () => known });
  const one = client();
  const options = { signal: new AbortController().signal };
  await one.unary(Health.method.check, {}, options);
  await knock();
  await expect.poll(() => crowded.length).toBe(known ? 0 : 1);
  if (known) expect((await one.unary(Health.method.check, {}, options)).status).toBe(1);
});

it('a stranger may have few calls at a time, a known one as many as anybody', async () => {
  let known = false;
  const test = await begin(10, { knows: () => known });
  const signal = AbortSignal.timeout(30_000);
  const crowd = (client: ReturnType<typeof test.client>) => {
    for (let n = 0; n < 60; n++)
      void client.unary(Health.method.check, { service: 'forever' }, { signal }).catch(() => {});
  };
  const stranger = test.client();
  await stranger.unary(Health.method.check, {}, { signal });
  crowd(stranger);
  await expect.poll(() => test.seen.contexts.length).toBe(1 + 20);
  known = true;
  const friend = test.client();
  await friend.unary(Health.method.check, {}, { signal });
  crowd(friend);
  await expect.poll(() => test.seen.contexts.length).toBe(1 + 20 + 1 + 60);
});

it('a stranger who calls and calls is cut off, and another is not', async () => {
  const { client, seen } = await begin(10, { knows: () => false });
  const callsMax = 200;
  const options = { signal: new AbortController().signal };
  const one = client();
  for (let n = 0; n < callsMax; n++) await one.unary(Health.method.check, {}, options);
  await expect(one.unary(Health.method.check, {}, options)).rejects.toThrow();
  expect(seen.contexts).toHaveLength(callsMax);
  expect((await client().unary(Health.method.check, {}, options)).status).toBe(1);
});

it('one that stays a stranger is told to go after a while', async () => {
  const { client, clock, seen, server } = await begin(10, { knows: () => false });
  const one = client();
  const options = { signal: new AbortController().signal };
  await one.unary(Health.method.check, {}, options);
  const waiting = one.unary(Health.method.check, { service: 'forever' }, options).catch((error: unknown) => error);
  await expect.poll(() => seen.contexts.length).toBe(2);
  await clock.advance(2 * 60_000 + 11_000);
  expect(await waiting).toMatchObject({ message: expect.stringContaining('reached its age') });
  expect(server.address()).toBeDefined();
});

it.each([
  ['two seconds for a stranger', false, 2_000],
  ['its whole grace for others', true, 10_000],
])('a stop waits %s', async (_name, known, waitsMs) => {
  const { client, clock, server, unanswered } = await begin(10, { knows: () => known, answers: false });
  const options = { signal: new AbortController().signal };
  const call = client().unary(Health.method.check, {}, options);
  const problem = call.catch((error: unknown) => error);
  await expect.poll(() => unanswered.length).toBe(1);
  let over = false;
  void problem.then(() => (over = true));
  const stop = server.stop();
  await clock.advance(waitsMs - 100);
  expect(over).toBe(false);
  await clock.advance(300);
  expect(await problem).toMatchObject({ message: 'the server is stopping' });
  await clock.advance(1_000);
  await stop;
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

it('one that ends its side in the middle of a handshake is let go at once', async () => {
  started = await start('tls', { limits: { handshakeTimeoutMs: 3_600_000 } });
  if ('unix' in started.connect) throw new Error('this is about TLS');
  const { host, port } = started.connect;
  const socket = connectSocket({ host, port, allowHalfOpen: true });
  cleanUp.push(() => socket.destroy());
  const over = new Promise((resolve) => socket.on('error', resolve).on('end', resolve).resume());
  socket.end(Buffer.from('16030100c8010000c40303', 'hex'));
  await over;
});

it('a crowd that knocks and stays silent is held to its share, and those behind it are served', async () => {
  const { knock, ask } = await begin(20);
  const silent = await Promise.all(Array.from({ length: 200 }, () => knock()));
  const answers = await Promise.all(Array.from({ length: 10 }, ask));
  expect(answers.map(({ status }) => status)).toEqual(new Array(10).fill(1));
  await expect.poll(() => silent.filter((socket) => !socket.isOver()).length).toBeLessThanOrEqual(20);
});
