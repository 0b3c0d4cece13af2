import type { Duplex } from 'node:stream';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { AttributeValue, Decision, EntityRef, PolicySet } from '../../model/index.ts';
import type { PotentialMask } from '../../policy/index.ts';
import type { LinkCaller } from '../../wire/link/index.ts';
import type { Holding } from '../capacity/memory-budget.ts';
import type { SessionRefusal } from '../protocol.ts';
import type { Gate } from './gate.ts';
import type { Standing } from './standing.ts';

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
  /** The only way to the target and back. */
  readonly gate: Gate;
  /** Aborts when the session must end now; its reason is a {@link SessionEnd}. */
  readonly signal: AbortSignal;
  /** Aborts when the session should end at its next idle moment: the gateway stops or the target's definition changed. */
  readonly drain: AbortSignal;
  /** Told of every change in what the session holds in memory for others; may abort `signal`. */
  readonly memory: Pick<Holding, 'hold'>;
  /** Where who calls is proven with each request: see `TokenDoor`. Undefined: the connection has proven it. */
  readonly proofs?: RequestProofs | undefined;
}

/** A session's part in a connection that is a session's only as long as its requests prove that session's identity. */
export interface RequestProofs {
  /** Whether a request with that token is this session's. A token that is good for longer prolongs the session. */
  isOwn(token: string | undefined): boolean;
  /** The session has answered what was its own, reads and writes no more, and has put the bytes back that are not. */
  gaveBack(): void;
}

/**
 * What the agent says of the process behind a session: its word, bounded and of one line each, proven by nothing. It is there to be recorded and
 * shown as that; nothing may be decided by it, since whoever holds the workload's key can say anything here.
 */
export type ToldCaller = LinkCaller & { readonly toldBy: 'agent' };

/** Policy for one principal; always answers by the newest policies. */
export interface SessionPolicy {
  /** Grows whenever answers may have changed. */
  readonly version: number;
  /** The policies of this version, for the ledger; undefined before the first ones came. */
  readonly policySet: PolicySet | undefined;
  readonly principalKey: string;
  /** What stands against this client whatever policies say; undefined: nothing. */
  readonly standing?: Standing | undefined;
  /** What policies alone say, to this principal as it stands: what is barred is not hidden from their changes by that. */
  readonly alone?: Pick<SessionPolicy, 'version' | 'policySet' | 'principalKey' | 'decide'>;
  decide(action: string, resource: EntityRef, context: { readonly [name: string]: AttributeValue }): Decision;
  /** Every mask that could fall on an answer to this principal; may over-report. */
  potentialMasks(): readonly PotentialMask[];
  /** Calls after each change of policies or of `standing`; returns how to stop. */
  onChange(listener: () => void): () => void;
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

/** A session that is busy when its SVID or token expires may finish what it does for this long. */
export const EXPIRY_GRACE_S = 30;
