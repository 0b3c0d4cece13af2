import type { Duplex } from 'node:stream';
import { createResponseReader, type ResponseEvent } from '../../../../wire/http1/index.ts';
import type { Place } from '../upstream/place.ts';
import type { Connected } from '../upstream/upstreams.ts';

/** What a session does with what its upstream says. */
export interface UpstreamPort {
  /** Some of the answer has come; called for each read, with a reader to take events from until it has none. */
  answered(link: UpstreamLink): void;
  /** The connection is over; nothing more comes. */
  lost(link: UpstreamLink): void;
  /** It takes more again. */
  drained(): void;
}

/**
 * One connection to the upstream, which belongs to one session: whatever an upstream makes of its bytes, another identity's answers are not on it.
 */
export class UpstreamLink {
  readonly socket: Duplex;
  readonly place: Place;
  /** Names of files stand in fields as they are: no byte of them ends anything. */
  readonly #reader = createResponseReader({ allowObsText: true });
  readonly #port: UpstreamPort;
  /** Requests that went over it. */
  requests = 0;
  /** When its last answer ended, monotonic milliseconds. */
  idleSinceMs: number;
  /** The upstream itself has ended it, and all that it said before has come. */
  hasEnded = false;
  /** Something has come since the last request was sent. */
  hasSpoken = false;
  #isOver = false;

  constructor({ socket, place }: Connected, port: UpstreamPort, nowMs: number) {
    this.socket = socket;
    this.place = place;
    this.#port = port;
    this.idleSinceMs = nowMs;
    socket.on('data', (chunk: Buffer) => {
      if (this.#isOver) return;
      this.hasSpoken = true;
      this.#reader.push(chunk);
      port.answered(this);
    });
    socket.on('drain', () => port.drained());
    socket.on('end', () => {
      this.hasEnded = true;
      this.#ended();
    });
    for (const event of ['error', 'close']) socket.on(event, () => this.#ended());
    socket.resume();
  }

  /** It may be written to. */
  get isOpen(): boolean {
    return !this.#isOver && !this.socket.destroyed && this.socket.writable;
  }

  get bufferedBytes(): number {
    return this.#reader.bufferedBytes;
  }

  /** The answer to a request by that method is expected, which may ask for another protocol. */
  expect(method: string, upgrade?: string): void {
    this.requests++;
    this.hasSpoken = false;
    this.#reader.expect(method, upgrade);
  }

  /** @throws Http1Error */
  next(): ResponseEvent | undefined {
    return this.#reader.next();
  }

  /** The upstream says no more: an answer without a length is whole then. @throws Http1Error */
  finish(): void {
    this.#reader.finish();
  }

  /** Bytes behind the head of an upgrade. */
  takeRest(): Buffer {
    return this.#reader.takeRest();
  }

  destroy(): void {
    this.#isOver = true;
    this.socket.destroy();
  }

  #ended() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#port.lost(this);
    this.socket.destroy();
  }
}
