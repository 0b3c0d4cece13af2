import {
  createRequestReader,
  createResponseReader,
  Http1Error,
  type Http1Limits,
  type RequestEvent,
  type ResponseEvent,
} from '../index.ts';

/** One message as it was read: its head, all of its body, and the trailers; without `trailers` it did not end. */
export interface ReadMessage<Head> {
  readonly head: Head;
  readonly informational: readonly Head[];
  body: Buffer;
  trailers: readonly { readonly name: string; readonly value: string }[] | undefined;
}

export type HeadOf<Event> = Event extends { readonly kind: 'head'; readonly head: infer Head } ? Head : never;

export interface Outcome<Head> {
  readonly messages: readonly ReadMessage<Head>[];
  /** The code of what ended the reading. */
  readonly error: string | undefined;
  readonly status: number | undefined;
}

interface Reader<Event> {
  push(chunk: Buffer): void;
  next(): Event | undefined;
  finish(): void;
}

/** Whatever a reader makes of these chunks and the end of the connection. */
export function drain<Event extends RequestEvent | ResponseEvent>(
  reader: Reader<Event>,
  chunks: readonly Buffer[],
): Outcome<HeadOf<Event>> {
  const messages: ReadMessage<HeadOf<Event>>[] = [];
  const informational: HeadOf<Event>[] = [];
  const take = () => {
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      const last = messages.at(-1);
      // The event's head is of the kind that the reader has.
      if (event.kind === 'informational') informational.push(event.head as HeadOf<Event>);
      else if (event.kind === 'head')
        messages.push({
          head: event.head as HeadOf<Event>,
          informational: informational.splice(0),
          body: Buffer.alloc(0),
          trailers: undefined,
        });
      else if (last === undefined) throw new Error('a body without a head');
      else if (event.kind === 'data') last.body = Buffer.concat([last.body, event.bytes]);
      else last.trailers = event.trailers;
    }
  };
  try {
    for (const chunk of chunks) {
      reader.push(chunk);
      take();
    }
    reader.finish();
    take();
    return { messages, error: undefined, status: undefined };
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    return { messages, error: error.code, status: error.status };
  }
}

export function readRequests(bytes: string | Buffer, limits?: Partial<Http1Limits>) {
  return drain(createRequestReader(limits), [bytesOf(bytes)]);
}

/** Responses to requests of these methods, each expected once the one before was read. */
export function readResponses(
  bytes: string | Buffer,
  methods: readonly string[] = ['GET'],
  options: { readonly limits?: Partial<Http1Limits>; readonly upgrade?: string; readonly pieceBytes?: number } = {},
) {
  const reader = createResponseReader(options.limits);
  const waiting = methods.map((method) => ({ method }));
  const expectNext = () => {
    const next = waiting.shift();
    if (next !== undefined) reader.expect(next.method, options.upgrade);
  };
  expectNext();
  const next = () => {
    const event = reader.next();
    if (event?.kind === 'end') expectNext();
    return event;
  };
  return drain(
    { push: (chunk) => reader.push(chunk), next, finish: () => reader.finish() },
    cut(bytesOf(bytes), options.pieceBytes),
  );
}

/** The bytes in pieces of so many. */
export function cut(bytes: Buffer, pieceBytes = bytes.length): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(Buffer.from(bytes.subarray(at, at + pieceBytes)));
  return pieces;
}

function bytesOf(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}
