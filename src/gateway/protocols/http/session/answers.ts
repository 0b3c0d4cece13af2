import type { ReachedLimit } from '../../../../model/index.ts';
import { Code } from '../../../../wire/grpc/index.ts';
import {
  type BodyEvent,
  encodeResponseHead,
  type Field,
  Http1Error,
  type ResponseHead,
} from '../../../../wire/http1/index.ts';
import type { Ending, Running } from '../../../sessions/pipeline.ts';
import { answeredFields } from '../meaning/index.ts';
import { credentialRefused } from '../upstream/connect-problem.ts';
import type { Credential } from '../upstream/credential.ts';
import { isSignatureRefused } from '../upstream/signature.ts';
import { Answer, type Shown } from './answer.ts';
import type { Conversation } from './conversation.ts';
import type { Exchange, RequestMaker } from './exchange.ts';
import { fieldsBesideMasks, grpcStatusOf, hasTwoStatuses, readAnswer } from './masked-answer.ts';
import { brokenAnswer, limitAnswer, lostAnswer, type OwnAnswer, unshownAnswer } from './refusals/own-answers.ts';
import { scrubBytes, scrubText } from './scrub.ts';
import type { Sending } from './sending.ts';
import type { UpstreamLink } from './upstream-link.ts';

/** The upstream's half of a session: its bytes become answers, which are masked, counted, and handed on behind their outcome. */
export class Answers {
  readonly #conversation: Conversation;
  readonly #sending: Sending;
  #signed:
    | { readonly signature: string; readonly forms: readonly Buffer[]; readonly all: readonly Buffer[] }
    | undefined;

  constructor(conversation: Conversation, sending: Sending) {
    this.#conversation = conversation;
    this.#sending = sending;
  }

  /** Takes up what has come. */
  take(link: UpstreamLink): void {
    const pieces: Buffer[] = [];
    const conversation = this.#conversation;
    while (!conversation.isOver && conversation.link === link) {
      const { exchange } = conversation;
      if (exchange?.phase === 'tunnel') {
        this.#takeTunnel(exchange, link.takeRest());
        return;
      }
      const event = this.#next(link, exchange);
      if (event === undefined || event.kind === 'informational') {
        if (event === undefined) break;
        continue;
      }
      // Nothing was asked, or was answered otherwise: what else it says is for nobody.
      if (exchange?.running === undefined || exchange.isAnswered) {
        conversation.dropLink();
        return;
      }
      const shown = event.kind === 'head' ? this.#begin(exchange, event.head) : this.#more(exchange, event);
      if (shown === undefined) return;
      if (!('pieces' in shown)) {
        if ('cut' in shown) this.#deliver(pieces);
        this.#replace(exchange, shown);
        return;
      }
      pieces.push(...shown.pieces);
      if (event.kind === 'end') {
        this.#end(exchange, exchange.running, { pieces, trailers: event.trailers });
        return;
      }
    }
    this.#deliver(pieces);
  }

