import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { assert, type Bag, type Clock, type InBag, type Log, type Timer } from '../../std/index.ts';
import {
  Code,
  encodeFrame,
  GrpcWireError,
  isGrpcContentType,
  parseMetadata,
  parseTimeoutMs,
} from '../../wire/grpc/index.ts';
import { abortStatus, type CallContext, type Peer, RpcError } from '../call.ts';
import { createMessageReader } from '../connection/message-reader.ts';
import type { RpcLimits } from '../limits.ts';
import { type Answer, isPrebuilt, type RpcMethod } from '../service.ts';
import type { CallIntake, ConnectionIntake } from './intake.ts';
import { OneMessage } from './one-message.ts';
import { createServerResponse, type ServerResponse } from './server-response.ts';
import type { Traffic } from './traffic.ts';

/** What the calls of one connection share. */
export interface CallSite {
  readonly clock: Clock;
  /** For limits that every call has and hardly any reaches. */
  readonly timers: Pick<Clock, 'after'>;
  readonly log: Log;
  readonly limits: RpcLimits;
  readonly peer: Peer;
  readonly state: Map<symbol, unknown>;
  readonly draining: AbortSignal;
  readonly interceptor: ((context: CallContext, next: () => Promise<void>) => Promise<void>) | undefined;
  /** What its requests hold. */
  readonly intake: ConnectionIntake;
  /** Those under way. */
  readonly calls: Bag<ServerCall>;
  readonly traffic: Traffic;
  /** Bytes that all calls together have waiting for the client. */
  queuedBytes: number;
  /** Somebody knows who calls: this is no stranger's connection. */
  readonly vouch: () => void;
  readonly watchPeer: () => void;
  /** The stream of a call is closed; `watched`: while answers to it still came, as every watch is. */
  readonly closed: (stream: ServerHttp2Stream, watched: boolean) => void;
}

/** A call under way on the server. */
export interface ServerCall {
  /** Ends the call with that status, unless it has ended already. */
  end(error: RpcError): void;
}

/** Serves one call on `stream`: reads what the method wants, runs its handler, writes answers and status. No `method`: there is none of that path. */
export function serveCall(
  site: CallSite,
  request: {
    readonly stream: ServerHttp2Stream;
    readonly headers: IncomingHttpHeaders;
    readonly rawHeaders: readonly string[];
    readonly method: RpcMethod | undefined;
  },
): void {
  const { stream, headers, rawHeaders, method } = request;
  const call = new Call(site, stream);
  // Node announces the limit of the settings but takes up to 64 KiB. Counted as HTTP/2 does: 32 bytes more for each field.
  const headerBytes = rawHeaders.reduce((sum, text) => sum + text.length + 16, 0);
  site.traffic.calls++;
  site.traffic.callBytes += headerBytes;
  if (!acceptHttp(stream, headers)) return;
  const { headerBytesMax } = site.limits;
  const head =
    headerBytes > headerBytesMax
      ? new RpcError(Code.RESOURCE_EXHAUSTED, `the headers have ${headerBytes} bytes, at most ${headerBytesMax}`)
      : parseHead(headers, rawHeaders);
  if (head instanceof RpcError) call.end(head);
  else if (method === undefined) call.end(new RpcError(Code.UNIMPLEMENTED, 'no such method is served here'));
  else call.begin(method, head);
}

/** One call, and what its handler knows of it. A class: there are tens of thousands in a second, and closures would cost as much as all they do. */
class Call implements ServerCall, CallContext {
  method = '';
  metadata: CallContext['metadata'] = NO_METADATA;
  readonly #site: CallSite;
  readonly #stream: CallStream;
  readonly #response: ServerResponse;
  readonly #intake: CallIntake;
  readonly #place: InBag;
  #rpc: RpcMethod | undefined;
  /** Reads the request of a method that takes one message. */
  #reader: OneMessage | undefined;
  #request: Uint8Array | undefined;
  #deadline: Timer | undefined;
  #late: Timer | undefined;
  #ended: RpcError | undefined;
  /** Made only when the handler asks for its signal: most never do. */
  #cancellation: AbortController | undefined;

  constructor(site: CallSite, stream: CallStream) {
    this.#site = site;
    this.#stream = stream;
    this.#response = createServerResponse(site, stream);
    this.#intake = site.intake.open();
    this.#place = site.calls.add(this);
    stream[CALL] = this;
    stream.on('close', onClose);
    stream.on('wantTrailers', onWantTrailers);
  }

  get peer(): Peer {
    return this.#site.peer;
  }

  get state(): Map<symbol, unknown> {
    return this.#site.state;
  }

