// Long because every message type works on the same few fields of this direction.
import type { OutcomeStatus, ReachedLimit } from '../../../../model/index.ts';
import { codeOf, type Log } from '../../../../std/index.ts';
import {
  Backend,
  type ErrorFields,
  type ErrorText,
  encodeError,
  encodeErrorFields,
  Framer,
  maskDataRow,
  Outbox,
  PostgresWireError,
  readCommandComplete,
  readErrorFields,
  readParameterStatus,
  readReadyForQuery,
  readRowDescription,
  withoutPayload,
} from '../../../../wire/postgres/index.ts';
import { GatewayError } from '../../../errors.ts';
import type { Withheld } from '../../../recording/withheld.ts';
import type { Pipeline, Running } from '../../../sessions/pipeline.ts';
import { unservedEncoding } from '../refusal.ts';
import { positionInOwnText, type Rewritten, type Withholding } from '../sql/index.ts';
import { type Conversation, messageBytesMax } from './conversation.ts';
import { isAboutText } from './denied-message.ts';
import { shownFields, withheldParts } from './error-texts.ts';
import { cellMasks } from './masks.ts';
import { overLimitError, passedBy } from './over-limit.ts';
import type { Execution, Reply } from './replies.ts';

/** What the session does for this direction. */
export interface AnswersPort {
  /** Ends the session with that error to the client, after what was delivered. */
  fail(error: ErrorText): void;
  /** Cancels what the target is doing, and holds back what the client sends until that has happened. */
  cancel(): void;
  /** The target has ended the session itself, and said so to the client. */
  ended(): void;
}

/**
 * Target to client: ties each message to the request it answers, masks rows, rewrites the errors of denied requests, counts, and hands on
 * what is for the client. Whatever the target sends out of turn ends the session.
 */
export class Answers {
  readonly #session: Conversation;
  readonly #port: AnswersPort;
  readonly #log: Log;
  readonly #framer = new Framer({ messageBytesMax, inPieces: (type) => this.#comesInPieces(type) });
  readonly #pipeline: Pipeline;
  readonly #out = new Outbox();
  /** The client was told of an error that the target knows nothing of: nothing reaches it until the target is ready again. */
  #muted = false;
  #over = false;
  /** Of the writes answered in this transaction: what they put off is done at its end, which comes with whatever answer. */
  #deferred: Withholding = 'nothing';
  /** Newest ledger entry that an answer seen so far waits for. */
  #sequence = -1;
  #cancelled: Execution | undefined;
  /** The message at hand goes to the client as it is. */
  #passes = false;

  constructor(session: Conversation, deps: { port: AnswersPort; pipeline: Pipeline; log: Log }) {
    this.#session = session;
    this.#port = deps.port;
    this.#pipeline = deps.pipeline;
    this.#log = deps.log;
  }

