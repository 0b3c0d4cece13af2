import { Duplex } from 'node:stream';

/**
 * The byte stream of a client, for HTTP/2 to speak on: what comes in is shown to `pass` first, with the number of bytes that were sent since, and
 * goes on if that says so. Its end is the client's end, either way; who made the client still owns it.
 */
export function watchedStream(client: Duplex, pass: (chunk: Buffer, sentBytes: number) => boolean): Duplex {
  let sentBytes = 0;
  const send = (chunk: Buffer, done?: (error?: Error | null) => void) => {
    sentBytes += chunk.length;
    client.write(chunk, done);
  };
  const stream = new Duplex({
    read: () => void client.resume(),
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    writev: (chunks, done) => {
      client.cork();
      for (const [at, { chunk }] of chunks.entries()) send(chunk, at === chunks.length - 1 ? done : undefined);
      client.uncork();
    },
    final: (done) => void client.end(done),
    destroy: (error, done) => {
      client.destroy();
      done(error);
    },
  });
  stream.on('error', () => {}); // HTTP/2 lets go of it when its session ends; 'close' follows.
  client.on('data', (chunk: Buffer) => {
    const sent = sentBytes;
    sentBytes = 0;
    if (!pass(chunk, sent)) client.pause();
    else if (!stream.push(chunk)) client.pause();
  });
  client.once('end', () => stream.push(null));
  client.once('close', () => stream.destroy());
  return stream;
}
