import type { Duplex } from 'node:stream';
import { assert, type Clock, createSampledLog, createSharedTimers, type Log, type Service } from '../../std/index.ts';
import { Code } from '../../wire/grpc/index.ts';
import { type CallContext, type Peer, RpcError } from '../call.ts';
import type { Listen } from '../connection/transport.ts';
import { defaultLimits, type RpcLimits } from '../limits.ts';
import { pacedStream } from '../listener/carried-stream.ts';
import { createListener } from '../listener/listener.ts';
import { openLocalSocket } from '../listener/local-socket.ts';
import { sourceOf } from '../listener/source.ts';
import { createTurns } from '../listener/turns.ts';
import type { RpcMethod, RpcService } from '../service.ts';
import { createIntake } from './intake.ts';
import { greetingOf, type ServerConnection, serveConnection } from './server-connection.ts';

/** What a server needs. */
export interface RpcServerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly services: readonly RpcService[];
  readonly listen: Listen;
  readonly limits?: Partial<RpcLimits>;
  /** Runs once per connection before its first request is read; throwing refuses the connection. `state` is what its calls will see. */
  readonly onConnection?: (peer: Peer, state: Map<symbol, unknown>) => void | Promise<void>;
  /** Runs once when a connection that `onConnection` has seen is gone, refused ones too. */
  readonly onDisconnect?: (peer: Peer, state: Map<symbol, unknown>) => void;
  /**
   * Under which source the bytes of a connection are handed on in small pieces, each in its turn; undefined: as they come, since somebody is known to
   * stand behind it. By default that is so when a certificate was shown, and on a unix socket.
   */
  readonly pacedAs?: (peer: Peer, state: ReadonlyMap<symbol, unknown>) => string | undefined;
  /** Runs around every call's handler; throwing an RpcError refuses the call. */
  readonly interceptor?: (context: CallContext, next: () => Promise<void>) => Promise<void>;
}

/** A gRPC server. */
export interface RpcServer extends Service {
  /** Where it listens, once started. */
  address(): { readonly unix: string } | { readonly host: string; readonly port: number };
}

/**
 * Serves `services` on one address.
 * `start` rejects with RpcSetupError ERR_RPC_SOCKET_BUSY, ERR_RPC_SOCKET_UNSAFE or ERR_RPC_LISTEN. `stop` lets calls under way finish
 * within `limits.graceMs`, then ends them with UNAVAILABLE.
 */
export function createRpcServer(deps: RpcServerDeps): RpcServer {
  const { clock, log } = deps;
  const refused = createSampledLog({ clock, log });
  const limits = { ...defaultLimits, ...deps.limits };
  const methods = collectMethods(deps.services);
  const connections = new Set<ServerConnection>();
  const intake = createIntake({
    connectionBytesMax: limits.connectionRequestBytesMax,
    bytesMax: limits.serverRequestBytesMax,
  });
  const greeting = greetingOf(limits);
  const timers = createSharedTimers(clock, TIMER_STEP_MS);
  const turns = createTurns();
  const pacedAs = deps.pacedAs ?? ((peer) => (hasShown(peer) ? undefined : sourceOf(peer)));
  let stopping = false;

  const accept = (peer: Peer) => {
    const state = new Map<symbol, unknown>();
    const closed = () => {
      try {
        deps.onDisconnect?.(peer, state);
      } catch (error) {
        log.error('rpc.disconnect.failed', { error });
      }
    };
    peer.socket.on('error', () => {}); // 'close' follows and says all there is to know.
    const usable = () => {
      if (!stopping && !peer.socket.destroyed) return true;
      peer.socket.destroy();
      closed();
      return false;
    };
    const begin = (stream: Duplex) => {
      if (!usable()) return;
      const source = pacedAs(peer, state);
      const connection = serveConnection({
        stream: source === undefined ? stream : pacedStream(stream, turns, source),
        ...{ clock, timers, log, refused, limits, peer, state, methods, intake, interceptor: deps.interceptor },
        vouch: () => listener.vouch(peer),
        closed: () => {
          connections.delete(connection);
          closed();
        },
      });
      connections.add(connection);
    };
    const serve = () => {
      if (!usable()) return;
      if (peer.kind === 'tls') {
        begin(peer.socket);
        return;
      }
      const opening = intake.open(() => peer.socket.destroy());
      const call = opening.open();
      openLocalSocket({
        ...{ socket: peer.socket, clock, timeoutMs: limits.handshakeTimeoutMs, ready: begin, gone: closed },
        greeting,
        hold: (bytes) => call.hold(bytes),
      });
    };
    const refuse = (error: unknown) => {
      refused.warn('rpc.connection.refused', { error });
      peer.socket.destroy();
      closed();
    };
    // Synchronous where it can be: the caller's credentials are read before anything else happens on the event loop.
    try {
      const seen = deps.onConnection?.(peer, state);
      if (seen === undefined) serve();
      else seen.then(serve).catch(refuse);
    } catch (error) {
      refuse(error);
    }
  };
  const listener = createListener({ clock, log, refused, listen: deps.listen, limits, turns, accept });
  return {
    start: () => listener.open(),
    async stop() {
      stopping = true;
      listener.close();
      const why = new RpcError(Code.UNAVAILABLE, 'the server is stopping');
      await Promise.all([...connections].map((connection) => connection.drain(why)));
      listener.destroy();
      refused.stop();
    },
    address: () => listener.address(),
  };
}

function hasShown(peer: Peer): boolean {
  return peer.kind === 'local' || peer.chainDer.length > 0;
}

function collectMethods(services: readonly RpcService[]): Map<string, RpcMethod> {
  const methods = new Map<string, RpcMethod>();
  for (const service of services) {
    for (const [path, method] of service.methods) {
      assert(!methods.has(path), `the method ${path} is implemented twice`);
      methods.set(path, method);
    }
  }
  return methods;
}

/** A timer of its own for each call would cost more than reading its request. */
const TIMER_STEP_MS = 100;
