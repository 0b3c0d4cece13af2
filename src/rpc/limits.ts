/** Limits of a server. */
export interface RpcLimits {
  /** Open connections; further ones are closed at once. */
  readonly connectionsMax: number;
  /** Of those, how many may come from one address (over TCP; see `sourceOf`). Who calls over a unix socket is for `onConnection` to count. */
  readonly connectionsPerSourceMax: number;
  /** Of those, how many may be strangers', which nobody has vouched for yet, their TLS handshakes included; beyond it the oldest is closed for the newest. */
  readonly strangersPerSourceMax: number;
  /** The same over all addresses: the oldest is closed of the address that has most. */
  readonly strangersMax: number;
  /** How long a connection may be a stranger's, ms; then it is closed as one that has reached its age. */
  readonly strangerMsMax: number;
  /** Calls under way on a stranger's connection. */
  readonly strangerStreamsMax: number;
  /** Calls that a stranger's connection may make at all; past it the connection is closed. */
  readonly strangerCallsMax: number;
  /** Calls under way on one connection. */
  readonly streamsPerConnectionMax: number;
  /** Bytes of one request message. */
  readonly requestBytesMax: number;
  /** Bytes that the requests of one connection may hold together: those still arriving, those waiting, and those whose call is not over. */
  readonly connectionRequestBytesMax: number;
  /** The same for all connections together; past it the connection that holds most is closed. */
  readonly serverRequestBytesMax: number;
  /** How long a request that is a single message may take to arrive, ms. */
  readonly requestTimeoutMs: number;
  /** Bytes of all headers of one call. */
  readonly headerBytesMax: number;
  /** Bytes that one call may have waiting for a client that does not read; past it the call ends with RESOURCE_EXHAUSTED. A single message may be larger. */
  readonly streamQueueBytesMax: number;
  /** The same for all calls of a connection together. */
  readonly connectionQueueBytesMax: number;
  /** Calls that a client may take back unanswered within 10 s on one connection before the connection is closed. */
  readonly resetsPer10sMax: number;
  /** Connections without a call for so long are told to go, ms. */
  readonly idleMsMax: number;
  /** How long a TLS handshake, and after it a connection's first call, may take, ms. */
  readonly handshakeTimeoutMs: number;
  /** Connections are told to go (GOAWAY) at this age, ms, and closed when their calls have ended or `graceMs` later; undefined = never. */
  readonly connectionAgeMsMax: number | undefined;
  /** How long calls under way may take to finish once the server stops or their connection is too old, ms. */
  readonly graceMs: number;
}

/** The limits that hold unless others are given. */
export const defaultLimits: RpcLimits = {
  // Two file descriptors at most for each, under the usual limit of 65,536.
  connectionsMax: 20_000,
  // A cluster behind one address fits; no one address takes all places.
  connectionsPerSourceMax: 5_000,
  // A cluster that comes back all at once passes, each of its agents being known by its first call.
  strangersPerSourceMax: 1_000,
  // What strangers make the server hold at most is a quarter of a megabyte each: half a gigabyte.
  strangersMax: 2_000,
  // The longest that an attestation may take, twice.
  strangerMsMax: 2 * 60_000,
  // What clients take for granted before they have read what may be.
  strangerStreamsMax: 100,
  // A health check a second for as long as one may stay; what is taken back in the same read is counted too, before any work is done for it.
  strangerCallsMax: 200,
  // A process that serves many threads over one connection opens one stream each.
  streamsPerConnectionMax: 1000,
  // What every gRPC implementation allows by default: 500 signing requests are 250 KiB.
  requestBytesMax: 4 * 1024 * 1024,
  // Four of the largest at once.
  connectionRequestBytesMax: 16 * 1024 * 1024,
  // Strangers may connect: what all of them together can make the server hold must fit its memory.
  serverRequestBytesMax: 256 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  // What Node and Go allow by default is 16 KiB or more; callers send a few hundred bytes.
  headerBytesMax: 16 * 1024,
  // Several full responses of a large identity set.
  streamQueueBytesMax: 4 * 1024 * 1024,
  connectionQueueBytesMax: 32 * 1024 * 1024,
  // A real client cancels a call of its own once in a while; an attacker does nothing else.
  resetsPer10sMax: 1000,
  // Each holds a descriptor, and a process handle on the agent; whoever comes back is attested anew.
  idleMsMax: 15 * 60_000,
  handshakeTimeoutMs: 10_000,
  connectionAgeMsMax: undefined,
  graceMs: 10_000,
};
