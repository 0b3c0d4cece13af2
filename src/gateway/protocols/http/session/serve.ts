import type { Duplex } from 'node:stream';
import type { Pipeline } from '../../../sessions/pipeline.ts';
import { endOf, type GatewaySession } from '../../../sessions/session.ts';
import type { OpenTarget } from '../target.ts';
import { connectUpstream } from '../upstream/connect.ts';
import { type Credential, noCredential, readCredential, withOlderForms } from '../upstream/credential.ts';
import type { Place } from '../upstream/place.ts';
import type { Connected } from '../upstream/upstreams.ts';
import { Answers } from './answers.ts';
import type { Conversation } from './conversation.ts';
import { Deadline } from './deadline.ts';
import { endClient } from './end-client.ts';
import { DISCARDED_BYTES_MAX, type Exchange, mayGoAgain } from './exchange.ts';
import { PolicyWatch } from './policy-watch.ts';
import { answerTo, endTo, lastWord, type ServedStream } from './refusals/last-word.ts';
import {
  brokenAnswer,
  lateAnswer,
  lateRequestAnswer,
  ledgerAnswer,
  type OwnAnswer,
  sessionAnswer,
  untakenAnswer,
} from './refusals/own-answers.ts';
import { Requests } from './requests.ts';
import { Sending } from './sending.ts';
import { UpstreamLink } from './upstream-link.ts';
import { type Wait, waitMs } from './waits.ts';
import { bytesIn, write } from './write.ts';

/**
 * Carries one client's requests, one after another, until either side or the session's signal ends it. Owns the client and its connection upstream.
 * @param stream where the client is a stream of HTTP/2.
 */
export function serve(target: OpenTarget, session: GatewaySession, stream?: ServedStream): Promise<void> {
  return new Carrier(target, session, stream).run();
}

