import { readdirSync, readlinkSync } from 'node:fs';
import { connect } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { queryObjects } from 'node:v8';
import { create, toBinary } from '@bufbuild/protobuf';
import { Health } from '@countersign/sdk/contract';
import { HealthCheckRequestSchema } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { encodeFrame } from '../../wire/grpc/index.ts';
import { createRpcClient, pathOf } from '../index.ts';
import { temporaryFolder } from '../testing/fixtures.ts';
import {
  callBlock,
  connectRaw,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  PREFACE,
  type RawClient,
  uint32,
} from '../testing/raw-frames.ts';
import { type Started, start } from '../testing/start.ts';

// Goal: however an HTTP/2 session ends, and whoever ends it, its socket is given back, and nothing that waits for its end waits for ever.

let started: Started | undefined;
afterEach(async () => {
  await started?.stop();
  started = undefined;
});

const check = pathOf(Health.method.check);
const call = (stream: number, flags = END_STREAM) =>
  frame(FRAME.headers, END_HEADERS | flags, stream, callBlock(check));
const foreverRequest = encodeFrame(
  toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service: 'forever' })),
);
const many = (count: number, one: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => one(n)));
const ping = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
/** A header block of 3,000 fields that were sent before: a byte each. */
const heavyBlock = Buffer.concat([callBlock(check), Buffer.alloc(3000, 0x90)]);
const heavyHeaders = many(110, (n) => frame(FRAME.headers, END_HEADERS, 1 + 2 * n, heavyBlock));

/** Sockets that this process has open. */
function socketsOpen(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // Closed since it was listed.
    }
  }).length;
}

/** Sessions that this process holds in memory, of servers and of clients, once its garbage is collected: a look costs a tenth of a second. */
const sessionsKept = () => queryObjects(SESSION, { format: 'count' });
/** The class of both, which nothing exports. */
const SESSION = (() => {
  const session = connect('http://localhost', { createConnection: () => new PassThrough() }).on('error', () => {});
  session.destroy();
  return Object.getPrototypeOf(session.constructor) as new () => object;
})();
/** What the last test left. */
let keptBefore = sessionsKept();

async function expectNoSession(): Promise<void> {
  const allowed = keptBefore;
  await eventually('no session is left', () => {
    keptBefore = sessionsKept();
    return keptBefore <= allowed;
  });
}

/** All that peers do to end a session; some go, others stay and do not even read. */
const ways: readonly (readonly [
  string,
  { reads?: boolean; opening?: Buffer },
  (client: RawClient) => Promise<unknown>,
])[] = [
  ['is gone at once', {}, async ({ socket }) => socket.destroy()],
  ['ends its half', {}, async ({ socket }) => socket.end()],
  ['ends its half behind a call, and does not read', { reads: false }, async ({ socket }) => socket.end(call(1))],
  ['sends GOAWAY', {}, (client) => client.send(frame(FRAME.goaway, 0, 0, Buffer.alloc(8)))],
  ['sends GOAWAY with an error', {}, (client) => client.send(frame(FRAME.goaway, 0, 0, Buffer.alloc(8, 1)))],
  ['breaks the protocol', {}, (client) => client.send(frame(FRAME.windowUpdate, 0, 0, uint32(0)))],
  ['speaks something else', { opening: Buffer.alloc(300, 0x16) }, async () => {}],
  [
    'breaks it and does not read',
    { reads: false },
    (client) => client.send(frame(FRAME.settings, 0, 0, Buffer.alloc(3))),
  ],
  ['sends a frame that is too large', {}, (client) => client.send(frame(FRAME.data, 0, 1, Buffer.alloc(100_000)))],
  ['never calls', { reads: false }, async () => {}],
  ['sends heavy headers', {}, (client) => client.send(heavyHeaders)],
  ['sends heavy headers and does not read', { reads: false }, async ({ socket }) => void socket.write(heavyHeaders)],
  [
    'sends heavy headers and is gone before they are read',
    {},
    ({ socket }) => new Promise<void>((resolve) => socket.write(heavyHeaders, () => resolve(void socket.destroy()))),
  ],
  [
    'sends more pings than it reads answers',
    { reads: false },
    async ({ socket }) => void socket.write(many(100_000, () => ping)),
  ],
];

describe.each(['unix', 'tls'] as const)('over %s, the server keeps nothing of a client that', (transport) => {
  it.each(ways)('%s', async (_name, options, act) => {
    const test = await start(transport);
    started = test;
    const before = socketsOpen();
    const to = 'unix' in test.connect ? test.connect.unix : test.connect;
    const clients = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const client = connectRaw(to, options);
        await client.send(options.opening ?? PREFACE);
        await act(client);
        return client;
      }),
    );
    // The clients that are still there have a socket each.
    const left = async () => {
      await test.clock.advance(1000);
      return socketsOpen() - before - clients.filter(({ socket }) => !socket.closed).length;
    };
    await eventually('nothing is left', async () => (await left()) <= 0, { everyMs: 1 });
    for (const client of clients) client.socket.destroy();
    await expectNoSession();
  });

  it('is there when the server stops, however little it reads', async () => {
    const test = await start(transport, { limits: { graceMs: 1000 } });
    const to = 'unix' in test.connect ? test.connect.unix : test.connect;
    const client = connectRaw(to, { reads: false });
    await client.send(Buffer.concat([PREFACE, call(1, 0), frame(FRAME.data, END_STREAM, 1, foreverRequest)]));
    await eventually('its call is there', () => test.seen.contexts.length === 1);
    client.socket.write(many(100_000, () => ping));
    let stopped = false;
    const stopping = test.stop().then(() => {
      stopped = true;
    });
    await eventually('the server has stopped', () => stopped);
    await stopping;
    client.socket.destroy();
  });
});

describe('a client keeps nothing of a server that', () => {
  it.each([
    ['breaks the protocol', frame(FRAME.windowUpdate, 0, 0, uint32(0))],
    ['sends GOAWAY with an error', frame(FRAME.goaway, 0, 0, Buffer.alloc(8, 1))],
    ['answers with heavy headers', many(2000, () => frame(FRAME.headers, END_HEADERS, 1, heavyBlock))],
    ['ends its half', undefined],
  ])('%s, and reads nothing', async (_name, bytes) => {
    const folder = temporaryFolder();
    const path = `${folder.path}/hostile.sock`;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      if (bytes === undefined) socket.end();
      else socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), bytes]));
      sockets.add(socket.once('close', () => sockets.delete(socket)));
    });
    const sockets = new Set<Socket>();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const before = socketsOpen();
    const clock = createManualClock(0);
    const client = createRpcClient({ clock, log: createSilentLog(), connect: { unix: path } });
    for (let n = 0; n < 5; n++) {
      const signal = new AbortController().signal;
      let over = false;
      const asked = client.unary(Health.method.check, {}, { signal, timeoutMs: 20_000 }).catch(() => {});
      void asked.then(() => {
        over = true;
      });
      const isOver = async () => {
        await clock.advance(1000);
        return over;
      };
      await eventually('the call is over', isOver, { everyMs: 1 });
    }
    const left = async () => {
      await clock.advance(1000);
      return socketsOpen() - before - sockets.size;
    };
    await eventually('one at most is left', async () => (await left()) <= 1, { everyMs: 1 });
    await client.close();
    await eventually('nothing is left', async () => (await left()) <= 0, { everyMs: 1 });
    await expectNoSession();
    for (const socket of sockets) socket.destroy();
    server.close();
    folder.remove();
  });
});
