import { Duplex } from 'node:stream';
import type { Turns } from './turns.ts';

/**
 * The byte stream of a socket, for HTTP/2 to speak on. Whoever asks for it pushes what comes in; `read` is called when there is room for that. What is
 * written goes to the socket as it is. Its end is the socket's end, either way; who made the socket still owns it.
 */
export function carriedStream(socket: Duplex, read: () => void): Duplex {
  const stream = new Duplex({
    read,
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
  stream.on('error', () => {}); // HTTP/2 lets go of it when its session ends; 'close' follows.
  socket.on('error', (error) => stream.destroy(error));
  socket.once('close', () => stream.destroy());
  return stream;
}

/** The same of a socket that is nobody's we know: what came in is handed on in small pieces, each in its turn. */
export function pacedStream(socket: Duplex, turns: Turns, source: string): Duplex {
  let held: Buffer = Buffer.alloc(0);
  let isWaiting = false;
  let hasRoom = true;
  let hasEnded = false;
  let takeBack = () => {};
  const next = () => {
    if (isWaiting || !hasRoom) return;
    if (held.length > 0) {
      isWaiting = true;
      takeBack = turns.wait(source, handOn);
    } else if (hasEnded) stream.push(null);
    else socket.resume();
  };
  const handOn = () => {
    isWaiting = false;
    const piece = held.subarray(0, PIECE_BYTES);
    held = held.subarray(piece.length);
    hasRoom = stream.push(piece);
    next();
  };
  const stream = carriedStream(socket, () => {
    hasRoom = true;
    next();
  });
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    next();
  });
  socket.once('end', () => {
    hasEnded = true;
    next();
  });
  socket.once('close', () => takeBack());
  return stream;
}

/** Some twenty calls: a millisecond or two of work. */
const PIECE_BYTES = 2048;
