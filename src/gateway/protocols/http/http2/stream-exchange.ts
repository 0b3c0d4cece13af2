import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { addAbortSignal } from 'node:stream';
import { endInOrder } from '../../../../rpc/index.ts';
import { type BodyLength, encodeChunk, encodeLastChunk, type ResponseEvent } from '../../../../wire/http1/index.ts';
import type { ClientStream } from '../../../../wire/http2/index.ts';
import { isGrpc } from '../meaning/index.ts';
import { encodeOwnAnswer, type OwnAnswer } from '../session/refusals/own-answers.ts';
import type { Lane, LaneUser } from './lane.ts';
import { encodeHead, type StreamRequest } from './request-head.ts';
import { answerStream, StreamAnswer } from './stream-answer.ts';

/** What a stream asks of its connection. */
export interface StreamPort {
  nowMs(): number;
  /** Does something on behalf of the connection, which it ends if that throws. */
  guard(act: () => void): void;
  /** Wants a lane: `begin` is called, now or later. */
  wants(exchange: StreamExchange): void;
  /** It needs its lane no longer, which can be used again. */
  released(lane: Lane): void;
  /** Its stream is closed. `isFault`: by a wrong that its client did, and not by its own word. */
  over(exchange: StreamExchange, isFault: boolean): void;
}

/** One request of HTTP/2 and its answer, by a lane. */
export class StreamExchange implements LaneUser {
  readonly #stream: ServerHttp2Stream;
  readonly #request: StreamRequest;
  readonly #client: ClientStream;
  readonly #port: StreamPort;
  readonly #answer: StreamAnswer;
  #lane: Lane | undefined;
  #isKept = false;
  /** Of its body, not handed on yet. */
  #held: Buffer[] = [];
  #bodyBytes = 0;
  #isChunked = false;
  /** All of it has come, as its client said. */
  #isRead: boolean;
  #hasAsked = false;
  #isBegun = false;
  #isCut = false;
  #isMalformed = false;
  #taken: (() => void) | undefined;
  /** Since when it waits: for its client to send or to read, or for a lane; undefined: it does not. */
  waitsSinceMs: number | undefined;

