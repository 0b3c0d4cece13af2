// Long because every message type works on the same few fields of this direction.
import {
  type DecodeText,
  encodeParse,
  encodeQuery,
  Framer,
  Frontend,
  PostgresWireError,
  readBind,
  readEmpty,
  readExecute,
  readFunctionCall,
  readNamed,
  readParse,
  readQuery,
} from '../../../../wire/postgres/index.ts';
import type { Pipeline, Taken } from '../../../sessions/pipeline.ts';
import { refusalError } from '../refusal.ts';
import {
  type BoundValue,
  type Forward,
  firstUserOid,
  mayBringBack,
  type Plan,
  type PlanRequest,
  type Refusal,
  type Run,
  runsOf,
  type SessionFacts,
  type StatementPlan,
  sessionNamesMax,
  statementOfCall,
} from '../sql/index.ts';
import { type Conversation, messageBytesMax, type RequestsPort } from './conversation.ts';
import { CopyIn } from './copy-in.ts';
import { areSameMeanings, factsWithPortals, mayReadCursor, meaningsOf } from './cursors.ts';
import { type UnreadableProblem, UnreadableText } from './encoding-in-force.ts';
import { Forwarding } from './forwarding.ts';
import { takeGuarded } from './guarded.ts';
import { Holding, type SaidStatement, saidIn, saidOf } from './holds/holding.ts';
import { sizeRefusal } from './over-limit.ts';
import { isRefreshable, sameStamp, sentAs, servedInEncoding, textSent, valuesBoundTo, withholdingOf } from './plans.ts';
import { expectReply, type PlanStamp, type Portal, type Prepared, type Reply } from './replies.ts';
import {
  behindBytesMax,
  longTriesMax,
  portalsBytesMax,
  portalsMax,
  repliesMax,
  soughtMax,
  statementsBytesMax,
  textOverheadBytes,
} from './request-limits.ts';
import {
  CUT_SHORT_MESSAGE,
  FUNCTION_CALL_MESSAGE,
  isCutShort,
  keptBytesMax,
  MEANT_OTHER_MESSAGE,
  OUTDATED,
  OWN_TYPES,
  refusalOf,
  TEXT_HINT,
  UNSETTLED,
  VALUES_TOO_LONG,
} from './request-refusals.ts';

/**
 * Client to target: reads each message, judges it, and hands it on. Messages that can't be judged yet (a name in flight, a catalog on its
 * way, COPY about to begin) wait, and all behind them.
 */
export class Requests {
  readonly #session: Conversation;
  readonly #port: RequestsPort;
  readonly #pipeline: Pipeline;
  readonly #framer: Framer;
  readonly #forwarding: Forwarding;
  readonly #copy: CopyIn;
  /** The framer's message was looked at but not dealt with yet. */
  #held = false;
  /** A snapshot was taken for the held message: a second one would not help. */
  #refreshed = false;
  /** The plan of the held message's text, which took longer than others may wait. */
  #long: { readonly plan: Plan; readonly stamp: PlanStamp; readonly isBound: boolean } | undefined;
  /** How often one was begun for the held message. */
  #longTries = 0;
  /** What was taken for it from limits that others count as well. */
  #taken: Taken | undefined;
  readonly #holding: Holding;
  /** Something outside of both streams is awaited: a catalog snapshot, a sync of the ledger, a cancellation. */
  #waits = 0;
  #over = false;
  /** The client has ended its side; there may be messages of it left. */
  #ended = false;
  /** The client's goodbye was read and not passed on yet. */
  #leaving = false;

