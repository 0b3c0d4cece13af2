import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import type { Clock, Log, Timer } from '../std/index.ts';
import {
  Code,
  createDeframer,
  encodeFrame,
  GrpcWireError,
  isGrpcContentType,
  parseMetadata,
  parseTimeoutMs,
} from '../wire/grpc/index.ts';
import { abortStatus, type CallContext, type Peer, RpcError } from './call.ts';
import type { CallIntake, ConnectionIntake } from './intake.ts';
import type { RpcLimits } from './limits.ts';
import { createMessageReader, frameStatus } from './message-reader.ts';
import { createServerResponse, type ServerResponse } from './server-response.ts';
import { type Answer, isPrebuilt, pathOf, type RpcMethod } from './service.ts';

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
  /** Bytes that all calls together have waiting for the client. */
  queuedBytes: number;
}

/** A call under way on the server. */
export interface ServerCall {
  /** Ends the call with that status, unless it has ended already. */
  end(error: RpcError): void;
}

/**
 * Serves one call on `stream`: reads what the method wants, runs its handler, writes answers and status. `done` runs when the stream
 * is closed: `watched` when it was closed while answers to it still came, as every watch is.
 */
export function serveCall(options: {
  site: CallSite;
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  rawHeaders: readonly string[];
  method: RpcMethod | undefined;
  done: (how: { watched: boolean }) => void;
}): ServerCall {
  const { site, stream, method } = options;
  const response = createServerResponse(site, stream);
  const cancellation = createCancellation();
  const intake = site.intake.open();
  const timers: Timer[] = [];
  const release = () => {
    for (const timer of timers.splice(0)) timer.cancel();
    intake.close();
  };
  const end = (error: RpcError | undefined) => {
    release();
    response.end(error);
  };
  const abort = (error: RpcError) => {
    if (response.ended) return;
    cancellation.abort(error);
    end(error);
  };
  stream.on('error', ignore); // 'close' follows and says all there is to know.
  stream.on('close', () => {
    const watched = response.started && !response.ended;
    // Most calls have ended by now: no error is made for those.
    if (!response.ended) abort(new RpcError(Code.CANCELLED, 'the client has gone or has cancelled the call'));
    release(); // One that was cut off for not reading has ended by itself.
    options.done({ watched });
    // Node keeps a closed stream until the next full collection; it must not keep the call as well.
    forget(stream);
  });
  const call: ServerCall = { end: abort };
  if (!acceptHttp(stream, options.headers)) return call;
  const head = parseHead(options.headers, options.rawHeaders, site.limits.headerBytesMax);
  if (head instanceof RpcError || method === undefined) {
    abort(head instanceof RpcError ? head : new RpcError(Code.UNIMPLEMENTED, 'no such method is served here'));
    return call;
  }
  if (head.timeoutMs !== undefined) timers.push(site.clock.after(head.timeoutMs, () => abort(deadlinePassed())));
  const context = createContext(site, method, head.metadata, cancellation);
  const run = (invoke: () => Promise<void>) => {
    const work = async () => (site.interceptor === undefined ? invoke() : site.interceptor(context, invoke));
    work().then(
      () => end(undefined),
      (error: unknown) => {
        // After the end of the call a failure is only the echo of its cancellation.
        if (!response.ended) end(asStatus(error, site.log, context.method));
      },
    );
  };
  startMethod({ site, stream, method, context, response, intake, timers, abort, run });
  return call;
}

function createContext(
  site: CallSite,
  method: RpcMethod,
  metadata: ReadonlyMap<string, readonly string[]>,
  cancellation: Cancellation,
): CallContext {
  return {
    peer: site.peer,
    metadata,
    get signal() {
      return cancellation.signal();
    },
    draining: site.draining,
    method: pathOf(method.method),
    state: site.state,
  };
}

/** What the headers of a call say, or the status to refuse it with. */
function parseHead(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  headerBytesMax: number,
): { metadata: Map<string, string[]>; timeoutMs: number | undefined } | RpcError {
  // Node announces the limit of the settings but takes up to 64 KiB. Counted as HTTP/2 does: 32 bytes more for each field.
  const headerBytes = rawHeaders.reduce((sum, text) => sum + text.length + 16, 0);
  if (headerBytes > headerBytesMax) {
    return new RpcError(Code.RESOURCE_EXHAUSTED, `the headers have ${headerBytes} bytes, at most ${headerBytesMax}`);
  }
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return new RpcError(Code.UNIMPLEMENTED, 'messages are compressed, only identity is understood');
  }
  try {
    const timeout = headers['grpc-timeout'];
    const timeoutMs = timeout === undefined ? undefined : parseTimeoutMs(`${timeout}`);
    return { metadata: parseMetadata(rawHeaders), timeoutMs };
  } catch (error) {
    if (error instanceof GrpcWireError) return new RpcError(Code.INVALID_ARGUMENT, error.message, { cause: error });
    throw error;
  }
}

