import type { ReachedLimit } from '../../../../model/index.ts';
import type { CellMask, ErrorText, RowField } from '../../../../wire/postgres/index.ts';
import type { Running } from '../../../sessions/pipeline.ts';
import type {
  DeclaredCursor,
  Forward,
  MaskPlan,
  PreparedStatement,
  Rewritten,
  SearchPath,
  SessionFacts,
  StatementPlan,
  Withholding,
} from '../sql/index.ts';

/** A prepared statement: its text and what was decided about it, with what that decision rests on. */
export interface Prepared {
  /** As the client wrote it. */
  readonly text: string;
  /** As the target has it, in which masked columns may be NULL. */
  readonly sent: string;
  /** Types that Parse named for its parameters, by OID. */
  readonly parameterTypes: readonly number[];
  /** The client gave a parameter a type that is not PostgreSQL's own. */
  readonly hasOwnTypes: boolean;
  plan: Forward;
  stamp: PlanStamp;
}

/** A plan holds as long as these are the same. */
export interface PlanStamp {
  readonly policyVersion: number;
  readonly catalogVersion: number;
  readonly facts: SessionFacts;
}

/** A portal: a bound statement. */
export interface Portal {
  readonly prepared: Prepared;
  /** What its names were looked up in when it was bound. */
  readonly searchPath: SearchPath;
  /** An Execute of it has been answered: what its statement does is done, even if rows are left. */
  hasRun: boolean;
  /** It was begun by an approval. */
  isHeld: boolean;
  /** A Describe of this portal was sent, so its row layout comes before its rows. */
  described: boolean;
  fields: readonly RowField[] | undefined;
  /** What `fields` make of `masksOf`; undefined until rows come. */
  masks: readonly (CellMask | undefined)[] | undefined;
  masksOf: MaskPlan | undefined;
  /** Rows and bytes shown so far, over all Executes, and by FETCH. */
  rows: number;
  bytesOut: number;
  /** What the names meant that its statement reads by; it must not run when they mean something else. */
  readonly meanings: Meanings;
  /** What was bound, for the ledger and for statements that are judged by it. */
  readonly parameters: readonly (Buffer | null)[];
  /** Of all that was bound, whether it is kept or not. */
  readonly boundBytes: number;
  readonly formats: readonly number[];
  /** Reads them as they were when they were bound. */
  readonly read: (bytes: Buffer) => string | undefined;
}

/** What `StatementPlan.reads` names: the very objects, since a name may come to mean another. */
export interface Meanings {
  readonly cursor: Portal | DeclaredCursor | undefined;
  readonly prepared: PreparedStatement | undefined;
  /** What the names in the prepared statement are looked up in. */
  readonly searchPath: SearchPath;
}

/** One statement under way, or several in a row that differ in values alone: an operation of the pipeline. */
export interface Execution {
  readonly running: Running;
  readonly plan: StatementPlan;
  readonly statements: number;
  /** Statements of it that are answered, and their rows. */
  done: number;
  rowsOfDone: number;
  /** The portal that FETCH reads: its rows and bytes are limited together. */
  readonly fetched: Portal | undefined;
  rows: number;
  /** From the client. */
  bytesIn: number;
  /** Of its answer. */
  bytesOut: number;
  /** The limit of policy that it has reached: nothing more of its answer is shown, and it becomes an error. */
  over: ReachedLimit | undefined;
}

export type ReplyKind =
  | 'query'
  | 'function-call'
  | 'parse'
  | 'bind'
  | 'close'
  | 'describe-statement'
  | 'describe-portal'
  | 'execute'
  | 'sync';

/** What is expected of the target for one message that was sent to it. */
export interface Reply {
  readonly kind: ReplyKind;
  /** The message was the gateway's own: its answer is not for the client. */
  readonly own: boolean;
  /** The message was replaced by one that fails; its error becomes this. */
  denial: ErrorText | undefined;
  /** The client's text, which no parser takes: what the server says of it is told in place of the denial. */
  readonly notParsed: string | undefined;
  /** What the error becomes that comes behind all operations: the text's rest was replaced by what fails. */
  readonly denialBehind: ErrorText | undefined;
  /** What its error and notice texts may tell. */
  readonly withhold: Withholding;
  /** Of a simple query: what was sent in place of the client's text. */
  readonly rewritten: Rewritten | undefined;
  /** Ledger entry that must be on disk before an answer goes out; -1 = none. */
  sequence: number;
  /** Nothing more is sent until this is answered. */
  readonly barrier: boolean;
  readonly operations: readonly Execution[];
  /** Index of the operation being answered. */
  at: number;
  /** Name of the statement or portal. */
  readonly name: string;
  readonly of: 'S' | 'P' | undefined;
  readonly prepared: Prepared | undefined;
  readonly portal: Portal | undefined;
  /** Masks of the rows that come, for simple queries; undefined = untouched. */
  masks: readonly (CellMask | undefined)[] | undefined;
}

/** Makes a reply; what is not given is empty. */
export function expectReply(kind: ReplyKind, options: Partial<Omit<Reply, 'kind'>> = {}): Reply {
  return {
    kind,
    own: options.own ?? false,
    denial: options.denial,
    notParsed: options.notParsed,
    denialBehind: options.denialBehind,
    withhold: options.withhold ?? 'nothing',
    rewritten: options.rewritten,
    sequence: options.sequence ?? -1,
    barrier: options.barrier ?? false,
    operations: options.operations ?? NONE,
    at: 0,
    name: options.name ?? '',
    of: options.of,
    prepared: options.prepared,
    portal: options.portal,
    masks: undefined,
  };
}

/** The replies that are due, oldest first. */
export class ReplyQueue {
  /** Replies that nothing may be sent before. */
  barriers = 0;
  /** Replies that end in ReadyForQuery. */
  syncs = 0;
  /** The newest request does not end in ReadyForQuery: what was sent since the last that does is a transaction still to be ended. */
  open = false;
  #items: Reply[] = [];
  #head = 0;

  get head(): Reply | undefined {
    return this.#items[this.#head];
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(reply: Reply): void {
    if (reply.barrier) this.barriers++;
    this.open = !endsReady(reply);
    if (!this.open) this.syncs++;
    this.#items.push(reply);
  }

  /** Takes the oldest. */
  shift(): Reply | undefined {
    const reply = this.#items[this.#head];
    if (reply === undefined) return undefined;
    if (reply.barrier) this.barriers--;
    if (endsReady(reply)) this.syncs--;
    this.#head++;
    if (this.#head === this.#items.length || this.#head > COMPACT_AT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return reply;
  }

  /** Those still due, oldest first. */
  *[Symbol.iterator](): Generator<Reply> {
    for (let i = this.#head; i < this.#items.length; i++) {
      const reply = this.#items[i];
      if (reply !== undefined) yield reply;
    }
  }
}

function endsReady(reply: Reply): boolean {
  return reply.kind === 'sync' || reply.kind === 'query' || reply.kind === 'function-call';
}

const NONE: readonly Execution[] = [];
/** Taken items are let go in batches, so that a long pipeline costs linear time. */
const COMPACT_AT = 1024;
