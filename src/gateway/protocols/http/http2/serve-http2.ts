import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { judgedBy } from '../../../../model/index.ts';
import { endInOrder, endTogether } from '../../../../rpc/index.ts';
import type { Timer } from '../../../../std/index.ts';
import { createClientFrames } from '../../../../wire/http2/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import { malformedDenial } from '../session/exchange.ts';
import { encodeOwnAnswer, ledgerAnswer, type OwnAnswer } from '../session/refusals/own-answers.ts';
import type { OpenTarget } from '../target.ts';
import { Lane, type LanePort } from './lane.ts';
import { isGrpcCall, requestOf } from './request-head.ts';
import { STREAMS_MAX, sessionOptions } from './session-options.ts';
import { answerStream } from './stream-answer.ts';
import { StreamExchange, type StreamPort } from './stream-exchange.ts';
import { watchedStream } from './watched-stream.ts';

/**
 * Carries one client's streams of HTTP/2, each by a lane as if it had come by HTTP/1.1, until either side or the session's signal ends it. Owns the
 * client and the lanes, and by these the connections upstream.
 */
export async function serveHttp2(target: OpenTarget, session: GatewaySession): Promise<void> {
  await new Connection(target, session).run();
}

class Connection implements LanePort, StreamPort {
  readonly #target: OpenTarget;
  readonly #session: GatewaySession;
  readonly #frames = createClientFrames();
  readonly #http2: ServerHttp2Session;
  readonly #lanes = new Map<Lane, number>();
  readonly #idle: Lane[] = [];
  readonly #open = new Set<StreamExchange>();
  /** Without a lane yet, oldest first. */
  readonly #waiting = new Set<StreamExchange>();
  /** When the stream that has a lane got it. */
  readonly #begunMs = new Map<Lane, number>();
  /** Lanes beyond those of a burst. */
  readonly #further = new Set<Lane>();
  #patience: Timer | undefined;
  readonly #finished = Promise.withResolvers<void>();
  #heldBytes = 0;
  #faults = 0;
  #lastUsedMs: number;
  #isLeaving = false;
  #look: Timer | undefined;
  #goodbye: Timer | undefined;

