import type { Denial, Judged, Operation } from '../../model/index.ts';
import { messageOf, type Timer } from '../../std/index.ts';
import type { HoldEndReason } from '../approvals/approvals.ts';
import type { Hold } from '../approvals/hold.ts';
import { type HoldRefused, PipelineHolds } from '../approvals/pipeline-holds.ts';
import type { Held } from '../approvals/subject.ts';
import type { SessionRefusal } from '../protocol.ts';
import { denialDetail, intentDetail, limitDetail, ownDetail } from '../recording/entry-detail.ts';
import type { Recorded } from '../recording/ledger-batch.ts';
import type { OperationEvent } from '../recording/session-ledger.ts';
import { noteDenied, noteEnded } from './activity.ts';
import { Flushed } from './flushed.ts';
import type {
  AdmittedOperation,
  Batch,
  Ending,
  HoldOptions,
  Pipeline,
  PipelineDeps,
  PipelinePort,
  Running,
  Started,
  Taken,
} from './pipeline.ts';
import type { ReachedQuota } from './quotas.ts';
import { textOfWanted, wantedOf } from './wanted.ts';

export function createPipeline(deps: PipelineDeps, port: PipelinePort): Pipeline {
  return new SessionPipeline(deps, port);
}

class SessionPipeline implements Pipeline {
  readonly #deps: PipelineDeps;
  readonly #port: PipelinePort;
  readonly #holds: PipelineHolds;
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
    this.#holds = new PipelineHolds({ ...deps, holding: deps.holding, later: (act) => this.#later(act) });
  }

  get isHolding(): boolean {
    return this.#holds.isHolding;
  }

  hold(held: Held, before?: Hold, more?: HoldOptions): HoldRefused | Promise<Hold> | undefined {
    return this.#holds.hold(held, before, more);
  }

  endHold(why: HoldEndReason): void {
    this.#holds.end(why);
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

  admit(operations: readonly AdmittedOperation[], taken?: Taken): ReachedQuota | undefined | Promise<Taken> {
    const { quotas, holder } = this.#deps;
    const limited = operations.filter(({ judged }) => judged.quotas.length > 0);
    if (limited.length === 0) return undefined;
    const wanted = wantedOf(operations);
    const isTaken = taken !== undefined && taken.of === textOfWanted(wanted);
    const reached = isTaken ? taken.reached : quotas.take(holder, wanted);
    if (reached instanceof Promise) return reached.then((answer) => ({ of: textOfWanted(wanted), reached: answer }));
    if (reached === undefined) for (const { judged } of limited) this.#admitted.add(judged);
    return reached;
  }

  admitted(operations: readonly AdmittedOperation[]): Taken {
    return { of: textOfWanted(wantedOf(operations)), reached: undefined };
  }

  begin(operation: Operation): Running {
    if (this.#isClosed) throw new Error('an operation was begun on a pipeline that is closed');
    if (operation.judged.quotas.length > 0 && !this.#admitted.has(operation.judged))
      throw new Error('an operation that policy limits over time was begun unasked');
    const approved = operation.judged.approvals.length === 0 ? NOT_HELD : this.#holds.use(operation.judged);
    const id = approved.operation ?? this.#holds.released() ?? this.#deps.nextId();
    const startedMs = this.#deps.clock.monotonicMs();
    const before = { bytesIn: this.#bytesIn, bytesOut: this.#bytesOut };
    const running: Running = { id, operation, startedMs, before, after: -1, isForwarded: false, isOver: false };
    const { action } = operation;
    const about = { ...this.#deps.told.detail(operation.judged), ...intentDetail(operation, this.#deps) };
    const detail = approved === NOT_HELD ? about : { ...about, ...approved.detail };
    this.#announced.push({ kind: 'intent', action, operation: id, detail });
    this.#begun.push(running);
    this.#running.add(running);
    this.#deps.activity.operations++;
    this.#deps.activity.running.add(running);
    return running;
  }

  deny(denial: Denial): Started {
    const started = { after: -1 };
    const { action } = denial;
    const held = this.#holds.denied(denial);
    const detail = { ...this.#deps.told.detail(denial.judged), ...denialDetail({ ...denial, held }, this.#deps) };
    this.#announced.push({ kind: 'denial', action, operation: held?.operation ?? this.#deps.nextId(), detail });
    this.#denied.push(started);
    noteDenied(this.#deps.activity, denial);
    return started;
  }

  flush(batch: Batch): void {
    if (this.#isClosed) return;
    const { activity } = this.#deps;
    for (const piece of batch.pieces) {
      this.#bytesIn += piece.length;
      activity.bytesIn += piece.length;
    }
    if (this.#announced.length === 0) {
      if (this.#queue.length > 0) this.#queue.push(new Flushed(batch, NONE, NONE));
      else if (batch.pieces.length > 0) this.#port.forward(batch.pieces);
      return;
    }
    if (this.#admitted.size > 0) this.#admitted.clear();
    this.#holds.flushed();
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
    const { activity, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    noteEnded(activity, running, nowMs);
    activity.items += ending.items ?? 0;
    if (this.#deadline?.running === running) this.#endDeadline();
    if (this.#running.size > 0) this.#limitOldest();
    const durationUs = Math.max(0, Math.round((nowMs - running.startedMs) * 1000));
    this.#endings.push({ running, ending, durationUs });
  }

  deliver(pieces: readonly Buffer[], after: number): void {
    if (this.#isClosed) return;
    if (after > this.#after) this.#after = after;
    const { activity } = this.#deps;
    for (const piece of pieces) {
      this.#bytesOut += piece.length;
      activity.bytesOut += piece.length;
    }
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
    const held = this.#holds.drop();
    if (held !== undefined) this.#deps.ledger.record([{ kind: 'denial', ...held }], this.#concluded);
    // Begun and never flushed: nothing of it is in the ledger, so nothing is owed to it.
    for (const running of this.#begun) {
      this.#running.delete(running);
      this.#deps.activity.running.delete(running);
    }
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
    this.#deps.told.forget();
    for (const running of flushed.begun) {
      running.isOver = true; // Never begun, so there is no outcome either.
      this.#running.delete(running);
      this.#deps.activity.running.delete(running);
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

const NONE: readonly never[] = [];
const NOTHING = Object.freeze({});
const NOT_HELD = { operation: undefined, detail: NOTHING };
/** Answers that wait for the ledger (10 ms at most in good health) beyond which the target is not read on. */
const HELD_BYTES_MAX = 1024 * 1024;
/** What a target takes to stop something, at most. */
const STOP_MS_MAX = 5_000;
const NOT_STOPPED: SessionRefusal = {
  code: 'timeout',
  what: 'an operation took longer than policy allows, and its target did not stop it',
};
