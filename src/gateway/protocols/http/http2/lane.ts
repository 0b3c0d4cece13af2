import { Duplex } from 'node:stream';
import { createResponseReader, Http1Error, type ResponseEvent } from '../../../../wire/http1/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import type { OwnAnswer } from '../session/refusals/own-answers.ts';
import { serve } from '../session/serve.ts';
import type { OpenTarget } from '../target.ts';

/** The stream that has a lane. */
export interface LaneUser {
  take(event: ResponseEvent): void;
  /** Calls once the client has room for more. */
  whenTaken(then: () => void): void;
  /** More of the body can be pushed. */
  room(): void;
  /** Nothing more comes of it; `why`: what the gateway says of that. */
  lost(why: OwnAnswer | undefined): void;
  /** Its request is not this session's any more, and nothing of it was taken up. */
  givenBack(): void;
  /** In memory for the client. */
  readonly heldBytes: number;
}

/** What a lane tells. */
export interface LanePort {
  /** What it holds has changed, to that many bytes. */
  holds(lane: Lane, bytes: number): void;
  over(lane: Lane): void;
}

/**
 * A connection of HTTP/1.1 within the process: streams use it one after another, and what serves it does not know that it is none. So that a stream is
 * decided, recorded, masked and limited by what does all that for clients of HTTP/1.1, with a connection upstream that it uses again.
 */
export class Lane {
  /** Resolves when nothing of it is left. */
  readonly served: Promise<void>;
  readonly #connection: Duplex;
  /** What the upstream may say was judged where it came in. */
  readonly #reader = createResponseReader({ allowObsText: true });
  #user: LaneUser | undefined;
  #why: OwnAnswer | undefined;

  constructor(target: OpenTarget, session: GatewaySession, port: LanePort) {
    this.#connection = new Duplex({
      ...{ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES },
      read: () => this.#user?.room(),
      write: (chunk: Buffer, _encoding, done) => this.#answered(chunk, done),
      final: (done) => this.#ended(done),
    });
    this.#connection.on('error', () => {}); // 'close' follows.
    this.#connection.once('close', () => {
      const user = this.#user;
      this.#user = undefined;
      port.over(this);
      user?.lost(this.#why);
    });
    const memory = { hold: (bytes: number) => port.holds(this, bytes + (this.#user?.heldBytes ?? 0)) };
    const proofs = session.proofs && { isOwn: session.proofs.isOwn, gaveBack: () => this.#givenBack() };
    const stream = {
      broken: (why: OwnAnswer) => {
        this.#why ??= why;
      },
    };
    this.served = serve(target, { ...session, client: this.#connection, memory, proofs }, stream);
  }

  get isOpen(): boolean {
    return !this.#connection.destroyed && !this.#connection.writableEnded;
  }

  /** Gives it to a stream, with the head of its request. */
  begin(user: LaneUser, method: string, head: Buffer): void {
    this.#user = user;
    this.#reader.expect(method);
    this.#connection.push(head);
  }

  /** False: no more until there is room. */
  push(pieces: readonly Buffer[]): boolean {
    let hasRoom = true;
    for (const piece of pieces) hasRoom = this.#connection.push(piece);
    return hasRoom;
  }

  /** Its stream has what it wanted. */
  release(): void {
    this.#user = undefined;
  }

  destroy(): void {
    this.#connection.destroy();
  }

  /** Between two requests it has none to give back. */
  #givenBack() {
    // What its stream has not taken yet is the end of a whole answer.
    if (this.#connection.writableLength > 0) return void this.#connection.end();
    const user = this.#user;
    this.#user = undefined;
    user?.givenBack();
    this.destroy();
  }

  #answered(chunk: Buffer, done: () => void) {
    const user = this.#user;
    // Nothing was asked: it says goodbye.
    if (user === undefined) this.destroy();
    else {
      this.#reader.push(chunk);
      this.#tell(user);
    }
    if (user !== undefined && this.#user === user) user.whenTaken(done);
    else done();
  }

  #tell(user: LaneUser) {
    try {
      while (this.#user === user) {
        const event = this.#reader.next();
        if (event === undefined) return;
        user.take(event);
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.destroy(); // What it was to say is none of an answer; its stream is told by the end.
    }
  }

  /** An answer that is not whole by now never will be. */
  #ended(done: () => void) {
    done();
    this.destroy();
  }
}

/** On its way between a stream and what serves it, each way. */
const BUFFER_BYTES = 64 * 1024;
