import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { endInOrder, endTogether } from '../../../../rpc/index.ts';
import type { Timer } from '../../../../std/index.ts';
import { type ClientStream, createClientFrames } from '../../../../wire/http2/index.ts';
import type { OpenTarget } from '../target.ts';
import type { Lane } from './lane.ts';
import { LanePool, type PoolPort } from './lane-pool.ts';
import type { StreamRequest } from './request-head.ts';
import { sessionOptions } from './session-options.ts';
import { answerStream } from './stream-answer.ts';
import { StreamExchange } from './stream-exchange.ts';
import { watchedStream } from './watched-stream.ts';

/** A stream that has just come. */
export interface Arrival {
  readonly stream: ServerHttp2Stream;
  readonly client: ClientStream;
  /** Names and values in turn, pseudo-headers among them. */
  readonly rawHeaders: readonly string[];
  /** No body follows. */
  readonly isWhole: boolean;
}

/** Who says whose the streams of a connection are. */
export interface ConnectionUser {
  /** Its session's or target's name, for the log. */
  readonly fields: { readonly session: string } | { readonly target: string };
  /** Takes a stream, or answers it. */
  arrived(arrival: Arrival): void;
  /** Looks after what is its own, every ten seconds. */
  looked?(): void;
}

/** Whose a stream is that was taken. */
export interface StreamOwner {
  /** It is carried from now on. */
  began?(exchange: StreamExchange): void;
  /** Wants a lane for it. */
  wants(exchange: StreamExchange): void;
  /** Its stream is closed. */
  over?(exchange: StreamExchange): void;
}

/**
 * One client's connection of HTTP/2: its streams, each carried by a lane as if it had come by HTTP/1.1, and the limits of all of them together. Owns the
 * client and the lanes, and by these the connections upstream.
 */
export class Http2Connection implements PoolPort {
  readonly pool: LanePool;
  readonly #target: OpenTarget;
  readonly #client: Duplex;
  readonly #user: ConnectionUser;
  readonly #frames = createClientFrames();
  readonly #http2: ServerHttp2Session;
  readonly #open = new Map<StreamExchange, StreamOwner>();
  readonly #finished = Promise.withResolvers<void>();
  #faults = 0;
  #lastUsedMs: number;
  #isLeaving = false;
  #look: Timer | undefined;
  #goodbye: Timer | undefined;

