import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { JWTSVIDRequestSchema } from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { callBlock, END_HEADERS, END_STREAM, FRAME, frame, PREFACE } from '../../src/rpc/testing/raw-frames.ts';

/** FetchJWTSVID again and again over one connection. */
export interface RawCalls {
  /** Makes `count` calls, `inFlight` at a time; resolves to the bytes of one answer, which are the same for all. */
  run(count: number, inFlight: number): Promise<number>;
  close(): void;
}

/**
 * A client that writes frames made beforehand and only counts what comes back: one tenth of the cost of node:http2, so that it is the
 * server that is measured. @see RFC 9113 §4, RFC 7541 §6.2.2
 */
export async function openRawCalls(socketPath: string): Promise<RawCalls> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  socket.write(Buffer.concat([PREFACE, frame(FRAME.windowUpdate, 0, 0, WINDOW)]));
  let nextStream = 1;
  return {
    run(count, inFlight) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      let started = 0;
      let ended = 0;
      let bytes = 0;
      const start = (calls: number) => {
        const frames: Buffer[] = [];
        for (let call = 0; call < calls && started < count; call++, started++, nextStream += 2) {
          frames.push(
            frame(FRAME.headers, END_HEADERS, nextStream, HEADER_BLOCK),
            frame(FRAME.data, END_STREAM, nextStream, REQUEST),
          );
        }
        if (frames.length > 0) socket.write(Buffer.concat(frames));
      };
      const stop = readFrames(socket, {
        head(type, flags, length) {
          if (type === FRAME.data) bytes += length - GRPC_HEAD_BYTES;
          if (type === FRAME.settings && (flags & ACK) === 0) socket.write(frame(FRAME.settings, ACK, 0));
          if (type === FRAME.reset || type === FRAME.goaway) reject(new Error(`the server sent frame ${type}`));
          if ((type === FRAME.headers || type === FRAME.data) && (flags & END_STREAM) !== 0) ended++;
        },
        read() {
          if (ended < count) return start(inFlight - (started - ended));
          stop();
          resolve(bytes / count);
        },
      });
      socket.once('error', reject);
      start(inFlight);
      return promise;
    },
    close: () => socket.destroy(),
  };
}

/** Calls `head` for the head of each frame that has come whole, then `read` once per chunk. */
function readFrames(
  socket: Socket,
  on: { head: (type: number, flags: number, length: number) => void; read: () => void },
): () => void {
  let rest: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < FRAME_HEAD_BYTES + length) break;
      on.head(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), length);
      at += FRAME_HEAD_BYTES + length;
    }
    rest = bytes.subarray(at);
    on.read();
  };
  socket.on('data', onData);
  return () => socket.off('data', onData);
}

const ACK = 1;
const FRAME_HEAD_BYTES = 9;
const GRPC_HEAD_BYTES = 5;
/** Answers of a whole run, on the connection; each alone is far below a stream's own window. */
const WINDOW = Buffer.from([0x3f, 0xff, 0, 0]);
const HEADER_BLOCK = callBlock('/SpiffeWorkloadAPI/FetchJWTSVID', [['workload.spiffe.io', 'true']]);
const MESSAGE = toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, { audience: ['db'] }));
const REQUEST = Buffer.concat([Buffer.from([0, 0, 0, 0, MESSAGE.length]), MESSAGE]);
