/**
 * Where the gate has people asked about operations that wait: a port of the gateway.
 *
 * Duties of who has it: one question a hold, kept over lost connections and over servers; `approved` only once the answer was taken for this one use and
 * what says so was verified; and at the abort of the signal the question is taken back. Whatever can't be asked, or is not proven, is `refused`.
 */
export interface Approvals {
  /**
   * Puts the question, and resolves with what came of it. `signal`: nobody waits any more; its reason is a {@link HoldEnd}.
   * @throws the reason of the signal
   */
  hold(question: HeldQuestion, signal: AbortSignal): Promise<HoldAnswer>;
}

/** What is asked, byte by byte. */
export interface HeldQuestion {
  /** 16 random bytes in hex: one held operation. */
  readonly hold: string;
  /** Canonical JSON, `countersign-approval/v1`. */
  readonly subject: Buffer;
  /** SHA-256 of the subject, in hex: what the answer is bound to. */
  readonly digest: string;
  /** JSON for people, whose SHA-256 is in the subject. */
  readonly shown: Buffer;
  /** After it nobody can answer, epoch milliseconds. */
  readonly untilMs: number;
  /** People find it by that id now. */
  waiting(approval: string): void;
}

export type HoldAnswer =
  | { readonly state: 'approved'; readonly approval: TakenApproval }
  /** `reason`: what the client may be told. */
  | { readonly state: 'denied' | 'expired' | 'withdrawn'; readonly approval: string; readonly reason: string }
  /** It can't be asked, or what was answered proves nothing. `what`: a sentence for the client. */
  | { readonly state: 'refused'; readonly why: HoldRefusal; readonly what: string };

export type HoldRefusal = 'no-rule' | 'too-many' | 'unavailable' | 'unproven';

/** An approval that was taken for its one use. */
export interface TakenApproval {
  readonly id: string;
  /** Who approved. */
  readonly by: readonly string[];
  /** SHA-256 of the signed statement that says so, in hex. */
  readonly statement: string;
}

/** Why nobody waits any more. */
export type HoldEndReason = 'cancelled' | 'timeout' | 'gone' | 'ended' | 'policy' | 'drained' | 'expired';

/** Reason of the signal of a hold that is taken back. */
export class HoldEnd extends Error {
  readonly why: HoldEndReason;

  constructor(why: HoldEndReason) {
    super(`nobody waits for the approval any more: ${why}`);
    this.name = 'HoldEnd';
    this.why = why;
  }
}
