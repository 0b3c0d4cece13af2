import type { Denial, Judged, LedgerEvent, Operation, OutcomeStatus, ReachedLimit } from '../model/index.ts';
import { type Clock, type Log, messageOf, type Timer } from '../std/index.ts';
import { denialDetail, intentDetail, limitDetail, ownDetail } from './entry-detail.ts';
import type { Recorded } from './ledger-turn.ts';
import type { SessionRefusal } from './protocol.ts';
import type { QuotaHolder, Quotas, ReachedQuota } from './quotas.ts';
import type { Recorder } from './recorder.ts';
import type { OperationEvent, SessionLedger } from './session-ledger.ts';
import type { Withheld } from './withheld.ts';

/**
 * Requests that go to a target in their order, and answers that come back in theirs; one session has one or many. It is the only way to
 * the target and back: no operation reaches the target before the ledger has it, no answer reaches the client before the ledger has its
 * outcome, both wait for the disk where durability asks for that, and none overtakes another.
 */
export interface Pipeline {
  /**
   * Takes operations, each so many times, from what policy lets this identity do over time: all of them, or none, when that is used up; then
   * none of them may begin. Asked right before they begin.
   */
  admit(operations: readonly { readonly judged: Judged; readonly times: number }[]): ReachedQuota | undefined;
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
  readonly quotas: Pick<Quotas, 'take'>;
  readonly holder: QuotaHolder;
  /** Ends the session. */
  endSession(refusal: SessionRefusal): void;
  /** A number that no other operation of the session has. */
  nextId(): string;
  /** The pipeline was closed. */
  closed(): void;
}

export function createPipeline(deps: PipelineDeps, port: PipelinePort): Pipeline {
  return new SessionPipeline(deps, port);
}

