import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { encodeFrame } from '../wire/grpc/index.ts';
import type { CallContext } from './call.ts';

/** A response that was encoded and framed once, to be written to any number of calls without copying. */
export interface Prebuilt<Output extends DescMessage = DescMessage> {
  readonly schema: Output;
  /** The whole gRPC frame. Nobody may change it. */
  readonly frame: Buffer;
}

/** Encodes `message` once for many calls. */
export function prebuilt<Output extends DescMessage>(
  schema: Output,
  message: MessageInitShape<Output>,
): Prebuilt<Output> {
  return { schema, frame: encodeFrame(toBinary(schema, create(schema, message))) };
}

/** What a handler may answer with. */
export type Answer<Output extends DescMessage> = MessageInitShape<Output> | Prebuilt<Output>;

/**
 * Sends one message of a stream; resolves when the stream has room for the next. Rejects with an RpcError when the call is over.
 * A handler that does not wait is held by the stream's byte limit: past it the call ends with RESOURCE_EXHAUSTED.
 */
export type Send<Output extends DescMessage> = (message: Answer<Output>) => Promise<void>;

/** One request, one answer. */
export type UnaryHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
) => Promise<Answer<Output>>;

/** One request, many answers; the call ends with OK when the promise resolves. */
export type ServerStreamHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
  send: Send<Output>,
) => Promise<void>;

/** Many requests, many answers, in any order. The requests end when the client has closed its side. */
export type BidiHandler<Input extends DescMessage, Output extends DescMessage> = (
  requests: AsyncIterable<MessageShape<Input>>,
  context: CallContext,
  send: Send<Output>,
) => Promise<void>;

/** Many requests, one answer. */
export type ClientStreamHandler<Input extends DescMessage, Output extends DescMessage> = (
  requests: AsyncIterable<MessageShape<Input>>,
  context: CallContext,
) => Promise<Answer<Output>>;

type HandlerOf<Method> = Method extends {
  readonly methodKind: infer Kind;
  readonly input: infer Input extends DescMessage;
  readonly output: infer Output extends DescMessage;
}
  ? Kind extends 'unary'
    ? UnaryHandler<Input, Output>
    : Kind extends 'server_streaming'
      ? ServerStreamHandler<Input, Output>
      : Kind extends 'client_streaming'
        ? ClientStreamHandler<Input, Output>
        : BidiHandler<Input, Output>
  : never;

/** The handlers of a service by method name (`fetchX509SVID`). A method left out answers UNIMPLEMENTED. */
export type ServiceImplementation<Service extends DescService> = {
  readonly [Name in keyof Service['method']]?: HandlerOf<Service['method'][Name]>;
};

/** A service with its handlers, ready to be served. */
export interface RpcService {
  /** Full name: `spire.api.server.agent.v1.Agent`. */
  readonly name: string;
  /** By path on the wire: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, RpcMethod>;
}

/** One method with its handler. */
export type RpcMethod =
  | { readonly kind: 'unary'; readonly method: DescMethod; readonly handler: UnaryHandler<DescMessage, DescMessage> }
  | {
      readonly kind: 'server_streaming';
      readonly method: DescMethod;
      readonly handler: ServerStreamHandler<DescMessage, DescMessage>;
    }
  | {
      readonly kind: 'client_streaming';
      readonly method: DescMethod;
      readonly handler: ClientStreamHandler<DescMessage, DescMessage>;
    }
  | {
      readonly kind: 'bidi_streaming';
      readonly method: DescMethod;
      readonly handler: BidiHandler<DescMessage, DescMessage>;
    };

/** Binds handlers to a service. */
export function implement<Service extends DescService>(
  service: Service,
  implementation: ServiceImplementation<Service>,
): RpcService {
  const methods = new Map<string, RpcMethod>();
  // By name at run time; ServiceImplementation has checked each handler against its own method's types.
  const handlers = implementation as Readonly<Record<string, RpcMethod['handler'] | undefined>>;
  for (const method of service.methods) {
    const handler = handlers[method.localName];
    if (handler === undefined) continue;
    // The pair of kind and handler type is the one that ServiceImplementation demanded for this method.
    methods.set(pathOf(method), { kind: method.methodKind, method, handler } as RpcMethod);
  }
  return { name: service.typeName, methods };
}

/** The path of a method on the wire. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** True for an answer that is framed already. */
export function isPrebuilt(answer: object): answer is Prebuilt {
  return 'frame' in answer && 'schema' in answer && Buffer.isBuffer(answer.frame);
}
