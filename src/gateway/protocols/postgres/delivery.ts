import { type Log, type LogFields, messageOf } from '../../../std/index.ts';
import { type ErrorText, Outbox } from '../../../wire/postgres/index.ts';
import type { ConversationDeps } from './conversation.ts';

/** What delivery needs of the session. */
export interface DeliveryPort {
  /** Sends to the client, in one write. */
  deliver(pieces: readonly Buffer[]): void;
  /** Ends the session with that error to the client, after what was delivered. */
  fail(error: ErrorText): void;
  /** Does something later, on behalf of this session: what it throws costs this session only. */
  guard(act: () => void): void;
}

/**
 * What becomes of an answer that was read: outcomes go to the ledger first, and it is held back until the entries that it must not overtake
 * are on disk. The order never changes.
 */
export class Delivery {
  /** Where answers are collected until `flush`. */
  readonly out = new Outbox();
  readonly #session: Pick<ConversationDeps, 'ledger' | 'operations'>;
  readonly #port: DeliveryPort;
  readonly #log: Log;
  /** Newest ledger entry that something to be delivered waits for. */
  #sequence = -1;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #releasing = false;
  /** Outcomes on their way into the ledger. */
  #concluding = 0;

  constructor(session: Pick<ConversationDeps, 'ledger' | 'operations'>, port: DeliveryPort, log: Log) {
    this.#session = session;
    this.#port = port;
    this.#log = log;
  }

  /** Bytes of answers that wait for the ledger. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** True while so much waits for the ledger that the target should not send more. */
  get congested(): boolean {
    return this.#heldBytes > HELD_BYTES_MAX;
  }

  /** True when nothing waits for the ledger. */
  get done(): boolean {
    return this.#concluding === 0 && this.#held.length === 0;
  }

  /** True while parts of a chunk that was collected have not been handed on. */
  get holdsChunk(): boolean {
    return this.out.bytes > 0 || this.#held.length > 0;
  }

  /** The client has taken everything that was delivered. */
  recycle(): void {
    this.out.recycle();
  }

  /**
   * Records the outcomes that were noted, then delivers what was collected; not before the ledger entry of that number, and all before it,
   * are on disk.
   */
  flush(sequence: number): void {
    this.#sequence = sequence;
    this.conclude();
    this.#deliver();
  }

  /** As `flush`, and writes to the ledger before anything else happens: the session is about to end. */
  flushNow(sequence: number): void {
    this.#sequence = sequence;
    this.conclude();
    this.#session.ledger.flush();
    this.#deliver();
  }

  /** Records the outcomes that were noted; what was to be delivered waits until they are written. */
  conclude(): void {
    const { operations } = this.#session;
    if (!operations.ended) return;
    this.#concluding++;
    operations.conclude({
      written: () =>
        this.#port.guard(() => {
          this.#concluding--;
          this.#deliver();
        }),
      refused: (error) => this.#port.guard(() => this.#lost('gateway.postgres.outcome_lost', { error })),
    });
  }

  #deliver() {
    if (this.#concluding > 0) return;
    const pieces = this.out.take();
    if (this.#held.length === 0 && this.#sequence <= this.#session.ledger.syncedSequence) {
      if (pieces.length > 0) this.#port.deliver(pieces);
      return;
    }
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#heldBytes += piece.length;
    }
    if (this.#held.length > 0) this.#release();
  }

  /** Delivers what is held once the newest entry it waits for is on disk. */
  #release() {
    if (this.#releasing) return;
    this.#releasing = true;
    this.#session.ledger.synced(this.#sequence).then(
      () =>
        this.#port.guard(() => {
          this.#releasing = false;
          if (this.#sequence > this.#session.ledger.syncedSequence) return this.#release();
          const pieces = this.#held;
          this.#held = [];
          this.#heldBytes = 0;
          this.#port.deliver(pieces);
        }),
      (error: unknown) => this.#lost('gateway.postgres.sync_failed', { reason: messageOf(error) }),
    );
  }

  /** No answer goes out without the ledger, and no further operation comes in. An outcome that is missing, it tells of at its next start. */
  #lost(event: string, detail: LogFields) {
    this.#log.error(event, detail);
    this.#port.fail(LEDGER_LOST);
  }
}

/** Answers that wait for the ledger (10 ms at most in good health) beyond which the target is not read on. */
const HELD_BYTES_MAX = 1024 * 1024;
const LEDGER_LOST: ErrorText = {
  severity: 'FATAL',
  sqlstate: '58030',
  message: 'the gateway’s ledger can not be written',
};