class SessionPipeline implements Pipeline {
  readonly #deps: PipelineDeps;
  readonly #port: PipelinePort;
  readonly #running = new Set<Running>();
  #announced: OperationEvent[] = [];
  /** Begun and denied since the last flush. */
  #begun: Running[] = [];
  /** Taken from what policy allows over time, and not begun yet. */
  readonly #admitted = new Set<Judged>();
  /** Of the oldest operation that runs, where policy says how long it may. */
  #deadline: { readonly running: Running; timer: Timer } | undefined;
  #denied: Started[] = [];
  #endings: Ended[] = [];
  #bytesIn = 0;
  #bytesOut = 0;
  /** Flushed and not forwarded, oldest first. */
  readonly #queue: Flushed[] = [];
  /** Newest ledger entry that something to be delivered waits for. */
  #after = -1;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Outcomes on their way into the ledger. */
  #concluding = 0;
  #isSyncing = false;
  #isClosed = false;
  readonly #concluded: Recorded = {
    written: () =>
      this.#later(() => {
        this.#concluding--;
        this.#release();
      }),
    refused: (error) => this.#lost('gateway.outcome_lost', error),
  };

  constructor(deps: PipelineDeps, port: PipelinePort) {
    this.#deps = deps;
    this.#port = port;
  }

  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isCongested(): boolean {
    return this.#heldBytes > HELD_BYTES_MAX;
  }

  get isDelivered(): boolean {
    return this.#concluding === 0 && this.#held.length === 0;
  }

  admit(operations: readonly { readonly judged: Judged; readonly times: number }[]): ReachedQuota | undefined {
    const { quotas, holder } = this.#deps;
    const limited = operations.filter(({ judged }) => judged.quotas.length > 0);
    if (limited.length === 0) return undefined;
    const reached = quotas.take(
      holder,
      limited.flatMap(({ judged, times }) => judged.quotas.map((quota) => ({ quota, times }))),
    );
    if (reached === undefined) for (const { judged } of limited) this.#admitted.add(judged);
    return reached;
  }

  begin(operation: Operation): Running {
    if (this.#isClosed) throw new Error('an operation was begun on a pipeline that is closed');
    if (operation.judged.quotas.length > 0 && !this.#admitted.has(operation.judged))
      throw new Error('an operation that policy limits over time was begun unasked');
    const id = this.#deps.nextId();
    const startedMs = this.#deps.clock.monotonicMs();
    const before = { bytesIn: this.#bytesIn, bytesOut: this.#bytesOut };
    const running: Running = { id, operation, startedMs, before, after: -1, isForwarded: false, isOver: false };
    const { action } = operation;
    const detail = intentDetail(operation, this.#deps.recorder);
    this.#announced.push({ kind: 'intent', action, operation: id, detail });
    this.#begun.push(running);
    this.#running.add(running);
    return running;
  }

  deny(denial: Denial): Started {
    const started = { after: -1 };
    const { action } = denial;
    const detail = denialDetail(denial, this.#deps.recorder);
    this.#announced.push({ kind: 'denial', action, operation: this.#deps.nextId(), detail });
    this.#denied.push(started);
    return started;
  }

  flush(batch: Batch): void {
    if (this.#isClosed) return;
    for (const piece of batch.pieces) this.#bytesIn += piece.length;
    if (this.#announced.length === 0) {
      if (this.#queue.length > 0) this.#queue.push(new Flushed(batch, NONE, NONE));
      else if (batch.pieces.length > 0) this.#port.forward(batch.pieces);
      return;
    }
    if (this.#admitted.size > 0) this.#admitted.clear();
    const flushed = new Flushed(batch, this.#begun, this.#denied);
    const events = this.#announced;
    this.#announced = [];
    this.#begun = [];
    this.#denied = [];
    this.#queue.push(flushed);
    this.#deps.ledger.record(events, {
      written: (sequence) => this.#later(() => this.#recorded(flushed, sequence)),
      refused: (error) => this.#later(() => this.#refused(flushed, error)),
    });
  }

  end(running: Running, ending: Omit<Ending, 'items'> & Partial<Ending>): void {
    if (running.isOver) return;
    running.isOver = true;
    this.#running.delete(running);
    if (this.#deadline?.running === running) this.#endDeadline();
    if (this.#running.size > 0) this.#limitOldest();
    const durationUs = Math.max(0, Math.round((this.#deps.clock.monotonicMs() - running.startedMs) * 1000));
    this.#endings.push({ running, ending, durationUs });
  }

  deliver(pieces: readonly Buffer[], after: number): void {
    if (this.#isClosed) return;
    if (after > this.#after) this.#after = after;
    for (const piece of pieces) this.#bytesOut += piece.length;
    this.#conclude();
    if (this.isDelivered && this.#isOnDisk()) {
      if (pieces.length > 0) this.#port.deliver(pieces);
      return;
    }
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#heldBytes += piece.length;
    }
    this.#release();
  }

  settle(): void {
    this.#conclude();
    this.#deps.ledger.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endDeadline();
    // Begun and never flushed: nothing of it is in the ledger, so nothing is owed to it.
    for (const running of this.#begun) this.#running.delete(running);
    this.#announced = [];
    this.#held = [];
    this.#heldBytes = 0;
    for (const running of this.#running) this.end(running, { status: running.isForwarded ? 'unknown' : 'skipped' });
    this.#conclude();
    this.#deps.closed();
  }

  #recorded(flushed: Flushed, sequence: number) {
    const { ledger } = this.#deps;
    let strict = -1;
    for (const running of flushed.begun) {
      const durability = ledger.durability(running.operation.changes);
      if (durability !== 'process') running.after = sequence;
      if (durability === 'strict') strict = sequence;
    }
    for (const denied of flushed.denied) if (ledger.durability(true) !== 'process') denied.after = sequence;
    flushed.batch.recorded?.();
    if (strict <= ledger.syncedSequence) return this.#ready(flushed);
    ledger.synced(strict).then(
      () => this.#later(() => this.#ready(flushed)),
      (error: unknown) => this.#later(() => this.#port.fail('requests', error)),
    );
  }

  #refused(flushed: Flushed, error: unknown) {
    for (const running of flushed.begun) {
      running.isOver = true; // Never begun, so there is no outcome either.
      this.#running.delete(running);
    }
    flushed.instead = flushed.batch.refused?.(error) ?? [];
    this.#ready(flushed);
  }

  #ready(flushed: Flushed) {
    flushed.isReady = true;
    for (let [first] = this.#queue; first?.isReady === true; [first] = this.#queue) {
      this.#queue.shift();
      for (const running of first.begun) if (!running.isOver) running.isForwarded = true;
      const pieces = first.instead ?? first.batch.pieces;
      if (pieces.length > 0) this.#port.forward(pieces);
    }
    this.#limitOldest();
    if (this.#queue.length === 0) this.#port.resume();
  }

  /** Answers come in the order of their operations: the time of one begins when it is the oldest that the target has. */
  #limitOldest() {
    if (this.#deadline !== undefined || this.#isClosed) return;
    for (const running of this.#running) {
      const most = running.operation.judged.limits.duration;
      if (most === undefined || !running.isForwarded) return;
      this.#deadline = {
        running,
        timer: this.#deps.clock.after(most, () => this.#later(() => this.#stop(running, most))),
      };
      return;
    }
  }

  #stop(running: Running, most: number) {
    if (this.#deadline?.running !== running) return;
    const limit = { unit: 'duration', most } as const;
    this.#deadline.timer = this.#deps.clock.after(STOP_MS_MAX, () => {
      this.#later(() => this.#deps.endSession(NOT_STOPPED));
    });
    this.#port.stop(running, limit);
  }

  #endDeadline() {
    this.#deadline?.timer.cancel();
    this.#deadline = undefined;
  }

  /** Records the outcomes that were noted; what is to be delivered waits until they are written. */
  #conclude() {
    if (this.#endings.length === 0) return;
    const events = this.#endings.map((ended) => this.#outcomeOf(ended));
    this.#endings = [];
    this.#concluding++;
    this.#deps.ledger.record(events, this.#concluded);
  }

  #outcomeOf({ running, ending, durationUs }: Ended): OperationEvent {
    const { operation, before, id } = running;
    const { status, code = '', items, limit, detail = NOTHING, withheld } = ending;
    return {
      kind: 'outcome',
      action: operation.action,
      operation: id,
      detail: {
        bytesIn: ending.bytesIn ?? this.#bytesIn - before.bytesIn,
        bytesOut: ending.bytesOut ?? this.#bytesOut - before.bytesOut,
        ...(code === '' ? NOTHING : { code }),
        durationUs,
        ...(items === undefined ? NOTHING : { items }),
        ...limitDetail(limit),
        ...ownDetail({ action: operation.action, detail }),
        status,
        ...(withheld === undefined ? NOTHING : { withheld: this.#deps.ledger.seal(withheld, id) }),
      },
    };
  }

  #isOnDisk(): boolean {
    return this.#after <= this.#deps.ledger.syncedSequence;
  }

  /** Delivers what is held once nothing is owed to the ledger. */
  #release() {
    if (this.#concluding > 0 || this.#held.length === 0 || this.#isSyncing) return;
    if (this.#isOnDisk()) {
      const pieces = this.#held;
      this.#held = [];
      this.#heldBytes = 0;
      return this.#port.deliver(pieces);
    }
    this.#isSyncing = true;
    this.#deps.ledger.synced(this.#after).then(
      () =>
        this.#later(() => {
          this.#isSyncing = false;
          this.#release();
        }),
      (error: unknown) => this.#lost('gateway.sync_failed', error),
    );
  }

  /** No answer goes out without the ledger, and no further operation comes in. An outcome that is missing, it tells of at its next start. */
  #lost(event: string, error: unknown) {
    this.#deps.log.error(event, { reason: messageOf(error) });
    this.#later(() => this.#port.fail('answers', error));
  }

  #later(act: () => void) {
    if (this.#isClosed) return;
    this.#port.guard(() => {
      if (!this.#isClosed) act();
    });
  }
}

/** An operation whose outcome is to be recorded. */
interface Ended {
  readonly running: Running;
  /** Of what its member did not end, the items are not known. */
  readonly ending: Omit<Ending, 'items'> & Partial<Ending>;
  readonly durationUs: number;
}

/** A batch on its way. */
class Flushed {
  readonly batch: Batch;
  readonly begun: readonly Running[];
  readonly denied: readonly Started[];
  isReady: boolean;
  /** Sent in place of the batch's own. */
  instead: readonly Buffer[] | undefined;

  constructor(batch: Batch, begun: readonly Running[], denied: readonly Started[]) {
    this.batch = batch;
    this.begun = begun;
    this.denied = denied;
    this.isReady = begun.length + denied.length === 0; // Nothing of it waits for the ledger.
  }
}

const NONE: readonly never[] = [];
const NOTHING = Object.freeze({});
/** Answers that wait for the ledger (10 ms at most in good health) beyond which the target is not read on. */
const HELD_BYTES_MAX = 1024 * 1024;
/** What a target takes to stop something, at most. */
const STOP_MS_MAX = 5_000;
const NOT_STOPPED: SessionRefusal = {
  code: 'timeout',
  what: 'an operation took longer than policy allows, and its target did not stop it',
};
