import { type ErrorText, encodeDescribe, encodeFlush, type Framer, Outbox } from '../../../wire/postgres/index.ts';
import type { Conversation } from './conversation.ts';
import { deniedBehind, deniedParse, deniedQuery, deniedStep } from './denied-message.ts';
import { ledgerText, refusalError } from './refusal.ts';
import { expectReply, type Reply } from './replies.ts';
import type { Refusal } from './sql/index.ts';

/** What forwarding needs of the session. */
export interface ForwardingPort {
  /** Sends to the target, in one write. */
  forward(pieces: readonly Buffer[]): void;
  /** Ends the session with that error to the client. */
  fail(error: ErrorText): void;
  /** Does something later, on behalf of this session: what it throws costs this session only. */
  guard(act: () => void): void;
}

/** Holds all messages behind back until the returned function is called. */
export interface Waiting {
  wait(): () => void;
}

/**
 * What becomes of a message that was judged: it, or its failing stand-in, goes to the target, in its turn, with a note of the reply that is
 * expected. What must be in the ledger first waits for that, and so does all that comes behind it.
 */
export class Forwarding {
  readonly #session: Conversation;
  readonly #port: ForwardingPort;
  readonly #framer: Framer;
  readonly #waiting: Waiting;
  readonly #out = new Outbox();
  /** Operations and denials of this write: what stands for them when the ledger takes nothing. */
  #recorded: Recorded[] = [];

  /** The message at hand is always the framer's. */
  constructor(session: Conversation, deps: { port: ForwardingPort; framer: Framer; waiting: Waiting }) {
    this.#session = session;
    this.#port = deps.port;
    this.#framer = deps.framer;
    this.#waiting = deps.waiting;
  }

  /** Forwards the message as it is; no reply of its own is expected. */
  pass(): void {
    this.#out.keep(this.#framer.buffer, this.#framer.start, this.#framer.end);
  }

  /** Forwards the message as it is, or that one in its place, and expects that reply. */
  keep(reply: Reply, message?: Buffer): void {
    this.#session.replies.push(reply);
    if (message === undefined) this.pass();
    else this.#out.add(message);
  }

  /** As `keep`, for a message that must be in the ledger first: it becomes a piece of its own, which can still be replaced. */
  record(reply: Reply, message?: Buffer): void {
    if (reply.operations.length > 0) this.#recorded.push({ reply, piece: this.#out.mark() });
    this.#session.replies.push(reply);
    if (message === undefined) this.pass();
    else this.#out.add(message);
    if (reply.operations.length > 0) this.#out.mark();
    if (reply.operations.some(({ plan }) => plan.isMasking)) this.#session.withholding = true;
  }

  /** As `record`, of what a text carries out before the statement that is refused; what stands behind it is not sent. */
  recordBefore(reply: Reply, before: string, denied: { refusal: Refusal; text: string }): void {
    this.#session.deps.operations.deny(denied.refusal, denied.text);
    this.record(reply, deniedBehind(before));
  }

  /** Notes the refusal for the ledger, and sends in the message's place what is certain to fail. */
  deny(kind: 'query' | 'parse' | 'bind' | 'execute', refusal: Refusal, text: string, name = ''): true {
    this.#session.deps.operations.deny(refusal, text);
    // Written as UTF8; in another encoding the server would read another text.
    const isTold = refusal.reason === 'syntax-error' && this.#session.encoding.coding.isUtf8;
    const notParsed = isTold && (kind === 'query' || kind === 'parse') ? text : undefined;
    const reply = expectReply(kind, { denial: refusalError(refusal), notParsed, own: false });
    this.#recorded.push({ reply, piece: -1 });
    this.#session.replies.push(reply);
    const isStep = kind !== 'query' && kind !== 'parse';
    this.#out.add(isStep ? deniedStep() : kind === 'query' ? deniedQuery(notParsed) : deniedParse(name, notParsed));
    if (kind !== 'query') this.#segmentFailed();
    return true;
  }