  /** Deals with a chunk from the target. */
  take(chunk: Buffer): void {
    if (this.#over) return;
    this.#framer.push(chunk);
    let broken: unknown;
    try {
      while (!this.#over && this.#framer.next()) this.#handle();
    } catch (error) {
      if (!(error instanceof PostgresWireError || error instanceof GatewayError)) throw error;
      broken = error;
    }
    this.#cancelOver();
    if (broken === undefined) {
      this.#pipeline.deliver(this.#out.take(), this.#sequence);
      return;
    }
    this.#deliverNow();
    this.#over = true;
    this.#log.error('gateway.postgres.target_broken', { error: broken });
    this.#port.fail(codeOf(broken) === 'ERR_PG_TOO_LONG' ? ANSWER_TOO_LONG : TARGET_BROKEN);
  }

  /** The client has got a part of a message: nothing but the rest of it can follow. */
  get isAmid(): boolean {
    return this.#passes && !this.#framer.isLast;
  }

  /** Bytes kept here: of a message that is not whole yet. */
  get heldBytes(): number {
    return this.#framer.bufferedBytes;
  }

  /** True while parts of a chunk that was taken have not been read, or not been handed on. */
  get holdsChunk(): boolean {
    return this.#framer.unreadBytes > 0 || this.#out.bytes > 0;
  }

  /** The client has taken everything that was delivered. */
  recycle(): void {
    this.#out.recycle();
  }

  /** Policy lets that operation go on no longer. */
  stopOperation(running: Running, limit: ReachedLimit): void {
    for (const { operations } of this.#session.replies) {
      const operation = operations.find((one) => one.running === running);
      if (operation === undefined) continue;
      operation.over ??= limit;
      this.#cancel(operation);
      return;
    }
  }

  /** The session is over: whatever else comes is for nobody. */
  stop(): void {
    this.#over = true;
  }

  /** Values that nobody here has to look at may be as long as PostgreSQL's own. */
  #comesInPieces(type: number): boolean {
    const { head } = this.#session.replies;
    const operation = head === undefined ? undefined : this.#operation(head);
    if (type === Backend.copyData) return operation?.plan.copy === 'out';
    return type === Backend.dataRow && operation !== undefined && operation.plan.masks === undefined;
  }

  #handle() {
    const { type } = this.#framer;
    const { head } = this.#session.replies;
    if (!this.#framer.isFirst) return this.#piece(head);
    this.#passes = false;
    if (head !== undefined && head.sequence > this.#sequence) this.#sequence = head.sequence;
    if (type === Backend.dataRow) return this.#row(head);
    if (type === Backend.copyData) return this.#copyData(head);
    switch (type) {
      case Backend.notice:
        return this.#notice(head);
      case Backend.notification:
        return this.#notification();
      case Backend.parameterStatus:
        return this.#parameterStatus();
      case Backend.error:
        return this.#error(head);
      default:
        if (head === undefined) throw this.#outOfTurn();
        return this.#answer(type, head);
    }
  }

  #answer(type: number, head: Reply) {
    switch (type) {
      case Backend.readyForQuery:
        return this.#ready(head);
      case Backend.rowDescription:
        return this.#rowDescription(head);
      case Backend.commandComplete:
      case Backend.portalSuspended:
      case Backend.emptyQuery:
        return this.#complete(type, head);
      case Backend.functionCallResponse:
        return this.#functionCallDone(head);
      case Backend.parseComplete:
        this.#expect(head.kind === 'parse' && head.denial === undefined);
        this.#session.statements.confirmed(head.name, head.prepared);
        if (head.name !== '' && head.prepared?.plan.prepared !== undefined) {
          this.#session.completed([{ kind: 'prepare', name: head.name, prepared: head.prepared.plan.prepared }]);
        }
        return this.#done(head);
      case Backend.bindComplete:
        this.#expect(head.kind === 'bind' && head.denial === undefined);
        this.#session.portals.confirmed(head.name, head.portal);
        return this.#done(head);
      case Backend.closeComplete:
        this.#expect(head.kind === 'close');
        if (head.of === 'P') this.#session.portalClosed(head.name);
        else this.#statementClosed(head.name);
        return this.#done(head);
      case Backend.parameterDescription:
        this.#expect(head.kind === 'describe-statement');
        return this.#keep();
      case Backend.noData:
        this.#expect(head.kind === 'describe-statement' || head.kind === 'describe-portal');
        return this.#done(head);
      case Backend.copyIn:
        this.#expect(this.#operation(head)?.plan.copy === 'in');
        this.#session.copyIn = true;
        return this.#keep();
      case Backend.copyOut:
        this.#expect(this.#operation(head)?.plan.copy === 'out');
        return this.#keep();
      case Backend.copyDone:
        this.#expect(this.#operation(head)?.plan.copy === 'out');
        return this.#keep();
      default:
        throw this.#outOfTurn();
    }
  }

  #functionCallDone(head: Reply) {
    const operation = this.#operation(head);
    this.#expect(head.kind === 'function-call');
    if (operation === undefined) throw this.#outOfTurn();
    operation.bytesOut += this.#framer.end - this.#framer.start;
    this.#ended(operation, 'done');
    head.at++;
    this.#keep();
  }

