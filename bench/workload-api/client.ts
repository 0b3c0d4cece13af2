import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectNet } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { JWTSVIDRequestSchema } from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';

/** The same plain client for both servers: HTTP/2, frames counted and thrown away. */
export function openSession(socketPath: string): ClientHttp2Session {
  const session = connect('http://localhost', { createConnection: () => connectNet({ path: socketPath }) });
  session.setMaxListeners(0);
  return session;
}

/** One FetchJWTSVID; resolves to the bytes of its answer. */
export function callOnce(session: ClientHttp2Session): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ...HEADERS, ':path': '/SpiffeWorkloadAPI/FetchJWTSVID' });
    let bytes = 0;
    let status: string | undefined;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const read = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined) status = `${headers['grpc-status']} ${headers['grpc-message'] ?? ''}`;
    };
    stream.on('response', read); // A refusal is all headers.
    stream.on('trailers', read);
    stream.on('error', reject);
    stream.on('close', () =>
      status?.startsWith('0 ') === true ? resolve(bytes - FRAME_HEAD_BYTES) : reject(new Error(`status ${status}`)),
    );
    stream.end(JWT_REQUEST);
  });
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
const JWT_REQUEST = frame(toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, { audience: ['db'] })));
const EMPTY_REQUEST = frame(new Uint8Array());

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