  constructor(target: OpenTarget, client: Duplex, user: ConnectionUser) {
    this.#target = target;
    this.#client = client;
    this.#user = user;
    this.#lastUsedMs = this.nowMs();
    this.pool = new LanePool(this);
    const stream = watchedStream(client, (chunk, sentBytes) => this.#pass(chunk, sentBytes));
    this.#http2 = performServerHandshake(stream, sessionOptions);
  }

  /** Serves it to its end. */
  run(): Promise<void> {
    const { clock } = this.#target.deps;
    this.#http2.on('error', () => {}); // 'close' follows.
    this.#http2.on('stream', (stream: ServerHttp2Stream, _headers, flags: number, rawHeaders: string[]) =>
      this.guard(() => this.#arrived(stream, { flags, rawHeaders })),
    );
    endTogether({ session: this.#http2, socket: this.#client, clock, ended: () => void this.#ended() });
    this.#look = clock.after(LOOK_MS, this.#onLook);
    return this.#finished.promise;
  }

  get isServing(): boolean {
    return !this.#isLeaving && !this.#http2.destroyed;
  }

  nowMs(): number {
    return this.#target.deps.clock.monotonicMs();
  }

  used(): void {
    this.#lastUsedMs = this.nowMs();
  }

  /** Carries a stream on behalf of that owner. */
  begin(owner: StreamOwner, { stream, client, isWhole }: Arrival, request: StreamRequest): void {
    const exchange: StreamExchange = new StreamExchange(
      stream,
      { request, client, isWhole },
      {
        nowMs: () => this.nowMs(),
        guard: this.guard,
        wants: (one) => owner.wants(one),
        released: (lane: Lane) => this.pool.released(lane),
        over: (one, isFault) => this.#over(one, isFault),
      },
    );
    this.#open.set(exchange, owner);
    owner.began?.(exchange);
    exchange.start();
  }

  /** Answers a stream that nobody carries. */
  answer({ stream }: Pick<Arrival, 'stream'>, { bytes, method }: { bytes: Buffer; method: string }): void {
    if (stream.destroyed || stream.closed) return;
    stream.resume();
    answerStream(stream, { bytes, method });
    endInOrder(stream);
  }

  /** Running streams go on, further ones are for another connection. */
  leave(): void {
    this.#isLeaving = true;
    for (const exchange of this.pool.waiting()) exchange.close(constants.NGHTTP2_REFUSED_STREAM);
    this.#http2.close();
  }

  /** The same, and soon it is over for all of them: lanes hear of that too, and tell their streams. */
  end(): void {
    this.leave();
    this.#goodbye ??= this.#target.deps.clock.after(LAST_WORDS_MS, () => this.#client.destroy());
  }

  /** Whatever is thrown is a bug; it costs this connection, not the gateway. */
  readonly guard = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      this.#target.deps.log.error('gateway.http.session_bug', { ...this.#user.fields, error });
      this.#http2.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
    }
  };

  #over(exchange: StreamExchange, isFault: boolean) {
    this.#open.get(exchange)?.over?.(exchange);
    this.#open.delete(exchange);
    this.pool.drop(exchange);
    this.used();
    // Streams that the server has to take back cost as much as those that its client takes back. CVE-2025-8671.
    if (isFault && ++this.#faults > FAULTS_MAX) this.#cut('faults');
  }

  #pass(chunk: Buffer, sentBytes: number): boolean {
    const flood = this.#frames.pass(chunk, this.nowMs(), sentBytes);
    if (flood !== undefined) this.#cut(flood);
    return flood === undefined;
  }

  #arrived(stream: ServerHttp2Stream, { flags, rawHeaders }: { flags: number; rawHeaders: readonly string[] }) {
    const id = stream.id ?? 0;
    const client = this.#frames.take(id);
    stream.on('error', () => {}); // 'close' follows.
    stream.once('close', () => this.#frames.forget(id));
    // What came in one read with whatever ended it comes here all the same, and is not begun.
    if (this.#http2.destroyed || stream.destroyed) return;
    if (client === undefined || client.isReset) return stream.close(constants.NGHTTP2_CANCEL);
    if (this.#isLeaving) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    this.#user.arrived({ stream, client, rawHeaders, isWhole });
  }

  /** More than any client needs: nothing of it goes on. */
  #cut(what: string) {
    if (this.#http2.destroyed) return;
    this.#target.failures.warn('gateway.http.flooded', { ...this.#user.fields, what });
    this.#http2.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** Whoever waits for nothing holds a place for nothing. */
  readonly #onLook = () => {
    this.#look = this.#target.deps.clock.after(LOOK_MS, this.#onLook);
    const now = this.nowMs();
    for (const exchange of [...this.#open.keys()]) {
      if (now - (exchange.waitsSinceMs ?? now) < WAITS_MS_MAX) continue;
      exchange.close(exchange.isQueued ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_CANCEL);
    }
    this.#user.looked?.();
    if (this.#open.size === 0 && now - this.#lastUsedMs >= IDLE_MS_MAX) this.end();
  };

  async #ended() {
    this.#isLeaving = true;
    this.#look?.cancel();
    this.#goodbye?.cancel();
    await this.pool.close();
    this.#finished.resolve();
  }
}

/** Streams of a connection that the server takes back for what their client did. */
const FAULTS_MAX = 100;
const LOOK_MS = 10_000;
/** Without a stream. */
const IDLE_MS_MAX = 120_000;
/** For a lane, for a first byte, or for a client that does not read. */
const WAITS_MS_MAX = 60_000;
/** For the end to be told. */
const LAST_WORDS_MS = 100;
