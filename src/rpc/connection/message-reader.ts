import type { Http2Stream } from 'node:http2';
import { assert } from '../../std/index.ts';
import { Code, createDeframer, GrpcWireError } from '../../wire/grpc/index.ts';
import { RpcError } from '../call.ts';

/** The messages that arrive on a stream, in order, read no faster than they are taken. */
export interface MessageReader {
  /** The next message; undefined at the stream's orderly end. Rejects with the RpcError that ended reading. One caller at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends reading with that error; messages not yet taken are dropped. */
  fail(error: RpcError): void;
  /** Ends reading in order, after the messages that have arrived. */
  finish(): void;
}

/**
 * Reads framed messages off an HTTP/2 stream. `broken` is called when the peer sends what is no message: the call must then end.
 * `ended` is called at the end of the data instead of finishing, when what it means is still to come.
 */
export function createMessageReader(options: {
  stream: Http2Stream;
  messageBytesMax: number;
  /** Hears of all bytes that come, also those that are of no use any more. */
  arrived?: (bytes: number) => void;
  broken: (error: RpcError) => void;
  /** Told of the bytes that are held, whenever more have come or a message was taken; an answer ends reading as `broken` does. */
  hold?: (bytes: number) => RpcError | undefined;
  ended?: () => void;
}): MessageReader {
  const { stream } = options;
  const deframer = createDeframer(options.messageBytesMax);
  const queue: Uint8Array[] = [];
  const held = () => queue.reduce((sum, message) => sum + message.length, deframer.pendingBytes);
  let end: 'open' | 'finished' | RpcError = 'open';
  let waiter: { resolve: (message: Uint8Array | undefined) => void; reject: (error: unknown) => void } | undefined;

  const fail = (error: RpcError) => {
    if (end instanceof RpcError) return;
    end = error;
    queue.length = 0;
    stream.resume(); // What still arrives is thrown away, so that the stream can close.
    waiter?.reject(error);
    waiter = undefined;
  };
  const finish = () => {
    if (end !== 'open') return;
    end = 'finished';
    waiter?.resolve(undefined); // Who waits has taken everything already.
    waiter = undefined;
  };
  const guard = (work: () => void) => {
    try {
      work();
    } catch (cause) {
      const error = frameStatus(cause);
      fail(error);
      options.broken(error);
    }
  };
  stream.on('data', (chunk: Buffer) => {
    options.arrived?.(chunk.length);
    if (end !== 'open') return;
    guard(() => queue.push(...deframer.push(chunk)));
    if (waiter !== undefined && queue.length > 0) {
      waiter.resolve(queue.shift());
      waiter = undefined;
    }
    const tooMuch = options.hold?.(held());
    if (tooMuch !== undefined && end === 'open') {
      fail(tooMuch);
      options.broken(tooMuch);
      return;
    }
    if (queue.length >= QUEUE_MESSAGES_MAX) stream.pause();
  });
  stream.on('end', () => {
    if (end !== 'open') return;
    guard(() => deframer.end());
    if (end === 'open') (options.ended ?? finish)();
  });
  return {
    async next() {
      assert(waiter === undefined, 'one reader at a time takes messages');
      const message = queue.shift();
      if (message !== undefined) {
        options.hold?.(held());
        if (queue.length === 0 && stream.isPaused()) stream.resume();
        return message;
      }
      if (end instanceof RpcError) throw end;
      if (end === 'finished') return undefined;
      return new Promise((resolve, reject) => {
        waiter = { resolve, reject };
      });
    },
    fail,
    finish,
  };
}

/** The status for a peer that broke the framing. @see gRPC "Status codes and their use" */
export function frameStatus(error: unknown): RpcError {
  if (!(error instanceof GrpcWireError)) throw error;
  const code = error.code === 'ERR_GRPC_FRAME_SIZE' ? Code.RESOURCE_EXHAUSTED : Code.INTERNAL;
  return new RpcError(code, error.message, { cause: error });
}

/** Past this many untaken messages the stream is not read on: HTTP/2 flow control then holds the sender. */
const QUEUE_MESSAGES_MAX = 16;