  /** The connection is over; some answers end so. */
  lost(link: UpstreamLink): void {
    const conversation = this.#conversation;
    const { exchange } = conversation;
    if (conversation.link !== link) return;
    if (exchange?.phase === 'tunnel') {
      this.#endTunnel(exchange, link.hasEnded ? 'done' : 'unknown');
      return;
    }
    try {
      // One that breaks ends nothing.
      if (link.hasEnded) {
        link.finish();
        this.take(link);
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
    }
    if (conversation.link !== link || exchange !== conversation.exchange) return;
    conversation.dropLink();
    if (exchange?.running === undefined || exchange.isAnswered) return;
    if (exchange.unsent !== undefined) return; // It is sent over another one when its time has come.
    // One that was idle may have been closed for that; one that is new was not.
    if (exchange.answer === undefined && link.requests === 1) conversation.target.upstreams.failed(link.place);
    if (exchange.again !== undefined && !link.hasSpoken) this.#sending.again(exchange, exchange.again);
    else this.giveUp(exchange, { status: 'unknown', answer: lostAnswer });
  }

  /** It has no answer, or not all of it, and gets none any more. */
  giveUp(exchange: Exchange, { status, answer }: Pick<Ending, 'status'> & { readonly answer: OwnAnswer }): void {
    const { running } = exchange;
    if (running === undefined) return;
    this.#note(running, { status, items: exchange.answer?.items ?? 0 });
    this.#tell(exchange, running, answer);
  }

  /** Policy allows it no longer. */
  stop(running: Running, limit: ReachedLimit): void {
    const { exchange } = this.#conversation;
    if (exchange?.running !== running) return;
    this.#conversation.dropLink();
    this.#note(running, { status: 'over-limit', items: exchange.answer?.items ?? 0, limit });
    this.#tell(exchange, running, limitAnswer(limit));
  }

  /** Policy would not let it begin any more: no more of it is shown, and what the upstream made of it is not known. */
  revoke(exchange: Exchange, answer: OwnAnswer): void {
    const { running } = exchange;
    if (running === undefined || this.#conversation.exchange !== exchange) return;
    this.#conversation.dropLink();
    this.#note(running, { status: 'unknown', code: String(answer.status), items: exchange.answer?.items ?? 0 });
    this.#tell(exchange, running, answer);
  }

  #next(link: UpstreamLink, exchange: Exchange | undefined) {
    try {
      return link.next();
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#conversation.target.failures.warn('gateway.http.answer_malformed', {
        target: this.#conversation.target.deps.name,
        code: error.code,
      });
      this.#conversation.dropLink();
      // What comes before a request was sent is no answer to it.
      if (exchange?.running !== undefined && exchange.unsent === undefined && !exchange.isAnswered)
        this.#replace(exchange, { instead: brokenAnswer('target does not answer as an HTTP server') });
      return undefined;
    }
  }

  /** Undefined: it was answered otherwise, or has left HTTP. */
  #begin(exchange: Exchange, head: ResponseHead): Shown | undefined {
    const { target, session, credential, link } = this.#conversation;
    const { again } = exchange;
    exchange.again = undefined;
    if (head.status === 101) return this.#upgrade(exchange, head);
    if (isCredentialRefused(head, credential)) {
      return this.#refused(exchange, head.status, again) ? undefined : { instead: CREDENTIAL_REFUSED };
    }
    if (link !== undefined) target.upstreams.worked(link.place);
    if (target.config.upstreamHttp2 && hasTwoStatuses(head.fields)) return { instead: brokenAnswer(TWO_STATUSES) };
    const { method, version } = exchange.head;
    const obligations = exchange.judged.asked.flatMap(({ decision }) => (decision.allow ? [decision.obligations] : []));
    const masks = obligations.flatMap((one) => one.masks);
    const { limits } = exchange.judged;
    const hasBody = head.body.kind !== 'none';
    const isRead = hasBody && (masks.length > 0 || limits.items !== undefined);
    // Whatever it is part of, that was not asked for, and its fields are not where they are looked for.
    if (masks.length > 0 && head.status === 206)
      return { instead: brokenAnswer('the answer is a part of one, so nothing in it can be masked', UNREADABLE_HINT) };
    // It may begin or end within the credential, and what is left of that has no form.
    if (head.status === 206 && hasBody && credential.forms.length > 0 && !target.config.allowRanges)
      return { instead: brokenAnswer('the answer is a part of one, though the whole was asked for') };
    const reading = isRead ? readAnswer(head, { masks, hashKey: target.deps.maskKey.reveal() }) : undefined;
    if (typeof reading === 'string')
      return { instead: head.status >= 400 ? unshownAnswer(head.status) : brokenAnswer(reading, UNREADABLE_HINT) };
    const isEncoded = head.fields.some(({ name, value }) => ENCODINGS.has(name) && value.toLowerCase() !== 'identity');
    if (isEncoded && hasBody && credential.forms.length > 0 && !target.config.allowCompression)
      return { instead: brokenAnswer('the answer is encoded though that was not asked for', UNREADABLE_HINT) };
    if (session.drain.aborted || !exchange.isRead) exchange.closes = true;
    const answer = new Answer(head, {
      ...{ method, limits, reading, forms: this.#forms(exchange), isMasked: masks.length > 0 },
      fields: this.#fieldsShown(head, exchange),
      takesChunks: version === '1.1',
      closes: exchange.closes,
    });
    exchange.answer = answer;
    exchange.keepsLink = head.keepAlive;
    if (answer.closes) exchange.closes = true;
    return answer.start();
  }

  #more(exchange: Exchange, event: BodyEvent): Shown {
    const { answer } = exchange;
    if (answer === undefined) throw new Error('a body without a head');
    if (event.kind === 'data') return answer.push(event.bytes);
    if (this.#conversation.target.config.upstreamHttp2 && hasTwoStatuses(event.trailers, answer.grpcStatus))
      return answer.isShown ? { cut: TWO_STATUSES } : { instead: brokenAnswer(TWO_STATUSES) };
    return answer.end(this.#trailersShown(exchange, event.trailers));
  }

  /** By the rules of fields; beside masks none but the status, since they may be made from the whole body. */
  #trailersShown(exchange: Exchange, trailers: readonly Field[]): readonly Field[] {
    if (trailers.length === 0 || !exchange.head.acceptsTrailers || !this.#conversation.target.config.upstreamHttp2)
      return [];
    const shown = this.#fieldsShown({ fields: trailers }, exchange);
    return exchange.answer?.isMasked === true ? fieldsBesideMasks(shown) : shown;
  }

  /** The upstream does not take the credential: true where another one is asked, which only what changes nothing may. */
  #refused(exchange: Exchange, status: number, again: RequestMaker | undefined): boolean {
    const { target, link } = this.#conversation;
    if (link === undefined) return false;
    target.deps.attempted(link.place.authority, credentialRefused(link.place, status));
    target.upstreams.failed(link.place);
    if (again === undefined || !target.upstreams.isServing) return false;
    this.#conversation.dropLink();
    this.#sending.again(exchange, again);
    return true;
  }

  /** Both sides leave HTTP, where the client asked for that. @see RFC 9110 §15.2.2 */
  #upgrade(exchange: Exchange, head: ResponseHead): Shown | undefined {
    const { pipeline, link } = this.#conversation;
    const { running } = exchange;
    const wanted = exchange.head.upgrade;
    if (running === undefined || wanted === undefined || head.upgrade !== wanted || link === undefined)
      return { instead: brokenAnswer('the target changes the protocol though that was not asked for') };
    exchange.phase = 'tunnel';
    exchange.closes = true;
    const bytes = encodeResponseHead({
      status: 101,
      fields: this.#fieldsShown(head, exchange),
      body: { kind: 'none' },
      upgrade: wanted,
      allowObsText: true,
    });
    pipeline.deliver([bytes], running.after);
    this.#takeTunnel(exchange, link.takeRest());
    return undefined;
  }

  /** Those that clients may see, without the gateway's credential. */
  #fieldsShown(head: Pick<ResponseHead, 'fields'>, exchange: Exchange): readonly Field[] {
    const { target } = this.#conversation;
    const forms = this.#forms(exchange);
    return answeredFields(head, target.config).map(({ name, value }) => ({
      name,
      value: scrubText(value, forms),
    }));
  }

  /** What is to be found of the credential, and of the signature, by which the same request could be sent again past the gateway. */
  #forms({ signature }: Exchange): readonly Buffer[] {
    const { forms } = this.#conversation.credential;
    if (signature === undefined) return forms;
    if (this.#signed?.signature !== signature || this.#signed.forms !== forms)
      this.#signed = { signature, forms, all: [...forms, Buffer.from(signature, 'latin1')] };
    return this.#signed.all;
  }

  /** Nothing is held back for what may come, since whoever waits for an answer here says nothing before it has come whole. */
  #takeTunnel(exchange: Exchange, bytes: Buffer) {
    const { running } = exchange;
    if (bytes.length === 0 || running === undefined || exchange.isAnswered) return;
    const { bytesOut } = exchange.judged.limits;
    exchange.shown += bytes.length;
    if (bytesOut !== undefined && exchange.shown > bytesOut)
      return this.#replace(exchange, { cut: 'over-limit', limit: { unit: 'bytesOut', most: bytesOut } });
    this.#deliver([scrubBytes(bytes, this.#forms(exchange))]);
  }

  #end(
    exchange: Exchange,
    running: Running,
    { pieces, trailers }: { pieces: readonly Buffer[]; trailers: readonly Field[] },
  ) {
    const conversation = this.#conversation;
    const status = exchange.answer?.status ?? 0;
    // A call that does not say how it ended has not ended well: its clients make UNKNOWN of that.
    const unsaid = exchange.isGrpc && this.#conversation.target.config.upstreamHttp2 ? Code.UNKNOWN : undefined;
    const grpcStatus = exchange.answer?.grpcStatus ?? grpcStatusOf(trailers) ?? unsaid;
    const code = status >= 400 ? String(status) : (grpcStatus ?? 0) > 0 ? `grpc-${grpcStatus}` : undefined;
    this.#note(running, {
      status: code === undefined ? 'done' : 'failed',
      ...(code === undefined ? {} : { code }),
      items: exchange.answer?.items ?? 0,
      detail: { status, ...(grpcStatus === undefined ? {} : { grpcStatus }) },
    });
    exchange.isAnswered = true;
    // What stands behind an answer is none that was asked for.
    if (!exchange.isRead || !exchange.keepsLink || conversation.link?.bufferedBytes !== 0) conversation.dropLink();
    conversation.pipeline.deliver(pieces, running.after);
    conversation.answered(exchange);
  }

  /** The client has said all; the upstream may not have. */
  endOfClient(): void {
    this.#conversation.link?.socket.end();
  }

  /** Nothing more is waited for. */
  endTunnel(): void {
    const { exchange } = this.#conversation;
    if (exchange?.phase === 'tunnel') this.#endTunnel(exchange, 'unknown');
  }

  #endTunnel(exchange: Exchange, status: 'done' | 'unknown') {
    const { running } = exchange;
    if (running === undefined) return;
    this.#note(running, { status, items: 0, detail: { status: 101 } });
    this.#conversation.pipeline.deliver([], running.after);
    exchange.isAnswered = true;
    this.#conversation.dropLink();
    this.#conversation.endBehind();
  }

  /** The upstream's answer, or the rest of it, is not shown. */
  #replace(exchange: Exchange, shown: Exclude<Shown, { pieces: readonly Buffer[] }>) {
    const { running } = exchange;
    if (running === undefined) return;
    this.#conversation.dropLink();
    const { limit } = shown;
    const answered = { items: exchange.answer?.items ?? 0, detail: { status: exchange.answer?.status ?? 0 } };
    const code = 'instead' in shown ? String(shown.instead.status) : '502';
    if (limit === undefined) this.#note(running, { status: 'failed', code, ...answered });
    else this.#note(running, { status: 'over-limit', limit, ...answered });
    if ('instead' in shown) return this.#tell(exchange, running, shown.instead);
    this.#tell(exchange, running, limit === undefined ? brokenAnswer(shown.cut) : limitAnswer(limit));
  }

  #tell(exchange: Exchange, running: Running, answer: OwnAnswer) {
    if (exchange.phase === 'tunnel' || exchange.answer?.isShown === true)
      return this.#conversation.cut(exchange, answer);
    if (!exchange.isRead) exchange.closes = true;
    this.#conversation.respond(exchange, answer, running.after);
  }

  #note(running: Running, ending: Ending) {
    const { exchange } = this.#conversation;
    const bytesIn = (exchange?.head.headBytes ?? 0) + (exchange?.passed ?? 0);
    this.#conversation.pipeline.end(running, { ...ending, bytesIn });
  }

  #deliver(pieces: readonly Buffer[]) {
    const { exchange, pipeline } = this.#conversation;
    if (pieces.length > 0) pipeline.deliver(pieces, exchange?.running?.after ?? -1);
  }
}

/** The gateway's own, since clients have none. */
function isCredentialRefused({ status, fields }: ResponseHead, { field, query, signer }: Credential): boolean {
  if (signer !== undefined && isSignatureRefused(status, fields)) return true;
  return (field ?? query ?? signer) !== undefined && (status === 401 || status === 407);
}

const TWO_STATUSES = 'the answer has two statuses of gRPC';
const ENCODINGS: ReadonlySet<string> = new Set(['content-encoding', 'grpc-encoding']);
const CREDENTIAL_REFUSED: OwnAnswer = {
  status: 502,
  reason: 'target',
  message: 'the target refuses the gateway’s credential',
  hint: 'The operator of the gateway has to check the credential of this target.',
};
const UNREADABLE_HINT =
  'The upstream’s operator has to see to it that this route answers JSON in UTF-8, not encoded; or a policy permits it without masks.';
