import type { Duplex } from 'node:stream';
import pg from 'pg';
import { type MessageSource, takeWholeMessages } from './whole-messages.ts';

/**
 * The driver's client, of which nothing that its database says or leaves unsaid can end the process. It has a listener for errors from its
 * first moment on: the driver's pool takes its own off when it lends a client, before whoever borrows it can put on another, and errors
 * that come in between (a FATAL in one piece with the login's end) have no other. Bytes that are no message end the connection.
 */
export class Client extends pg.Client {
  readonly #connection: DriverConnection;

  constructor(config?: pg.ClientConfig) {
    super(config);
    // Whoever uses the client hears of it by its query, by its own listener or by 'end'.
    this.on('error', () => {});
    // The driver's types leave out what its client is made of.
    this.#connection = (this as unknown as { connection: DriverConnection }).connection;
    const { attachListeners } = this.#connection;
    this.#connection.attachListeners = (stream: Duplex) =>
      attachListeners.call(this.#connection, takeWholeMessages(stream));
  }

  /** Closes the connection without a word, whether or not the database still listens. */
  cut(): void {
    this.#connection.stream.destroy();
  }
}

/** The parts used of the driver's `Connection`. */
interface DriverConnection {
  readonly stream: { destroy(): void };
  /** Called with each stream that messages will come from: the socket, or the TLS over it. */
  attachListeners(stream: MessageSource): void;
}
