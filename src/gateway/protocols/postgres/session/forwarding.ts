import { encodeCopyFail, encodeDescribe, encodeFlush, type Framer, Outbox } from '../../../../wire/postgres/index.ts';
import type { Batch, Pipeline, Started, Taken } from '../../../sessions/pipeline.ts';
import { ledgerText, refusalError } from '../refusal.ts';
import type { Refusal, Run, StatementPlan } from '../sql/index.ts';
import type { Conversation } from './conversation.ts';
import { portalReadBy } from './cursors.ts';
import { deniedBehind, deniedParse, deniedQuery, deniedStep } from './denied-message.ts';
import { denialOf, operationOf } from './operations.ts';
import { quotaRefusal } from './over-limit.ts';
import { type Execution, expectReply, type Reply } from './replies.ts';

/**
 * What becomes of a message that was judged: it, or its failing stand-in, goes to the target, in its turn, with a note of the reply that is
 * expected. What must be in the ledger first waits for that, and so does all that comes behind it.
 */
export class Forwarding {
  readonly #session: Conversation;
  readonly #pipeline: Pipeline;
  readonly #framer: Framer;
  readonly #out = new Outbox();
  /** Operations and denials of this write: what stands for them when the ledger takes nothing. */
  #recorded: Recorded[] = [];
  /** The message at hand has begun an operation. */
  #isBegun = false;

  /** The message at hand is always the framer's. */
  constructor(session: Conversation, deps: { pipeline: Pipeline; framer: Framer }) {
    this.#session = session;
    this.#pipeline = deps.pipeline;
    this.#framer = deps.framer;
  }

  /** Begins a statement that was allowed. */
  begin(
    plan: StatementPlan,
    source: {
      text: string;
      parameters: readonly (Buffer | null)[];
      formats?: readonly number[];
      statements?: number;
      boundBytes?: number;
    },
  ): Execution {
    const { statements = 1, boundBytes = 0 } = source;
    const bytesIn = this.#bytesBegun(boundBytes);
    const running = this.#pipeline.begin(operationOf(plan, { ...source, statements }));
    const fetched = portalReadBy(this.#session, plan);
    return {
      running,
      plan,
      statements,
      fetched,
      done: 0,
      rowsOfDone: 0,
      rows: 0,
      bytesIn,
      bytesOut: 0,
      over: undefined,
    };
  }

  /** Forwards the message as it is; no reply of its own is expected. */
  pass(): void {
    this.#out.keep(this.#framer.buffer, this.#framer.start, this.#framer.end);
  }

  /**
   * As `pass`, of data for the COPY that runs: nothing that is to be answered stands before it. False when that would be more than policy
   * allows: the COPY fails instead.
   */
  passData(): boolean {
    const { head } = this.#session.replies;
    const operation = head?.operations[head.at];
    if (operation !== undefined) {
      const { bytesIn } = operation.plan.judged.limits;
      if (bytesIn !== undefined && this.#framer.isFirst && operation.bytesIn + this.#framer.messageBytes > bytesIn) {
        operation.over ??= { unit: 'bytesIn', most: bytesIn };
        this.failCopy();
        return false;
      }
      operation.bytesIn += this.#framer.end - this.#framer.start;
    }
    this.pass();
    return true;
  }

  /** Ends the COPY that runs: what the client sends more of it is dropped, as PostgreSQL does. */
  failCopy(): void {
    this.#session.copyIn = false;
    this.#out.add(encodeCopyFail('stopped at a limit of policy'));
    this.hurry();
  }

  /** Takes these statements, each so often, from what policy allows over time; the refusal, when that is used up. A promise: see `Pipeline.admit`. */
  admit(statements: readonly Run[], taken?: Taken): Refusal | undefined | Promise<Taken> {
    const reached = this.#pipeline.admit(
      statements.map(({ plan, statements: times }) => ({ judged: plan.judged, times })),
      taken,
    );
    if (reached instanceof Promise) return reached;
    return (
      reached &&
      quotaRefusal(
        reached,
        statements.map(({ plan }) => plan),
      )
    );
  }