  constructor(target: OpenTarget, session: GatewaySession) {
    this.#target = target;
    this.#session = session;
    this.#lastUsedMs = this.nowMs();
    const stream = watchedStream(session.client, (chunk, sentBytes) => this.#pass(chunk, sentBytes));
    this.#http2 = performServerHandshake(stream, sessionOptions);
  }

  run(): Promise<void> {
    const { signal, drain, client } = this.#session;
    const { clock } = this.#target.deps;
    this.#http2.on('error', () => {}); // 'close' follows.
    this.#http2.on('stream', (stream: ServerHttp2Stream, _headers, flags: number, rawHeaders: string[]) =>
      this.guard(() => this.#begin(stream, { flags, rawHeaders })),
    );
    endTogether({ session: this.#http2, socket: client, clock, ended: () => void this.#ended() });
    signal.addEventListener('abort', this.#onEnd, { once: true });
    drain.addEventListener('abort', this.#onDrain, { once: true });
    this.#look = clock.after(LOOK_MS, this.#onLook);
    if (signal.aborted) this.#onEnd();
    else if (drain.aborted) this.#onDrain();
    return this.#finished.promise;
  }

  nowMs(): number {
    return this.#target.deps.clock.monotonicMs();
  }

  wants(exchange: StreamExchange): void {
    let lane = this.#idle.pop();
    while (lane !== undefined && !lane.isOpen) lane = this.#idle.pop();
    lane ??= this.#newLane();
    if (lane !== undefined) {
      this.#give(lane, exchange);
      return;
    }
    this.#waiting.add(exchange);
    this.#patience ??= this.#target.deps.clock.after(LONG_MS, this.#onImpatient);
  }

  released(lane: Lane): void {
    this.#lastUsedMs = this.nowMs();
    // Later: who serves it may not have done with it yet.
    queueMicrotask(() =>
      this.guard(() => {
        if (!lane.isOpen) return;
        const next = this.#nextWaiting();
        if (next !== undefined) this.#give(lane, next);
        else if (this.#further.has(lane)) lane.destroy();
        else this.#idle.push(lane);
      }),
    );
  }

  over(one: Lane | StreamExchange, isFault = false): void {
    if (one instanceof Lane) {
      this.#laneOver(one);
      return;
    }
    this.#open.delete(one);
    this.#waiting.delete(one);
    this.#lastUsedMs = this.nowMs();
    // Streams that the server has to take back cost as much as those that its client takes back. CVE-2025-8671.
    if (isFault && ++this.#faults > FAULTS_MAX) this.#cut('faults');
  }

  holds(lane: Lane, bytes: number): void {
    const before = this.#lanes.get(lane);
    if (before === undefined) return;
    this.#lanes.set(lane, bytes);
    this.#heldBytes += bytes - before;
    this.#session.memory.hold(this.#heldBytes);
  }

  #laneOver(lane: Lane) {
    this.holds(lane, 0);
    this.#lanes.delete(lane);
    this.#begunMs.delete(lane);
    if (this.#further.delete(lane)) this.#target.laneRoom.give(this.#session.identity.uri);
    const at = this.#idle.indexOf(lane);
    if (at >= 0) this.#idle.splice(at, 1);
    const next = this.#nextWaiting();
    if (next !== undefined) this.guard(() => this.wants(next));
  }

  /** A client that goes takes its streams back one after another: none of them is begun for that. */
  #nextWaiting(): StreamExchange | undefined {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      if (!next.isGone && !this.#isLeaving && !this.#http2.destroyed) return next;
    }
    return undefined;
  }

  /** By now some of those who have lanes are among those who may keep them for hours. */
  readonly #onImpatient = () => {
    this.#patience = undefined;
    this.guard(() => {
      while (this.#waiting.size > 0) {
        const lane = this.#newLane();
        if (lane === undefined) {
          this.#patience = this.#target.deps.clock.after(LONG_MS, this.#onImpatient);
          return;
        }
        const next = this.#nextWaiting();
        if (next === undefined) lane.destroy();
        else this.#give(lane, next);
      }
    });
  };

  #give(lane: Lane, exchange: StreamExchange) {
    this.#begunMs.set(lane, this.nowMs());
    exchange.begin(lane);
  }

  /** Undefined: there are enough for what is soon over, or no more may be at all. */
  #newLane(): Lane | undefined {
    if (this.#lanes.size < LANES_MAX) return this.#openLane();
    const longMs = this.nowMs() - LONG_MS;
    let soonOver = 0;
    for (const begunMs of this.#begunMs.values()) if (begunMs > longMs) soonOver++;
    if (soonOver >= LANES_MAX || this.#lanes.size >= STREAMS_MAX) return undefined;
    if (!this.#target.laneRoom.take(this.#session.identity.uri)) return undefined;
    const lane = this.#openLane();
    this.#further.add(lane);
    return lane;
  }

  #openLane(): Lane {
    const lane = new Lane(this.#target, this.#session, this);
    this.#lanes.set(lane, 0);
    return lane;
  }

  #pass(chunk: Buffer, sentBytes: number): boolean {
    const flood = this.#frames.pass(chunk, this.nowMs(), sentBytes);
    if (flood !== undefined) this.#cut(flood);
    return flood === undefined;
  }

  #begin(stream: ServerHttp2Stream, { flags, rawHeaders }: { flags: number; rawHeaders: readonly string[] }) {
    const id = stream.id ?? 0;
    const client = this.#frames.take(id);
    stream.on('error', () => {}); // 'close' follows.
    stream.once('close', () => this.#frames.forget(id));
    // What came in one read with whatever ended it comes here all the same, and is not begun.
    if (this.#http2.destroyed || stream.destroyed) return;
    if (client === undefined || client.isReset) return stream.close(constants.NGHTTP2_CANCEL);
    if (this.#isLeaving) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const scheme = this.#session.door === 'direct' ? 'https' : 'http';
    const request = requestOf({ rawHeaders, fieldsSent: client.fields, isWhole, scheme });
    if ('status' in request) return this.#refuse(stream, request, rawHeaders);
    const exchange = new StreamExchange(stream, { request, client, isWhole }, this);
    this.#open.add(exchange);
    exchange.start();
  }

  /** Of what is no request nothing is forwarded; that it came is recorded before it is said. */
  #refuse(stream: ServerHttp2Stream, answer: OwnAnswer, rawHeaders: readonly string[]) {
    const { gate, policy } = this.#session;
    const method = rawHeaders[rawHeaders.indexOf(':method') + 1] === 'HEAD' ? 'HEAD' : 'GET';
    const isCall = isGrpcCall(rawHeaders);
    const bytesOf = (said: OwnAnswer) => encodeOwnAnswer(said, { isHead: method === 'HEAD', isGrpc: isCall });
    const say = (bytes: Buffer) => {
      if (stream.destroyed || stream.closed) return;
      answerStream(stream, { bytes, method });
      endInOrder(stream);
    };
    const pipeline = gate.pipeline({
      forward() {},
      deliver: (pieces) => say(Buffer.concat(pieces)),
      resume() {},
      stop() {},
      fail: (_of, error) => say(bytesOf(ledgerAnswer(error))),
      guard: (act) => this.guard(act),
    });
    stream.once('close', () => pipeline.close());
    stream.resume();
    const denied = pipeline.deny(malformedDenial(answer.status, judgedBy(policy.policySet, [])));
    pipeline.flush({
      pieces: [],
      recorded: () => pipeline.deliver([bytesOf(answer)], denied.after),
      refused(error) {
        say(bytesOf(ledgerAnswer(error)));
        return [];
      },
    });
  }

  /** Whatever is thrown is a bug; it costs this connection, not the gateway. */
  readonly guard = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      this.#target.deps.log.error('gateway.http.session_bug', { session: this.#session.id, error });
      this.#http2.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
    }
  };

  /** More than any client needs: nothing of it goes on. */
  #cut(what: string) {
    if (this.#http2.destroyed) return;
    this.#target.failures.warn('gateway.http.flooded', { session: this.#session.id, what });
    this.#http2.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** Running streams go on, further ones are for another connection. */
  readonly #onDrain = () => {
    this.#isLeaving = true;
    for (const exchange of [...this.#waiting]) exchange.close(constants.NGHTTP2_REFUSED_STREAM);
    this.#http2.close();
  };

  /** Lanes hear of it too, and tell their streams. */
  readonly #onEnd = () => {
    this.#onDrain();
    this.#goodbye ??= this.#target.deps.clock.after(LAST_WORDS_MS, () => this.#session.client.destroy());
  };

  /** Whoever waits for nothing holds a place for nothing. */
  readonly #onLook = () => {
    this.#look = this.#target.deps.clock.after(LOOK_MS, this.#onLook);
    const now = this.nowMs();
    for (const exchange of [...this.#open]) {
      if (now - (exchange.waitsSinceMs ?? now) < WAITS_MS_MAX) continue;
      const isQueued = this.#waiting.has(exchange);
      exchange.close(isQueued ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_CANCEL);
    }
    if (this.#open.size > 0 || now - this.#lastUsedMs < IDLE_MS_MAX) return;
    this.#isLeaving = true;
    this.#http2.close();
    this.#goodbye ??= this.#target.deps.clock.after(LAST_WORDS_MS, () => this.#session.client.destroy());
  };

  async #ended() {
    this.#isLeaving = true;
    this.#look?.cancel();
    this.#patience?.cancel();
    this.#goodbye?.cancel();
    this.#session.signal.removeEventListener('abort', this.#onEnd);
    this.#session.drain.removeEventListener('abort', this.#onDrain);
    const lanes = [...this.#lanes.keys()];
    for (const lane of lanes) lane.destroy();
    await Promise.all(lanes.map(({ served }) => served));
    this.#finished.resolve();
  }
}

/** Served at once, each by a connection upstream of its own, beside those that go on for long; further streams wait. */
const LANES_MAX = 32;
/** Whatever goes on for longer holds no place of what is soon over. */
const LONG_MS = 250;
/** Streams of a connection that the server takes back for what their client did. */
const FAULTS_MAX = 100;
const LOOK_MS = 10_000;
/** Without a stream. */
const IDLE_MS_MAX = 120_000;
/** For a lane, for a first byte, or for a client that does not read. */
const WAITS_MS_MAX = 60_000;
/** For the end to be told. */
const LAST_WORDS_MS = 100;
