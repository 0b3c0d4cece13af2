import {
  getPackedSettings,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { type Clock, createBag, type Log, type LogFields, type Timer } from '../../std/index.ts';
import { Code } from '../../wire/grpc/index.ts';
import { type Peer, RpcError } from '../call.ts';
import { type KeepAlive, keepAlive } from '../connection/keepalive.ts';
import { endTogether, LAST_WORDS_MS } from '../connection/session-end.ts';
import type { RpcLimits } from '../limits.ts';
import type { RpcMethod } from '../service.ts';
import type { Intake } from './intake.ts';
import { type CallSite, type ServerCall, serveCall } from './server-call.ts';
import { watchTraffic } from './traffic.ts';

/** One connection that is served. */
export interface ServerConnection {
  /** Lets calls under way finish within the grace time, then ends them, then closes: whatever the peer does. Resolves when closed. */
  drain(why: RpcError): Promise<void>;
}

/** Speaks HTTP/2 on `stream`, which is the peer's socket or its bytes, and serves its calls until either side ends it. `closed` runs once at the end. */
export function serveConnection(options: {
  stream: Duplex;
  clock: Clock;
  timers: CallSite['timers'];
  log: Log;
  /** For lines that strangers can cause. */
  refused: Log;
  limits: RpcLimits;
  peer: Peer;
  state: Map<symbol, unknown>;
  methods: ReadonlyMap<string, RpcMethod>;
  intake: Intake;
  interceptor: CallSite['interceptor'];
  /** Runs once, when a call's caller is known. */
  vouch: () => void;
  closed: () => void;
}): ServerConnection {
  const { clock, log, refused, limits, peer } = options;
  const calls = createBag<ServerCall>();
  const draining = new AbortController();
  const intake = options.intake.open(() =>
    cut('rpc.connection.oversized', { serverRequestBytesMax: limits.serverRequestBytesMax }),
  );
  const cut = (event: string, fields: LogFields) => {
    refused.warn(event, { remoteAddress: addressOf(peer), ...fields });
    session.destroy(undefined, ENHANCE_YOUR_CALM);
  };
  let isStranger = peer.kind === 'tls';
  const site: CallSite = {
    clock,
    timers: options.timers,
    log,
    limits,
    peer,
    state: options.state,
    draining: draining.signal,
    interceptor: options.interceptor,
    intake,
    calls,
    traffic: { calls: 0, callBytes: 0 },
    queuedBytes: 0,
    closed(stream, watched) {
      if (watched || stream.rstCode === 0 || !resets.isTooMany()) return;
      cut('rpc.connection.flooded', { resetsPer10sMax: limits.resetsPer10sMax });
    },
    vouch() {
      if (!isStranger || session.destroyed) return;
      isStranger = false;
      strangerAge?.cancel();
      session.settings({ maxConcurrentStreams: limits.streamsPerConnectionMax });
      options.vouch();
    },
    watchPeer: () => alive.hasten(CLOSE_PING),
  };
  const session = performServerHandshake(options.stream, sessionOptions(limits, isStranger));
  const resets = countResets(clock, limits.resetsPer10sMax);
  const alive = watchPeer(session, options);
  const timers: Timer[] = [clock.after(limits.handshakeTimeoutMs, () => session.destroy()), alive];
  const closed = Promise.withResolvers<void>();

  const drain = (why: RpcError): Promise<void> => {
    if (!draining.signal.aborted && !peer.socket.closed) {
      draining.abort(why);
      const grace = clock.after(Math.min(limits.graceMs, isStranger ? STRANGER_GRACE_MS : limits.graceMs), () => {
        for (const call of calls.items()) call.end(why);
        // The statuses are written on this turn of the event loop; whoever does not read them by the next is cut off.
        timers.push(clock.after(LAST_WORDS_MS, () => peer.socket.destroy()));
      });
      timers.push(grace);
      session.close();
    }
    return closed.promise;
  };
  session.on('stream', (stream: ServerHttp2Stream, headers, _flags, rawHeaders: string[]) => {
    timers[0]?.cancel();
    stream.on('error', () => {}); // 'close' follows and says all there is to know.
    // What came in one read with whatever ended the session comes here all the same.
    if (session.destroyed) return;
    if (isStranger && site.traffic.calls >= limits.strangerCallsMax) {
      return cut('rpc.stranger.flooded', { strangerCallsMax: limits.strangerCallsMax });
    }
    const method = options.methods.get(`${headers[':path']}`);
    serveCall(site, { stream, headers, rawHeaders, method });
  });
  session.on('error', (error) => log.debug('rpc.connection.failed', { remoteAddress: addressOf(peer), error }));
  const ended = () => {
    for (const timer of [...timers, strangerAge]) timer?.cancel();
    for (const call of calls.items()) call.end(new RpcError(Code.CANCELLED, 'the client has gone'));
    intake.close();
    options.closed();
    closed.resolve();
  };
  endTogether({ session, socket: peer.socket, clock, ended });
  const leave = () => void drain(new RpcError(Code.UNAVAILABLE, AGED));
  const strangerAge = isStranger ? clock.after(limits.strangerMsMax, leave) : undefined;
  timers.push(...lookAfter({ site, leave, noisy: () => cut('rpc.connection.noisy', {}) }));
  return { drain };
}

function watchPeer(
  session: ServerHttp2Session,
  { peer, timers }: { peer: Peer; timers: CallSite['timers'] },
): KeepAlive {
  const pace = peer.kind === 'tls' ? PING : LOCAL_PING;
  return keepAlive({ ...{ session, socket: peer.socket, clock: timers, dead: () => session.destroy() }, ...pace });
}

/** Whatever ends a connection by itself, once it has had its first call. */
function lookAfter(options: { site: CallSite; leave: () => void; noisy: () => void }): Timer[] {
  const { leave, noisy } = options;
  const { limits, peer, timers, traffic, calls } = options.site;
  const { connectionAgeMsMax, idleMsMax } = limits;
  return [
    ...(connectionAgeMsMax === undefined ? [] : [options.site.clock.after(connectionAgeMsMax, leave)]),
    watchTraffic({
      ...{ socket: peer.socket, timers, traffic, idleMsMax, noisy },
      openCalls: () => calls.size,
      idle: leave,
    }),
  ];
}

/** True when a connection is drained because it has reached its age: its client is expected back at once. */
export function isAged(draining: AbortSignal): boolean {
  return draining.reason instanceof RpcError && draining.reason.message === AGED;
}

/** The settings frame that {@link serveConnection} begins with on a unix socket, for clients that wait for it. */
export function greetingOf(limits: RpcLimits): Buffer {
  const settings = getPackedSettings(settingsOf(limits, limits.streamsPerConnectionMax));
  const head = Buffer.from([0, 0, settings.length, SETTINGS, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, settings]);
}

function sessionOptions(limits: RpcLimits, isStranger: boolean): Parameters<typeof performServerHandshake>[1] {
  const streamsMax = isStranger ? limits.strangerStreamsMax : limits.streamsPerConnectionMax;
  return {
    maxSessionInvalidFrames: 100,
    maxSessionMemory: SESSION_MEGABYTES_MAX,
    maxHeaderListPairs: 100,
    maxOutstandingPings: 10,
    // Node's own counter does not know which resets are an attack: ours does (see countResets); this one is the far limit.
    streamResetBurst: 20_000,
    streamResetRate: 10_000,
    settings: settingsOf(limits, streamsMax),
  };
}

function settingsOf(limits: RpcLimits, streamsMax: number): Settings {
  return {
    enablePush: false,
    maxConcurrentStreams: streamsMax,
    maxHeaderListSize: limits.headerBytesMax,
  };
}

/**
 * Counts calls that a client took back before their answer had left: also those that were answered at once, whose work is done by then. Taking
 * back a stream between two answers is how every watch ends.
 */
function countResets(clock: Clock, resetsPer10sMax: number): { isTooMany(): boolean } {
  let windowStartMs = clock.monotonicMs();
  let count = 0;
  return {
    isTooMany() {
      const nowMs = clock.monotonicMs();
      if (nowMs - windowStartMs >= RESET_WINDOW_MS) {
        windowStartMs = nowMs;
        count = 0;
      }
      count++;
      return count > resetsPer10sMax;
    },
  };
}

function addressOf(peer: Peer): string {
  return peer.kind === 'tls' ? peer.remoteAddress : 'unix';
}

/** Frame type: RFC 9113 §6.5. */
const SETTINGS = 4;
const ENHANCE_YOUR_CALM = 11;
const RESET_WINDOW_MS = 10_000;
/** Enough for 1,000 calls with full headers; past it further streams are refused. */
const SESSION_MEGABYTES_MAX = 64;
/** A vanished gateway or agent counts as gone within 50 s. */
const PING = { intervalMs: 30_000, timeoutMs: 20_000 };
/** Within nine. */
const CLOSE_PING = { intervalMs: 3_000, timeoutMs: 6_000 };
/** The kernel tells when a process is gone; this is for those that are there and do not read. */
const LOCAL_PING = { intervalMs: 5 * 60_000, timeoutMs: 20_000 };
/** For an attestation that is under way; nobody who is known is to wait for a stranger at the stop. */
const STRANGER_GRACE_MS = 2_000;
const AGED = 'the connection has reached its age; connect again';