class Carrier implements Conversation {
  readonly target: OpenTarget;
  readonly session: GatewaySession;
  readonly pipeline: Pipeline;
  exchange: Exchange | undefined;
  link: UpstreamLink | undefined;
  credential: Credential = noCredential;
  isOver = false;
  readonly #client: Duplex;
  readonly #stream: ServedStream | undefined;
  readonly #requests: Requests;
  readonly #answers: Answers;
  readonly #finished = Promise.withResolvers<void>();
  #credentialAtMs = Number.NEGATIVE_INFINITY;
  #linkAtMs = 0;
  /** Nothing more is answered; the session ends when what was is on its way. */
  #isEnding = false;
  /** What is not this session's, and all that comes behind it. */
  #unread: Buffer[] | undefined;
  #hasServed = false;
  #isCut = false;
  #hasClientEnded = false;
  /** How often in a row a body could not go on for what is behind it. While it can't, nobody sees whether its client is still there. */
  #stuck = 0;
  /** The connection that is wanted now: one that comes for a request that has ended is nobody's. */
  #opening: Promise<unknown> | undefined;
  readonly #deadline: Deadline;
  readonly #policyWatch: PolicyWatch;
  readonly #listeners: readonly (readonly [event: string, listener: (chunk: Buffer) => void])[] = [
    ['data', (chunk) => this.#onData(chunk)],
    ['drain', () => this.later(() => {})],
    ['end', () => this.later(() => this.#clientEnd())],
    ['close', () => this.#finish(undefined)],
    ['error', () => this.#finish(undefined)],
  ];
  /** What that is set for, and at which request. */
  #waitsFor: Wait | undefined;
  #waitsAt = 0;

  constructor(target: OpenTarget, session: GatewaySession, stream: ServedStream | undefined) {
    this.target = target;
    this.session = session;
    this.#client = session.client;
    this.#stream = stream;
    const sending = new Sending(this, (exchange, why) => this.#answers.giveUp(exchange, why));
    this.pipeline = session.gate.pipeline({
      forward: (pieces) => sending.forward(pieces),
      deliver: (pieces) => this.#deliver(pieces),
      resume: () => this.#requests.pump(),
      stop: (running, limit) => this.#answers.stop(running, limit),
      fail: (of, error) => this.#finish(of === 'requests' ? ledgerAnswer(error) : undefined),
      guard: (act) => this.later(act),
    });
    this.#deadline = new Deadline(target.deps.clock, () => this.later(() => this.#late()));
    this.#requests = new Requests(this);
    this.#answers = new Answers(this, sending);
    this.#policyWatch = new PolicyWatch(this, (exchange, answer) => this.#answers.revoke(exchange, answer));
  }

  run(): Promise<void> {
    const { session } = this;
    const client = this.#client;
    session.signal.addEventListener('abort', this.#onEnd, { once: true });
    session.drain.addEventListener('abort', this.#onDrain, { once: true });
    for (const [event, listener] of this.#listeners) client.on(event, listener);
    if (session.signal.aborted) this.#onEnd();
    else if (client.destroyed) this.#finish(undefined);
    else if (session.drain.aborted) this.#finish(sessionAnswer(endOf(session.drain)));
    else this.later(() => {});
    return this.#finished.promise;
  }

  openLink(then: { ready(): void; failed(error: unknown): void }): UpstreamLink | undefined {
    const { clock } = this.target.deps;
    const now = clock.monotonicMs();
    const { link } = this;
    const isFresh = now - this.#credentialAtMs <= CREDENTIAL_MS_MAX;
    const isYoung = now - this.#linkAtMs <= LINK_MS_MAX;
    const idleMsMax = mayGoAgain(this.exchange) ? IDLE_LINK_SAFE_MS_MAX : IDLE_LINK_MS_MAX;
    const isUsable = link?.isOpen === true && isYoung && now - link.idleSinceMs <= idleMsMax;
    if (isUsable && isFresh) return link;
    if (!isUsable) this.dropLink();
    const { signal } = this.session;
    const opening = this.#open(isUsable, signal);
    this.#opening = opening;
    opening.then(
      ({ credential, connected }) => {
        // The request that wanted it may have ended, and another one has its own by now.
        if (this.isOver || this.#opening !== opening) connected?.socket.destroy();
        else this.#linked(credential, connected, then);
      },
      (error: unknown) => {
        if (signal.aborted || this.isOver || this.#opening !== opening) return;
        this.target.failures.error('gateway.http.target_failed', { target: this.target.deps.name, error });
        this.later(() => then.failed(error));
      },
    );
    return undefined;
  }

  dropLink(): void {
    const { link } = this;
    this.link = undefined;
    link?.destroy();
  }

  respond(exchange: Exchange, answer: OwnAnswer, after: number): void {
    const { head } = exchange;
    exchange.phase = 'refused';
    exchange.isAnswered = true;
    const isLong = head.body.kind === 'length' && head.body.bytes - exchange.bodyBytes > DISCARDED_BYTES_MAX;
    const waits = head.expectsContinue && !exchange.isContinued;
    if (!exchange.isRead && (isLong || waits)) exchange.closes = true;
    if (this.session.drain.aborted) exchange.closes = true;
    this.pipeline.deliver([answerTo(exchange, answer, exchange.closes)], after);
    this.answered(exchange);
  }

  answered(exchange: Exchange): void {
    exchange.isAnswered = true;
    this.#hasServed = true;
    if (this.link !== undefined) this.link.idleSinceMs = this.target.deps.clock.monotonicMs();
    if (exchange.closes) this.endBehind();
    else if (exchange.isRead) this.exchange = undefined; // Else what is left of it goes nowhere.
  }

  cut(exchange: Exchange, answer: OwnAnswer): void {
    this.target.failures.warn('gateway.http.answer_cut', { target: this.target.deps.name, why: answer.message });
    const end = endTo(exchange, answer, this.#stream);
    // Behind what was delivered; an answer that ends so is seen to be no whole one.
    this.#isCut = end === undefined;
    if (end === undefined) this.#stream?.broken(answer);
    else {
      this.pipeline.deliver([end], exchange.running?.after ?? -1);
      exchange.isAnswered = true;
    }
    this.endBehind();
  }

  endBehind(): void {
    this.#isEnding = true;
    this.#endWhenDelivered();
  }

  giveBack(unread: Buffer): void {
    this.#unread ??= [unread];
    this.endBehind();
  }

  later(act: () => void): void {
    if (this.isOver) return;
    try {
      act();
      if (this.isOver) return;
      this.#requests.pump();
      this.#flow();
      this.#drainWhenIdle();
      this.#endWhenDelivered();
    } catch (error) {
      // Whatever is thrown here is a bug; it costs this session, not the gateway, and nothing more is forwarded.
      this.target.deps.log.error('gateway.http.session_bug', { session: this.session.id, error });
      this.#finish(brokenAnswer('the gateway failed; the connection is ended'));
    }
  }

  /** The credential first: without one there is nothing to connect for. */
  async #open(hasLink: boolean, signal: AbortSignal) {
    const { config, deps, upstreams } = this.target;
    const credential = await readCredential(config, deps.secrets, signal);
    if (hasLink) return { credential, connected: undefined };
    const to = (place: Place) => connectUpstream({ ...deps, config, place }, signal);
    return { credential, connected: await upstreams.connect(to, signal) };
  }

  #linked(credential: Credential, connected: Connected | undefined, { ready }: { ready(): void }) {
    this.credential = withOlderForms(credential, this.credential);
    const now = this.target.deps.clock.monotonicMs();
    this.#credentialAtMs = now;
    if (connected !== undefined) {
      this.dropLink();
      this.#linkAtMs = now;
      this.link = new UpstreamLink(
        connected,
        {
          answered: (link) =>
            this.later(() => {
              if (this.#waitsFor === 'rest' || this.#waitsFor === 'pause') this.#endTimer();
              this.#answers.take(link);
            }),
          lost: (link) => this.later(() => this.#answers.lost(link)),
          drained: () => this.later(() => {}),
        },
        now,
      );
    }
    this.later(ready);
  }

  #deliver(pieces: readonly Buffer[]) {
    if (this.isOver) return;
    // What is little goes at once, hardly ever later; and only of much it matters when it has gone.
    const isLittle = this.#client.writableLength === 0 && bytesIn(pieces) <= LITTLE_BYTES_MAX;
    write(this.#client, pieces, isLittle ? undefined : this.#onTaken);
  }

  /** Reads from each side only as long as the other takes, and nothing has to wait. */
  #flow() {
    if (this.isOver) return;
    const { link, pipeline } = this;
    const unsent = pipeline.heldBytes + this.#client.writableLength + (link?.socket.writableLength ?? 0);
    const held = this.#requests.heldBytes + (link?.bufferedBytes ?? 0) + (this.exchange?.answer?.heldBytes ?? 0);
    this.session.memory.hold(unsent + held + bytesIn(this.#unread ?? []));
    if (this.isOver) return; // It was this session that held too much.
    if (this.#requests.isFull || this.#isEnding) this.#client.pause();
    else this.#client.resume();
    if (pipeline.isCongested || this.#client.writableLength > UNTAKEN_BYTES_MAX) link?.socket.pause();
    else link?.socket.resume();
    this.#watch();
  }

  /** Whoever begins a request and does not go on, or has asked for nothing for long, holds a place for nothing. */
  #watch() {
    const what = this.#awaited();
    const { begun } = this.#requests;
    if (this.#waitsFor === what && this.#waitsAt === begun) return;
    [this.#waitsFor, this.#waitsAt] = [what, begun];
    if (what === undefined) this.#deadline.clear();
    else this.#deadline.set(waitMs(what, this.target.config.limits));
  }

  #awaited(): Wait | undefined {
    const { exchange } = this;
    if (this.#unread !== undefined) return 'untaken';
    if (exchange === undefined) return this.#requests.isBetween ? 'idle' : 'head';
    const pause = this.target.config.limits.pauseSeconds === undefined ? undefined : 'pause';
    if (exchange.phase === 'tunnel') return this.#hasClientEnded ? 'rest' : pause;
    // A call of gRPC may listen for hours before either side says more; its own deadline goes with it.
    if (exchange.phase === 'running' && exchange.isGrpc && this.target.config.upstreamHttp2) return pause;
    if (!exchange.isRead) return exchange.phase === 'deciding' ? undefined : 'body';
    // Sent, and nothing else is waited for.
    if (exchange.phase !== 'running' || exchange.unsent !== undefined) return undefined;
    return exchange.answer === undefined ? 'answer' : pause;
  }

  #late() {
    const what = this.#waitsFor;
    this.#waitsFor = undefined;
    if (what === undefined) return;
    // The client is not read on: it is not the one that is late.
    if (what === 'body' && this.#requests.isStuck) {
      if (++this.#stuck >= STUCK_MAX) this.#finish(this.exchange?.answer?.isShown === true ? undefined : untakenAnswer);
      return;
    }
    if (what === 'idle') return this.endBehind();
    if (what === 'rest' || (what === 'pause' && this.exchange?.phase === 'tunnel')) return this.#answers.endTunnel();
    if (what === 'answer' || what === 'pause') return this.#lateUpstream(what);
    this.#finish(what === 'untaken' || this.exchange?.answer?.isShown === true ? undefined : lateRequestAnswer);
  }

  /** The client is there, and is told. */
  #lateUpstream(what: 'answer' | 'pause') {
    const { exchange } = this;
    this.dropLink();
    if (exchange !== undefined) this.#answers.giveUp(exchange, { status: 'unknown', answer: lateAnswer(what) });
  }

  #endTimer() {
    this.#waitsFor = undefined;
    this.#deadline.clear();
  }

  /** Whoever ends its side waits for nothing any more: what stops a client looks just so. */
  #clientEnd() {
    if (this.exchange?.phase !== 'tunnel') return this.#finish(undefined);
    this.#answers.endOfClient();
    this.#hasClientEnded = true;
  }

  readonly #onEnd = () =>
    this.#finish(
      this.exchange === undefined && this.#hasServed ? undefined : sessionAnswer(endOf(this.session.signal)),
    );

  readonly #onData = (chunk: Buffer) => {
    if (this.#unread !== undefined) return void this.#unread.push(chunk);
    if (this.#isEnding || this.isOver) return;
    this.later(() => {
      if (this.#waitsFor === 'body' || this.#waitsFor === 'pause') this.#endTimer();
      this.#stuck = 0;
      this.#requests.push(chunk);
      this.#requests.pump();
    });
  };

  readonly #onDrain = () => this.later(() => {});

  readonly #onTaken = () => {
    if (this.#waitsFor === 'pause') this.#endTimer(); // Something moved.
    this.#flow();
  };

  #drainWhenIdle() {
    const { drain } = this.session;
    if (!drain.aborted || this.isOver || !this.#requests.isBetween || !this.pipeline.isDelivered) return;
    // Of a session that its next request would not have ended, the door says why it has.
    if (this.session.proofs !== undefined) this.giveBack(Buffer.alloc(0));
    else this.#finish(this.#hasServed ? undefined : sessionAnswer(endOf(drain)));
  }

  #endWhenDelivered() {
    if (!this.#isEnding || this.isOver || !this.pipeline.isDelivered) return;
    if (this.#unread === undefined) this.#finish(undefined);
    else if (this.#client.writableLength <= UNTAKEN_BYTES_MAX) this.#release(Buffer.concat(this.#unread));
  }

  /** Leaves the client as it came. */
  #release(unread: Buffer) {
    const client = this.#client;
    this.#close();
    client.pause();
    for (const [event, listener] of this.#listeners) client.off(event, listener);
    if (unread.length > 0 && !client.destroyed) client.unshift(unread);
    this.session.proofs?.gaveBack();
    this.#finished.resolve();
  }

  #close() {
    this.isOver = true;
    this.#deadline.stop();
    this.#policyWatch.stop();
    this.session.signal.removeEventListener('abort', this.#onEnd);
    this.session.drain.removeEventListener('abort', this.#onDrain);
    this.pipeline.close();
    this.dropLink();
  }

  /** Ends the session, with that as its last word where none of an answer was begun. */
  #finish(answer: OwnAnswer | undefined) {
    if (this.isOver) return;
    const isBehind = !this.pipeline.isDelivered; // Whatever were said now would be taken for the answer before it.
    this.#close();
    const word = lastWord(this.exchange, answer, { stream: this.#stream, isBehind, isCut: this.#isCut });
    if (word.isCut && answer !== undefined) this.#stream?.broken(answer);
    endClient(this.#client, this.target.deps.clock, word);
    this.#finished.resolve();
  }
}

/** As often as a body may wait for long. */
const STUCK_MAX = 5;
/** Of an answer that is not watched until the client has taken it; far less than what stops the upstream. */
const LITTLE_BYTES_MAX = 16 * 1024;
/** What a client has not taken when the upstream is not read on, nor its connection given back: at the door nobody counts it. */
const UNTAKEN_BYTES_MAX = 64 * 1024;
/** A credential that was rotated counts after that. */
const CREDENTIAL_MS_MAX = 1_000;
/** A connection upstream is used no longer: certificates and roots may have changed. */
const LINK_MS_MAX = 300_000;
/** Servers close connections that were idle for five seconds or more: what goes on one that is younger hardly ever meets that. */
const IDLE_LINK_MS_MAX = 4_000;
/** What is sent again where the connection had gone can go on an older one; longer, and something between the two may have forgotten it. */
const IDLE_LINK_SAFE_MS_MAX = 30_000;
