/** A process that serves the same calls with @grpc/grpc-js: fixed bytes, no caller is looked at. */
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { serveBench } from './child.ts';
import { JWT_RESPONSE_BYTES } from './sizes.ts';

const identity = (bytes: Buffer) => bytes;
const method = {
  requestStream: false,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const streams = new Set<ServerWritableStream<Buffer, Buffer>>();
let message = Buffer.alloc(JWT_RESPONSE_BYTES, 1);
const server = new Server({ 'grpc.max_concurrent_streams': 1000 });
server.addService(
  {
    fetchJWTSVID: { ...method, path: '/SpiffeWorkloadAPI/FetchJWTSVID', responseStream: false },
    fetchX509SVID: { ...method, path: '/SpiffeWorkloadAPI/FetchX509SVID', responseStream: true },
  },
  {
    fetchJWTSVID: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, message),
    fetchX509SVID(call: ServerWritableStream<Buffer, Buffer>) {
      streams.add(call);
      call.on('cancelled', () => streams.delete(call));
      call.write(message);
    },
  },
);
await new Promise<void>((resolve, reject) => {
  server.bindAsync(`unix:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) =>
    error ? reject(error) : resolve(),
  );
});
let fill = 1;
serveBench({
  update() {
    fill = (fill % 250) + 1;
    message = Buffer.alloc(JWT_RESPONSE_BYTES, fill);
    for (const stream of streams) stream.write(message);
  },
});
