import { Duplex } from 'node:stream';

/** One end of a connection in memory: what the other end writes comes in exactly the pieces that the test gives it. */
export class MemoryStream extends Duplex {
  /** All that was written to the stream so far. */
  readonly written: Buffer[] = [];
  writtenBytes = 0;
  #onWrite: () => void = () => {};

  constructor() {
    super({ allowHalfOpen: true });
  }

  /** Calls after each write. */
  hear(listener: () => void): void {
    this.#onWrite = listener;
  }

  bytes(): Buffer {
    return Buffer.concat(this.written);
  }

  /** What sockets have: ends, then destroys. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // As a socket: what was taken has left the writer's memory, which may be used again.
    this.written.push(Buffer.from(chunk));
    this.writtenBytes += chunk.length;
    done();
    this.#onWrite();
  }
}

/** Lets everything that is ready in the event loop happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
