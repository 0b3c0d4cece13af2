import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createTurns } from '../../rpc/index.ts';
import { createManualClock } from '../../std/index.ts';
import { createSocketListeners, portOf } from './socket-listeners.ts';

// Goal: connections are counted from the first to the last byte, and nothing that goes wrong with one touches another.

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const act of cleanUp.splice(0)) act();
});

async function openDoor(limits: { connectionsMax: number; newcomersMax: number }) {
  const clock = createManualClock(0);
  const refused: string[] = [];
  const taken: { socket: Socket; known: () => void; over: (error?: Error) => void }[] = [];
  const listeners = createSocketListeners({
    ...{ ...limits, clock, turns: createTurns() },
    refused: (why, { reason }) => void refused.push(`${why}: ${reason}`),
  });
  const server = await listeners.open({ host: '127.0.0.1', port: 0 }, (socket, known) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    taken.push({ socket, known, over: (error) => (error === undefined ? resolve() : reject(error)) });
    return promise;
  });
  cleanUp.push(() => server.close());
  const knock = async (localAddress = '127.0.0.1') => {
    const socket = connect({ port: portOf(server), host: '127.0.0.1', localAddress, allowHalfOpen: true });
    cleanUp.push(() => socket.destroy());
    socket.on('error', () => {}).resume();
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  };
  return { clock, refused, taken, server, knock, end: () => listeners.end() };
}

test('beyond the limit of connections new ones are closed, and a place that is free again is given', async () => {
  const { refused, taken, knock } = await openDoor({ connectionsMax: 2, newcomersMax: 10 });
  const first = await knock();
  await knock();
  const third = await knock();
  await new Promise((resolve) => third.once('end', resolve).once('close', resolve));
  expect(refused).toEqual(['crowded: there are as many connections as there may be']);
  first.destroy();
  taken[0]?.socket.destroy();
  await new Promise((resolve) => taken[0]?.socket.once('close', resolve));
  await knock();
  await expect.poll(() => taken.length).toBe(3);
});

test('who waits longest to be known makes room; who is known stays', async () => {
  const { refused, taken, knock } = await openDoor({ connectionsMax: 10, newcomersMax: 2 });
  const known = await knock();
  await expect.poll(() => taken.length).toBe(1);
  taken[0]?.known();
  const slow = await knock();
  await knock();
  await knock();
  await new Promise((resolve) => slow.once('end', resolve).once('close', resolve));
  taken[1]?.over(new Error('the connection was closed'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(refused).toEqual(['crowded: others came and it had not said who it is']);
  expect(known.destroyed).toBe(false);
});

test('room is made by the address that has most, not by the one that was first', async () => {
  const { taken, knock } = await openDoor({ connectionsMax: 10, newcomersMax: 3 });
  const other = await knock('127.0.0.1');
  const first = await knock('127.0.0.2');
  await knock('127.0.0.2');
  await expect.poll(() => taken.length).toBe(3);
  await knock('127.0.0.3');
  await new Promise((resolve) => first.once('end', resolve).once('close', resolve));
  expect(other.readableEnded).toBe(false);
});

test('one that could not be accepted ends neither the door nor the process', async () => {
  const { refused, taken, server, knock } = await openDoor({ connectionsMax: 2, newcomersMax: 2 });
  server.emit('error', new Error('accept EMFILE'));
  expect(refused).toEqual(['crowded: accept EMFILE']);
  await knock();
  await expect.poll(() => taken.length).toBe(1);
});

test('one that is not served any more and does not hang up is hung up on', async () => {
  const { clock, taken, knock } = await openDoor({ connectionsMax: 2, newcomersMax: 2 });
  await knock();
  await expect.poll(() => taken.length).toBe(1);
  const [one] = taken;
  one?.over();
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(4_999);
  expect(one?.socket.destroyed).toBe(false);
  await clock.advance(1);
  expect(one?.socket.destroyed).toBe(true);
  await expect.poll(() => clock.pending()).toBe(0);
});

test('those that are still there some time after the end are ended, whatever serves them', async () => {
  const { clock, taken, knock, end } = await openDoor({ connectionsMax: 2, newcomersMax: 2 });
  await knock();
  await expect.poll(() => taken.length).toBe(1);
  taken[0]?.known();
  end();
  await clock.advance(4_999);
  expect(taken[0]?.socket.destroyed).toBe(false);
  await clock.advance(1);
  expect(taken[0]?.socket.destroyed).toBe(true);
});