  /** Of a message whose first piece was judged. */
  #piece(head: Reply | undefined) {
    if (!this.#passes) return;
    const operation = head === undefined ? undefined : this.#operation(head);
    if (operation !== undefined) operation.bytesOut += this.#framer.end - this.#framer.start;
    this.#keep();
  }

  #row(head: Reply | undefined) {
    const operation = head === undefined ? undefined : this.#operation(head);
    if (head === undefined || operation === undefined) throw this.#outOfTurn();
    const { start, end } = this.#framer;
    const { portal } = head;
    const counted = operation.fetched ?? portal ?? operation;
    if (this.#isPast(operation, counted)) return;
    operation.rows++;
    operation.bytesOut += end - start;
    if (counted !== operation) {
      counted.rows++;
      counted.bytesOut += end - start;
    }
    if (operation.plan.masks === undefined) return this.#keep();
    if (this.#muted) return;
    const masks = portal === undefined ? head.masks : this.#portalMasks(head, operation);
    // Never a row whose layout was not described: what is unmapped can't be masked.
    if (masks === undefined) throw this.#outOfTurn();
    maskDataRow(this.#framer, masks, this.#out);
  }

  #copyData(head: Reply | undefined) {
    const operation = head === undefined ? undefined : this.#operation(head);
    if (operation?.plan.copy !== 'out') throw this.#outOfTurn();
    const { start, end } = this.#framer;
    if (this.#isPast(operation, operation)) return;
    operation.rows++; // One message a row in text and CSV; the binary form adds a header to the first.
    operation.bytesOut += end - start;
    this.#keep();
  }

  /** The row at hand is more than policy allows: neither it nor any behind it is shown. */
  #isPast(operation: Execution, { rows, bytesOut }: Pick<Execution, 'rows' | 'bytesOut'>): boolean {
    const { limits } = operation.plan.judged;
    if (limits.items === undefined && limits.bytesOut === undefined) return false;
    if (isPast(operation.over)) return true;
    const bytes = bytesOut + this.#framer.messageBytes;
    operation.over = passedBy(limits, { rows, bytes }) ?? operation.over;
    return isPast(operation.over);
  }

  #portalMasks(head: Reply, operation: Execution) {
    const { portal } = head;
    const { masks } = operation.plan;
    if (portal === undefined || masks === undefined || portal.fields === undefined) return undefined;
    if (portal.masksOf !== masks) {
      portal.masks = cellMasks(masks, portal.fields, this.#session.deps.maskKey);
      portal.masksOf = masks;
    }
    return portal.masks;
  }

  #rowDescription(head: Reply) {
    switch (head.kind) {
      case 'describe-portal':
        if (head.portal !== undefined) {
          head.portal.fields = readRowDescription(this.#framer);
          head.portal.masksOf = undefined;
        }
        return this.#done(head);
      case 'describe-statement':
        return this.#done(head);
      case 'query': {
        const operation = this.#operation(head);
        this.#expect(operation !== undefined);
        const masks = operation?.plan.masks;
        if (masks !== undefined)
          head.masks = cellMasks(masks, readRowDescription(this.#framer), this.#session.deps.maskKey);
        return this.#keep();
      }
      default:
        throw this.#outOfTurn();
    }
  }

  #complete(type: number, head: Reply) {
    this.#expect((head.kind === 'query' || head.kind === 'execute') && head.denial === undefined);
    const suspended = type === Backend.portalSuspended;
    if (type === Backend.emptyQuery) {
      this.#expect(head.operations.length === 0);
    } else {
      const operation = this.#operation(head);
      if (operation === undefined) throw this.#outOfTurn();
      this.#session.copyIn = false;
      if (!suspended) {
        // Rows of a statement that shows none are counted by the tag only.
        const tag = readCommandComplete(this.#framer);
        if (operation.rows === operation.rowsOfDone) operation.rows += Number(/ (\d{1,15})$/.exec(tag)?.[1] ?? 0);
        if (head.portal?.hasRun !== true) this.#session.completed(operation.plan.effects, tag);
        if (operation.plan.changesCatalog) this.#session.catalogChanged = true;
        if (operation.plan.writes) this.#deferred = stricter(this.#deferred, head.withhold);
      } else if (head.portal?.hasRun === false) {
        this.#session.completed(operation.plan.effects);
      }
      if (head.portal !== undefined) head.portal.hasRun = true;
      operation.rowsOfDone = operation.rows;
      operation.done += 1;
      if (operation.done < operation.statements) return this.#keep();
      // It was over before it could be stopped for its time.
      if (operation.over?.unit === 'duration') operation.over = undefined;
      this.#ended(operation, operation.over ? 'over-limit' : suspended ? 'suspended' : 'done');
      head.at++;
      head.masks = undefined;
      if (operation.over) return this.#tooMuch(head, operation, operation.over);
    }
    if (head.kind === 'execute') return this.#done(head);
    this.#keep();
  }

  /** What is beyond the limit came before the target could be stopped: to the client the statement has failed all the same. */
  #tooMuch(head: Reply, operation: Execution, limit: ReachedLimit) {
    const error = overLimitError(limit, operation);
    const rest = head.kind === 'query' ? head.operations.slice(head.at) : this.#restOfSegment();
    if (rest.some((one) => one.plan.writes)) {
      // They run, or have run, although the client would think that they were skipped.
      this.#over = true;
      this.#deliverNow();
      return this.#port.fail({ ...error, severity: 'FATAL' });
    }
    if (!this.#muted) this.#out.add(this.#encoded(error));
    this.#muted = true;
    if (head.kind !== 'execute') return;
    this.#session.replies.shift();
    if (!this.#hasSync()) this.#session.skipping = true;
  }

  #error(head: Reply | undefined) {
    const fields = readErrorFields(this.#framer);
    const severity = fields.get('V') ?? fields.get('S') ?? '';
    const sqlstate = fields.get('C') ?? '';
    if (severity !== 'ERROR') return this.#fatal(head, fields);
    if (head === undefined) throw this.#outOfTurn();
    this.#session.copyIn = false;
    this.#session.failed();
    const operation = this.#operation(head);
    if (this.#muted) {
      // The client had its error already.
    } else if (head.denial !== undefined) {
      if (isServersOwn(head, fields)) this.#keep();
      else this.#out.add(this.#encoded(head.denial));
    } else if (head.denialBehind !== undefined && head.at === head.operations.length) {
      this.#out.add(this.#encoded(head.denialBehind));
    } else if (operation?.over !== undefined) {
      this.#out.add(this.#encoded(overLimitError(operation.over, operation)));
    } else {
      this.#text('E', fields, head);
    }
    if (operation !== undefined) {
      if (operation.over) this.#ended(operation, 'over-limit', sqlstate);
      else this.#failed(operation, head, fields);
    }
    if (isCycle(head)) {
      for (const skipped of head.operations) this.#ended(skipped, 'skipped');
      head.at = head.operations.length;
    } else if (head.kind !== 'sync') {
      this.#skipSegment();
    }
  }

  /** The target skips to the next Sync: whatever was sent up to it has no answer and no effect. */
  #skipSegment() {
    const { replies, statements, portals } = this.#session;
    for (let head = replies.head; head !== undefined && head.kind !== 'sync'; head = replies.head) {
      replies.shift();
      for (const operation of head.operations) this.#ended(operation, 'skipped');
      if (head.denial !== undefined) continue; // It never changed a name.
      if (head.kind === 'parse' || (head.kind === 'close' && head.of === 'S')) statements.dropped(head.name);
      if (head.kind === 'bind' || (head.kind === 'close' && head.of === 'P')) portals.dropped(head.name);
    }
    if (replies.head !== undefined) return;
    statements.endSegment();
    portals.endSegment();
    this.#session.skipping = true;
  }

  #fatal(head: Reply | undefined, fields: ReadonlyMap<string, string>) {
    const operation = head === undefined ? undefined : this.#operation(head);
    if (operation !== undefined) this.#failed(operation, head, fields);
    this.#text('E', fields, head);
    this.#deliverNow();
    this.#over = true;
    this.#port.ended();
  }

  #failed(operation: Execution, head: Reply | undefined, fields: ErrorFields) {
    const withheld = this.#withholding(head) === 'nothing' ? undefined : withheldParts(fields);
    this.#ended(operation, 'failed', fields.get('C') ?? '', withheld);
  }

  #notice(head: Reply | undefined) {
    if (this.#muted) return;
    if (this.#withholding(head) === 'nothing') return this.#keep();
    this.#text('N', readErrorFields(this.#framer), head);
  }

  /** What may be told of an error or notice that comes now. */
  #withholding(head: Reply | undefined): Withholding {
    const isOutside = head === undefined || head.kind === 'sync';
    if (isOutside) return this.#session.withholding ? 'values' : 'nothing';
    return stricter(this.#deferred, head.withhold);
  }

  #text(type: 'E' | 'N', received: ErrorFields, head: Reply | undefined) {
    const withhold = this.#withholding(head);
    const fields = aboutOwnText(received, head && rewrittenOf(head));
    if (withhold === 'nothing' && fields === received) this.#keep();
    else this.#out.add(encodeErrorFields(type, withhold === 'nothing' ? fields : shownFields(fields)));
  }

  /** Its payload may hold what is masked: that something came under a name that the client chose is told all the same. */
  #notification() {
    if (!this.#session.withholding) return this.#keep();
    if (!this.#muted) this.#out.add(withoutPayload(this.#framer));
  }

  #parameterStatus() {
    const { name, value } = readParameterStatus(this.#framer);
    // The planner refuses to change it; were it changed all the same, texts would no longer mean what was decided on.
    if (name === 'standard_conforming_strings' && value !== 'on')
      throw new GatewayError('ERR_GATEWAY_TARGET_PROTOCOL', `the target changed ${name} in the middle of a session`);
    if (name === 'client_encoding' && !this.#session.encoding.reported(value)) return this.#unreadable(value);
    this.#out.keep(this.#framer.buffer, this.#framer.start, this.#framer.end);
  }

  /** A function of the database's own has set what SET may not: whatever the client sent next would be read in two ways. */
  #unreadable(encoding: string) {
    this.#deliverNow();
    this.#over = true;
    this.#port.fail(unservedEncoding(encoding, this.#session.deps.encodings.server));
  }

  #ready(head: Reply) {
    this.#expect(
      head.kind === 'sync' || (isCycle(head) && (head.denial !== undefined || head.at === head.operations.length)),
    );
    this.#session.ready(readReadyForQuery(this.#framer));
    this.#muted = false;
    if (this.#session.status === 'I') this.#deferred = 'nothing';
    this.#done(head);
  }

  #encoded(error: ErrorText): Buffer {
    return encodeError(error, this.#session.encoding.coding.encode);
  }

  #statementClosed(name: string) {
    this.#session.statements.confirmed(name, undefined);
    if (name !== '') this.#session.completed([{ kind: 'deallocate', name }]);
  }

