// Goal: the target is told to cancel what its own connection does, and nothing else: once that is over, process and key may be another one's.
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { createManualClock, createSystemRandom, type ManualClock, Secret } from '../../../../std/index.ts';
import { encodeCancelRequest, encodeSslRequest } from '../../../../wire/postgres/index.ts';
import { parseConfig } from '../config.ts';
import { MemoryStream } from '../testing/memory-streams.ts';
import { cancelUpstream } from './upstream.ts';

const KEY = Buffer.alloc(32, 7);
let clock: ManualClock;
let port: number;
/** What came over each connection. */
let came: Buffer[];
let connected: Socket[];
let connects: () => void;
let upstream: MemoryStream;
const server = createServer((socket) => {
  connects();
  connected.push(socket);
  const place = came.push(Buffer.alloc(0)) - 1;
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      came[place] = Buffer.concat([came[place] ?? chunk, chunk]);
    });
});

beforeEach(async () => {
  clock = createManualClock(0);
  [came, connected, connects, upstream] = [[], [], () => {}, new MemoryStream()];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterEach(async () => {
  for (const socket of connected) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function cancel(sslMode: string, signal = new AbortController().signal): Promise<void> {
  const config = parseConfig({ host: '127.0.0.1', port, database: 'app', user: 'app', sslMode });
  const secrets = { resolve: async () => Secret.fromText('') };
  return cancelUpstream(
    { config, secrets, clock, random: createSystemRandom(), attempted() {} },
    { socket: upstream as unknown as Socket, processId: 5, cancelKey: KEY }, // It has all that is used of a socket.
    signal,
  );
}

test('a connection that is there has what it does cancelled', async () => {
  const cancelled = cancel('disable');
  await eventually('it came', () => (came[0]?.length ?? 0) > 0);
  expect(came).toEqual([encodeCancelRequest(5, KEY)]);
  connected[0]?.destroy();
  await cancelled;
});

test.each<readonly [string, () => void]>([
  ['was ended here', () => upstream.end()],
  ['is gone', () => upstream.destroy()],
])('nothing is told of a connection that %s while the way to the target is opened', async (_, end) => {
  connects = end;
  const cancelled = cancel('disable');
  await cancelled;
  await eventually('it is closed', () => connected[0]?.readableEnded === true);
  expect(Buffer.concat(came).length).toBe(0);
});

test.each(['disable', 'require'])('a target that does not answer keeps no socket, with sslMode %s', async (sslMode) => {
  const end = new AbortController();
  const cancelled = cancel(sslMode, end.signal);
  cancelled.catch(() => {}); // Looked at below.
  await eventually('it came', () => (came[0]?.length ?? 0) > 0);
  expect(came[0]).toEqual(sslMode === 'disable' ? encodeCancelRequest(5, KEY) : encodeSslRequest());
  end.abort();
  await expect(cancelled).rejects.toThrow();
  await eventually('it is closed', () => connected[0]?.readableEnded === true);
  expect(clock.pending()).toBe(0);
});