  /** As `deny`, for an error of the client that the target would report as well; nothing for the ledger. */
  failStep(sqlstate: string, message: string): true {
    this.#out.add(deniedStep());
    this.#session.replies.push(expectReply('parse', { denial: { severity: 'ERROR', sqlstate, message } }));
    this.#segmentFailed();
    return true;
  }

  /** Asks the target for the description of that portal on the gateway's own account. */
  describe(portal: string, reply: Reply): void {
    this.#out.add(encodeDescribe('P', portal));
    this.#session.replies.push(reply);
  }

  /** Has the target send what it has: an answer is waited for that might stay in its buffer until a Sync that is held back here. */
  hurry(): void {
    this.#out.add(encodeFlush());
  }

  /** Sends all of it in one write, as soon as what must be in the ledger is there. */
  flush(): void {
    const { operations } = this.#session.deps;
    const recorded = this.#recorded;
    this.#recorded = [];
    const pieces = this.#out.take();
    if (!operations.pending) {
      if (pieces.length > 0) this.#port.forward(pieces);
      return;
    }
    // Nothing of what comes now may overtake these pieces.
    const resume = this.#waiting.wait();
    const go = () => {
      if (pieces.length > 0) this.#send(pieces, recorded);
      resume();
    };
    operations.announce({
      written: (sequence) =>
        this.#port.guard(() => {
          this.#announced(recorded, sequence);
          go();
        }),
      refused: (error) =>
        this.#port.guard(() => {
          replaceRecorded(recorded, pieces, ledgerText('ERROR', error));
          go();
        }),
    });
  }

  #announced(recorded: readonly Recorded[], sequence: number) {
    const { ledger } = this.#session.deps;
    for (const { reply } of recorded) {
      const isDenied = reply.denial !== undefined || reply.denialBehind !== undefined;
      const changes = isDenied || reply.operations.some((one) => one.plan.writes);
      if (ledger.durability(changes) !== 'process') reply.sequence = sequence;
    }
  }

  #send(pieces: readonly Buffer[], recorded: readonly Recorded[]) {
    const { ledger } = this.#session.deps;
    let sequence = -1;
    for (const { reply } of recorded) {
      const changes = reply.operations.some((one) => one.plan.writes);
      if (reply.denial === undefined && ledger.durability(changes) === 'strict') sequence = reply.sequence;
    }
    if (sequence <= ledger.syncedSequence) return this.#hand(pieces, recorded);
    const resume = this.#waiting.wait();
    ledger.synced(sequence).then(
      () =>
        this.#port.guard(() => {
          this.#hand(pieces, recorded);
          resume();
        }),
      (error: unknown) => this.#port.fail(ledgerText('FATAL', error)),
    );
  }

  #hand(pieces: readonly Buffer[], recorded: readonly Recorded[]) {
    for (const { reply } of recorded) for (const operation of reply.operations) operation.sent = true;
    this.#port.forward(pieces);
  }

  /** The target will skip to the next Sync, so what comes until then is neither sent nor recorded. */
  #segmentFailed() {
    this.#session.statements.endSegment();
    this.#session.portals.endSegment();
    this.#session.skipping = true;
  }
}

interface Recorded {
  readonly reply: Reply;
  /** Index of the message among the pieces; -1: it is a stand-in already. */
  readonly piece: number;
}

/** Nothing that the ledger did not take may reach the target: each such message is replaced by one that fails. */
function replaceRecorded(recorded: readonly Recorded[], pieces: Buffer[], error: ErrorText): void {
  for (const { reply, piece } of recorded) {
    reply.denial = error;
    for (const operation of reply.operations) operation.concluded = true; // Never begun, so there is no outcome either.
    if (piece >= 0)
      pieces[piece] = reply.kind === 'query' || reply.kind === 'function-call' ? deniedQuery() : deniedStep();
  }
}