  /** See `Pipeline.admitted`. */
  admitted(statements: readonly Run[]): Taken {
    return this.#pipeline.admitted(statements.map(({ plan, statements: times }) => ({ judged: plan.judged, times })));
  }

  /** Forwards the message as it is, or that one in its place, and expects that reply. */
  keep(reply: Reply, message?: Buffer): void {
    this.#session.replies.push(reply);
    if (message === undefined) this.pass();
    else this.#out.add(message);
  }

  /** As `keep`, for a message that must be in the ledger first: it becomes a piece of its own, which can still be replaced. */
  record(reply: Reply, message?: Buffer): void {
    this.#isBegun = false;
    if (reply.operations.length > 0) this.#recorded.push({ reply, piece: this.#out.mark(), denied: undefined });
    this.#session.replies.push(reply);
    if (message === undefined) this.pass();
    else this.#out.add(message);
    if (reply.operations.length > 0) this.#out.mark();
    if (reply.operations.some(({ plan }) => plan.isMasking)) this.#session.withholding = true;
  }

  /** As `record`, of what a text carries out before the statement that is refused; what stands behind it is not sent. */
  recordBefore(reply: Reply, before: string, denied: { refusal: Refusal; text: string }): void {
    const noted = this.#pipeline.deny(denialOf(denied.refusal, denied.text));
    this.record(reply, deniedBehind(before));
    this.#recorded.push({ reply, piece: -1, denied: noted });
  }

  /** Notes the refusal for the ledger, and sends in the message's place what is certain to fail. */
  deny(kind: 'query' | 'parse' | 'bind' | 'execute', refusal: Refusal, text: string, name = ''): true {
    const denied = this.#pipeline.deny(denialOf(refusal, text));
    // Written as UTF8; in another encoding the server would read another text.
    const isTold = refusal.reason === 'syntax-error' && this.#session.encoding.coding.isUtf8;
    const notParsed = isTold && (kind === 'query' || kind === 'parse') ? text : undefined;
    const reply = expectReply(kind, { denial: refusalError(refusal), notParsed, own: false });
    this.#recorded.push({ reply, piece: -1, denied });
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
    const recorded = this.#recorded;
    const pieces = this.#out.take();
    if (recorded.length > 0) this.#recorded = [];
    this.#pipeline.flush(recorded.length === 0 ? { pieces } : new Recording(pieces, recorded));
  }

  /** The message counts for the first operation that it begins, and what was bound before for the one that is executed. */
  #bytesBegun(boundBytes: number): number {
    if (this.#isBegun) return 0;
    this.#isBegun = true;
    return this.#framer.messageBytes + boundBytes;
  }

  /** The target will skip to the next Sync, so what comes until then is neither sent nor recorded. */
  #segmentFailed() {
    this.#session.statements.endSegment();
    this.#session.portals.endSegment();
    this.#session.skipping = true;
  }
}

/** A message that must be in the ledger before it is sent. */
interface Recorded {
  readonly reply: Reply;
  /** Index of the message among the pieces; -1: it is a stand-in already. */
  readonly piece: number;
  readonly denied: Started | undefined;
}

/** Messages with what is to be recorded of them. */
class Recording implements Batch {
  readonly pieces: Buffer[];
  readonly #recorded: readonly Recorded[];

  constructor(pieces: Buffer[], recorded: readonly Recorded[]) {
    this.pieces = pieces;
    this.#recorded = recorded;
  }

  recorded(): void {
    for (const { reply, denied } of this.#recorded) {
      let after = denied?.after ?? -1;
      for (const { running } of reply.operations) after = Math.max(after, running.after);
      reply.sequence = Math.max(reply.sequence, after);
    }
  }

  /** Nothing that the ledger did not take may reach the target: each such message is replaced by one that fails. */
  refused(error: unknown): readonly Buffer[] {
    const denial = ledgerText('ERROR', error);
    for (const { reply, piece } of this.#recorded) {
      reply.denial = denial;
      if (piece >= 0)
        this.pieces[piece] = reply.kind === 'query' || reply.kind === 'function-call' ? deniedQuery() : deniedStep();
    }
    return this.pieces;
  }
}
