import { constants } from 'node:http2';
import { Duplex } from 'node:stream';
import type { Timer } from '../../../../std/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import type { OwnAnswer } from '../session/refusals/own-answers.ts';
import type { OpenTarget } from '../target.ts';
import type { Http2Connection, StreamOwner } from './connection.ts';
import type { LaneOwner } from './lane-pool.ts';
import type { StreamExchange } from './stream-exchange.ts';

/** What a part asks of whoever has all of them. */
export interface PartPort {
  readonly connection: Http2Connection;
  /** It takes no stream any more; another part of the same caller may. */
  left(part: CallerPart): void;
  /** It has a session. */
  opened(): void;
  /** It has none. */
  refused(answer: OwnAnswer): void;
}

/**
 * One caller's part of a connection that others share: what its session has for a client. It has streams and no bytes; to end it ends these, and
 * nobody else's. Streams that come before there is a session wait for it.
 */
export class CallerPart extends Duplex implements StreamOwner {
  readonly #port: PartPort;
  readonly #streams = new Set<StreamExchange>();
  readonly #queued = new Set<StreamExchange>();
  readonly #finished = Promise.withResolvers<void>();
  #owner: LaneOwner | undefined;
  #refusal: OwnAnswer | undefined;
  #isLeaving = false;
  #isOver = false;
  #goodbye: Timer | undefined;
  /** Since when it has no stream. */
  idleSinceMs: number;

  constructor(port: PartPort) {
    super({ read() {}, write: (_chunk, _encoding, done) => done() });
    this.#port = port;
    this.idleSinceMs = port.connection.nowMs();
    this.on('error', () => {}); // 'close' follows.
    this.once('close', () => this.#cut());
  }

  get isIdle(): boolean {
    return this.#streams.size === 0;
  }

  began(exchange: StreamExchange): void {
    this.#streams.add(exchange);
  }

  wants(exchange: StreamExchange): void {
    if (this.#refusal !== undefined) exchange.refuse(this.#refusal);
    else if (this.#isLeaving) exchange.close(constants.NGHTTP2_REFUSED_STREAM);
    else if (this.#owner === undefined) this.#queued.add(exchange);
    else this.#port.connection.pool.wants(this.#owner, exchange);
  }

  over(exchange: StreamExchange): void {
    this.#streams.delete(exchange);
    this.#queued.delete(exchange);
    this.idleSinceMs = this.#port.connection.nowMs();
    if (this.#isLeaving && this.#streams.size === 0) this.#finish();
  }

  /** Has its streams served by that session. Resolves when it is over. */
  serve(target: OpenTarget, session: GatewaySession): Promise<void> {
    const { connection } = this.#port;
    const { signal, drain } = session;
    const owner = { target, session };
    this.#owner = owner;
    this.#port.opened();
    const onEnd = () => this.#end(target);
    const onDrain = () => this.leave();
    signal.addEventListener('abort', onEnd, { once: true });
    drain.addEventListener('abort', onDrain, { once: true });
    void this.#finished.promise.then(() => {
      signal.removeEventListener('abort', onEnd);
      drain.removeEventListener('abort', onDrain);
    });
    if (signal.aborted) this.#end(target);
    else if (drain.aborted) this.leave();
    const queued = [...this.#queued];
    this.#queued.clear();
    connection.guard(() => {
      for (const exchange of queued) this.wants(exchange);
    });
    return this.#finished.promise;
  }

  /** Tells its streams why there is no session for them. */
  refuse(answer: OwnAnswer): void {
    this.#refusal = answer;
    this.#leave();
    for (const exchange of [...this.#queued]) exchange.refuse(answer);
    this.#queued.clear();
    this.#port.refused(answer);
    this.#finish();
  }

  /** Running streams go on, and it is over when none is left. */
  leave(): void {
    this.#leave();
    const owner = this.#owner;
    const waiting = owner === undefined ? [] : this.#port.connection.pool.waiting(owner);
    for (const exchange of [...this.#queued, ...waiting]) exchange.close(constants.NGHTTP2_REFUSED_STREAM);
    if (this.#streams.size === 0) this.#finish();
  }

  /** Its lanes hear of it as well, and tell their streams. */
  #end({ deps }: OpenTarget) {
    this.leave();
    this.#goodbye ??= deps.clock.after(LAST_WORDS_MS, () => this.#cut());
  }

  #leave() {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#port.left(this);
  }

  #cut() {
    this.#leave();
    for (const exchange of [...this.#streams]) exchange.close(constants.NGHTTP2_CANCEL);
    this.#finish();
  }

  #finish() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#goodbye?.cancel();
    const owner = this.#owner;
    const closed = owner === undefined ? Promise.resolve() : this.#port.connection.pool.close(owner);
    void closed.then(() => this.#finished.resolve());
  }
}

/** For streams to be told. */
const LAST_WORDS_MS = 100;
