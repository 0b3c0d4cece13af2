import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectNet, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Clock, type Log, messageOf } from '../../std/index.ts';
import { Code } from '../../wire/grpc/index.ts';
import { RpcError } from '../call.ts';
import { keepAlive, type PingPace } from '../connection/keepalive.ts';
import { peerChain } from '../connection/peer-chain.ts';
import { endTogether } from '../connection/session-end.ts';
import type { Connect } from '../connection/transport.ts';
import { secureContext } from '../listener/listener.ts';

/** A connection that calls are made on. */
export interface ClientLink {
  readonly session: ClientHttp2Session;
  /** True once the connection is gone: a call that ended with it was lost, whatever HTTP/2 says. */
  lost(): boolean;
}

/** Holds one connection to the server: made when first asked for, shared, made again once it is of no more use. */
export interface ClientConnection {
  /** A connection that takes new calls. Rejects with RpcError UNAVAILABLE. */
  link(): Promise<ClientLink>;
  /** The next call gets a new connection; the present one closes when its calls have ended. */
  retire(): void;
  /** Closes everything at once. */
  close(): void;
}

/** Creates a {@link ClientConnection}. */
export function createClientConnection(deps: {
  clock: Clock;
  log: Log;
  connect: Connect;
  pings?: PingPace;
}): ClientConnection {
  let current: Promise<ClientLink> | undefined;
  let closed = false;
  const sockets = new Set<Socket>();

  const make = async (forget: () => void): Promise<ClientLink> => {
    const socket = await openSocket(deps, sockets);
    const session = openSession(deps.connect, socket);
    session.on('goaway', forget);
    session.on('error', (error) => deps.log.debug('rpc.client.connection.failed', { error }));
    const dead = () => session.destroy();
    const alive =
      'unix' in deps.connect
        ? undefined
        : keepAlive({ ...(deps.pings ?? PINGS), session, socket, clock: deps.clock, dead });
    const ended = () => {
      forget();
      alive?.cancel();
    };
    endTogether({ session, socket, clock: deps.clock, ended });
    return { session, lost: () => socket.destroyed || session.destroyed };
  };
  const start = (): Promise<ClientLink> => {
    const forget = () => {
      if (current === link) current = undefined;
    };
    const link = make(forget);
    link.catch(forget);
    return link;
  };
  return {
    async link() {
      if (closed) throw new RpcError(Code.UNAVAILABLE, 'the client is closed');
      current ??= start();
      return current;
    },
    retire() {
      current?.then(
        ({ session }) => session.close(),
        () => {}, // It never came to be: nothing to close.
      );
      current = undefined;
    },
    close() {
      closed = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

function openSession(connect: Connect, socket: Socket): ClientHttp2Session {
  return connectHttp2(`${'unix' in connect ? 'http' : 'https'}://localhost`, {
    createConnection: () => socket,
    settings: { enablePush: false },
    maxHeaderListPairs: 100,
  });
}

/** A connected socket, over TLS one whose server has proved itself. */
function openSocket(deps: { clock: Clock; connect: Connect }, sockets: Set<Socket>): Promise<Socket> {
  const { connect } = deps;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      timer.cancel();
      socket.destroy();
      reject(new RpcError(Code.UNAVAILABLE, `can't connect to ${nameOf(connect)}: ${messageOf(cause)}`, { cause }));
    };
    const timer = deps.clock.after(CONNECT_TIMEOUT_MS, () =>
      fail(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)),
    );
    const ready = () => {
      timer.cancel();
      resolve(socket);
    };
    const socket = 'unix' in connect ? connectNet({ path: connect.unix }, ready) : openTls(connect, ready, fail);
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('error', fail);
    socket.once('close', () => {
      sockets.delete(socket);
      fail(new Error('the connection was closed'));
    });
  });
}

function openTls(
  connect: Exclude<Connect, { unix: string }>,
  ready: () => void,
  fail: (cause: unknown) => void,
): Socket {
  const socket = connectTls({
    ...secureContext(connect.tls.identity?.()),
    host: connect.host,
    port: connect.port,
    ALPNProtocols: ['h2'],
    // The chain is judged below, by SPIFFE ID and not by host name; nothing is sent before.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  socket.once('secureConnect', () => {
    try {
      connect.tls.verifyPeer(peerChain(socket));
      if (socket.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
    } catch (error) {
      fail(error);
      return;
    }
    ready();
  });
  return socket;
}

function nameOf(connect: Connect): string {
  return 'unix' in connect ? connect.unix : `${connect.host} port ${connect.port}`;
}

const CONNECT_TIMEOUT_MS = 20_000;
/** Go servers take more than one ping in five minutes for an attack. */
const PINGS: PingPace = { intervalMs: 310_000, timeoutMs: 20_000 };
