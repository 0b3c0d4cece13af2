import { judgedBy, type ReachedLimit, withoutApproval } from '../../../../model/index.ts';
import {
  createRequestReader,
  encodeChunk,
  encodeLastChunk,
  encodeResponseHead,
  Http1Error,
  type RequestHead,
} from '../../../../wire/http1/index.ts';
import { isForeign } from '../door/bearer.ts';
import {
  bodyProblem,
  forwardedFields,
  isRefusal,
  type Meaning,
  type MeaningRefusal,
  parsedBody,
  refusedForMasks,
} from '../meaning/index.ts';
import type { Conversation } from './conversation.ts';
import {
  bytesOf,
  DISCARDED_BYTES_MAX,
  denialOf,
  type Exchange,
  framingOf,
  malformedDenial,
  mayGoAgain,
  newExchange,
  noHead,
  operationOf,
  sentTo,
} from './exchange.ts';
import {
  deniedAnswer,
  ledgerAnswer,
  limitAnswer,
  maskedAnswer,
  noUpgradeAnswer,
  type OwnAnswer,
  quotaAnswer,
  targetAnswer,
  uncountedAnswer,
  unnamedAnswer,
} from './refusals/own-answers.ts';
import { headToSend } from './sent-head.ts';
import { bodyPlan, payloadOf, takeHeld, tooLong } from './signed-body.ts';

