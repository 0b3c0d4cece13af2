import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectNet, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Clock, type Log, messageOf } from '../../std/index.ts';
import { Code } from '../../wire/grpc/index.ts';
import { RpcError } from '../call.ts';
import { keepAlive, type PingPace } from '../connection/keepalive.ts';
import { type Attempt, openFirst } from '../connection/open-first.ts';
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
  const closing = new AbortController();
  const sockets = new Set<Socket>();

  const make = async (forget: () => void): Promise<ClientLink> => {
    const socket = await openSocket(deps, { sockets, signal: closing.signal });
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
      if (closing.signal.aborted) throw new RpcError(Code.UNAVAILABLE, 'the client is closed');
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
      closing.abort();
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

/**
 * A connected socket, over TLS one whose server has proved itself. Of several addresses the first that does so, each being tried beside the one before when
 * that does not answer soon: a server that is gone costs a quarter of a second. @throws RpcError UNAVAILABLE that says what was wrong with each
 */
async function openSocket(deps: SocketDeps, { sockets, signal }: SocketOptions): Promise<Socket> {
  const { connect, clock } = deps;
  const problems: Error[] = [];
  const opened = await openFirst(placesOf(connect), {
    ...{ clock, signal },
    open: (place, attempt) => openAt(place, { ...deps, ...attempt, sockets }),
    close: (socket) => void socket.destroy(),
    missed: (_, error) => void problems.push(error instanceof Error ? error : new Error(messageOf(error))),
  }).catch((cause: unknown) => {
    throw new RpcError(Code.UNAVAILABLE, 'the client is closed', { cause });
  });
  if (opened !== undefined) return opened;
  const what = problems.map(({ message }) => message).join('; ');
  throw new RpcError(Code.UNAVAILABLE, what, { cause: problems[0]?.cause });
}

interface SocketDeps {
  readonly clock: Clock;
  readonly connect: Connect;
}

interface SocketOptions {
  readonly sockets: Set<Socket>;
  readonly signal: AbortSignal;
}

/** One address. */
type Place =
  | { readonly unix: string }
  | (Omit<Exclude<Connect, { unix: string }>, 'others'> & { readonly host: string });

function placesOf(connect: Connect): readonly Place[] {
  if ('unix' in connect) return [connect];
  const { others = [], ...first } = connect;
  return [first, ...others.map((other) => ({ ...first, ...other }))];
}

function openAt(place: Place, options: SocketDeps & SocketOptions & Attempt): Promise<Socket> {
  const { clock, sockets, signal, reached } = options;
  return new Promise((resolve, reject) => {
    const onAbort = () => fail(new Error('it was given up'));
    const settle = () => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (cause: unknown) => {
      settle();
      socket.destroy();
      reject(new Error(`can't connect to ${nameOf(place)}: ${messageOf(cause)}`, { cause }));
    };
    const timer = clock.after(CONNECT_TIMEOUT_MS, () => fail(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)));
    const ready = () => {
      settle();
      resolve(socket);
    };
    const socket = 'unix' in place ? connectNet({ path: place.unix }, ready) : openTls(place, ready, fail);
    socket.setNoDelay(true);
    sockets.add(socket);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', reached);
    socket.on('error', fail);
    socket.once('close', () => {
      sockets.delete(socket);
      fail(new Error('the connection was closed'));
    });
  });
}

function openTls(connect: Exclude<Place, { unix: string }>, ready: () => void, fail: (cause: unknown) => void): Socket {
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

function nameOf(connect: Place): string {
  return 'unix' in connect ? connect.unix : `${connect.host} port ${connect.port}`;
}

const CONNECT_TIMEOUT_MS = 20_000;
/** Go servers take more than one ping in five minutes for an attack. */
const PINGS: PingPace = { intervalMs: 310_000, timeoutMs: 20_000 };