  /** The reply is complete with this message. */
  #done(head: Reply) {
    this.#session.replies.shift();
    if (!head.own) this.#keep();
  }

  #keep() {
    this.#passes = !this.#muted;
    if (this.#passes) this.#out.keep(this.#framer.buffer, this.#framer.start, this.#framer.end);
  }

  #operation(head: Reply): Execution | undefined {
    return head.denial === undefined ? head.operations[head.at] : undefined;
  }

  *#segment(): Generator<Reply> {
    for (const reply of this.#session.replies) {
      if (reply.kind === 'sync') return;
      yield reply;
    }
  }

  #restOfSegment(): readonly Execution[] {
    return [...this.#segment()].slice(1).flatMap((reply) => reply.operations);
  }

  #ended(execution: Execution, status: OutcomeStatus, sqlstate = '', withheld?: Withheld) {
    const { running, bytesIn, bytesOut, rows: items, statements, done } = execution;
    const detail = statements === 1 ? {} : { statements: done };
    const limit = status === 'over-limit' ? execution.over : undefined;
    this.#pipeline.end(running, { status, code: sqlstate, items, bytesIn, bytesOut, limit, detail, withheld });
  }

  /** What was collected goes before the end of the session. */
  #deliverNow() {
    this.#pipeline.deliver(this.#out.take(), this.#sequence);
    this.#pipeline.settle();
  }

  #hasSync(): boolean {
    for (const reply of this.#session.replies) if (reply.kind === 'sync') return true;
    return false;
  }

  #expect(condition: boolean) {
    if (!condition) throw this.#outOfTurn();
  }

  #outOfTurn(): GatewayError {
    const { head } = this.#session.replies;
    const expected = head === undefined ? 'nothing' : `the answer to ${head.kind}`;
    return new GatewayError(
      'ERR_GATEWAY_TARGET_PROTOCOL',
      `the target sent message ${String.fromCharCode(this.#framer.type)} where ${expected} was expected`,
    );
  }

  /** Stops a statement whose rows are not shown any more; one that ended in this very chunk needs no stopping. */
  #cancelOver() {
    const { head } = this.#session.replies;
    const operation = head === undefined ? undefined : this.#operation(head);
    if (operation !== undefined && isPast(operation.over)) this.#cancel(operation);
  }

  #cancel(operation: Execution) {
    if (operation === this.#cancelled) return;
    this.#cancelled = operation;
    this.#port.cancel();
  }
}

