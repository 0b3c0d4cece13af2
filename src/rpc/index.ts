/**
 * gRPC over sockets: services and calls on node:http2, over unix sockets and mutual TLS.
 *
 * It promises: the caller's deadline, cancellation and loss reach the handler as one signal; every call is answered with a status
 * and its details; no client can make the server hold more than the limits say; a client's connection comes back by itself. It
 * must not know what any service means, nor who is authorised: it hands over the peer as it showed itself.
 *
 * Its folders:
 * - `listener/` who may come, and when it is their turn
 * - `connection/` what both ends do with an HTTP/2 connection
 * - `server/` calls that are served
 * - `client/` calls that are made
 */

export { Code, codeName, type StatusCode, type StatusDetail } from '../wire/grpc/index.ts';
export {
  abortStatus,
  type CallContext,
  type CallOptions,
  CONNECTION_LOST,
  type Peer,
  RpcError,
} from './call.ts';
export { type BidiCall, createRpcClient, type RpcClient } from './client/client.ts';
export { endInOrder } from './connection/end-in-order.ts';
export { type Attempt, openFirst } from './connection/open-first.ts';
export { peerChain } from './connection/peer-chain.ts';
export { endTogether } from './connection/session-end.ts';
export { BACKLOG, type Connect, type Listen, type TlsIdentity } from './connection/transport.ts';
export { errorTable, RpcSetupError } from './errors.ts';
export { healthService } from './health.ts';
export { defaultLimits, type RpcLimits } from './limits.ts';
export { createListener, type Listener } from './listener/listener.ts';
export { sourceOf, sourceOfAddress } from './listener/source.ts';
export { createStrangers, type Strangers } from './listener/strangers.ts';
export { createTurns, type Turns, whenSpoken } from './listener/turns.ts';
export { openUnixListener, type UnixListener } from './listener/unix-listener.ts';
export { createRpcServer, type RpcServer, type RpcServerDeps } from './server/server.ts';
export { isAged } from './server/server-connection.ts';
export {
  type Answer,
  type BidiHandler,
  type ClientStreamHandler,
  implement,
  type Prebuilt,
  pathOf,
  prebuilt,
  type RpcService,
  type Send,
  type ServerStreamHandler,
  type ServiceImplementation,
  type UnaryHandler,
} from './service.ts';