  get draining(): AbortSignal {
    return this.#site.draining;
  }

  get signal(): AbortSignal {
    if (this.#cancellation === undefined) {
      this.#cancellation = new AbortController();
      if (this.#ended !== undefined) this.#cancellation.abort(this.#ended);
    }
    return this.#cancellation.signal;
  }

  vouch(): void {
    this.#site.vouch();
  }

  watchPeer(): void {
    this.#site.watchPeer();
  }

  begin(rpc: RpcMethod, head: CallHead): void {
    const { limits, clock, timers } = this.#site;
    this.#rpc = rpc;
    this.method = head.path;
    this.metadata = head.metadata;
    if (head.timeoutMs !== undefined) {
      this.#deadline = clock.after(head.timeoutMs, () => this.end(deadlinePassed()));
    }
    if (rpc.kind === 'client_streaming' || rpc.kind === 'bidi_streaming') {
      this.#run();
      return;
    }
    const late = () => this.end(new RpcError(Code.DEADLINE_EXCEEDED, 'the request did not arrive in time'));
    this.#late = timers.after(limits.requestTimeoutMs, late);
    this.#reader = new OneMessage(limits.requestBytesMax);
    this.#stream.on('data', onData);
    this.#stream.on('end', onEnd);
  }

  /** Bytes of a request that is one message have come. */
  push(chunk: Buffer): void {
    this.#site.traffic.callBytes += chunk.length;
    const reader = this.#reader;
    if (reader === undefined || this.#response.ended) return;
    const problem = reader.push(chunk) ?? (this.#intake.hold(reader.heldBytes) ? undefined : tooMuchHeld());
    if (problem) this.end(problem);
  }

  /** The client has ended its side. */
  requestEnded(): void {
    const request = this.#reader?.end();
    this.#reader = undefined;
    if (request === undefined || this.#response.ended) return;
    this.#late?.cancel();
    if (request instanceof RpcError) {
      this.end(request);
      return;
    }
    this.#request = request;
    this.#run();
  }

  sendTrailers(): void {
    this.#response.sendTrailers();
  }

  end(error: RpcError): void {
    if (this.#response.ended) return;
    this.#ended = error;
    this.#cancellation?.abort(error);
    this.#finish(error);
  }

  #run(): void {
    const { interceptor } = this.#site;
    const work = interceptor === undefined ? this.#handle() : this.#intercept(interceptor);
    work.then(
      () => this.#finish(undefined),
      (error: unknown) => {
        // After the end of the call a failure is only the echo of its cancellation.
        if (!this.#response.ended) this.#finish(asStatus(error, this.#site.log, this.method));
      },
    );
  }

  async #intercept(interceptor: NonNullable<CallSite['interceptor']>): Promise<void> {
    await interceptor(this, () => this.#handle());
  }

  async #handle(): Promise<void> {
    const rpc = this.#rpc;
    assert(rpc, 'a call is run once its method is known');
    // It may have ended while the interceptor looked at it: nobody waits for what the method would do.
    if (this.#response.ended) throw this.#ended ?? new RpcError(Code.CANCELLED, 'the call has ended');
    const { output } = rpc.method;
    const send = (answer: Answer<DescMessage>) => this.#response.write(frameOf(output, answer));
    switch (rpc.kind) {
      case 'unary':
        this.#response.setLast(frameOf(output, await rpc.handler(this.#parseOne(rpc), this)));
        return;
      case 'server_streaming':
        return rpc.handler(this.#parseOne(rpc), this, send);
      case 'client_streaming':
        this.#response.setLast(frameOf(output, await rpc.handler(this.#parseMany(rpc), this)));
        return;
      case 'bidi_streaming':
        return rpc.handler(this.#parseMany(rpc), this, send);
      default:
        rpc satisfies never;
    }
  }

  /** Parsed within the call, after the interceptor: bytes of a caller who may not call are not worth the work. */
  #parseOne(rpc: RpcMethod): Message {
    const request = this.#request;
    assert(request, 'the handler runs once, and once the request is there');
    this.#request = undefined;
    return parseRequest(rpc, request);
  }

  /** The messages of a streamed request, each parsed when it is taken. */
  async *#parseMany(rpc: RpcMethod): AsyncGenerator<Message> {
    const { signal } = this;
    const reader = createMessageReader({
      stream: this.#stream,
      messageBytesMax: this.#site.limits.requestBytesMax,
      arrived: (bytes) => {
        this.#site.traffic.callBytes += bytes;
      },
      broken: (error) => this.end(error),
      hold: (bytes) => (this.#intake.hold(bytes) ? undefined : tooMuchHeld()),
    });
    if (signal.aborted) reader.fail(abortStatus(signal));
    signal.addEventListener('abort', () => reader.fail(abortStatus(signal)), { once: true });
    for (let bytes = await reader.next(); bytes !== undefined; bytes = await reader.next()) {
      yield parseRequest(rpc, bytes);
    }
  }

  #finish(error: RpcError | undefined): void {
    this.#release();
    this.#response.end(error);
  }

  #release(): void {
    this.#deadline?.cancel();
    this.#late?.cancel();
    // What is counted no longer is kept no longer: the stream of a client that reads nothing, and with it the call, may live on.
    this.#reader = undefined;
    this.#request = undefined;
    this.#intake.close();
  }

  closed(): void {
    // What never came to a method has been answered at once, however it ends.
    const watched = this.#rpc !== undefined && this.#response.started && !this.#response.ended;
    // Most calls have ended by now: no error is made for those.
    if (!this.#response.ended) this.end(new RpcError(Code.CANCELLED, 'the client has gone or has cancelled the call'));
    this.#release(); // One that was cut off for not reading has ended by itself.
    this.#response.closed();
    // Those of a streamed request hold on to its call; the stream lives on (see CALL).
    this.#stream.removeAllListeners('data').removeAllListeners('end');
    this.#place.remove();
    this.#site.closed(this.#stream, watched);
  }
}

/**
 * The listeners of all streams find their call here. Node keeps a closed stream until the next full collection: what its listeners held on to
 * would be kept with it, and moved about by each smaller collection.
 */
const CALL = Symbol('call');
type CallStream = ServerHttp2Stream & { [CALL]?: Call | undefined };

function onClose(this: CallStream): void {
  const call = this[CALL];
  this[CALL] = undefined;
  call?.closed();
}

function onData(this: CallStream, chunk: Buffer): void {
  this[CALL]?.push(chunk);
}

function onEnd(this: CallStream): void {
  this[CALL]?.requestEnded();
}

function onWantTrailers(this: CallStream): void {
  this[CALL]?.sendTrailers();
}

interface CallHead {
  readonly path: string;
  readonly metadata: CallContext['metadata'];
  readonly timeoutMs: number | undefined;
}

/** What the headers of a call say, or the status to refuse it with. */
function parseHead(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): CallHead | RpcError {
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return new RpcError(Code.UNIMPLEMENTED, 'messages are compressed, only identity is understood');
  }
  try {
    const timeout = headers['grpc-timeout'];
    const timeoutMs = timeout === undefined ? undefined : parseTimeoutMs(`${timeout}`);
    return { path: `${headers[':path']}`, metadata: parseMetadata(rawHeaders), timeoutMs };
  } catch (error) {
    if (error instanceof GrpcWireError) return new RpcError(Code.INVALID_ARGUMENT, error.message, { cause: error });
    throw error;
  }
}

/** @throws RpcError */
function parseRequest(rpc: RpcMethod, bytes: Uint8Array): Message {
  try {
    return fromBinary(rpc.method.input, bytes);
  } catch (cause) {
    throw new RpcError(Code.INTERNAL, `the request is no ${rpc.method.input.typeName}`, { cause });
  }
}

/** False, and answered in HTTP's own words, when the request is no gRPC call at all. */
function acceptHttp(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const status = headers[':method'] !== 'POST' ? 405 : isGrpcContentType(headers['content-type']) ? undefined : 415;
  if (status === undefined) return true;
  // Its connection may have ended in the turn in which it came: an answer would throw, and end the process.
  if (!stream.destroyed && !stream.closed) stream.respond({ ':status': status }, { endStream: true });
  stream.resume();
  return false;
}

function frameOf(schema: DescMessage, answer: Answer<DescMessage>): Buffer {
  return isPrebuilt(answer) ? answer.frame : encodeFrame(toBinary(schema, create(schema, answer)));
}

/** What the client may know of whatever a handler threw: an RpcError as it is; anything else is our fault and stays ours. */
function asStatus(error: unknown, log: Log, method: string): RpcError {
  if (error instanceof RpcError) return error;
  log.error('rpc.call.failed', { method, error });
  return new RpcError(Code.INTERNAL, 'internal error');
}

function deadlinePassed(): RpcError {
  return new RpcError(Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed');
}

function tooMuchHeld(): RpcError {
  return new RpcError(Code.RESOURCE_EXHAUSTED, 'the requests of this connection hold too much memory');
}

const NO_METADATA: CallContext['metadata'] = new Map();
