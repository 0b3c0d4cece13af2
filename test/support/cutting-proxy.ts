/** Stands between two that talk, and ends their connections after a number of bytes: how a peer that says goodbye at any moment looks. */
import * as net from 'node:net';

export interface Cut {
  /** Whose bytes are counted. */
  readonly from: 'client' | 'server';
  /** So many of them are passed on. */
  readonly afterBytes: number;
  /** Said to the client in one piece with the last bytes passed on, or in a piece of its own. */
  readonly lastWords?: Buffer;
  readonly isSplit?: boolean;
  /** How both connections end: properly, or by a reset; or nothing is passed on any more and both stay open. */
  readonly how: 'end' | 'reset' | 'silence';
}

export interface CuttingProxy {
  readonly port: number;
  /** What becomes of connection number `n`; undefined: it is let be, as all are at first. */
  plan: (n: number) => Cut | undefined;
  /** Of all connections so far. */
  readonly connections: number;
  readonly cuts: number;
  /** What each side of connection number `n` said, the first 64 KiB of it; the first connection is 0. */
  said(n: number): Readonly<Record<Cut['from'], Buffer>>;
  /** Ends all connections there are, by a reset. */
  dropAll(): void;
  close(): Promise<void>;
}

/** Listens on 127.0.0.1, or at `listen`, and connects each client to `to`. */
export async function startCuttingProxy(
  to: () => net.NetConnectOpts,
  listen?: net.ListenOptions,
): Promise<CuttingProxy> {
  const sockets = new Set<net.Socket>();
  const transcripts: Record<Cut['from'], Buffer>[] = [];
  let cuts = 0;
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const cut = proxy.plan(transcripts.length);
    const count = { client: 0, server: 0 };
    const transcript = { client: Buffer.alloc(0), server: Buffer.alloc(0) };
    transcripts.push(transcript);
    const upstream = net.connect({ ...to(), noDelay: true, allowHalfOpen: true });
    let over = false;
    const end = (words: readonly Buffer[]) => {
      over = true;
      cuts++;
      if (cut?.how === 'silence') return;
      sayGoodbye(client, upstream, { words, how: cut?.how ?? 'end' });
    };
    for (const [name, from, into] of [
      ['client', client, upstream],
      ['server', upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}).on('close', () => sockets.delete(from));
      from
        .on('close', () => into.destroySoon())
        .on('end', () => {
          if (!over) into.end();
        });
      from.on('data', (chunk: Buffer) => {
        if (over) return;
        const left = cut?.from === name ? cut.afterBytes - count[name] : Infinity;
        count[name] += chunk.length;
        if (count[name] <= TRANSCRIPT_BYTES_MAX) transcript[name] = Buffer.concat([transcript[name], chunk]);
        if (chunk.length < left) return void into.write(chunk);
        const passed = chunk.subarray(0, left);
        const words = cut?.lastWords ?? Buffer.alloc(0);
        if (name === 'client') {
          over = true;
          return void upstream.write(passed, () => setImmediate(() => end([words])));
        }
        return end(cut?.isSplit === true ? [passed, words] : [Buffer.concat([passed, words])]);
      });
    }
    if (cut?.afterBytes === 0) end([cut.lastWords ?? Buffer.alloc(0)]);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen ?? { host: '127.0.0.1', port: 0 }, resolve);
  });
  const address = server.address();
  const proxy: CuttingProxy = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    plan: () => undefined,
    get connections() {
      return transcripts.length;
    },
    get cuts() {
      return cuts;
    },
    said: (n) => transcripts[n] ?? { client: Buffer.alloc(0), server: Buffer.alloc(0) },
    dropAll() {
      for (const socket of sockets) reset(socket);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return proxy;
}

function sayGoodbye(
  client: net.Socket,
  upstream: net.Socket,
  { words, how }: { words: readonly Buffer[]; how: Cut['how'] },
): void {
  const [first, second] = words.filter((word) => word.length > 0);
  const leave = () => {
    for (const socket of [client, upstream]) {
      // A reset throws away what the peer has not read yet: it is only told once the last words are gone from here.
      if (how === 'reset') reset(socket);
      else socket.destroySoon();
    }
  };
  const saySecond = () => (second ? client.write(second, leave) : leave());
  if (first) client.write(first, () => setImmediate(saySecond));
  else leave();
}

/** Unix sockets know no reset; closing one with unread bytes is the nearest. */
function reset(socket: net.Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

const TRANSCRIPT_BYTES_MAX = 64 * 1024;

/** How PostgreSQL says that it is being stopped. */
export const TERMINATING = errorResponse({
  S: 'FATAL',
  V: 'FATAL',
  C: '57P01',
  M: 'terminating connection due to administrator command',
});

function errorResponse(fields: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(
    `${Object.entries(fields)
      .map(([type, text]) => `${type}${text}\0`)
      .join('')}\0`,
  );
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
