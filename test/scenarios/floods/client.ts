/**
 * A process that floods one door: `node client.ts '{"kind":…,"way":…}'`. It keeps so many connections busy, makes no more than so many in
 * all, and ends after its time; the line that it writes then says how many it made.
 */
import * as net from 'node:net';
import { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import {
  callBlock,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  PREFACE,
  uint32,
} from '../../../src/rpc/testing/raw-frames.ts';
import type { FloodKind, FloodOrder } from './kinds.ts';

const CHECK = '/grpc.health.v1.Health/Check';
const many = (count: number, one: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => one(n)));
const headers = (stream: number, block: Buffer, flags = END_HEADERS | END_STREAM) =>
  frame(FRAME.headers, flags, stream, block);
/** 3,000 fields of one byte each: all in the table already. */
const heavy = Buffer.concat([callBlock(CHECK), Buffer.alloc(3000, 0x90)]);
/** A field of 3,900 bytes that is put into the table, then taken from it 2,000 times. */
const bomb = Buffer.concat([
  callBlock(CHECK),
  Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]),
  Buffer.alloc(3900, 0x61),
  Buffer.alloc(2000, 0xbe),
]);
const request = Buffer.alloc(5);

/** What is sent in the given round; undefined: nothing more. */
const frames: Readonly<Record<string, (round: number) => Buffer | undefined>> = {
  headers: (round) => (round > 0 ? undefined : many(110, (n) => headers(1 + 2 * n, heavy))),
  'headers without end': (round) => many(20, (n) => headers(1 + 2 * (20 * round + n), heavy)),
  continuation: (round) =>
    Buffer.concat([
      round === 0 ? headers(1, callBlock(CHECK), 0) : Buffer.alloc(0),
      many(100, () => frame(FRAME.continuation, 0, 1, callBlock(CHECK))),
    ]),
  hpack: (round) => many(20, (n) => headers(1 + 2 * (20 * round + n), bomb)),
  reset: (round) =>
    many(100, (n) => {
      const stream = 1 + 2 * (100 * round + n);
      return Buffer.concat([headers(stream, callBlock(CHECK)), frame(FRAME.reset, 0, stream, uint32(8))]);
    }),
  settings: () => many(1000, () => frame(FRAME.settings, 0, 0, Buffer.from('000300000064', 'hex'))),
  ping: () => many(1000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
  priority: () => many(1000, () => frame(FRAME.priority, 0, 5, Buffer.from([0, 0, 0, 0, 9]))),
  window: (round) =>
    round > 0
      ? undefined
      : Buffer.concat([
          frame(FRAME.settings, 0, 0, Buffer.from('000400000000', 'hex')),
          many(100, (n) =>
            Buffer.concat([
              headers(1 + 2 * n, callBlock(CHECK), END_HEADERS),
              frame(FRAME.data, END_STREAM, 1 + 2 * n, request),
            ]),
          ),
        ]),
};

const order = JSON.parse(process.argv[2] ?? '') as FloodOrder; // Written by run.ts.
const { way, kind } = order;
const over = performance.now() + order.seconds * 1000;
let made = 0;

/** The first message of a TLS client: made once, then said on each connection at no cost. */
function clientHello(alpn: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) });
    tls.connect({ socket: wire, ALPNProtocols: [alpn] }).on('error', () => {});
  });
}

/** Connects, and calls `ready` where the door's own protocol begins: behind TLS, unless `bare`. */
function open(bare: boolean, ready: (socket: net.Socket) => void): net.Socket {
  if ('unix' in way) {
    const socket = net.connect(way.unix, () => ready(socket));
    return socket;
  }
  const { host, port, alpn, before } = way;
  const options = { host, port, localAddress: order.from };
  const secure = (socket?: net.Socket) => {
    const secured = tls.connect(
      { ...(socket ? { socket } : options), rejectUnauthorized: false, ALPNProtocols: [alpn] },
      () => ready(secured),
    );
    secured.on('error', () => {});
    return secured;
  };
  if (!bare && before === undefined) return secure();
  const socket = net.connect(options, () => {
    if (before === undefined || kind === 'half-open' || kind === 'connect and close') return ready(socket);
    socket.write(Buffer.from(before, 'hex'));
    socket.once('data', () => (bare ? ready(socket) : secure(socket)));
  });
  return socket;
}

/** Sends what the kind is made of, as fast as it is taken. */
function send(socket: net.Socket): void {
  if (kind !== 'window') socket.resume();
  socket.write(PREFACE);
  let round = 0;
  const more = () => {
    for (let room = true; room; ) {
      if (socket.destroyed || performance.now() >= over) return;
      const bytes = frames[kind]?.(round++);
      if (bytes === undefined) {
        // Gone before it is answered: what is under way then is what can be left behind.
        if (kind === 'headers') socket.destroy();
        return;
      }
      room = socket.write(bytes);
    }
  };
  socket.on('drain', more);
  more();
}

const hello = await clientHello('unix' in way ? 'h2' : way.alpn);
const acts: Partial<Record<FloodKind, (socket: net.Socket) => void>> = {
  'half-open': (socket) => socket.resume(),
  'half-open tls': (socket) => void socket.resume().write(hello),
  handshakes: (socket) => socket.destroy(),
  'connect and close': (socket) => socket.destroy(),
};

/** One connection at a time, one after the other. */
function flood(): void {
  if (made >= order.connectionsMax || performance.now() >= over) return;
  made++;
  const socket = open(kind.startsWith('half-open') || kind === 'connect and close', acts[kind] ?? send);
  socket.on('error', () => {});
  socket.once('close', () => setImmediate(flood));
}

for (let n = 0; n < order.atOnce; n++) flood();
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ made })}\n`, () => process.exit(0));
}, order.seconds * 1000);
