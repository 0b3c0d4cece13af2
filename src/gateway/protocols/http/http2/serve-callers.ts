import { constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Timer } from '../../../../std/index.ts';
import { encodeProblem } from '../../../../wire/http1/index.ts';
import type { Carrying, EnteredCaller, ShownToken } from '../../../protocol.ts';
import { bearerOf } from '../door/bearer.ts';
import { challengeOf, type DoorSign, unprovenProblem } from '../door/unproven.ts';
import { encodeOwnAnswer, type OwnAnswer } from '../session/refusals/own-answers.ts';
import type { OpenTarget } from '../target.ts';
import { CallerPart, type PartPort } from './caller-part.ts';
import { type Arrival, type ConnectionUser, Http2Connection } from './connection.ts';
import { isGrpcCall, methodOf, requestOf } from './request-head.ts';
import type { StreamExchange } from './stream-exchange.ts';

/** A client, and what its door asks of it. */
export interface Visit {
  readonly client: Duplex;
  readonly asked: Carrying;
}

/**
 * Carries the streams of a client of HTTP/2 each of which proves who calls: those of one caller by one session, side by side with those of others, which
 * share the connection and nothing else. Owns the client. Resolves when all of it is over.
 */
export function serveCallers(target: OpenTarget, sign: DoorSign, visit: Visit): Promise<void> {
  return new Callers(target, sign, visit).run();
}

interface Caller {
  readonly part: CallerPart;
  readonly entered: EnteredCaller;
}

class Callers implements ConnectionUser, PartPort {
  readonly connection: Http2Connection;
  readonly fields: ConnectionUser['fields'];
  readonly #target: OpenTarget;
  readonly #sign: DoorSign;
  readonly #asked: Carrying;
  /** By SPIFFE ID, those that take streams; the one that was asked for last at the end. */
  readonly #callers = new Map<string, Caller>();
  /** By what the streams are proven that are not over. */
  readonly #proofs = new Map<StreamExchange, ShownToken>();
  readonly #served = new Set<Promise<void>>();
  /** Streams in a row that nobody is served for. */
  #refused = 0;
  #unknown: Timer | undefined;

  constructor(target: OpenTarget, sign: DoorSign, { client, asked }: Visit) {
    this.#target = target;
    this.#sign = sign;
    this.#asked = asked;
    this.fields = { target: sign.name };
    this.connection = new Http2Connection(target, client, this);
  }

