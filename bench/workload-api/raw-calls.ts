import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { JWTSVIDRequestSchema } from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';

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
  socket.write(
    Buffer.concat([PREFACE, frameOf(SETTINGS, 0, 0, Buffer.alloc(0)), frameOf(WINDOW_UPDATE, 0, 0, WINDOW)]),
  );
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
            frameOf(HEADERS, END_HEADERS, nextStream, HEADER_BLOCK),
            frameOf(DATA, END_STREAM, nextStream, REQUEST),
          );
        }
        if (frames.length > 0) socket.write(Buffer.concat(frames));
      };
      const stop = readFrames(socket, {
        frame(type, flags, length) {
          if (type === DATA) bytes += length - GRPC_HEAD_BYTES;
          if (type === SETTINGS && (flags & ACK) === 0) socket.write(frameOf(SETTINGS, ACK, 0, Buffer.alloc(0)));
          if (type === RST_STREAM || type === GOAWAY) reject(new Error(`the server sent frame ${type}`));
          if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) ended++;
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

/** Calls `frame` for the head of each frame that has come whole, then `read` once per chunk. */
function readFrames(
  socket: Socket,
  on: { frame: (type: number, flags: number, length: number) => void; read: () => void },
): () => void {
  let rest: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < FRAME_HEAD_BYTES + length) break;
      on.frame(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), length);
      at += FRAME_HEAD_BYTES + length;
    }
    rest = bytes.subarray(at);
    on.read();
  };
  socket.on('data', onData);
  return () => socket.off('data', onData);
}

function frameOf(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Literal, not indexed: so each block is good on its own. */
function field(name: string, value: string): Buffer {
  const texts = [name, value].flatMap((text) => [Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
  return Buffer.concat([Buffer.from([0]), ...texts]);
}

const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 7, 8];
const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4];
const FRAME_HEAD_BYTES = 9;
const GRPC_HEAD_BYTES = 5;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** Answers of a whole run, on the connection; each alone is far below a stream's own window. */
const WINDOW = Buffer.from([0x3f, 0xff, 0, 0]);
/** `:method: POST` and `:scheme: http` of the static table, and the rest. */
const HEADER_BLOCK = Buffer.concat([
  Buffer.from([0x83, 0x86]),
  field(':path', '/SpiffeWorkloadAPI/FetchJWTSVID'),
  field(':authority', 'localhost'),
  field('content-type', 'application/grpc'),
  field('te', 'trailers'),
  field('workload.spiffe.io', 'true'),
]);
const MESSAGE = toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, { audience: ['db'] }));
const REQUEST = Buffer.concat([Buffer.from([0, 0, 0, 0, MESSAGE.length]), MESSAGE]);
