import type { Denial, Judged, LedgerEvent, Operation, OutcomeStatus, ReachedLimit } from '../../model/index.ts';
import type { Clock, Log } from '../../std/index.ts';
import type { HoldEndReason } from '../approvals/approvals.ts';
import type { Hold } from '../approvals/hold.ts';
import type { HoldingDeps, HoldRefused } from '../approvals/pipeline-holds.ts';
import type { Held } from '../approvals/subject.ts';
import type { SessionRefusal } from '../protocol.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SessionLedger } from '../recording/session-ledger.ts';
import type { ToldAttributes } from '../recording/told-attributes.ts';
import type { Withheld } from '../recording/withheld.ts';
import type { SessionActivity } from './activity.ts';
import type { QuotaHolder, Quotas, ReachedQuota } from './quotas.ts';

/**
 * Requests that go to a target in their order, and answers that come back in theirs; one session has one or many. It is the only way to
 * the target and back: no operation reaches the target before the ledger has it, no answer reaches the client before the ledger has its
 * outcome, both wait for the disk where durability asks for that, and none overtakes another.
 */
export interface Pipeline {
  /**
   * Takes operations, each so many times, from what policy lets this identity do over time: all of them, or none, when that is used up; then
   * none of them may begin. Asked right before they begin. A promise: others have to be asked, and none of them may begin yet; it is called
   * again with what that resolves to, once, after which the answer is there at once, unless other limits apply by then.
   */
  admit(operations: readonly AdmittedOperation[], taken?: Taken): ReachedQuota | undefined | Promise<Taken>;
  /** What `admit` was just answered with, where it has let them pass: for those that wait for something else now. */
  admitted(operations: readonly AdmittedOperation[]): Taken;
  /**
   * Holds operations that policy wants an approval of: they begin together, or not at all. Asked once they would begin, right before they do; undefined:
   * they may, and each such one has to begin before the next `flush`. A promise, which never rejects: they wait for people, or there is something new;
   * then what is asked is to be judged anew, and `hold` called again with what the promise came to. The approval of another text, other values or other
   * answers of policy is none: they are held again.
   */
  hold(held: Held, before?: Hold, more?: HoldOptions): HoldRefused | Promise<Hold> | undefined;
  /** Takes back what is held, if anything is: `hold` then refuses it. */
  endHold(why: HoldEndReason): void;
  /** Something waits for people. */
  readonly isHolding: boolean;
  /** Begins an operation that was allowed: it goes with the next `flush`. Whatever its member does, it has one outcome in the end. */
  begin(operation: Operation): Running;
  /** Notes that something was refused; its refusal must not be told before `after` is on disk. Goes with the next `flush`. */
  deny(denial: Denial): Started;
  /** Sends what is for the target, once all that was begun and denied since the last call is recorded, and behind all that still waits. */
  flush(batch: Batch): void;
  /** What was flushed waits for the ledger: no more should be read from the client until `resume`. */
  readonly isWaiting: boolean;
  /** Notes how an operation ended; the first time counts. */
  end(running: Running, ending: Ending): void;
  /**
   * Sends what is for the client, behind the outcomes that were noted and all that still waits; not before the ledger entry `after`, and
   * all before it, are on disk.
   */
  deliver(pieces: readonly Buffer[], after: number): void;
  /** Writes to the ledger now what waits for the end of the turn: the session is about to end. */
  settle(): void;
  /** Bytes of answers that wait for the ledger. */
  readonly heldBytes: number;
  /** So much waits for the ledger that the target should not be read on. */
  readonly isCongested: boolean;
  /** No answer waits for the ledger. */
  readonly isDelivered: boolean;
  /** Nothing goes either way any more. What runs ends as not known, what was never forwarded as skipped. */
  close(): void;
}

export interface HoldOptions {
  /** It goes on with what has run by that approval, and was used for: of that, it is no further use. */
  readonly continues: boolean;
}

export interface AdmittedOperation {
  readonly judged: Judged;
  readonly times: number;
}

/** What others have answered of operations that are yet to begin. */
export interface Taken {
  /** Which limits, how often: it is an answer to nothing else. */
  readonly of: string;
  readonly reached: ReachedQuota | undefined;
}

/** What a pipeline does with, to and for the session. Nothing of it is called after `close`. */
export interface PipelinePort {
  /** Sends to the target, in one write. */
  forward(pieces: readonly Buffer[]): void;
  /** Sends to the client, in one write. */
  deliver(pieces: readonly Buffer[]): void;
  /** What was flushed is on its way. */
  resume(): void;
  /**
   * Policy lets that operation, the oldest that runs, go on no longer: the member has its target stop it, and tells its client. One that has not
   * ended some seconds later ends the session.
   */
  stop(running: Running, limit: ReachedLimit): void;
  /** The ledger does not keep what it must hold of requests to come, or of answers: the session has to end, with that to the client. */
  fail(of: 'requests' | 'answers', error: unknown): void;
  /** Does something later, on behalf of this session: what it throws costs this session only. */
  guard(act: () => void): void;
}

/** What goes to the target in one write, and what was begun and denied for it. */
export interface Batch {
  readonly pieces: readonly Buffer[];
  /** All of it is in the ledger: each has its `after` now. Called before anything is sent. */
  recorded?(): void;
  /** The ledger took nothing of it, so none of it may happen. What is sent instead: stand-ins that fail, or nothing. */
  refused?(error: unknown): readonly Buffer[];
}

/** Something that is on its way into the ledger, or there. */
export interface Started {
  /** The ledger entry that must be on disk before anything of it is told to the client; -1 = none. */
  after: number;
}

/** How an operation ended, by the names that all protocols share. */
export interface Ending {
  readonly status: OutcomeStatus;
  /** The protocol's own, of a failure. */
  readonly code?: string;
  /** Of what its answer is made of: rows, lines, messages. */
  readonly items: number;
  /**
   * Bytes that came with it from the client, and of its answer. Whose they were only its member knows where operations share a pipeline;
   * without these, all that has passed since it was begun is counted.
   */
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  /** Of status `over-limit`. */
  readonly limit?: ReachedLimit | undefined;
  /** What only the protocol knows. */
  readonly detail?: LedgerEvent['detail'];
  /** What of it its client was not shown. */
  readonly withheld?: Withheld | undefined;
}

/** An operation under way. */
export interface Running extends Started {
  /** Unique within the session. */
  readonly id: string;
  readonly operation: Operation;
  readonly startedMs: number;
  /** Bytes that had gone either way when it was begun. */
  readonly before: { readonly bytesIn: number; readonly bytesOut: number };
  /** On its way to the target: what becomes of it only the target can tell. */
  isForwarded: boolean;
  /** Its outcome was noted, or it was never begun. */
  isOver: boolean;
}

/** What the pipelines of one session share. */
export interface PipelineDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Omit<SessionLedger, 'append'>;
  readonly recorder: Recorder;
  /** Undefined: nobody can be asked. */
  readonly holding?: HoldingDeps | undefined;
  /** Of the whole session. */
  readonly told: ToldAttributes;
  readonly quotas: Pick<Quotas, 'take'>;
  readonly holder: QuotaHolder;
  /** Of the whole session. */
  readonly activity: SessionActivity;
  /** Ends the session. */
  endSession(refusal: SessionRefusal): void;
  /** A number that no other operation of the session has. */
  nextId(): string;
  /** The pipeline was closed. */
  closed(): void;
}