  async run(): Promise<void> {
    const { connection } = this;
    const { signal } = this.#asked;
    const served = connection.run();
    const onStop = () => connection.leave();
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    this.#unknown = this.#target.deps.clock.after(UNKNOWN_MS_MAX, () => connection.end());
    await served;
    this.#unknown.cancel();
    signal.removeEventListener('abort', onStop);
    for (const { part } of [...this.#callers.values()]) part.leave();
    await Promise.all(this.#served);
  }

  arrived(arrival: Arrival): void {
    const { rawHeaders, client } = arrival;
    const request = requestOf({ ...arrival, fieldsSent: client.fields, scheme: 'https' });
    if ('status' in request) {
      // Whose it is nobody can tell.
      this.#asked.refused(`what came is no request: ${request.message}`);
      return void this.#refuse(arrival, encodeOwnAnswer(request, { isHead: methodOf(rawHeaders) === 'HEAD' }));
    }
    const token = bearerOf(request.fields);
    const bearer = token === undefined ? undefined : this.#asked.verify(token);
    if (token === undefined || bearer === undefined || typeof bearer === 'string')
      return void this.#refuse(arrival, this.#unproven(arrival, typeof bearer === 'string' ? bearer : undefined));
    const caller = this.#callerOf({ token, bearer });
    if (caller === undefined) return void arrival.stream.close(constants.NGHTTP2_REFUSED_STREAM);
    // It was good a moment ago.
    if (!caller.entered.isOwn(token)) return void this.#refuse(arrival, this.#unproven(arrival, EXPIRED));
    const { part } = caller;
    const owner = {
      began: (exchange: StreamExchange) => {
        this.#proofs.set(exchange, { token, bearer });
        part.began(exchange);
      },
      wants: (exchange: StreamExchange) => part.wants(exchange),
      over: (exchange: StreamExchange) => {
        this.#proofs.delete(exchange);
        part.over(exchange);
      },
    };
    this.connection.begin(owner, arrival, request);
  }

  /** A stream that outlasts its own token, or the key of that, is ended, whatever its caller has shown since. */
  looked(): void {
    const now = this.connection.nowMs();
    for (const { part } of [...this.#callers.values()])
      if (part.isIdle && now - part.idleSinceMs >= IDLE_MS_MAX) part.leave();
    const nowS = this.#target.deps.clock.now() / 1000;
    for (const [exchange, { token, bearer }] of [...this.#proofs]) {
      const { expiresAtS } = bearer;
      const isInGrace = nowS >= expiresAtS && nowS < expiresAtS + GRACE_S;
      if (!isInGrace && typeof this.#asked.verify(token) === 'string') exchange.close(constants.NGHTTP2_CANCEL);
    }
  }

  left(part: CallerPart): void {
    for (const [uri, caller] of this.#callers) if (caller.part === part) this.#callers.delete(uri);
  }

  opened(): void {
    this.#unknown?.cancel();
    this.#refused = 0;
  }

  refused({ reason }: OwnAnswer): void {
    // Of these nobody is served here any more.
    if (reason === 'closed' || reason === 'target' || reason === 'shutdown') this.connection.leave();
    else this.#countRefused();
  }

  /** The one whose token that is; undefined: there are too many. */
  #callerOf(shown: ShownToken): Caller | undefined {
    const { uri } = shown.bearer.identity;
    const caller = this.#callers.get(uri) ?? this.#enter(shown);
    if (caller === undefined) return undefined;
    this.#callers.delete(uri);
    this.#callers.set(uri, caller);
    return caller;
  }

  #enter(shown: ShownToken): Caller | undefined {
    if (this.#callers.size >= CALLERS_MAX) [...this.#callers.values()].find(({ part }) => part.isIdle)?.part.leave();
    if (this.#callers.size >= CALLERS_MAX) return undefined;
    const part = new CallerPart(this);
    const entered = this.#asked.enter(shown, part);
    const failed = (error: unknown) => {
      this.#target.failures.error('gateway.http.caller_failed', { ...this.fields, error });
      part.destroy();
    };
    const served = entered.serve().catch(failed);
    this.#served.add(served);
    void served.finally(() => this.#served.delete(served));
    return { part, entered };
  }

  #unproven({ rawHeaders }: Arrival, fault: string | undefined): Buffer {
    this.#asked.refused(fault ?? 'a request without a token');
    const problem = unprovenProblem(this.#sign, fault);
    const { status, title: message, reason, hint } = problem;
    if (isGrpcCall(rawHeaders)) return encodeOwnAnswer({ status, message, reason, hint }, { isGrpc: true });
    const answersHead = methodOf(rawHeaders) === 'HEAD';
    return encodeProblem(problem, { close: false, answersHead, challenge: challengeOf(this.#sign, fault) });
  }

  #refuse(arrival: Arrival, bytes: Buffer) {
    this.connection.answer(arrival, { bytes, method: methodOf(arrival.rawHeaders) });
    this.#countRefused();
  }

  #countRefused() {
    if (++this.#refused >= REFUSED_MAX) this.connection.leave();
  }
}

const EXPIRED = 'the token has expired';
/** For somebody to be known. */
const UNKNOWN_MS_MAX = 10_000;
/** So many in a row, and the connection takes no more. */
const REFUSED_MAX = 10;
/** One for each stream that there may be at once. */
const CALLERS_MAX = 100;
/** Of a caller without a stream; its session ends. */
const IDLE_MS_MAX = 120_000;
/** As a session has that outlasts its token. */
const GRACE_S = 30;
