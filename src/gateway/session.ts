import type { Duplex } from 'node:stream';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { AttributeValue, Decision, EntityRef, LedgerEvent } from '../model/index.ts';
import type { PotentialMask } from '../policy/index.ts';
import type { Holding } from './held-bytes.ts';
import type { Recorded } from './ledger-turn.ts';
import type { SessionRefusal } from './protocol.ts';
import type { Withheld } from './withheld.ts';

/** One authenticated client of one target, as a protocol member gets it. */
export interface GatewaySession {
  /** Random, unique; what ledger entries and logs call it. */
  readonly id: string;
  readonly identity: SpiffeId;
  /**
   * The client's bytes, after TLS and link preface: a socket, so what it has taken it holds no more. It may end its side and still read:
   * the member ends the other one.
   */
  readonly client: Duplex;
  readonly door: 'agent' | 'direct';
  /** Only a word about another session may come, such as that its statement is to be cancelled: a session of its own is refused. */
  readonly isAside: boolean;
  readonly policy: SessionPolicy;
  readonly ledger: SessionLedger;
  /** Aborts when the session must end now; its reason is a {@link SessionEnd}. */
  readonly signal: AbortSignal;
  /** Aborts when the session should end at its next idle moment: the gateway stops or the target's definition changed. */
  readonly drain: AbortSignal;
  /** Told of every change in what the session holds in memory for others; may abort `signal`. */
  readonly memory: Pick<Holding, 'hold'>;
}

/** Policy for one principal; always answers by the newest policies. */
export interface SessionPolicy {
  /** Grows whenever answers may have changed. */
  readonly version: number;
  readonly principalKey: string;
  decide(action: string, resource: EntityRef, context: { readonly [name: string]: AttributeValue }): Decision;
  /** Every mask that could fall on an answer to this principal; may over-report. */
  potentialMasks(): readonly PotentialMask[];
  /** Calls after each change of policies; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** How long an operation waits for its ledger entry: see design §8. */
export type Durability = 'process' | 'release' | 'strict';

/** The session's part of the ledger: actor, target, session and time are filled in. */
export interface SessionLedger {
  /**
   * Writes events at once; all or nothing. Returns the last sequence number.
   * @throws LedgerError: then nothing of what they announce may happen
   */
  append(events: readonly OperationEvent[]): number;
  /** Writes events together with those of other sessions, at the end of this turn of the event loop; all or nothing. */
  record(events: readonly OperationEvent[], recorded: Recorded): void;
  /** Writes now what `record` was given. */
  flush(): void;
  /** Resolves when the entry with that number is on disk. */
  synced(sequence: number): Promise<void>;
  readonly syncedSequence: number;
  /** The durability of operations that change something (and of denials) or don't. */
  durability(changes: boolean): Durability;
  /** What the client was not shown of an answer, as it may stand in the entry of that operation: sealed for who may read it. */
  seal(withheld: Withheld, operation: string): string;
}

/** An event of one operation. */
export interface OperationEvent {
  readonly kind: 'intent' | 'outcome' | 'denial' | 'session-open' | 'session-close';
  readonly action: string;
  readonly operation: string;
  readonly detail: LedgerEvent['detail'];
}

/** Why a session's `signal` or `drain` has aborted, in words for the client. */
export function endOf(signal: AbortSignal): SessionRefusal {
  const { reason } = signal;
  return reason instanceof SessionEnd ? reason.refusal : { code: 'shutdown', what: 'the gateway ends this session' };
}

/** Reason of an ended session's signal. */
export class SessionEnd extends Error {
  readonly refusal: SessionRefusal;

  constructor(refusal: SessionRefusal) {
    super(refusal.what);
    this.name = 'SessionEnd';
    this.refusal = refusal;
  }
}