  constructor(
    stream: ServerHttp2Stream,
    { request, client, isWhole }: { request: StreamRequest; client: ClientStream; isWhole: boolean },
    port: StreamPort,
  ) {
    this.#stream = stream;
    this.#request = request;
    this.#client = client;
    this.#port = port;
    this.#answer = new StreamAnswer(stream, request);
    this.#isRead = isWhole;
    stream.on('drain', () => this.#drained()).on('close', () => this.#closed());
  }

  /** Its client waits for nothing. */
  get isGone(): boolean {
    return this.#client.isReset || this.#stream.closed || this.#stream.destroyed;
  }

  /** It has asked for a lane and never had one: nobody has taken up anything of it. */
  get isQueued(): boolean {
    return this.#hasAsked && !this.#isBegun;
  }

  get heldBytes(): number {
    return this.#stream.writableLength + this.#stream.readableLength;
  }

  start(): void {
    this.waitsSinceMs = this.#port.nowMs();
    const { method, declaredBytes, expectsContinue } = this.#request;
    const hasBody = HAVE_BODIES.has(method) && declaredBytes !== 0;
    if (this.#isRead || hasBody || expectsContinue) this.#ask();
    if (this.#isRead) this.#stream.resume();
    else this.#listen();
    if (this.#hasAsked && this.#lane === undefined && !this.#isRead) this.#stream.pause();
  }

  #listen() {
    const { guard } = this.#port;
    this.#stream
      .on('data', (chunk: Buffer) => guard(() => this.#data(chunk)))
      .on('trailers', (trailers: IncomingHttpHeaders) => {
        this.#isMalformed ||= REFUSED_TRAILERS.some((name) => trailers[name] !== undefined);
      })
      // Trailers are told in the same turn, before it or after.
      .on('end', () => queueMicrotask(() => guard(() => this.#end())));
  }

  begin(lane: Lane): void {
    this.#lane = lane;
    this.#isBegun = true;
    this.waitsSinceMs = undefined;
    const body = this.#framing();
    this.#isChunked = body.kind === 'chunked';
    lane.begin(this, this.#request.method, encodeHead(this.#request, body));
    const held = this.#held;
    this.#held = [];
    for (const piece of held) this.#pass(piece);
    if (this.#isRead) this.#endBody();
    else this.#stream.resume();
  }

  /** Ends it, with that to its client. */
  close(code: number): void {
    this.#isCut = true;
    // To close a stream that has begun its answer would end that in order, so that it was taken for whole.
    if (this.#stream.headersSent && code === constants.NGHTTP2_CANCEL) addAbortSignal(ABORTED, this.#stream);
    else if (this.#stream.headersSent) this.#stream.destroy(new Error('the answer broke off'));
    else if (!this.#stream.closed) this.#stream.close(code);
    if (!this.#answer.isWhole) this.#lane?.destroy();
  }

  /** Answers it in the place of a lane, which it never gets. */
  refuse(answer: OwnAnswer): void {
    const { method, fields } = this.#request;
    this.#isCut = true;
    if (this.isGone) return;
    this.#stream.resume(); // What still comes goes nowhere.
    answerStream(this.#stream, {
      bytes: encodeOwnAnswer(answer, { isHead: method === 'HEAD', isGrpc: isGrpc(fields) }),
      method,
    });
    endInOrder(this.#stream);
  }

  take(event: ResponseEvent): void {
    if (event.kind === 'head') this.#isKept = event.head.keepAlive;
    this.#answer.take(event);
    if (event.kind === 'end') this.#answered();
  }

  whenTaken(then: () => void): void {
    this.#answer.show();
    if (this.#stream.destroyed || !this.#stream.writableNeedDrain) {
      then();
      return;
    }
    this.waitsSinceMs = this.#port.nowMs();
    this.#taken = then;
  }

  givenBack(): void {
    this.#lane = undefined;
    this.close(constants.NGHTTP2_REFUSED_STREAM);
  }

  room(): void {
    if (this.#hasAsked && !this.#isRead) this.#stream.resume();
  }

  lost(why: OwnAnswer | undefined): void {
    this.#lane = undefined;
    const isTargets = why === undefined || OF_TARGETS.has(why.reason);
    if (!this.#answer.isWhole) this.close(isTargets ? constants.NGHTTP2_INTERNAL_ERROR : constants.NGHTTP2_CANCEL);
  }

  #ask() {
    if (this.#hasAsked) return;
    this.#hasAsked = true;
    this.#port.wants(this);
  }

  #framing(): BodyLength {
    const { declaredBytes } = this.#request;
    if (this.#isRead) return this.#bodyBytes === 0 ? { kind: 'none' } : { kind: 'length', bytes: this.#bodyBytes };
    return declaredBytes === undefined ? { kind: 'chunked' } : { kind: 'length', bytes: declaredBytes };
  }

  #data(chunk: Buffer) {
    const { declaredBytes } = this.#request;
    if (this.#isCut) return;
    this.#bodyBytes += chunk.length;
    if (declaredBytes !== undefined && this.#bodyBytes > declaredBytes) return this.#wrong();
    if (this.#lane === undefined) {
      if (chunk.length > 0 && !this.#answer.isWhole) this.#held.push(chunk);
      this.#stream.pause();
      this.#ask();
      return;
    }
    this.#pass(chunk);
  }

  /** The last piece of a body that has a length waits for the stream's end: nothing is carried out of which more comes than was said. */
  #pass(chunk: Buffer) {
    const { declaredBytes } = this.#request;
    if (declaredBytes !== undefined && this.#bodyBytes === declaredBytes && !this.#isRead) {
      this.#held.push(chunk);
      return;
    }
    if (this.#push(this.#isChunked ? encodeChunk(chunk) : [chunk])) return;
    if (!this.#isRead) this.#stream.pause();
  }

  #end() {
    const { declaredBytes } = this.#request;
    // A stream that was taken back or is malformed, or whose connection has gone, ends for node:http2 too.
    const isOver = this.#stream.closed || this.#client.isReset;
    if (isOver || !this.#client.hasEnded) return this.#answer.isWhole ? undefined : this.#abandon();
    if (this.#isMalformed || this.#bodyBytes !== (declaredBytes ?? this.#bodyBytes)) return this.#wrong();
    this.#isRead = true;
    if (this.#lane === undefined) this.#ask();
    else this.#endBody();
  }

  /** What its lane has of it is no whole request. */
  #abandon() {
    this.#lane?.destroy();
  }

  #endBody() {
    for (const piece of this.#held) this.#push(this.#isChunked ? encodeChunk(piece) : [piece]);
    this.#held = [];
    if (this.#isChunked) this.#push([encodeLastChunk()]);
  }

  #push(pieces: readonly Buffer[]): boolean {
    return this.#lane === undefined || this.#answer.isWhole || this.#lane.push(pieces);
  }

  #wrong() {
    this.close(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  #answered() {
    const lane = this.#lane;
    this.#lane = undefined;
    if (lane === undefined) return;
    this.waitsSinceMs = this.#port.nowMs();
    lane.release();
    if (this.#isRead && this.#isKept && lane.isOpen) {
      this.#port.released(lane);
      return;
    }
    lane.destroy();
    if (this.#isRead || this.#stream.closed) return;
    // What is left of its body is for nobody: RFC 9113 §8.1.
    this.#answer.endInOrder();
  }

  #drained() {
    const then = this.#taken;
    this.#taken = undefined;
    // What is left of a whole answer is little; whether the client takes it shows by the stream's end alone.
    if (!this.#answer.isWhole) this.waitsSinceMs = undefined;
    then?.();
  }

  #closed() {
    const isFault = !this.#isCut && !this.#client.isReset && this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR;
    if (!this.#answer.isWhole) this.#lane?.destroy();
    this.#drained();
    this.#port.over(this, isFault);
  }
}

/** Of node's own abort error alone it makes CANCEL, of others INTERNAL_ERROR. */
const ABORTED = AbortSignal.abort();
/** Why an answer broke off for which policy has done nothing. */
const OF_TARGETS: ReadonlySet<string> = new Set(['target', 'target-answer', 'ledger', 'malformed']);
/** Behind a body they would say anew what its head has said. The others are dropped. */
const REFUSED_TRAILERS = ['content-length', 'transfer-encoding', 'host', 'te', 'trailer', 'expect', 'connection'];
/** Of the others, hardly any has one: whether there is one is waited for. */
const HAVE_BODIES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
