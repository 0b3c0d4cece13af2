import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../std/index.ts';
import { type AuthorityFilter, createAuthorityFilter, createClientOpening } from '../../wire/http2/index.ts';
import { carriedStream } from './carried-stream.ts';

/**
 * Reads what a client on a unix socket sends first, and says by its first call's headers how HTTP/2 is to be given the connection: the socket
 * itself, which node:http2 reads and writes without our help; or, for clients that put paths into `:authority` as gRPC for Java does, a stream that
 * mends each of them (see docs/decisions/0008). `ready` or `gone` is called, once: `gone` when the socket was closed before, by either side.
 */
export function openLocalSocket(options: {
  socket: Socket;
  clock: Clock;
  /** How long the first call may take to arrive. */
  timeoutMs: number;
  /** The settings frame that the HTTP/2 session will begin with too. */
  greeting: Buffer;
  /** Is told how many bytes are held; false closes the connection. */
  hold: (bytes: number) => boolean;
  ready: (stream: Duplex) => void;
  gone: () => void;
}): void {
  const { socket } = options;
  const opening = createClientOpening();
  const filter = createAuthorityFilter();
  let greeted = false;
  const late = options.clock.after(options.timeoutMs, () => socket.destroy());
  const finish = (then: () => void) => {
    late.cancel();
    socket.off('data', read);
    socket.off('close', closed);
    options.hold(0);
    then();
  };
  const closed = () => finish(options.gone);
  const read = (chunk: Buffer) => {
    filter.pass(chunk);
    const state = opening.push(chunk);
    if (state === 'refused' || !options.hold(opening.heldBytes)) {
      socket.destroy();
    } else if (state === 'between' && !greeted) {
      // Many clients call only once the server has spoken; node:http2 speaks only once it has the connection.
      greeted = true;
      opening.greeted();
      socket.write(options.greeting);
    } else if (state === 'complete') {
      const plain = opening.called && !filter.changed;
      finish(() => {
        const bytes = opening.bytes();
        options.ready(plain ? given(socket, bytes) : mendedStream(socket, filter, bytes));
      });
    }
  };
  socket.on('data', read);
  socket.on('close', closed);
}

/** The socket as it was before anything was read. In one piece: node:http2 takes pieces further even when the first has ended the session. */
function given(socket: Socket, bytes: Buffer): Socket {
  socket.pause();
  socket.unshift(bytes);
  return socket;
}

/** The byte stream of the socket, its paths mended. */
function mendedStream(socket: Socket, filter: AuthorityFilter, first: Buffer): Duplex {
  const stream = carriedStream(socket, () => void socket.resume());
  const pass = (chunk: Buffer) => {
    if (!stream.push(chunk)) socket.pause();
  };
  pass(first);
  socket.on('data', (chunk: Buffer) => {
    filter.pass(chunk);
    pass(chunk);
  });
  socket.once('end', () => stream.push(null));
  return stream;
}
