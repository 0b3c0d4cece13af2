import type { LedgerEvent } from '../../model/index.ts';
import { type Clock, messageOf, type Timer } from '../../std/index.ts';
import { type Approvals, type HeldQuestion, type HoldAnswer, HoldEnd, type HoldEndReason } from './approvals.ts';

/** How a hold stands. `ended`: nobody waits any more. */
export type HoldState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'answered'; readonly answer: HoldAnswer }
  | { readonly kind: 'ended'; readonly why: HoldEndReason }
  /** The ledger does not have it, so nobody was asked. */
  | { readonly kind: 'unrecorded'; readonly error: unknown };

/**
 * One operation that waits for people, from the entry that says so to what came of it. Settles once; whatever comes behind that changes nothing, so that an
 * answer that crosses a cancellation runs nothing.
 */
export class Hold {
  /** What it is about: an answer is good for nothing else. */
  readonly key: string;
  /** Of the operation, in the ledger. */
  readonly operation: string;
  readonly question: Omit<HeldQuestion, 'waiting'>;
  /** By which people find it; undefined until a server has said so. */
  approval: string | undefined;
  state: HoldState = { kind: 'waiting' };
  /** Its approval was used: it is none any more. */
  isUsed = false;
  readonly #abort = new AbortController();
  readonly #clock: Clock;
  readonly #settled: () => void;
  #timer: Timer | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(
    of: { readonly key: string; readonly operation: string; readonly question: Omit<HeldQuestion, 'waiting'> },
    deps: { readonly clock: Clock; settled(): void },
  ) {
    this.key = of.key;
    this.operation = of.operation;
    this.question = of.question;
    this.#clock = deps.clock;
    this.#settled = deps.settled;
  }

  get isWaiting(): boolean {
    return this.state.kind === 'waiting';
  }

  /** Resolves when it is settled, or has to be looked at anew. */
  async next(): Promise<this> {
    await this.#wake.promise;
    return this;
  }

  /** What it rests on may have changed: whoever waits looks again. */
  look(): void {
    this.#wake.resolve();
    if (this.isWaiting) this.#wake = Promise.withResolvers();
  }

  /** The ledger has it: people are asked. */
  ask(approvals: Approvals): void {
    if (!this.isWaiting) return;
    const leftMs = this.question.untilMs - this.#clock.now();
    this.#timer = this.#clock.after(Math.max(0, leftMs), () => this.end('expired'));
    const waiting = (approval: string) => {
      this.approval = approval;
    };
    approvals.hold({ ...this.question, waiting }, this.#abort.signal).then(
      (answer) => this.#settle({ kind: 'answered', answer }),
      // Aborted, it is settled already. Whatever else was thrown proves nothing.
      (error: unknown) =>
        this.#settle({ kind: 'answered', answer: { ...FAILED, what: `${FAILED.what}: ${messageOf(error)}` } }),
    );
  }

  unrecorded(error: unknown): void {
    this.#settle({ kind: 'unrecorded', error });
  }

  /** Takes the question back. */
  end(why: HoldEndReason): void {
    if (!this.isWaiting) return;
    this.#settle({ kind: 'ended', why });
    this.#abort.abort(new HoldEnd(why));
  }

  /** What the ledger says of it in the entry of what came of it. */
  get detail(): LedgerEvent['detail'] {
    const { hold, digest } = this.question;
    const { state } = this;
    const answer = state.kind === 'answered' ? state.answer : undefined;
    if (answer?.state === 'approved') {
      const { id, by, statement } = answer.approval;
      return { by: [...by], digest, hold, id, statement };
    }
    const id = answer !== undefined && 'approval' in answer ? answer.approval : this.approval;
    const why = state.kind === 'ended' ? state.why : answer?.state === 'refused' ? answer.why : undefined;
    return { digest, hold, ...(id === undefined ? {} : { id }), ...(why === undefined ? {} : { why }) };
  }

  #settle(state: HoldState) {
    if (!this.isWaiting) return;
    this.state = state;
    this.#timer?.cancel();
    this.#settled();
    this.#wake.resolve();
  }
}

const FAILED = { state: 'refused', why: 'unavailable', what: 'nobody can be asked to approve it' } as const;
