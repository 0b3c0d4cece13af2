import type { AddressInfo } from 'node:net';
import * as tls from 'node:tls';
import { serverForTest } from '../../../testing/tls-fixture.ts';

/** A collector of RFC 5425 on this machine. `isReading: false`: it takes connections and ends them unread. */
export async function openCollector() {
  const { ca, cert, key } = serverForTest();
  const state = { isReading: true, connections: 0 };
  const sockets = new Set<tls.TLSSocket>();
  const streams: Buffer[][] = [];
  const create = () =>
    tls.createServer({ cert, key }, (socket) => {
      state.connections += 1;
      sockets.add(socket.once('close', () => sockets.delete(socket)));
      socket.on('error', () => {});
      if (!state.isReading) return socket.destroy();
      const stream: Buffer[] = [];
      streams.push(stream);
      return socket.on('data', (chunk: Buffer) => stream.push(chunk));
    });
  let server = create();
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server = create();
      server.once('error', reject).listen(port, 'localhost', resolve);
    });
  await listen(0);
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return {
    ...{ ca, state, address: `localhost:${port}` },
    messages: (): string[] => streams.flatMap((stream) => messagesIn(Buffer.concat(stream))),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    reopen: () => listen(port),
  };
}

/** By their counts of octets. Throws for a stream that is none. */
function messagesIn(stream: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const space = stream.indexOf(0x20, at);
    const count = stream.subarray(at, space).toString();
    if (!/^[1-9]\d{0,9}$/.test(count)) throw new Error(`no count of octets: ${count}`);
    const end = space + 1 + Number(count);
    messages.push(stream.subarray(space + 1, end).toString());
    at = end;
  }
  return messages;
}
