import { Code, createDeframer, type Deframer } from '../../wire/grpc/index.ts';
import { RpcError } from '../call.ts';
import { frameStatus } from '../connection/message-reader.ts';

/** Puts together the one message of a request from the bytes of its stream. After it has told of a problem it is to be dropped. */
export class OneMessage {
  readonly #deframer: Deframer;
  #message: Uint8Array | undefined;

  constructor(messageBytesMax: number) {
    this.#deframer = createDeframer(messageBytesMax);
  }

  /** Takes the next bytes; answers with what is wrong with them, if anything is. */
  push(chunk: Buffer): RpcError | undefined {
    try {
      for (const message of this.#deframer.push(chunk)) {
        if (this.#message) return new RpcError(Code.INTERNAL, 'the method takes one message, more have come');
        this.#message = message;
      }
      return undefined;
    } catch (error) {
      return frameStatus(error);
    }
  }

  get heldBytes(): number {
    return this.#deframer.pendingBytes + (this.#message?.length ?? 0);
  }

  /** The message, now that the client has ended its side. */
  end(): Uint8Array | RpcError {
    try {
      this.#deframer.end();
    } catch (error) {
      return frameStatus(error);
    }
    return this.#message ?? new RpcError(Code.INTERNAL, 'the method takes one message, none has come');
  }
}
