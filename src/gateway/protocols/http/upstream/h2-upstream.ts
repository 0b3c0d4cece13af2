import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { Duplex } from 'node:stream';
import { endTogether } from '../../../../rpc/index.ts';
import type { Clock } from '../../../../std/index.ts';
import { createRequestReader, encodeChunk, Http1Error, type RequestHead } from '../../../../wire/http1/index.ts';
import { createServerFrames } from '../../../../wire/http2/index.ts';
import { watchedStream } from '../http2/watched-stream.ts';
import { answerEnd, answerHead, type StreamAnswerHead, streamHead } from './h2-messages.ts';

/**
 * A connection of HTTP/1.1 whose other end speaks HTTP/2: each request that is written becomes a stream, one after another, and what comes back is read
 * as its answer. What wrong there is of an answer breaks the connection, as an upstream of HTTP/1.1 that goes away would. Owns `socket`.
 */
export function speakHttp2(socket: Duplex, { clock, scheme }: { clock: Clock; scheme: 'http' | 'https' }): Duplex {
  return new Http2Upstream(socket, clock, scheme);
}

class Http2Upstream extends Duplex {
  readonly #session: ClientHttp2Session;
  readonly #scheme: 'http' | 'https';
  readonly #frames = createServerFrames();
  /** What is written here is our own, with a credential that may be long. */
  readonly #reader = createRequestReader({ headBytesMax: 4 * HEAD_BYTES_MAX, fieldsMax: 200, allowObsText: true });
  #call: Call | undefined;

