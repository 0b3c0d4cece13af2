import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../std/index.ts';
import { Code, encodeStatusDetails, encodeStatusMessage } from '../../wire/grpc/index.ts';
import { RpcError } from '../call.ts';
import { endInOrder } from '../connection/end-in-order.ts';
import type { RpcLimits } from '../limits.ts';

/** The writing half of a call. */
export interface ServerResponse {
  write(frame: Buffer): Promise<void>;
  /** Sets the only message of a unary answer: it goes out together with the status, if that is OK. */
  setLast(frame: Buffer): void;
  end(error: RpcError | undefined): void;
  /** Writes the status that `end` was given: to be called when the stream asks for trailers. */
  sendTrailers(): void;
  /** The stream is closed: nothing of it waits any more. */
  closed(): void;
  readonly ended: boolean;
  readonly started: boolean;
}

/** Creates the writing half of the call on `stream`. `site.queuedBytes` counts what waits in all calls of the connection. */
export function createServerResponse(site: ResponseSite, stream: ServerHttp2Stream): ServerResponse {
  return new Response(site, stream);
}

/** What the answers of one connection share. */
export interface ResponseSite {
  readonly clock: Clock;
  readonly limits: RpcLimits;
  queuedBytes: number;
}

/** A class, since each call makes one: what it does costs less than making nine functions. */
class Response implements ServerResponse {
  readonly #site: ResponseSite;
  readonly #stream: ServerHttp2Stream;
  #ended: RpcError | 'ok' | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #last: Buffer | undefined;
  #lastBytes = 0;
  #room: Promise<void> | undefined;

  constructor(site: ResponseSite, stream: ServerHttp2Stream) {
    this.#site = site;
    this.#stream = stream;
  }

  // Not `async`: an update goes to a thousand streams at once, and each promise less is seen there.
  write(frame: Buffer): Promise<void> {
    const stream = this.#stream;
    if (this.#ended === 'ok') return Promise.reject(new RpcError(Code.CANCELLED, 'the call has ended'));
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (!this.#usable) {
      return Promise.reject(new RpcError(Code.CANCELLED, 'the client has gone or has cancelled the call'));
    }
    const queuedBytes = stream.writableLength;
    // Alone, one large message is fine; behind others it is what makes memory grow with a client that does not read.
    if (queuedBytes > 0 && !this.#fits(queuedBytes, frame.length)) {
      const ended = new RpcError(Code.RESOURCE_EXHAUSTED, `the client does not read: ${queuedBytes} bytes wait for it`);
      this.#ended = ended;
      // A reset, not a status: a status would wait behind the bytes and keep them. Clients read it as RESOURCE_EXHAUSTED.
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return Promise.reject(ended);
    }
    this.#start('dated');
    return stream.write(frame, this.#count(frame)) ? ROOM : this.#waitForRoom();
  }

  setLast(frame: Buffer): void {
    this.#last = frame;
  }

  end(error: RpcError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = error ?? 'ok';
    if (!this.#usable) return;
    const stream = this.#stream;
    const last = error === undefined ? this.#last : undefined;
    if (last !== undefined) this.#start();
    if (stream.headersSent) {
      this.#trailers = statusHeaders(error);
      if (last === undefined) {
        stream.end();
      } else {
        // Until the stream is closed: a callback for each call's last bytes would be seen.
        this.#lastBytes = last.length;
        this.#site.queuedBytes += last.length;
        stream.end(last);
      }
    } else {
      // A refusal may well be for a clock that is wrong.
      const date = error === undefined ? {} : { date: this.#date };
      stream.respond({ ...RESPONSE_HEADERS, ...date, ...statusHeaders(error) }, NOTHING_FOLLOWS);
    }
    if (!stream.readableEnded) finishReading(this.#site.clock, stream);
  }

  sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers ?? {});
  }

  closed(): void {
    this.#site.queuedBytes -= this.#lastBytes;
    this.#lastBytes = 0;
    this.#last = undefined;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  get started(): boolean {
    return this.#stream.headersSent;
  }

  get #usable(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #start(date?: 'dated'): void {
    const stream = this.#stream;
    if (stream.headersSent) return;
    stream.respond(date === undefined ? RESPONSE_HEADERS : { ...RESPONSE_HEADERS, date: this.#date }, TRAILERS_FOLLOW);
  }

  get #date(): string {
    return new Date(this.#site.clock.now()).toUTCString();
  }

  #fits(queuedBytes: number, moreBytes: number): boolean {
    const { limits } = this.#site;
    return (
      queuedBytes + moreBytes <= limits.streamQueueBytesMax &&
      this.#site.queuedBytes + moreBytes <= limits.connectionQueueBytesMax
    );
  }

  #count(frame: Buffer): () => void {
    const site = this.#site;
    site.queuedBytes += frame.length;
    return () => {
      site.queuedBytes -= frame.length;
    };
  }

  #waitForRoom(): Promise<void> {
    const stream = this.#stream;
    this.#room ??= new Promise<void>((resolve) => {
      const settle = () => {
        stream.off('drain', settle);
        stream.off('close', settle);
        this.#room = undefined;
        resolve();
      };
      stream.on('drain', settle);
      stream.on('close', settle);
    });
    return this.#room;
  }
}

/** After the status is sent, what the client still sends is thrown away; one that never ends its side is reset. */
function finishReading(clock: Clock, stream: ServerHttp2Stream): void {
  stream.removeAllListeners('data');
  stream.resume();
  const timer = clock.after(HALF_OPEN_MS, () => endInOrder(stream));
  stream.once('close', () => timer.cancel());
}

function statusHeaders(error: RpcError | undefined): OutgoingHttpHeaders {
  if (error === undefined) return STATUS_OK;
  const headers: OutgoingHttpHeaders = { 'grpc-status': `${error.code}` };
  if (error.message !== '') headers['grpc-message'] = encodeStatusMessage(error.message);
  if (error.details.length > 0) {
    headers['grpc-status-details-bin'] = encodeStatusDetails(error.code, error.message, error.details);
  }
  return headers;
}

const ROOM = Promise.resolve();
const RESPONSE_HEADERS: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-accept-encoding': 'identity',
};
const STATUS_OK: OutgoingHttpHeaders = { 'grpc-status': '0' };
/** Streams and refusals alone say what time it is here, by which clients tell clocks that disagree; a date in each unary answer would cost. */
const TRAILERS_FOLLOW = { waitForTrailers: true, sendDate: false };
const NOTHING_FOLLOWS = { endStream: true, sendDate: false };
/** gRPC clients close their side on the status; this is for those that don't. */
const HALF_OPEN_MS = 1000;