interface Started {
  readonly site: CallSite;
  readonly stream: ServerHttp2Stream;
  readonly method: RpcMethod;
  readonly context: CallContext;
  readonly response: ServerResponse;
  readonly intake: CallIntake;
  readonly timers: Timer[];
  readonly abort: (error: RpcError) => void;
  readonly run: (invoke: () => Promise<void>) => void;
}

/** Reads the request in the way that the method's kind asks for, then runs the handler. */
function startMethod(started: Started): void {
  const { method, context, response, run } = started;
  const output = method.method.output;
  const send = (message: Answer<DescMessage>) => response.write(frameOf(output, message));
  switch (method.kind) {
    case 'unary':
      readOne(started, (request) =>
        run(async () => {
          response.setLast(frameOf(output, await method.handler(parseRequest(method, request), context)));
        }),
      );
      break;
    case 'server_streaming':
      readOne(started, (request) => run(async () => method.handler(parseRequest(method, request), context, send)));
      break;
    case 'client_streaming':
      run(async () => {
        response.setLast(frameOf(output, await method.handler(readMany(started), context)));
      });
      break;
    case 'bidi_streaming':
      run(() => method.handler(readMany(started), context, send));
      break;
    default:
      method satisfies never;
  }
}

/**
 * Waits for the one message of the request and the client's end of it. It is parsed within the call, after the interceptor: bytes of a caller
 * who may not call are not worth the work.
 */
function readOne(started: Started, ready: (request: Uint8Array) => void): void {
  const { site, stream, response, intake, timers, abort } = started;
  const deframer = createDeframer(site.limits.requestBytesMax);
  let message: Uint8Array | undefined;
  let broken = false;
  const refuse = (error: RpcError) => {
    broken = true;
    abort(error);
  };
  const late = site.timers.after(site.limits.requestTimeoutMs, () =>
    refuse(new RpcError(Code.DEADLINE_EXCEEDED, 'the request did not arrive in time')),
  );
  timers.push(late);
  stream.on('data', (chunk: Buffer) => {
    if (broken) return;
    try {
      for (const next of deframer.push(chunk)) {
        if (message !== undefined) {
          refuse(new RpcError(Code.INTERNAL, 'the method takes one message, more have come'));
          return;
        }
        message = next;
      }
      if (!intake.hold(deframer.pendingBytes + (message?.length ?? 0))) refuse(tooMuchHeld());
    } catch (error) {
      refuse(frameStatus(error));
    }
  });
  stream.on('end', () => {
    late.cancel();
    if (broken || response.ended) return;
    try {
      deframer.end();
    } catch (error) {
      refuse(frameStatus(error));
      return;
    }
    if (message === undefined) refuse(new RpcError(Code.INTERNAL, 'the method takes one message, none has come'));
    else ready(message);
  });
}

/** The messages of a streamed request, each parsed when it is taken. */
async function* readMany(started: Started): AsyncGenerator<Message> {
  const { site, stream, method, intake, abort } = started;
  const { signal } = started.context;
  const hold = (bytes: number) => (intake.hold(bytes) ? undefined : tooMuchHeld());
  const reader = createMessageReader({ stream, messageBytesMax: site.limits.requestBytesMax, broken: abort, hold });
  if (signal.aborted) reader.fail(abortStatus(signal));
  signal.addEventListener('abort', () => reader.fail(abortStatus(signal)), { once: true });
  for (let bytes = await reader.next(); bytes !== undefined; bytes = await reader.next()) {
    yield parseRequest(method, bytes);
  }
}

/** @throws RpcError */
function parseRequest(method: RpcMethod, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.method.input, bytes);
  } catch (cause) {
    throw new RpcError(Code.INTERNAL, `the request is no ${method.method.input.typeName}`, { cause });
  }
}

function ignore(): void {}

/** As the stream's own method, but for what that does on top: to look, a turn later, who still reads. */
function forget(stream: ServerHttp2Stream): void {
  EventEmitter.prototype.removeAllListeners.call(stream);
}

interface Cancellation {
  signal(): AbortSignal;
  abort(reason: RpcError): void;
}

/** The signal of a call, made only when a handler asks for it: most never do. */
function createCancellation(): Cancellation {
  let controller: AbortController | undefined;
  let reason: RpcError | undefined;
  return {
    signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (reason !== undefined) controller.abort(reason);
      }
      return controller.signal;
    },
    abort(error) {
      reason ??= error;
      controller?.abort(reason);
    },
  };
}

/** False, and answered in HTTP's own words, when the request is no gRPC call at all. */
function acceptHttp(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const status = headers[':method'] !== 'POST' ? 405 : isGrpcContentType(headers['content-type']) ? undefined : 415;
  if (status === undefined) return true;
  stream.respond({ ':status': status }, { endStream: true });
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

function tooMuchHeld(): RpcError {
  return new RpcError(Code.RESOURCE_EXHAUSTED, 'the requests of this connection hold too much memory');
}

function deadlinePassed(): RpcError {
  return new RpcError(Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed');
}
