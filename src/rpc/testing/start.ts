import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect as createSocket } from 'node:net';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { type Connect, createRpcClient, createRpcServer, type RpcClient, type RpcServerDeps } from '../index.ts';
import { echoServices, type Seen } from './echo-service.ts';
import { createTestAuthority, temporaryFolder } from './fixtures.ts';

export const authority = createTestAuthority('test');
export const serverIdentity = authority.issue('spiffe://test/spire/server');

/** A server of the echo services on a unix socket or over TLS, and clients of it; `stop` ends all. */
export async function start(transport: 'unix' | 'tls', more: Partial<RpcServerDeps> = {}) {
  const folder = temporaryFolder();
  const clock = createManualClock(0);
  const log = createSilentLog();
  const seen: Seen = { contexts: [], aborted: [] };
  const path = `${folder.path}/s.sock`;
  const server = createRpcServer({
    clock,
    log,
    services: echoServices(seen),
    listen: transport === 'unix' ? { unix: path } : { host: '127.0.0.1', port: 0, tls: () => serverIdentity },
    ...more,
  });
  await server.start(new AbortController().signal);
  const address = server.address();
  const clients: RpcClient[] = [];
  const sessions: ClientHttp2Session[] = [];
  const connect: Connect = 'unix' in address ? address : { ...address, tls: { verifyPeer() {} } };
  return {
    ...{ server, clock, seen, path, folder: folder.path, connect },
    client(options: { connect?: Connect; responseBytesMax?: number } = {}): RpcClient {
      const client = createRpcClient({ clock, log, connect, ...options });
      clients.push(client);
      return client;
    },
    /** HTTP/2 without gRPC's manners. */
    raw(): ClientHttp2Session {
      const session = connectHttp2('http://localhost', { createConnection: () => createSocket(path) });
      session.on('error', () => {});
      sessions.push(session);
      return session;
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()));
      for (const session of sessions) session.destroy();
      const stopped = server.stop();
      await clock.advance(60_000);
      await stopped;
      folder.remove();
    },
  };
}

export type Started = Awaited<ReturnType<typeof start>>;

/** Makes a raw request with that body; how it ended. */
export function request(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer,
): Promise<{ status: unknown; grpcStatus: unknown; message: unknown; rstCode: number | undefined }> {
  const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers });
  if (body === undefined) stream.end();
  else stream.end(body);
  return new Promise((resolve) => {
    let received: Record<string, unknown> = {};
    stream.on('response', (head) => {
      received = { ...received, ...head };
    });
    stream.on('trailers', (trailers) => {
      received = { ...received, ...trailers };
    });
    stream.on('error', () => {});
    stream.on('close', () =>
      resolve({
        status: received[':status'],
        grpcStatus: received['grpc-status'],
        message: received['grpc-message'],
        rstCode: stream.rstCode,
      }),
    );
    stream.resume();
  });
}
