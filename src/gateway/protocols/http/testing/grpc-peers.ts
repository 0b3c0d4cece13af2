/** A server and a client of gRPC, by the library that most of Node uses, whose messages are bytes. */
import { createServer, type Socket, type Server as TcpServer } from 'node:net';
import {
  Client,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

const plain = (bytes: Buffer): Buffer => bytes;

/** `/shop.Shop/NAME`, with streams on these sides. */
export function methodOf(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    ...{ path: `/shop.Shop/${name}`, requestStream, responseStream },
    ...{ requestSerialize: plain, requestDeserialize: plain, responseSerialize: plain, responseDeserialize: plain },
  };
}

export const methods = {
  ask: methodOf('Ask', false, false),
  list: methodOf('List', false, true),
  put: methodOf('Put', true, false),
  talk: methodOf('Talk', true, true),
} as const;

/** Starts a server; resolves to its port. */
export async function startGrpc(
  handlers: UntypedServiceImplementation,
  options: Record<string, number | string> = {},
): Promise<{ readonly port: number; stop(): void }> {
  const server = new Server({ 'grpc.max_receive_message_length': -1, ...options });
  server.addService(methods, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

/** A client whose one connection is that socket. */
export async function clientOver(socket: Socket, options: Record<string, number | string> = {}) {
  return new Client(`127.0.0.1:${await portOver(socket)}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    ...options,
  });
}

/** A port whose one connection is that socket. */
export async function portOver(socket: Socket): Promise<number> {
  const server: TcpServer = createServer({ noDelay: true }, (inner) => {
    socket.setNoDelay(true);
    inner.on('error', () => {}).on('close', () => socket.destroy());
    socket.on('close', () => inner.destroy());
    inner.pipe(socket).pipe(inner);
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
