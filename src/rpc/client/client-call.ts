import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { type Clock, messageOf } from '../../std/index.ts';
import {
  Code,
  checkMetadata,
  decodeStatusDetails,
  decodeStatusMessage,
  formatTimeout,
  GrpcWireError,
  parseCode,
  type StatusCode,
  type StatusDetail,
} from '../../wire/grpc/index.ts';
import { abortStatus, type CallOptions, CONNECTION_LOST, RpcError } from '../call.ts';
import { createMessageReader } from '../connection/message-reader.ts';
import type { ClientLink } from './client-connection.ts';

/** A call under way on the client: bytes of messages in, bytes of messages out. */
export interface ClientCall {
  /** Writes one frame; resolves when there is room for more. Rejects with the RpcError that the call ended with. */
  write(frame: Buffer): Promise<void>;
  /** Says that no more requests come. */
  end(): void;
  /** The next response; undefined when the call ended with OK. Rejects with the RpcError that it ended with. */
  next(): Promise<Uint8Array | undefined>;
  /** Gives up; has no effect on a call that has ended. */
  cancel(error: RpcError): void;
}

/** A call that the server has certainly not looked at: it may be made again, on another connection. */
export class UnprocessedError extends RpcError {}

/** Opens a call on `link`. */
export function openCall(options: {
  clock: Clock;
  link: ClientLink;
  path: string;
  responseBytesMax: number;
  call: CallOptions;
  /** Is told the server's clock, epoch milliseconds, where an answer has it. */
  onServerTime?: ((epochMs: number) => void) | undefined;
}): ClientCall {
  const { link, call } = options;
  const stream = requestStream(link.session, options.path, call);
  let ended: RpcError | 'ok' | undefined;
  let headers: IncomingHttpHeaders | undefined;
  let trailers: IncomingHttpHeaders | undefined;
  const settle = (result: RpcError | 'ok') => {
    if (ended !== undefined) return;
    ended = result;
    timer?.cancel();
    call.signal.removeEventListener('abort', onAbort);
    if (result === 'ok') reader.finish();
    else reader.fail(result);
    // The server wants no more of a request that it has answered.
    if (!stream.writableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
  };
  const giveUp = (error: RpcError) => {
    if (ended !== undefined) return;
    settle(error);
    if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
  };
  const onAbort = () => giveUp(abortStatus(call.signal));
  const timer =
    call.timeoutMs === undefined
      ? undefined
      : options.clock.after(call.timeoutMs, () =>
          giveUp(new RpcError(Code.DEADLINE_EXCEEDED, `no answer within ${call.timeoutMs} ms`)),
        );
  const finish = () => settle(statusOf({ headers, trailers, stream, lost: link.lost() }));
  const reader = createMessageReader({
    stream,
    messageBytesMax: options.responseBytesMax,
    broken: giveUp,
    // The status is in the trailers, or in the headers of a call that had no answer; 'close' comes after either, but only once this side has ended too.
    ended: () => {
      if (trailers !== undefined || headers?.['grpc-status'] !== undefined) finish();
    },
  });
  call.signal.addEventListener('abort', onAbort, { once: true });
  stream.on('response', (received) => {
    headers = received;
    const serverMs = Date.parse(received.date ?? '');
    if (!Number.isNaN(serverMs)) options.onServerTime?.(serverMs);
  });
  stream.on('trailers', (received) => {
    trailers = received;
    if (stream.readableEnded) finish();
  });
  stream.on('error', () => {}); // 'close' follows and says all there is to know.
  stream.on('close', finish);
  return {
    async write(frame) {
      if (ended === undefined && !stream.destroyed && !stream.writableEnded) {
        if (stream.write(frame)) return;
        await drained(stream);
      }
      if (ended instanceof RpcError) throw ended;
    },
    end() {
      if (!stream.writableEnded && !stream.destroyed) stream.end();
    },
    next: () => reader.next(),
    cancel: giveUp,
  };
}

/** @throws RpcError when the metadata is not valid or the session takes no more calls */
function requestStream(session: ClientHttp2Session, path: string, call: CallOptions): ClientHttp2Stream {
  const headers: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': path,
    te: 'trailers',
    'content-type': 'application/grpc',
    'user-agent': 'countersign',
  };
  if (call.timeoutMs !== undefined) headers['grpc-timeout'] = formatTimeout(call.timeoutMs);
  try {
    for (const [name, value] of Object.entries(call.metadata ?? {})) {
      checkMetadata(name, value);
      headers[name] = value;
    }
    return session.request(headers);
  } catch (cause) {
    if (cause instanceof GrpcWireError) throw new RpcError(Code.INVALID_ARGUMENT, cause.message, { cause });
    throw new UnprocessedError(Code.UNAVAILABLE, `the connection takes no more calls: ${messageOf(cause)}`, { cause });
  }
}

/** How the call ended. Without a status from the server, HTTP's or HTTP/2's word is translated. @see gRPC "HTTP to gRPC status code mapping" */
function statusOf(end: {
  headers: IncomingHttpHeaders | undefined;
  trailers: IncomingHttpHeaders | undefined;
  stream: ClientHttp2Stream;
  lost: boolean;
}): RpcError | 'ok' {
  const { headers, trailers } = end;
  const from = [trailers, headers].find((block) => block?.['grpc-status'] !== undefined);
  if (from !== undefined) return grpcStatusOf(from);
  const reset = end.stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
  if (headers === undefined && reset === constants.NGHTTP2_REFUSED_STREAM) {
    return new UnprocessedError(Code.UNAVAILABLE, 'the server refused the call unseen');
  }
  if (end.lost) return new RpcError(Code.UNAVAILABLE, CONNECTION_LOST);
  if (reset !== constants.NGHTTP2_NO_ERROR) {
    return new RpcError(RESET_CODES.get(reset) ?? Code.INTERNAL, `the server reset the call (HTTP/2 error ${reset})`);
  }
  const status = Number(headers?.[':status'] ?? 200);
  if (status !== 200) {
    return new RpcError(HTTP_CODES.get(status) ?? Code.UNKNOWN, `the server answered with HTTP status ${status}`);
  }
  return new RpcError(Code.INTERNAL, 'the server ended the call without a status');
}

function grpcStatusOf(headers: IncomingHttpHeaders): RpcError | 'ok' {
  const code = parseCode(Number(headers['grpc-status']));
  if (code === Code.OK) return 'ok';
  const message = decodeStatusMessage(`${headers['grpc-message'] ?? ''}`);
  return new RpcError(code, message, { details: detailsOf(code, headers['grpc-status-details-bin']) });
}

/** Malformed details are no reason to lose the status: who asks for a detail does not find it. */
function detailsOf(code: StatusCode, text: string | string[] | undefined): StatusDetail[] {
  if (typeof text !== 'string') return [];
  try {
    return decodeStatusDetails(code, text);
  } catch (error) {
    if (error instanceof GrpcWireError) return [];
    throw error;
  }
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve();
    };
    stream.on('drain', settle);
    stream.on('close', settle);
  });
}

const HTTP_CODES: ReadonlyMap<number, StatusCode> = new Map([
  [400, Code.INTERNAL],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [429, Code.UNAVAILABLE],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
]);
const RESET_CODES: ReadonlyMap<number, StatusCode> = new Map([
  [constants.NGHTTP2_REFUSED_STREAM, Code.UNAVAILABLE],
  [constants.NGHTTP2_CANCEL, Code.CANCELLED],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED],
  [constants.NGHTTP2_INADEQUATE_SECURITY, Code.PERMISSION_DENIED],
]);
