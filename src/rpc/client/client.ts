import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { type Clock, type Log, raceAbort } from '../../std/index.ts';
import { Code, encodeFrame } from '../../wire/grpc/index.ts';
import { abortStatus, type CallOptions, RpcError } from '../call.ts';
import type { PingPace } from '../connection/keepalive.ts';
import type { Connect } from '../connection/transport.ts';
import { pathOf } from '../service.ts';
import { type ClientCall, openCall, UnprocessedError } from './client-call.ts';
import { createClientConnection } from './client-connection.ts';

/** A bidirectional call. */
export interface BidiCall<Input extends DescMessage, Output extends DescMessage> {
  /** Sends one request; resolves when there is room for the next. Rejects with an RpcError when the call is over. */
  send(message: MessageInitShape<Input>): Promise<void>;
  /** Says that no more requests come. */
  end(): void;
  /** The answers; iteration throws the RpcError that the call ended with. To be iterated once. */
  readonly responses: AsyncIterable<MessageShape<Output>>;
  /** Gives the call up. */
  cancel(): void;
}

/** Calls to one server over one connection, made when first needed and again whenever it was lost. */
export interface RpcClient {
  /** @throws RpcError */
  unary<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    options: CallOptions,
  ): Promise<MessageShape<Output>>;
  /** Iteration throws the RpcError that the call ended with; leaving the loop cancels the call. To be iterated once. */
  serverStream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input>,
    options: CallOptions,
  ): AsyncIterable<MessageShape<Output>>;
  bidi<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodBiDiStreaming<Input, Output>,
    options: CallOptions,
  ): BidiCall<Input, Output>;
  /** Later calls use a new connection (and ask for the newest identity); calls under way go on on the old one. */
  reconnect(): void;
  /** Cancels what is under way and closes. Later calls fail with UNAVAILABLE. */
  close(): Promise<void>;
}

/**
 * Creates a client of one server. Nothing is connected before the first call. A connection that is lost or told to go is replaced at
 * the next call; a call that the server has certainly not seen is made again once.
 */
export function createRpcClient(deps: {
  clock: Clock;
  log: Log;
  connect: Connect;
  /** How the server is watched; once in five minutes unless said, which is all that some servers allow. */
  pings?: PingPace;
  /** Bytes of one response message; 16 MiB unless said. */
  responseBytesMax?: number;
  /** Is told the server's clock, epoch milliseconds to a second, at the start of streams of servers that say it. */
  onServerTime?: (epochMs: number) => void;
}): RpcClient {
  const connection = createClientConnection(deps);
  const responseBytesMax = deps.responseBytesMax ?? RESPONSE_BYTES_MAX;
  const open = async (method: DescMethod, call: CallOptions): Promise<ClientCall> => {
    if (call.signal.aborted) throw abortStatus(call.signal);
    const link = await raceAbort(connection.link(), call.signal).catch((error: unknown) => {
      throw call.signal.aborted ? abortStatus(call.signal) : error;
    });
    return openCall({
      clock: deps.clock,
      link,
      path: pathOf(method),
      responseBytesMax,
      call,
      onServerTime: deps.onServerTime,
    });
  };
  /** Opens a call, sends its one request and waits for the first answer. */
  const openWith = async (
    method: DescMethod,
    frame: Buffer,
    options: CallOptions,
    retriesLeft = 1,
  ): Promise<{ call: ClientCall; first: Uint8Array | undefined }> => {
    try {
      const call = await open(method, options);
      call.write(frame).catch(() => {}); // What goes wrong here is what next() rejects with.
      call.end();
      return { call, first: await call.next() };
    } catch (error) {
      if (!(error instanceof UnprocessedError) || retriesLeft === 0) throw error;
      connection.retire();
      return openWith(method, frame, options, retriesLeft - 1);
    }
  };
  return {
    async unary(method, request, options) {
      const { call, first } = await openWith(method, frameOf(method.input, request), options);
      if (first === undefined) throw new RpcError(Code.INTERNAL, 'the server answered OK without a message');
      const more = await call.next();
      if (more !== undefined) {
        const error = new RpcError(Code.INTERNAL, 'the server answered with more than one message');
        call.cancel(error);
        throw error;
      }
      return parse(method.output, first);
    },
    async *serverStream(method, request, options) {
      const { call, first } = await openWith(method, frameOf(method.input, request), options);
      try {
        for (let bytes = first; bytes !== undefined; bytes = await call.next()) yield parse(method.output, bytes);
      } finally {
        call.cancel(new RpcError(Code.CANCELLED, 'the answers were no longer wanted'));
      }
    },
    bidi: (method, options) => bidiCall(method, open(method, options)),
    reconnect: () => connection.retire(),
    async close() {
      connection.close();
    },
  };
}

function bidiCall<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodBiDiStreaming<Input, Output>,
  opening: Promise<ClientCall>,
): BidiCall<Input, Output> {
  const unwanted = new RpcError(Code.CANCELLED, 'the call was given up');
  const whenOpen = (act: (call: ClientCall) => void) => {
    opening.then(act, () => {}); // send() and the responses reject with why it did not open.
  };
  const cancel = () => whenOpen((call) => call.cancel(unwanted));
  const responses = async function* () {
    const call = await opening;
    try {
      for (let bytes = await call.next(); bytes !== undefined; bytes = await call.next()) {
        yield parse(method.output, bytes);
      }
    } finally {
      cancel();
    }
  };
  whenOpen(() => {});
  return {
    send: async (message) => (await opening).write(frameOf(method.input, message)),
    end: () => whenOpen((call) => call.end()),
    responses: responses(),
    cancel,
  };
}

function frameOf<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>): Buffer {
  return encodeFrame(toBinary(schema, create(schema, message)));
}

/** @throws RpcError INTERNAL */
function parse<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new RpcError(Code.INTERNAL, `the answer is no ${schema.typeName}`, { cause });
  }
}

/** Several thousand identities or entries in one message; what gRPC allows by default is known to be too little for them. */
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;