  constructor(session: Conversation, deps: { port: RequestsPort; pipeline: Pipeline }) {
    this.#session = session;
    this.#port = deps.port;
    this.#pipeline = deps.pipeline;
    const textMax = session.deps.limits.textBytes + textOverheadBytes;
    this.#framer = new Framer({
      messageBytesMax,
      keptBytesMax: (type) => keptBytesMax(type, textMax),
      inPieces: (type) => type === Frontend.copyData,
    });
    const framer = this.#framer;
    const forwarding = new Forwarding(session, { pipeline: deps.pipeline, framer });
    this.#forwarding = forwarding;
    this.#copy = new CopyIn(session, { framer, forwarding });
    this.#holding = new Holding(session, deps.pipeline);
  }

  push(chunk: Buffer): void {
    if (this.#over) return; // What comes behind the goodbye is for nobody, and must not pile up.
    this.#framer.push(chunk);
  }

  /** Bytes kept here: of messages that are not whole yet or wait for their turn. */
  get heldBytes(): number {
    return this.#framer.bufferedBytes;
  }

  /** The client sends nothing more: behind what it has sent, that is a goodbye. */
  end(): void {
    this.#ended = true;
    this.pump();
  }

  /** Policy lets what runs go on no longer; the target may have answered and keep that until it is told to send it. */
  stopOperation(): void {
    if (this.#session.copyIn) this.#copy.stop();
    else this.#forwarding.hurry();
    this.#forwarding.flush();
  }

  /** The session is over: what still waits is never begun, so that it leaves no intent without outcome in the ledger. */
  stop(): void {
    this.#over = true;
    this.#leaving = false;
  }

  /** Little enough waits behind what is held for people: it is read on, so that it is seen when the client goes. */
  get readsOn(): boolean {
    return this.#pipeline.isHolding && this.#framer.bufferedBytes < behindBytesMax;
  }

  /** True while there are messages that have to wait: the client should not send more. */
  get stuck(): boolean {
    return this.#held || (this.#blocked() && this.#framer.bufferedBytes > 0);
  }

  /** Holds everything back until the returned function is called. */
  wait(): () => void {
    this.#waits++;
    let done = false;
    return () => {
      if (done) return;
      done = true;
      this.#waits--;
      this.pump();
    };
  }

  /** Deals with all messages that can be dealt with, then forwards them in one write. */
  pump(): void {
    if (this.#over) {
      this.#leave();
      return;
    }
    let broken: PostgresWireError | undefined;
    try {
      while (!this.#over && !this.#blocked()) {
        if (!this.#held && !this.#framer.next()) {
          if (this.#ended) this.#goodbye();
          break;
        }
        this.#held = true;
        if (!this.#handle()) break;
        this.#held = false;
        this.#refreshed = false;
        this.#long = undefined;
        this.#longTries = 0;
        this.#taken = undefined;
        this.#holding.next();
      }
    } catch (error) {
      if (!(error instanceof PostgresWireError)) throw error;
      broken = error;
    }
    this.#forwarding.flush();
    if (broken === undefined && !this.#over) return;
    // What came before a broken message, or the goodbye, was asked for in good order.
    this.#pipeline.settle();
    this.#leave();
    if (broken === undefined) return;
    this.#over = true;
    this.#port.fail({ severity: 'FATAL', sqlstate: '08P01', message: `the client sent a ${broken.message}` });
  }

  #goodbye() {
    this.#over = true;
    this.#leaving = true;
  }

  /** Passes the goodbye on once everything before it is on its way. */
  #leave() {
    if (!this.#leaving || this.#isWaiting) return;
    this.#leaving = false;
    this.#port.terminated();
  }

  get #isWaiting(): boolean {
    return this.#waits > 0 || this.#pipeline.isWaiting;
  }

  #blocked(): boolean {
    const { replies, copyIn } = this.#session;
    return this.#isWaiting || replies.length >= repliesMax || (replies.barriers > 0 && !copyIn);
  }

  /** Deals with the framer's message; false when it has to wait. */
  #handle(): boolean {
    const { type } = this.#framer;
    const session = this.#session;
    if (!this.#framer.isFirst) {
      this.#copy.piece();
      return true;
    }
    if (this.#copy.begin()) {
      if (this.#copy.take(type) === 'goodbye') this.#goodbye();
      return true;
    }
    if (session.skipping && type !== Frontend.sync && type !== Frontend.terminate) return true;
    switch (type) {
      case Frontend.query:
        return this.#query();
      case Frontend.parse:
        return this.#parse();
      case Frontend.bind:
        return this.#bind();
      case Frontend.describe:
        return this.#describe();
      case Frontend.execute:
        return this.#execute();
      case Frontend.close:
        return this.#close();
      case Frontend.sync:
        readEmpty(this.#framer);
        session.skipping = false;
        session.statements.endSegment();
        session.portals.endSegment();
        this.#forwarding.keep(expectReply('sync'));
        return true;
      case Frontend.flush:
        readEmpty(this.#framer);
        this.#forwarding.pass();
        return true;
      case Frontend.functionCall:
        return this.#functionCall();
      case Frontend.copyData:
      case Frontend.copyDone:
      case Frontend.copyFail:
        return true; // PostgreSQL ignores what is left of a COPY that has failed.
      case Frontend.terminate:
        this.#goodbye();
        return true;
      default:
        throw new PostgresWireError('ERR_PG_MALFORMED', `message of type ${type} is not known`);
    }
  }

  #query(): boolean {
    const read = this.#text((decode) => ({ text: readQuery(this.#framer, decode) }));
    if (read === 'wait') return false;
    if ('verdict' in read) return this.#forwarding.deny('query', read, '');
    const { text } = read;
    if (this.#namesUncertain(text)) return false;
    const plan = this.#plan(text, 'simple');
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse') return this.#denyQuery(plan, text);
    const over = this.#mayNot(runsOf(plan.statements), text, saidIn(textSent(plan, text)));
    if (over !== undefined) return over;
    this.#forwarding.record(this.#queryReply(plan, text), plan.rewritten && encodeQuery(plan.rewritten.sql));
    return true;
  }

  /**
   * Whether statements that policy allows are over a limit, for the size of their message or for how many there were before, or not approved: then the
   * message is dealt with by their denial; false where who counts, or approves, has to be waited for. Undefined: they may begin.
   */
  #mayNot(runs: readonly Run[], text: string, said: SaidStatement): boolean | undefined {
    const kind = this.#framer.type === Frontend.execute ? 'execute' : 'query';
    const refusal = sizeRefusal(this.#framer.messageBytes + (said.boundBytes ?? 0), runs);
    if (refusal !== undefined) return this.#forwarding.deny(kind, refusal, text);
    const over = this.#forwarding.admit(runs, this.#taken);
    if (over instanceof Promise)
      return this.#await(over, (taken) => {
        this.#taken = taken;
      });
    if (over !== undefined) return this.#forwarding.deny(kind, over, text);
    const held = this.#holding.ask(runs, said);
    if (!(held instanceof Promise)) return held && this.#forwarding.deny(kind, held, text);
    this.#taken = this.#forwarding.admitted(runs);
    if (kind === 'execute') this.#forwarding.hurry();
    return this.#await(held, () => {});
  }

  /** Holds everything back until that is there. */
  #await<T>(promise: Promise<T>, take: (value: T) => void): false {
    const resume = this.wait();
    takeGuarded(promise, this.#port.guard, (value) => {
      take(value);
      resume();
    });
    return false;
  }

  #queryReply(plan: Forward, text: string, refusal?: Refusal): Reply {
    const { statements } = plan;
    return expectReply('query', {
      operations: runsOf(statements).map((run) =>
        this.#forwarding.begin(run.plan, { text: textSent(plan, text), parameters: [], statements: run.statements }),
      ),
      withhold: withholdingOf(plan),
      rewritten: plan.rewritten,
      barrier: statements.some((one) => this.#isBarrier(one)),
      denialBehind: refusal && refusalError(refusal),
    });
  }

  /** What a text commits before it comes to the refused statement is carried out, as by PostgreSQL. */
  #denyQuery(refusal: Refusal, text: string): boolean {
    const { before } = refusal;
    if (before === undefined) return this.#forwarding.deny('query', refusal, text);
    const plan = this.#plan(before, 'simple');
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse' || plan.statements.some(({ copy }) => copy !== undefined))
      return this.#forwarding.deny('query', refusal, text);
    const over = this.#mayNot(runsOf(plan.statements), text, saidIn(textSent(plan, before)));
    if (over !== undefined) return over;
    this.#forwarding.recordBefore(this.#queryReply(plan, before, refusal), textSent(plan, before), { refusal, text });
    return true;
  }

  /** A call outside of SQL is judged, and recorded, as the statement that makes the same call. */
  #functionCall(): boolean {
    if (this.#framer.oversize) return this.#forwarding.deny('query', VALUES_TOO_LONG, '');
    const message = readFunctionCall(this.#framer);
    const text = statementOfCall(message.function);
    if (text === undefined)
      return this.#forwarding.deny('query', refusalOf('0A000', 'statement-refused', FUNCTION_CALL_MESSAGE), '');
    const plan = this.#plan(text, 'parse');
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse') return this.#forwarding.deny('query', plan, text);
    const said = { text, parameters: message.arguments, formats: message.formats };
    const over = this.#mayNot(runsOf(plan.statements), text, said);
    if (over !== undefined) return over;
    const operations = plan.statements.map((one) => this.#forwarding.begin(one, said));
    this.#forwarding.record(expectReply('function-call', { operations, withhold: withholdingOf(plan) }));
    return true;
  }

  #parse(): boolean {
    const { statements } = this.#session;
    const message = this.#text((decode) => readParse(this.#framer, decode));
    if (message === 'wait') return false;
    if ('verdict' in message) return this.#forwarding.deny('parse', message, '');
    const { name, text, parameterTypes } = message;
    if (isCutShort(name)) return this.#forwarding.failStep('42622', CUT_SHORT_MESSAGE);
    if (this.#namesUncertain(text)) return false;
    if (name !== '' && statements.size >= sessionNamesMax) {
      const what = `a session may prepare ${sessionNamesMax} statements`;
      return this.#forwarding.deny('parse', refusalOf('53400', 'session-limit', what), text, name);
    }
    if (statements.bytes > statementsBytesMax) {
      if (this.#awaitLanding(statements)) return false;
      const what = `statements that a session has prepared may have ${statementsBytesMax} bytes together`;
      if (name !== '') return this.#forwarding.deny('parse', refusalOf('53400', 'session-limit', what), text, name);
    }
    const plan = this.#plan(text, 'parse');
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse') return this.#forwarding.deny('parse', plan, text, name);
    const hasOwnTypes = parameterTypes.some((oid) => oid >= firstUserOid);
    if (hasOwnTypes && plan.statements.some(({ hasOwnOperators }) => hasOwnOperators))
      return this.#forwarding.deny('parse', OWN_TYPES, text, name);
    const sent = textSent(plan, text);
    const prepared: Prepared = { text, sent, parameterTypes, hasOwnTypes, plan, stamp: this.#stamp() };
    statements.sent(name, prepared);
    const reply = expectReply('parse', { name, prepared, withhold: withholdingOf(plan, hasOwnTypes) });
    this.#forwarding.keep(reply, plan.rewritten && encodeParse(name, sent, parameterTypes));
    return true;
  }

  #bind(): boolean {
    const { statements, portals } = this.#session;
    if (this.#framer.oversize) return this.#forwarding.deny('bind', VALUES_TOO_LONG, '');
    const message = this.#named((decode) => readBind(this.#framer, decode));
    if (typeof message === 'boolean') return message;
    if (isCutShort(message.portal) || isCutShort(message.statement))
      return this.#forwarding.failStep('42622', CUT_SHORT_MESSAGE);
    const prepared = statements.lookup(message.statement);
    if (prepared === 'wait') return false;
    if (prepared === undefined)
      return this.#forwarding.failStep('26000', `prepared statement "${message.statement}" does not exist`);
    if (portals.size >= portalsMax) {
      const what = `a session may hold ${portalsMax} portals`;
      return this.#forwarding.deny('bind', refusalOf('53400', 'session-limit', what), prepared.text);
    }
    if (portals.bytes > portalsBytesMax) {
      if (this.#awaitLanding(portals)) return false;
      const what = `values bound to the portals of a session may have ${portalsBytesMax} bytes together`;
      return this.#forwarding.deny('bind', refusalOf('53400', 'session-limit', what), prepared.text);
    }
    const meanings = meaningsOf(this.#session, prepared.plan);
    if (meanings === 'wait') return this.#hold();
    const keepsParameters = message.parameters.length > 0 && prepared.plan.statements.length > 0;
    const portal: Portal = {
      prepared,
      described: false,
      fields: undefined,
      masks: undefined,
      masksOf: undefined,
      rows: 0,
      bytesOut: 0,
      searchPath: this.#session.facts.searchPath,
      hasRun: false,
      isHeld: false,
      meanings,
      // A copy: the values are parts of a chunk that would live as long as the portal.
      parameters: keepsParameters ? message.parameters.map((value) => value && Buffer.from(value)) : [],
      boundBytes: message.parameters.reduce((sum, value) => sum + (value?.length ?? 0), 0),
      formats: message.parameterFormats,
      read: this.#session.encoding.reader(),
    };
    portals.sent(message.portal, portal);
    const withhold = withholdingOf(prepared.plan, prepared.hasOwnTypes);
    this.#forwarding.keep(expectReply('bind', { name: message.portal, portal, withhold }));
    return true;
  }

  #describe(): boolean {
    const message = this.#named((decode) => readNamed(this.#framer, decode));
    if (typeof message === 'boolean') return message;
    const { kind, name } = message;
    if (kind === 'S') {
      const prepared = this.#session.statements.lookup(name);
      if (prepared === 'wait') return false;
      if (prepared === undefined)
        return this.#forwarding.failStep('26000', `prepared statement "${name}" does not exist`);
      const withhold = withholdingOf(prepared.plan, prepared.hasOwnTypes);
      this.#forwarding.keep(expectReply('describe-statement', { withhold }));
      return true;
    }
    const portal = this.#session.portals.lookup(name);
    if (portal === 'wait') return false;
    if (portal === undefined) return this.#describeCursor(name);
    const meanings = meaningsOf(this.#session, portal.prepared.plan);
    if (meanings === 'wait') return this.#hold();
    if (!areSameMeanings(meanings, portal.meanings)) return this.#forwarding.failStep('34000', MEANT_OTHER_MESSAGE);
    portal.described = true;
    const withhold = withholdingOf(portal.prepared.plan, portal.prepared.hasOwnTypes);
    this.#forwarding.keep(expectReply('describe-portal', { portal, withhold }));
    return true;
  }

  /** One declared in SQL: none has masked columns. */
  #describeCursor(name: string): boolean {
    if (!this.#session.facts.cursors.has(name)) return this.#noPortal(name);
    this.#forwarding.keep(expectReply('describe-portal'));
    return true;
  }

  #noPortal(name: string): true {
    return this.#forwarding.failStep('34000', `portal "${name}" does not exist`);
  }

  /** As FETCH of it would be. */
  #executeCursor(name: string): boolean {
    if (!this.#session.facts.cursors.has(name)) return this.#noPortal(name);
    const text = `FETCH FROM "${name.replaceAll('"', '""')}"`;
    const plan = this.#plan(text, 'parse');
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse') return this.#forwarding.deny('execute', plan, text);
    const over = this.#mayNot(runsOf(plan.statements), text, saidIn(text));
    if (over !== undefined) return over;
    const operations = plan.statements.map((one) => this.#forwarding.begin(one, saidIn(text)));
    this.#forwarding.record(expectReply('execute', { operations, withhold: withholdingOf(plan) }));
    return true;
  }

  #execute(): boolean {
    const { portals } = this.#session;
    const message = this.#named((decode) => readExecute(this.#framer, decode));
    if (typeof message === 'boolean') return message;
    const { portal: name } = message;
    const portal = portals.lookup(name);
    if (portal === 'wait') return false;
    if (portal === undefined) return this.#executeCursor(name);
    const { prepared } = portal;
    if (this.#namesUncertain(prepared.text)) return false;
    const stamp = this.#stamp(portal.searchPath);
    const meanings = meaningsOf(this.#session, prepared.plan);
    if (meanings === 'wait') return this.#hold();
    if (prepared.plan.statements[0]?.reads !== undefined || !sameStamp(prepared.stamp, stamp)) {
      const plan = sentAs(prepared, this.#plan(prepared.text, 'parse', { facts: stamp.facts }));
      if (plan === 'wait') return false;
      if (plan.verdict === 'refuse') return this.#forwarding.deny('execute', plan, prepared.text);
      prepared.plan = plan;
      prepared.stamp = this.#stamp(portal.searchPath);
    }
    if (!areSameMeanings(meanings, portal.meanings)) return this.#forwarding.failStep('34000', MEANT_OTHER_MESSAGE);
    const plan = sentAs(prepared, this.#planBound(portal, stamp.facts));
    if (plan === 'wait') return false;
    if (plan.verdict === 'refuse') return this.#forwarding.deny('execute', plan, prepared.text);
    const [statement] = plan.statements;
    if (prepared.hasOwnTypes && statement?.hasOwnOperators === true)
      return this.#forwarding.deny('execute', OWN_TYPES, prepared.text);
    const withhold = withholdingOf(plan, prepared.hasOwnTypes);
    if (statement === undefined) {
      this.#forwarding.keep(expectReply('execute', { portal, withhold }));
      return true;
    }
    const said = saidOf(portal);
    // Whether the one before it has run is yet to be seen: then no approval is needed but that one's.
    if (portal.isHeld && !portal.hasRun && this.#session.replies.length > 0) return this.#hold();
    const over = this.#mayNot([{ plan: statement, statements: 1 }], prepared.text, said);
    if (over !== undefined) return over;
    // Rows are only masked by the very description that the target gives of this portal; without one, ask for it first.
    if (statement.masks !== undefined && !portal.described) {
      portal.described = true;
      this.#forwarding.describe(name, expectReply('describe-portal', { portal, own: true, withhold }));
    }
    const operation = this.#forwarding.begin(statement, said);
    portal.isHeld ||= statement.judged.approvals.length > 0;
    const barrier = this.#isBarrier(statement);
    this.#forwarding.record(expectReply('execute', { portal, operations: [operation], withhold, barrier }));
    if (barrier) this.#forwarding.hurry();
    return true;
  }

  #close(): boolean {
    const message = this.#named((decode) => readNamed(this.#framer, decode));
    if (typeof message === 'boolean') return message;
    const { kind, name } = message;
    if (isCutShort(name)) return this.#forwarding.failStep('42622', CUT_SHORT_MESSAGE);
    const names = kind === 'S' ? this.#session.statements : this.#session.portals;
    names.sent(name, undefined);
    this.#forwarding.keep(expectReply('close', { name, of: kind }));
    return true;
  }

  /** The portal's plan, made again with what is bound to it when only that tells what the statement does. */
  #planBound(portal: Portal, facts: SessionFacts): Plan | 'wait' {
    const { prepared } = portal;
    if (!prepared.plan.statements.some((statement) => statement.needsValues)) return prepared.plan;
    return this.#plan(prepared.text, 'parse', { facts, values: valuesBoundTo(portal) });
  }

  /** A message that holds names and no text; else whether it was dealt with. */
  #named<T extends object>(read: (decode: DecodeText) => T): T | boolean {
    const message = this.#readable(read);
    if (message === 'wait') return false;
    if ('value' in message) return message.value;
    return this.#forwarding.failStep(message.sqlstate, message.message);
  }

  /** What is read, or why it can't be. */
  #readable<T>(read: (decode: DecodeText) => T): { readonly value: T } | UnreadableProblem | 'wait' {
    const { encoding, replies } = this.#session;
    try {
      return { value: read(encoding.decode) };
    } catch (error) {
      if (!(error instanceof UnreadableText)) throw error;
      if (error.problem !== 'unsettled') return error.problem;
      // What it is comes with the answer to a Sync that was sent; without one it would never come.
      return replies.syncs > 0 ? 'wait' : UNSETTLED;
    }
  }

  /** The message's content, or the refusal of a text that can't be read: a bad text is no reason to lose the connection. */
  #text<T extends object>(read: (decode: DecodeText) => T): T | Refusal | 'wait' {
    if (this.#framer.oversize) {
      const what = `a statement text has at most ${this.#session.deps.limits.textBytes} bytes here`;
      return { ...refusalOf('54000', 'text-too-long', what), hint: TEXT_HINT };
    }
    try {
      const message = this.#readable(read);
      if (message === 'wait') return message;
      if ('value' in message) return message.value;
      return refusalOf(message.sqlstate, 'text-malformed', message.message);
    } catch (error) {
      if (!(error instanceof PostgresWireError)) throw error;
      return refusalOf('08P01', 'text-malformed', error.message);
    }
  }

  /** What is in flight of these counts until it is answered; the target may keep the answer until it is told to send it. */
  #awaitLanding(names: { readonly busy: boolean }): boolean {
    if (names.busy) this.#forwarding.hurry();
    return names.busy;
  }

  /** SQL reaches prepared statements and portals by name: while one is made or dropped, nobody knows what the name means. */
  #namesUncertain(text: string): boolean {
    const { statements, portals } = this.#session;
    if (statements.namedInFlight && /execute/i.test(text)) return !this.#hold();
    return portals.namedInFlight && mayReadCursor(text) && !this.#hold();
  }

  /** The message waits for what is in flight; the target may keep those answers until it is told to send them. */
  #hold(): false {
    this.#forwarding.hurry();
    return false;
  }

  #plan(
    sql: string,
    mode: 'simple' | 'parse',
    under: { readonly facts?: SessionFacts; readonly values?: readonly BoundValue[] } = {},
  ): Plan | 'wait' {
    const { deps, catalogChanged, replies, sought } = this.#session;
    const { facts = this.#session.facts, values } = under;
    // The change may be settled with the Sync on its way; then a new snapshot is taken before anything else is judged.
    if (catalogChanged && replies.syncs > 0) return 'wait';
    const catalog = deps.catalog();
    if (catalog === undefined) {
      if (!this.#refreshed) return this.#refresh();
      if (deps.isOutdated()) {
        this.#over = true;
        this.#port.fail(OUTDATED);
        return 'wait';
      }
      return refusalOf(
        '58000',
        'statement-refused',
        'the gateway can not read the catalog of the target at the moment',
      );
    }
    const bound = values === undefined ? {} : { parameters: values };
    const session = factsWithPortals(this.#session, sql, facts);
    const request = { sql, mode, catalog, decider: deps.decider, session, ...bound };
    const planned = this.#takeLong(request, facts) ?? deps.planner.plan(request);
    if (planned.verdict === 'refuse' && planned.reason === 'text-not-at-once') return this.#planLong(request, facts);
    const plan = servedInEncoding(planned, this.#session);
    if (this.#refreshed) return plan;
    if (plan.verdict === 'refuse') return isRefreshable(plan) ? this.#refresh() : plan;
    const unknown = plan.statements.flatMap((statement) => statement.unknown).filter((name) => !sought.has(name));
    if (unknown.length === 0) return plan;
    if (sought.size + unknown.length <= soughtMax) for (const name of unknown) sought.add(name);
    return this.#refresh();
  }

  #takeLong(request: PlanRequest, facts: SessionFacts): Plan | undefined {
    const known = this.#long;
    // Of one message the bound values are always the same.
    const isSame = known !== undefined && known.isBound === (request.parameters !== undefined);
    return isSame && sameStamp(known.stamp, { ...this.#stamp(), facts }) ? known.plan : undefined;
  }

  #planLong(request: PlanRequest, facts: SessionFacts): 'wait' | Refusal {
    const { deps } = this.#session;
    // Each attempt takes seconds; names that change more often than that are known to nobody.
    if (this.#longTries++ === longTriesMax)
      return refusalOf('58000', 'statement-refused', 'the catalog or policy changed while the text was looked at');
    const stamp = { ...this.#stamp(), facts };
    this.#await(deps.planner.planLong(request), (plan) => {
      this.#long = plan && { plan, stamp, isBound: request.parameters !== undefined };
    });
    return 'wait';
  }

  #refresh(): 'wait' {
    this.#refreshed = true;
    this.#port.refreshCatalog();
    return 'wait';
  }

  /** What a plan rests on; names mean what they meant when the portal was bound. */
  #stamp(searchPath = this.#session.facts.searchPath): PlanStamp {
    const { deps, facts } = this.#session;
    return {
      policyVersion: deps.decider.version,
      catalogVersion: deps.catalog()?.version ?? -1,
      facts: searchPath === facts.searchPath ? facts : { ...facts, searchPath },
    };
  }

  /** What follows can only be judged, or sent, once this statement is done. */
  #isBarrier(statement: StatementPlan): boolean {
    if (statement.copy === 'in' || statement.changesCatalog) return true;
    const bringsBack = mayBringBack(this.#session.facts) || this.#session.encoding.isTouched;
    return statement.effects.some((effect) => effect.kind !== 'transaction' || bringsBack);
  }
}