const TARGET_BROKEN: ErrorText = {
  severity: 'FATAL',
  sqlstate: '08P01',
  message: 'the target broke the protocol; the session is ended',
};
const ANSWER_TOO_LONG: ErrorText = {
  severity: 'FATAL',
  sqlstate: '54000',
  message: `a row with masked columns, or another answer than rows, has more than ${messageBytesMax} bytes, which are not held here`,
  hint: 'Leave out the long column, or ask for parts of it.',
};

/** Answered up to ReadyForQuery by itself. */
function isCycle({ kind }: Reply): boolean {
  return kind === 'query' || kind === 'function-call';
}

/** The server's error about a text of the client that no parser takes: it has seen nothing but that text. */
function isServersOwn({ notParsed }: Reply, fields: ErrorFields): boolean {
  if (notParsed === undefined) return false;
  const position = fields.get('P');
  const about = { message: fields.get('M') ?? '', position: position === undefined ? undefined : Number(position) };
  return isAboutText(about, notParsed);
}

function rewrittenOf({ rewritten, prepared, portal }: Reply): Rewritten | undefined {
  return rewritten ?? (prepared ?? portal?.prepared)?.plan.rewritten;
}

/** The position in the text that was sent is none in the client's. */
function aboutOwnText(fields: ErrorFields, rewritten: Rewritten | undefined): ErrorFields {
  const position = Number(fields.get('P'));
  if (rewritten === undefined || !Number.isSafeInteger(position)) return fields;
  return new Map(fields).set('P', String(positionInOwnText(rewritten, position)));
}

/** Nothing more is shown of such an answer; of one whose time is over, what comes until it stops. */
function isPast(over: ReachedLimit | undefined): boolean {
  return over?.unit === 'items' || over?.unit === 'bytesOut';
}

function stricter(a: Withholding, b: Withholding): Withholding {
  return a === 'nothing' ? b : a;
}
