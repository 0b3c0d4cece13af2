/**
 * A process that floods one door: `node client.ts '{"kind":…,"door":…}'`. It keeps so many connections busy, makes no more than so many in
 * all, and ends after its time; the line that it writes then says how many it made.
 */
import * as net from 'node:net';
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
import type { FloodOrder } from './kinds.ts';

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
const { door, kind } = order;
const isBare = kind === 'half-open' || kind === 'connect and close';
const over = performance.now() + order.seconds * 1000;
let made = 0;

function open(): net.Socket {
  if ('unix' in door) return net.connect(door.unix);
  if (isBare) return net.connect(door.port, door.host);
  return tls.connect({ ...door, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
}

/** One connection at a time, one after the other. */
function flood(): void {
  if (made >= order.connectionsMax || performance.now() >= over) return;
  made++;
  const socket = open();
  socket.on('error', () => {});
  socket.once('close', () => setImmediate(flood));
  socket.once('unix' in door || isBare ? 'connect' : 'secureConnect', () => {
    if (kind === 'connect and close') socket.destroy();
    if (isBare) return;
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
  });
}

for (let n = 0; n < order.atOnce; n++) flood();
setTimeout(() => {
  process.stdout.write(`${JSON.stringify({ made })}\n`, () => process.exit(0));
}, order.seconds * 1000);