/** The client's half of a session: its bytes become requests, which are understood, decided and forwarded, one after another. */
export class Requests {
  readonly #conversation: Conversation;
  readonly #reader = createRequestReader();
  /** Requests whose head has come. */
  begun = 0;
  #isGivenBack = false;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  get heldBytes(): number {
    const { exchange } = this.#conversation;
    const isKept = exchange !== undefined && exchange.phase !== 'refused';
    return this.#reader.bufferedBytes + (isKept ? exchange.bodyBytes : 0);
  }

  /** Nothing more is read of the client. One read more does no harm where its end is near, and to stop for each request costs as much as that. */
  get isFull(): boolean {
    const { pipeline, exchange } = this.#conversation;
    return this.isStuck && (this.#reader.bufferedBytes > 0 || !(pipeline.isWaiting || exchange?.phase === 'deciding'));
  }

  /** What the client sends waits for others. */
  get isStuck(): boolean {
    const { pipeline, exchange, link } = this.#conversation;
    if (pipeline.isWaiting || exchange?.phase === 'deciding') return true;
    const goesOn = exchange?.phase === 'tunnel' || (exchange?.phase === 'running' && !exchange.isRead);
    if (goesOn) return link?.socket.writableNeedDrain === true;
    return exchange?.isRead === true && this.#reader.bufferedBytes > 0;
  }

  /** Nothing of a request has come that is not answered. */
  get isBetween(): boolean {
    return this.#conversation.exchange === undefined && this.#reader.isBetween;
  }

  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /** Takes up what has come, as far as it goes. */
  pump(): void {
    const conversation = this.#conversation;
    while (!conversation.isOver && !conversation.pipeline.isWaiting && !this.#isGivenBack) {
      const { exchange, link } = conversation;
      if (exchange?.isAnswered === true && exchange.closes && exchange.phase !== 'tunnel') return;
      if (exchange?.phase === 'tunnel') {
        this.#passTunnel(exchange);
        return;
      }
      if (exchange !== undefined && (exchange.isRead || exchange.phase === 'deciding')) return;
      if (exchange?.phase === 'running' && link?.socket.writableNeedDrain === true) return;
      const event = this.#next();
      if (event === undefined) return;
      if (event.kind === 'head' && isForeign(conversation.session, event.head)) this.#giveBack();
      else if (event.kind === 'head') {
        // Without a body its end is there at once.
        if (event.head.body.kind === 'none') this.#next();
        this.#begin(event.head);
      } else if (exchange === undefined) throw new Error('a body without a request');
      else if (event.kind === 'data') this.#data(exchange, event.bytes);
      else this.#read(exchange);
    }
  }

  /** Of what has come, all from the last head on. */
  #giveBack() {
    this.#isGivenBack = true;
    this.#conversation.giveBack(this.#reader.takeFromHead());
  }

  /** Undefined also behind what is no request, which was answered. */
  #next() {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      const { session, exchange } = this.#conversation;
      // Whose it is nobody can tell.
      if (session.proofs !== undefined && exchange === undefined) this.#giveBack();
      else this.#malformed(error);
      return undefined;
    }
  }

  #malformed({ status, message }: Http1Error) {
    const conversation = this.#conversation;
    const { exchange, pipeline, session } = conversation;
    const answer = { status, reason: 'malformed', message, hint: 'Send requests as RFC 9112 has them.' };
    if (exchange?.running !== undefined) {
      conversation.dropLink(); // The upstream must not take what it has for the whole.
      const ending = { code: String(status), items: 0, detail: sentTo(exchange, conversation.target) };
      pipeline.end(exchange.running, { status: 'unknown', ...ending });
      if (exchange.answer?.isShown === true) return conversation.cut(exchange, answer);
      exchange.closes = true;
      return conversation.respond(exchange, answer, exchange.running.after);
    }
    const failed = exchange ?? newExchange(noHead);
    failed.closes = true;
    failed.isRead = true;
    conversation.exchange = failed;
    if (failed.phase === 'refused') return conversation.endBehind();
    this.#deny(failed, malformedDenial(status, judgedBy(session.policy.policySet, [])), answer);
  }

  #begin(head: RequestHead) {
    const { target } = this.#conversation;
    const exchange = newExchange(head);
    this.#conversation.exchange = exchange;
    this.begun++;
    if (head.method === 'OPTIONS' && head.target === '*') return this.#pong(exchange);
    if (head.upgrade !== undefined && target.config.upstreamHttp2) return this.#refuse(exchange, noUpgradeAnswer);
    const meaning = target.meaning.of(head);
    if (isRefusal(meaning)) return this.#misunderstood(exchange, meaning);
    exchange.meaning = meaning;
    const fields = forwardedFields(head, target.config);
    if (isRefusal(fields)) return this.#misunderstood(exchange, fields);
    exchange.forwarded = fields;
    const plan = bodyPlan(head, target);
    if (isRefusal(plan)) return this.#misunderstood(exchange, plan);
    exchange.payload = plan.payload;
    if (!(meaning.readsBody || plan.holds) || exchange.isRead) return this.#decide(exchange);
    const problem = meaning.readsBody ? bodyProblem(head.fields) : undefined;
    if (problem !== undefined) return this.#misunderstood(exchange, problem);
    exchange.phase = 'reading';
    this.#goOn(exchange);
  }

  /** Whether this server is there at all: nobody else is asked. @see RFC 9110 §9.3.7 */
  #pong(exchange: Exchange) {
    exchange.phase = 'refused';
    const { pipeline } = this.#conversation;
    const close = exchange.closes || !exchange.isRead;
    pipeline.deliver([encodeResponseHead({ status: 204, fields: [], body: { kind: 'none' }, close })], -1);
    exchange.closes = close;
    this.#conversation.answered(exchange);
  }

  #misunderstood(exchange: Exchange, refusal: MeaningRefusal) {
    const { status, code, message, hint } = refusal;
    this.#refuse(exchange, { status, reason: code, message, hint });
  }

  /** Asks policy, and forwards or refuses; called again when what it had to wait for is there, since policies may have changed by then. */
  #decide(exchange: Exchange) {
    const conversation = this.#conversation;
    const { session, pipeline } = conversation;
    const { head, meaning } = exchange;
    if (meaning === undefined) throw new Error('a request that was not understood is not decided');
    exchange.phase = 'deciding';
    const verdict = conversation.target.verdicts.judge(session.policy, meaning);
    const decision = withoutApproval(verdict.decision);
    exchange.judged = verdict.judged;
    if (!decision.allow) {
      const shown = meaning.shape.slice(meaning.shape.indexOf(' ') + 1);
      const what = { action: meaning.action, what: `${head.method} ${shown}` };
      return this.#refuse(exchange, deniedAnswer(session.identity.uri, what, decision), decision.policies);
    }
    const isMasked = decision.obligations.masks.length > 0;
    const unreadable = refusedForMasks(meaning, isMasked);
    if (unreadable !== undefined) return this.#refuse(exchange, maskedAnswer(unreadable));
    const { bytesIn, items } = exchange.judged.limits;
    if (items !== undefined && head.upgrade !== undefined)
      return this.#refuse(exchange, uncountedAnswer, decision.policies);
    const tooMuch = { unit: 'bytesIn', most: bytesIn ?? Infinity } as const;
    if (bytesOf(exchange) > tooMuch.most) return this.#refuse(exchange, limitAnswer(tooMuch), [], tooMuch);
    const link = conversation.openLink({
      ready: () => this.#again(exchange),
      failed: (error) => {
        if (conversation.exchange === exchange)
          this.#refuse(exchange, targetAnswer(conversation.target.deps.name, error));
      },
    });
    if (link === undefined) return;
    const reached = pipeline.admit([{ judged: exchange.judged, times: 1 }], exchange.taken);
    if (reached instanceof Promise) {
      reached.then(
        (taken) =>
          conversation.later(() => {
            exchange.taken = taken;
            this.#again(exchange);
          }),
        (error: unknown) => conversation.later(() => this.#refuse(exchange, ledgerAnswer(error))),
      );
      return;
    }
    if (reached !== undefined)
      return this.#refuse(exchange, quotaAnswer(reached), [reached.policy], { unit: reached.unit, most: reached.most });
    const { callers, deps } = conversation.target;
    const caller = callers?.of(session.identity);
    if (callers !== undefined && caller === undefined) return this.#refuse(exchange, unnamedAnswer(deps.name));
    this.#forward(exchange, meaning, { isMasked, caller });
  }

  #again(exchange: Exchange) {
    if (this.#conversation.exchange === exchange) this.#decide(exchange);
  }

  #forward(
    exchange: Exchange,
    meaning: Meaning,
    told: { readonly isMasked: boolean; readonly caller: string | undefined },
  ) {
    const conversation = this.#conversation;
    const { pipeline, link, target } = conversation;
    const { head } = exchange;
    if (link === undefined) throw new Error('nothing to forward on');
    exchange.phase = 'running';
    exchange.running = pipeline.begin(operationOf(exchange, meaning));
    const { body, forwarded } = exchange;
    const framing = framingOf(exchange);
    const payload = conversation.credential.signer === undefined ? undefined : payloadOf(exchange);
    const made = (signature: string) => {
      exchange.signature = signature;
    };
    const make = () => {
      // The newest: it may be sent later than now, over another connection.
      const { credential } = conversation;
      const { place } = conversation.link ?? link;
      exchange.place = place;
      const signing = payload === undefined ? undefined : { payload, nowMs: target.deps.clock.now(), made };
      return [headToSend(head, { target, place, meaning, credential, framing, forwarded, signing, ...told }), ...body];
    };
    const hasOther = link.requests > 0 || target.upstreams.places.length > 1;
    exchange.again = hasOther && mayGoAgain(exchange) ? make : undefined;
    exchange.unsent = make;
    exchange.passed = exchange.bodyBytes;
    exchange.body = [];
    exchange.bodyBytes = 0;
    pipeline.flush({
      pieces: make(),
      recorded: () => (exchange.isRead ? undefined : this.#goOn(exchange)),
      refused: (error) => {
        exchange.running = undefined;
        exchange.unsent = undefined;
        conversation.respond(exchange, ledgerAnswer(error), -1);
        return [];
      },
    });
  }

  /** @see RFC 9110 §10.1.1 */
  #goOn(exchange: Exchange) {
    if (!exchange.head.expectsContinue || exchange.isContinued) return;
    exchange.isContinued = true;
    this.#conversation.pipeline.deliver([CONTINUE], -1);
  }

  #data(exchange: Exchange, bytes: Buffer) {
    exchange.bodyBytes += exchange.phase === 'running' ? 0 : bytes.length;
    switch (exchange.phase) {
      case 'running':
        return this.#pass(exchange, bytes);
      case 'reading':
        exchange.body.push(bytes);
        if (exchange.bodyBytes <= this.#conversation.target.config.limits.bodyInspectedBytes) return;
        exchange.body = [];
        if (exchange.meaning?.readsBody !== true) return this.#misunderstood(exchange, tooLong(true));
        return this.#refuse(exchange, {
          status: 413,
          reason: 'too-long',
          message: 'the body is longer than what is read for policy',
          hint: 'Send less at once, or raise limits.bodyInspectedBytes of the target.',
        });
      default:
        exchange.body = [];
        if (exchange.bodyBytes > DISCARDED_BYTES_MAX) this.#conversation.endBehind();
    }
  }

  #pass(exchange: Exchange, bytes: Buffer) {
    const { pipeline } = this.#conversation;
    const { running, head } = exchange;
    if (running === undefined) return;
    const { bytesIn } = exchange.judged.limits;
    exchange.passed += bytes.length;
    if (bytesIn !== undefined && exchange.passed > bytesIn)
      return this.#tooMuch(exchange, { unit: 'bytesIn', most: bytesIn });
    pipeline.flush({ pieces: head.body.kind === 'chunked' ? encodeChunk(bytes) : [bytes] });
  }

  /** Only of a body whose length nobody knew before: part of it is at the upstream, which sees the connection break. */
  #tooMuch(exchange: Exchange, limit: ReachedLimit) {
    const conversation = this.#conversation;
    const { running } = exchange;
    if (running === undefined) return;
    conversation.dropLink();
    const told = { limit, items: exchange.answer?.items ?? 0, detail: sentTo(exchange, conversation.target) };
    conversation.pipeline.end(running, { status: 'over-limit', ...told });
    const answer = limitAnswer(limit);
    if (exchange.phase === 'tunnel' || exchange.answer?.isShown === true) return conversation.cut(exchange, answer);
    exchange.closes = true;
    conversation.respond(exchange, answer, running.after);
  }

  /** All of the request has come. */
  #read(exchange: Exchange) {
    const { pipeline } = this.#conversation;
    exchange.isRead = true;
    if (exchange.phase === 'running') {
      if (exchange.head.body.kind === 'chunked') pipeline.flush({ pieces: [encodeLastChunk()] });
    } else if (exchange.phase === 'reading') this.#decideByBody(exchange);
    else if (exchange.phase === 'refused' && exchange.isAnswered) this.#conversation.answered(exchange);
  }

  #decideByBody(exchange: Exchange) {
    const { meaning } = exchange;
    if (meaning === undefined) throw new Error('a body was read that nothing asks for');
    const problem = takeHeld(exchange);
    if (problem !== undefined) return this.#misunderstood(exchange, problem);
    if (!meaning.readsBody) return this.#decide(exchange);
    const value = parsedBody(Buffer.concat(exchange.body));
    if (isRefusal(value)) return this.#misunderstood(exchange, value);
    const whole = this.#conversation.target.meaning.withBody(meaning, value.json);
    if (isRefusal(whole)) return this.#misunderstood(exchange, whole);
    exchange.meaning = whole;
    this.#decide(exchange);
  }

  #refuse(exchange: Exchange, answer: OwnAnswer, policies: readonly string[] = [], limit?: ReachedLimit) {
    this.#deny(exchange, denialOf(exchange, { reason: answer.reason, policies, status: answer.status, limit }), answer);
  }

  #deny(exchange: Exchange, denial: ReturnType<typeof denialOf>, answer: OwnAnswer) {
    const conversation = this.#conversation;
    exchange.phase = 'refused';
    exchange.body = [];
    const denied = conversation.pipeline.deny(denial);
    conversation.pipeline.flush({
      pieces: [],
      recorded: () => conversation.respond(exchange, answer, denied.after),
      refused: (error) => {
        conversation.respond(exchange, ledgerAnswer(error), -1);
        return [];
      },
    });
  }

  #passTunnel(exchange: Exchange) {
    const rest = this.#reader.takeRest();
    if (rest.length === 0 || exchange.isAnswered) return;
    const { bytesIn } = exchange.judged.limits;
    exchange.passed += rest.length;
    if (bytesIn !== undefined && exchange.passed > bytesIn)
      return this.#tooMuch(exchange, { unit: 'bytesIn', most: bytesIn });
    this.#conversation.pipeline.flush({ pieces: [rest] });
  }
}

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
