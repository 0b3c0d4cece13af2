/**
 * A client in a process of its own: opens sessions as it is told, each in the middle of an answer, and says of each when it has lost its connection, by
 * the clock that all processes of this machine share.
 */
import { connect, type TLSSocket } from 'node:tls';

/** What a client is told to open. */
export interface ClientOrder {
  readonly ports: readonly number[];
  readonly sessions: number;
  readonly certPem: string;
  readonly keyPem: string;
}

/** What it says: that all are open; then when each was lost, epoch milliseconds. */
export type ClientWord = { readonly kind: 'open' } | { readonly kind: 'lost'; readonly atMs: readonly number[] };

if (process.send !== undefined) {
  process.once('message', (order: ClientOrder) => {
    void serve(order, (word) => process.send?.(word));
  });
  process.once('disconnect', () => process.exit());
}

async function serve(order: ClientOrder, say: (word: ClientWord) => void): Promise<void> {
  const sockets: TLSSocket[] = [];
  for (let from = 0; from < order.sessions; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, order.sessions - from);
    sockets.push(...(await Promise.all(Array.from({ length: count }, (_, n) => openSession(order, from + n)))));
  }
  const lost = sockets.map(
    (socket) =>
      new Promise<number>((resolve) => socket.once('close', () => resolve(performance.timeOrigin + performance.now()))),
  );
  say({ kind: 'open' });
  say({ kind: 'lost', atMs: await Promise.all(lost) });
}

function openSession({ ports, certPem, keyPem }: ClientOrder, n: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const files = { cert: certPem, key: keyPem };
    const socket = connect({
      port: ports[n % ports.length] ?? 0,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...files,
    });
    socket.once('data', () => resolve(socket)).on('error', reject);
    socket.write('GET /stream HTTP/1.1\r\nhost: api\r\n\r\n');
  });
}

/** Each handshake costs both sides. */
const AT_ONCE = 25;