  constructor(socket: Duplex, clock: Clock, scheme: 'http' | 'https') {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#scheme = scheme;
    const stream = watchedStream(socket, (chunk, sentBytes) => {
      const flood = this.#frames.pass(chunk, clock.monotonicMs(), sentBytes);
      if (flood !== undefined) this.destroy();
      else this.#call?.takeRest();
      return flood === undefined;
    });
    this.#session = connect('http://upstream', { ...SESSION, createConnection: () => stream });
    this.#session.on('error', () => {}); // 'close' follows.
    // What was sent over it now would be for nobody: the next request goes elsewhere.
    this.#session.on('goaway', () => this.#leaveIfIdle());
    // It was told that nothing may be pushed.
    this.#session.on('stream', () => this.destroy());
    endTogether({ session: this.#session, socket, clock, ended: () => this.#ended() });
  }

  override _read(): void {
    this.#call?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#reader.push(chunk);
    try {
      for (let event = this.#reader.next(); event !== undefined; event = this.#reader.next()) {
        if (event.kind === 'head') this.#begin(event.head);
        else if (event.kind === 'end') this.#call?.endRequest();
        else this.#call?.send(event.bytes);
      }
    } catch (error) {
      // Of its own bytes none is wrong: the session has gone, or what was to be said can't be said in HTTP/2.
      done(error instanceof Error ? error : new Error('not sent'));
      return;
    }
    if (this.#call === undefined) done();
    else this.#call.whenSent(done);
  }

  override _final(done: () => void): void {
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Told by itself, before the connection goes: else a server that shares it with nobody may go on for nothing.
    this.#call?.cancel();
    this.#session.destroy();
    done(error);
  }

  #begin(head: RequestHead) {
    const isWhole = head.body.kind === 'none';
    const stream = this.#session.request(streamHead(head, this.#scheme), { endStream: isWhole });
    this.#call = new Call(stream, head.method, {
      answered: (bytes) => this.push(bytes),
      over: (call, isFine) => {
        if (!isFine) this.destroy();
        else if (this.#call === call) this.#call = undefined;
        this.#leaveIfIdle(!call.stream.writableFinished);
      },
      begun: () => this.#frames.take(stream.id ?? 0),
    });
    stream.once('close', () => this.#frames.forget(stream.id ?? 0));
  }

  /**
   * Ends in order where nothing more can be asked: the upstream has said so; or, by that word, it answered and does not take the rest of the request, behind
   * which the next one would wait.
   */
  #leaveIfIdle(isStuck = false) {
    if (this.#call !== undefined || this.destroyed || !(isStuck || this.#session.closed)) return;
    this.push(null);
    this.end();
  }

  /** An answer that is not whole is seen to be none. */
  #ended() {
    if (this.#call !== undefined) this.destroy();
    else if (!this.destroyed && !this.writableEnded) {
      this.push(null);
      this.end();
    }
  }
}

/** What a call tells its connection. */
interface CallPort {
  /** Some of its answer, in HTTP/1.1. False: no more until it is resumed. */
  answered(bytes: Buffer): boolean;
  /** Its answer is whole; or never will be. */
  over(call: Call, isFine: boolean): void;
  /** What the frames have of its answer. */
  begun(): { readonly hasEnded: boolean } | undefined;
}

/** One request and its answer. */
class Call {
  readonly stream: ClientHttp2Stream;
  readonly #method: string;
  readonly #port: CallPort;
  #head: StreamAnswerHead | undefined;
  #trailers: readonly string[] = [];
  #frames: { readonly hasEnded: boolean } | undefined;
  #interim = 0;
  #isOver = false;

  constructor(stream: ClientHttp2Stream, method: string, port: CallPort) {
    this.stream = stream;
    this.#method = method;
    this.#port = port;
    stream
      .on('error', () => {}) // 'close' follows.
      .on('headers', () => this.#informed())
      .on('continue', () => this.#informed())
      .on('response', (_headers: IncomingHttpHeaders, flags: number, raw?: string[]) => this.#begin(raw ?? [], flags))
      .on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
        this.#trailers = raw ?? [];
      })
      .on('close', () => queueMicrotask(() => this.#finish(false)));
  }

  /** There is room for more of its answer. */
  resume(): void {
    if (this.#head !== undefined) this.stream.resume();
  }

  /**
   * What has come to its end is taken, whoever reads it: node:http2 drops what it still has when the connection goes, which an upstream may end right behind
   * it. No more than the window of one stream.
   */
  takeRest(): void {
    if (this.#frames?.hasEnded === true) this.resume();
  }

  send(bytes: Buffer): void {
    if (!this.stream.writableEnded && !this.stream.destroyed) this.stream.write(bytes);
  }

  endRequest(): void {
    if (!this.stream.writableEnded && !this.stream.destroyed) this.stream.end();
  }

  /** Once there is room for more of its request, or that is for nobody. */
  whenSent(then: () => void): void {
    const { stream } = this;
    if (stream.destroyed || stream.closed || !stream.writableNeedDrain) {
      then();
      return;
    }
    const settle = () => {
      stream.off('drain', settle).off('close', settle);
      then();
    };
    stream.on('drain', settle).on('close', settle);
  }

  cancel(): void {
    this.#isOver = true;
    if (!this.stream.closed && !this.stream.destroyed) this.stream.close(constants.NGHTTP2_CANCEL);
  }

  #begin(raw: readonly string[], flags: number) {
    if (this.#isOver) return;
    const endsThere = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    this.#frames = this.#port.begun();
    try {
      this.#head = answerHead(raw, { method: this.#method, endsThere });
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#finish(false);
      return;
    }
    this.#say(this.#head.bytes);
    // Not before: what is read already is told earlier than the head.
    this.stream
      .on('data', (chunk: Buffer) => this.#data(chunk))
      // Trailers are told in the same turn, before it or after.
      .on('end', () => queueMicrotask(() => this.#end()));
  }

  #data(chunk: Buffer) {
    const kind = this.#head?.body.kind;
    if (this.#isOver || kind === undefined) return;
    if (kind === 'none') this.#finish(false);
    else if (chunk.length > 0) for (const piece of kind === 'chunked' ? encodeChunk(chunk) : [chunk]) this.#say(piece);
  }

  /** A stream that was reset ends for node:http2 too. */
  #end() {
    if (this.#isOver) return;
    if (this.#frames?.hasEnded !== true) return this.#finish(false);
    if (this.#head?.body.kind === 'chunked') this.#say(answerEnd(this.#trailers));
    this.#finish(true);
  }

  #informed() {
    if (++this.#interim > INTERIM_MAX) this.#finish(false);
  }

  #say(bytes: Buffer) {
    if (!this.#port.answered(bytes) && this.#frames?.hasEnded !== true) this.stream.pause();
  }

  #finish(isFine: boolean) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#port.over(this, isFine);
  }
}

/** Of an answer. */
const HEAD_BYTES_MAX = 32 * 1024;
/** Before one answer. */
const INTERIM_MAX = 8;
/** On its way, each way. */
const BUFFER_BYTES = 64 * 1024;
const SESSION: NonNullable<Parameters<typeof connect>[1]> = {
  maxHeaderListPairs: 128,
  maxOutstandingPings: 10,
  // In megabytes.
  maxSessionMemory: 16,
  settings: { enablePush: false, initialWindowSize: 256 * 1024, maxHeaderListSize: HEAD_BYTES_MAX },
};
