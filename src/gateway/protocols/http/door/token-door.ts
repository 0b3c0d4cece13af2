import type { Duplex } from 'node:stream';
import {
  createRequestReader,
  encodeProblem,
  Http1Error,
  type Problem,
  type RequestEvent,
  type RequestHead,
} from '../../../../wire/http1/index.ts';
import type { Meeting, ShownToken, TokenDoor } from '../../../protocol.ts';
import { bearerOf } from './bearer.ts';
import { challengeOf, type DoorSign, unprovenProblem } from './unproven.ts';

/** The way in for clients that prove who they are by a JWT-SVID with each request. `carry`: for those that speak HTTP/2; undefined: nobody does. */
export function createTokenDoor(sign: DoorSign, carry?: TokenDoor['carry']): TokenDoor {
  return {
    ...{ proof: 'token', audience: sign.audience, carry },
    alpn: carry === undefined ? ['http/1.1'] : ['h2', 'http/1.1'],
    negotiate: (_socket, startTls): Promise<Duplex | undefined> => startTls(Buffer.alloc(0)),
    meet: (client, asked) => new Encounter(sign, client, asked).run(),
  };
}

/** Reads on to a request that proves its caller, and answers those before it. */
class Encounter {
  readonly #sign: DoorSign;
  readonly #client: Duplex;
  readonly #asked: Meeting;
  readonly #reader = createRequestReader();
  readonly #met = Promise.withResolvers<ShownToken | undefined>();
  #timer: { cancel(): void };
  #refused = 0;
  /** Of the body of a request that was refused. */
  #dropped = 0;
  #isOver = false;

  constructor(sign: DoorSign, client: Duplex, asked: Meeting) {
    this.#sign = sign;
    this.#client = client;
    this.#asked = asked;
    this.#timer = sign.clock.after(asked.isKnown ? IDLE_MS : WAIT_MS, this.#late);
  }

  run(): Promise<ShownToken | undefined> {
    const { signal } = this.#asked;
    const client = this.#client;
    if (signal.aborted || client.destroyed) this.#end(undefined);
    else {
      signal.addEventListener('abort', this.#gone, { once: true });
      client.on('data', this.#take).on('end', this.#gone).on('close', this.#gone).resume();
    }
    return this.#met.promise;
  }

  readonly #gone = () => this.#end(undefined);

  readonly #late = () => this.#end(this.#reader.isBetween ? undefined : LATE);

  readonly #take = (chunk: Buffer) => {
    // It was idle, and is no longer.
    if (this.#asked.isKnown && this.#reader.isBetween) this.#wait(WAIT_MS);
    this.#reader.push(chunk);
    try {
      while (!this.#isOver) {
        const event = this.#reader.next();
        if (event === undefined) return;
        this.#read(event);
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      const { status, message: title } = error;
      this.#asked.refused(`what came is no request: ${title}`);
      this.#end({ status, title, reason: 'malformed', hint: 'Send requests as RFC 9112 has them.' });
    }
  };

  #read(event: RequestEvent) {
    if (event.kind === 'head') return this.#meet(event.head);
    if (event.kind === 'end') {
      this.#dropped = 0;
      this.#wait(this.#asked.isKnown ? IDLE_MS : WAIT_MS);
      return;
    }
    this.#dropped += event.bytes.length;
    if (this.#dropped > DROPPED_BYTES_MAX) this.#end(undefined);
  }

  #meet(head: RequestHead) {
    const token = bearerOf(head.fields);
    if (token === undefined) return this.#refuse(head, undefined);
    const bearer = this.#asked.verify(token);
    if (typeof bearer === 'string') this.#refuse(head, bearer);
    else this.#found({ token, bearer });
  }

  /** `fault`: of the token that it has shown; undefined: none. */
  #refuse(head: RequestHead, fault: string | undefined) {
    this.#asked.refused(fault ?? 'a request without a token');
    const problem = unprovenProblem(this.#sign, fault);
    this.#refused++;
    const mustClose = !head.keepAlive || head.expectsContinue || this.#refused >= REFUSED_MAX;
    if (mustClose || (head.body.kind === 'length' && head.body.bytes > DROPPED_BYTES_MAX))
      return this.#end(problem, head, fault);
    this.#client.write(this.#encode(problem, { close: false, head, fault }));
    this.#wait(WAIT_MS);
  }

  #found(shown: ShownToken) {
    const rest = this.#reader.takeFromHead();
    this.#leave();
    this.#client.unshift(rest);
    this.#met.resolve(shown);
  }

  #encode(
    problem: Problem,
    {
      close,
      head,
      fault,
    }: { readonly close: boolean; readonly head?: RequestHead; readonly fault: string | undefined },
  ): Buffer {
    const challenge = problem.status === 401 ? challengeOf(this.#sign, fault) : undefined;
    return encodeProblem(problem, { close, answersHead: head?.method === 'HEAD', challenge });
  }

  #wait(ms: number) {
    this.#timer.cancel();
    if (!this.#isOver) this.#timer = this.#sign.clock.after(ms, this.#late);
  }

  /** Nothing more is read of the client; it is told, and its connection ends. */
  #end(problem: Problem | undefined, head?: RequestHead, fault?: string) {
    if (this.#isOver) return;
    this.#leave();
    const client = this.#client;
    if (!client.destroyed) {
      client.resume(); // What still comes goes nowhere.
      if (problem === undefined) client.end();
      else client.end(this.#encode(problem, { close: true, ...(head === undefined ? {} : { head }), fault }));
    }
    this.#met.resolve(undefined);
  }

  #leave() {
    this.#isOver = true;
    this.#timer.cancel();
    this.#client.pause();
    this.#client.off('data', this.#take).off('end', this.#gone).off('close', this.#gone);
    this.#asked.signal.removeEventListener('abort', this.#gone);
  }
}

const LATE: Problem = {
  status: 408,
  title: 'the request did not come in time',
  reason: 'timeout',
  hint: 'Send it again, without a pause.',
};
/** For the head of a request that proves its caller, and for the body of one that does not. */
const WAIT_MS = 10_000;
/** Between two requests, for whoever has proven somebody before: as a session has. */
const IDLE_MS = 120_000;
/** So many in a row, and the connection is nobody's that may have it. */
const REFUSED_MAX = 10;
/** Of a refused request's body, so that the connection can be used again. */
const DROPPED_BYTES_MAX = 1024 * 1024;
