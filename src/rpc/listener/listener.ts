import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { assert, type Clock, type Log } from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import type { Peer } from '../call.ts';
import { peerChain } from '../connection/peer-chain.ts';
import { BACKLOG, type Listen, type TlsIdentity } from '../connection/transport.ts';
import { RpcSetupError } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import { sourceOfAddress } from './source.ts';
import { createStrangers } from './strangers.ts';
import { type Turns, whenSpoken } from './turns.ts';
import { openUnixListener, type UnixListener } from './unix-listener.ts';

/** Accepts connections: over unix sockets as they come, over TCP once their TLS handshake is done. */
export interface Listener {
  /** @throws RpcSetupError */
  open(): Promise<void>;
  address(): { readonly unix: string } | { readonly host: string; readonly port: number };
  /** The peer is known: its connection is no stranger's any more. */
  vouch(peer: Peer): void;
  /** Stops accepting; connections stay. */
  close(): void;
  /** Ends whatever is still open, also connections within their handshake. */
  destroy(): void;
}

/** Creates a {@link Listener}; each accepted connection goes to `accept`, which owns its socket from then on. */
export function createListener(deps: {
  clock: Clock;
  log: Log;
  /** For lines that strangers can cause. */
  refused: Log;
  listen: Listen;
  limits: RpcLimits;
  turns: Turns;
  /** What is spoken over TLS; `h2` unless said. */
  alpn?: 'h2' | 'http/1.1';
  accept: (peer: Peer) => void;
}): Listener {
  const { listen, limits, log, refused, turns } = deps;
  const sockets = new Set<Socket>();
  const { strangersMax, strangersPerSourceMax } = limits;
  const strangers = createStrangers({
    max: strangersMax,
    perSourceMax: strangersPerSourceMax,
    crowdedOut(socket, source) {
      refused.warn('rpc.strangers.crowded', { source, strangersMax, strangersPerSourceMax });
      socket.destroy();
    },
  });
  const secure = 'unix' in listen ? undefined : createSecureServer(deps, listen);
  /** Takes a connection up: over TCP, when its peer speaks and its turn has come. */
  const take = (socket: Socket, source: string | undefined) => {
    if (secure === undefined || source === undefined) return deps.accept({ kind: 'local', socket });
    const late = deps.clock.after(limits.handshakeTimeoutMs, () => socket.destroy());
    socket.on('error', () => {}); // 'close' follows and says all there is to know.
    const go = () => {
      late.cancel();
      if (!socket.destroyed) secure.handshake(socket);
    };
    whenSpoken(socket, turns, { source, go });
  };
  let full = false;
  const bySource = new Map<string, number>();
  const onConnection = (socket: Socket) => {
    turns.came();
    const source = 'unix' in listen ? undefined : sourceOfAddress(socket.remoteAddress ?? '');
    const open = source === undefined ? 0 : (bySource.get(source) ?? 0);
    if (open >= limits.connectionsPerSourceMax) {
      refused.warn('rpc.connections.crowded', { source, connectionsPerSourceMax: limits.connectionsPerSourceMax });
      socket.destroy();
      return;
    }
    sockets.add(socket);
    if (source !== undefined) {
      bySource.set(source, open + 1);
      strangers.begin(socket, source);
    }
    socket.once('close', () => {
      sockets.delete(socket);
      full &&= sockets.size > limits.connectionsMax / 2;
      if (source === undefined) return;
      const left = (bySource.get(source) ?? 1) - 1;
      if (left > 0) bySource.set(source, left);
      else bySource.delete(source);
    });
    take(socket, source);
  };
  const create = () => {
    // Nothing but the first words is read before its turn: an end that came before its TLS began would never be heard of.
    const server = createServer(secure === undefined ? {} : { pauseOnConnect: true, highWaterMark: 1 });
    // From the first moment on: a connection that can't be accepted, for want of descriptors say, is no reason to end the process.
    server.on('error', (error) => log.error('rpc.listener.failed', { error }));
    server.maxConnections = limits.connectionsMax;
    server.on('drop', () => {
      // Once each time it fills up: whoever floods the server must not flood the log too.
      if (!full) log.warn('rpc.connections.full', { connectionsMax: limits.connectionsMax });
      full = true;
    });
    return server.on('connection', onConnection);
  };
  const place = createPlace(listen, create);
  return {
    async open() {
      secure?.refreshIdentity(); // A server that can't prove itself must not start.
      await place.open();
    },
    address: place.address,
    vouch(peer) {
      if (peer.kind === 'tls') strangers.known(peer.socket);
    },
    close: place.close,
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Where what `create` makes listens. */
function createPlace(listen: Listen, create: () => Server): Pick<Listener, 'open' | 'address' | 'close'> {
  let server: Server | undefined;
  let door: UnixListener | undefined;
  return {
    async open() {
      if ('unix' in listen) {
        door = await openUnixListener({ path: listen.unix, mode: listen.mode ?? 0o600, createServer: create });
        const place = listen.place ?? ((opened: UnixListener) => opened.place());
        await place(door).catch((error: unknown) => {
          door?.close();
          throw error;
        });
      } else {
        server = create();
        await listenOnTcp(server, listen.host, listen.port);
      }
    },
    address() {
      if ('unix' in listen) return { unix: listen.unix };
      const address = server?.address();
      assert(typeof address === 'object' && address !== null, 'the address of a server is known once it listens');
      return { host: address.address, port: address.port };
    },
    close() {
      server?.close();
      door?.close();
    },
  };
}

function createSecureServer(
  deps: { log: Log; limits: RpcLimits; alpn?: 'h2' | 'http/1.1'; accept: (peer: Peer) => void },
  { tls: identity, clientAuthorities = () => NO_AUTHORITIES }: Extract<Listen, { readonly tls: unknown }>,
): { handshake: (socket: Socket) => void; refreshIdentity: () => void } {
  const { alpn = 'h2' } = deps;
  const server: TlsServer = createTlsServer({
    ...secureContext(undefined),
    ALPNProtocols: [alpn],
    handshakeTimeout: deps.limits.handshakeTimeoutMs,
    // Nodes that attest have no certificate yet. What is shown is verified by whoever authorises, against bundles that change.
    requestCert: true,
    rejectUnauthorized: false,
  });
  let current: TlsIdentity | undefined;
  let named: readonly Buffer[] | undefined;
  const refreshIdentity = () => {
    const newest = identity();
    const authorities = clientAuthorities();
    if (newest === current && authorities === named) return;
    server.setSecureContext(secureContext(newest, authorities));
    current = newest;
    named = authorities;
  };
  server.on('secureConnection', (socket: TLSSocket) => {
    // Who asks for nothing means what there was before anybody could ask.
    if (socket.alpnProtocol !== alpn && !(alpn === 'http/1.1' && socket.alpnProtocol === false)) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    deps.accept({ kind: 'tls', socket, chainDer: peerChain(socket), remoteAddress: socket.remoteAddress ?? '' });
  });
  server.on('tlsClientError', (error, socket) => {
    deps.log.debug('rpc.handshake.failed', { error, remoteAddress: socket.remoteAddress });
    socket.destroy();
  });
  return {
    refreshIdentity,
    handshake(socket) {
      try {
        refreshIdentity();
      } catch (error) {
        // The identity in use is better than none: whether it is still good is for the clients to judge.
        deps.log.error('rpc.identity.failed', { error });
      }
      server.emit('connection', socket); // The documented way to have it handshake on a socket that it did not accept.
    },
  };
}

/** TLS 1.3 only, no session is ever resumed: a resumed handshake would skip the peer's certificate. */
export function secureContext(
  identity: TlsIdentity | undefined,
  clientAuthorities: readonly Buffer[] = NO_AUTHORITIES,
): SecureContextOptions {
  const certificates = identity && {
    cert: identity.chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
    key: identity.key.export({ format: 'pem', type: 'pkcs8' }),
  };
  return {
    ...certificates,
    // No public authority is ever trusted here; also saves loading them. What OpenSSL makes of a peer's chain by these is looked at by nobody.
    ca: clientAuthorities.map((der) => encodePem('CERTIFICATE', der)),
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

const NO_AUTHORITIES: readonly Buffer[] = [];

function listenOnTcp(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) =>
      reject(new RpcSetupError('ERR_RPC_LISTEN', `can't listen on ${host} port ${port}: ${cause.message}`, { cause }));
    server.on('error', onError);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.removeListener('error', onError);
      resolve();
    });
  });
}
