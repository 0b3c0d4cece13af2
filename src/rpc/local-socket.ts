import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createAuthorityFilter } from '../wire/http2/index.ts';

/**
 * The byte stream of a unix socket as HTTP/2 is given it: all as it comes, but for paths in `:authority`, which gRPC for Java sends and
 * node:http2 would refuse. Its end is the socket's end, either way; who made the socket still owns it.
 */
export function localStream(socket: Socket): Duplex {
  const filter = createAuthorityFilter();
  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    writev: (chunks, done) => {
      socket.cork();
      for (const { chunk } of chunks.slice(0, -1)) socket.write(chunk);
      socket.write(chunks.at(-1)?.chunk, done);
      socket.uncork();
    },
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    filter.pass(chunk);
    if (!stream.push(chunk)) socket.pause();
  });
  socket.once('end', () => stream.push(null));
  socket.once('error', (error) => stream.destroy(error));
  socket.once('close', () => stream.destroy());
  return stream;
}
