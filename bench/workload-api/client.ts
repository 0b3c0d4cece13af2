import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectNet } from 'node:net';

/** The same plain client for both servers: HTTP/2, messages counted and thrown away. */
export function openSession(socketPath: string): ClientHttp2Session {
  const session = connect('http://localhost', { createConnection: () => connectNet({ path: socketPath }) });
  session.setMaxListeners(0);
  return session;
}

/** One open FetchX509SVID; `onMessage` is called for each message that has arrived whole. */
export function openStream(session: ClientHttp2Session, onMessage: () => void): { close: () => void } {
  const stream = session.request({ ...HEADERS, ':path': '/SpiffeWorkloadAPI/FetchX509SVID' });
  let waiting: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    while (waiting.length >= FRAME_HEAD_BYTES) {
      const length = FRAME_HEAD_BYTES + waiting.readUInt32BE(1);
      if (waiting.length < length) return;
      waiting = waiting.subarray(length);
      onMessage();
    }
  });
  stream.on('error', () => {}); // Closed by us.
  stream.end(EMPTY_REQUEST);
  return { close: () => stream.close() };
}

const FRAME_HEAD_BYTES = 5;
const HEADERS = {
  ':method': 'POST',
  'content-type': 'application/grpc',
  te: 'trailers',
  'workload.spiffe.io': 'true',
};
/** An empty message. */
const EMPTY_REQUEST = Buffer.alloc(FRAME_HEAD_BYTES);
