import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { endInOrder } from '../../../../rpc/index.ts';
import {
  createResponseReader,
  type Field,
  type ResponseEvent,
  type ResponseHead,
} from '../../../../wire/http1/index.ts';

/** The answer on a stream, from one in HTTP/1.1. */
export class StreamAnswer {
  readonly #stream: ServerHttp2Stream;
  readonly #acceptsTrailers: boolean;
  #trailers: readonly Field[] = [];
  #waitsForTrailers = false;
  /** Not shown yet: with the next piece it goes in one frame less. */
  #head: ResponseHead | undefined;
  /** All of it was handed to the stream. */
  isWhole = false;

  constructor(stream: ServerHttp2Stream, { acceptsTrailers = false } = {}) {
    this.#stream = stream;
    this.#acceptsTrailers = acceptsTrailers;
  }

  take(event: ResponseEvent): void {
    const stream = this.#stream;
    if (event.kind === 'end') this.isWhole = true;
    if (stream.destroyed || stream.closed) return; // To a HEAD it has ended from the start.
    switch (event.kind) {
      case 'informational':
        if (event.head.status === 100) stream.additionalHeaders({ ':status': 100 });
        return;
      case 'head':
        this.#head = event.head;
        return;
      case 'data':
        this.show();
        if (!stream.writableEnded) stream.write(event.bytes);
        return;
      case 'end':
        this.#trailers = event.trailers;
        this.show(event.trailers.length === 0);
        if (!stream.writableEnded) stream.end();
        return;
      default:
        event satisfies never;
    }
  }

  /** Shows its head, if that has not happened. */
  show(endStream = false): void {
    const head = this.#head;
    const stream = this.#stream;
    if (head === undefined || stream.destroyed || stream.closed) return;
    this.#head = undefined;
    // Whether there is a date is for whoever answers. Node knows this option, and its types do not.
    const waitForTrailers = this.#acceptsTrailers && !endStream && head.body.kind === 'chunked';
    this.#waitsForTrailers = waitForTrailers;
    const options = { endStream, sendDate: false, waitForTrailers };
    if (waitForTrailers) stream.once('wantTrailers', () => stream.sendTrailers(headersOf(this.#trailers)));
    stream.respond(headOf(head), options);
  }

  /** Ends the stream once the answer was sent, though more of its request may come. */
  endInOrder(): void {
    // Trailers are sent a turn after they were given.
    if (this.#waitsForTrailers) this.#stream.once('wantTrailers', () => setImmediate(() => endInOrder(this.#stream)));
    else endInOrder(this.#stream);
  }
}

/** Answers a stream with that, which is one whole answer in HTTP/1.1. */
export function answerStream(stream: ServerHttp2Stream, { bytes, method }: { bytes: Buffer; method: string }): void {
  const reader = createResponseReader();
  const answer = new StreamAnswer(stream);
  reader.expect(method);
  reader.push(bytes);
  for (let event = reader.next(); event !== undefined; event = reader.next()) answer.take(event);
}

function headOf({ status, fields, body, announcedBytes }: ResponseHead): OutgoingHttpHeaders {
  const length = body.kind === 'length' ? body.bytes : announcedBytes;
  return headersOf(fields, { ':status': status, ...(length === undefined ? {} : { 'content-length': length }) });
}

function headersOf(fields: readonly Field[], first: OutgoingHttpHeaders = {}): OutgoingHttpHeaders {
  // Without a prototype: a field may be named `constructor`.
  const headers: OutgoingHttpHeaders = Object.assign(Object.create(null), first);
  for (const { name, value } of fields) {
    const before = headers[name];
    if (before === undefined) headers[name] = name === 'set-cookie' ? [value] : value;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = `${before}, ${value}`; // As it may be: RFC 9110 §5.3.
  }
  return headers;
}
