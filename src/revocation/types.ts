import type {
  Revocation,
  RevocationFacts,
  RevocationMode,
  RevocationState,
  RevocationSubject,
} from '../model/index.ts';

/** Who is told of revocations and says when they are in effect: an agent, or one process of a gateway. */
export interface Verifier {
  readonly kind: 'agent' | 'gateway';
  readonly spiffeId: string;
  /** Where agents reach a gateway; empty of agents. */
  readonly address: string;
  /** One process of a gateway; empty of agents. */
  readonly instance: string;
}

/** A verifier that begins to watch. */
export interface WatchingVerifier extends Verifier {
  /** How long it goes on without being told anything; 0: for ever. */
  readonly freshForMs: number;
  /** Afterwards it refuses everything. */
  readonly thenRefuses: boolean;
}

/** Which state; of two with the same three all is the same. */
export type StateName = Pick<RevocationState, 'incarnation' | 'sequence' | 'mark'>;

/** What somebody wants. */
export interface RevocationRequest {
  readonly subject: RevocationSubject;
  readonly mode: RevocationMode;
  readonly allow: readonly string[];
  readonly running: Revocation['running'];
  readonly reason: string;
}

/** One that stands. */
export interface StandingRevocation extends Revocation {
  /** When the last of what was issued before is over, epoch milliseconds; what is revoked may be lifted from then on. */
  readonly latestExpiryMs: number;
}

/** One that was added. */
export interface AddedRevocation extends StandingRevocation {
  /** The quarantine of the same subject that let pass more, and stands no longer. */
  readonly replaced?: string;
}

/**
 * How it is at one verifier. `in-effect`: it has said so. `waiting`: it is connected and has not said so yet. `unreachable`: it is not connected, or does not
 * follow revocations. `refusing`: it is away for so long that it refuses everything by itself.
 */
export interface VerifierEffect extends Verifier {
  readonly state: 'in-effect' | 'waiting' | 'unreachable' | 'refusing';
  /** How long after the revocation it said so, milliseconds; of one that was new to it. */
  readonly afterMs: number | undefined;
  /** Of one where it is not in effect: when it ends by itself at the latest, epoch milliseconds; undefined: it does not. */
  readonly endsMs: number | undefined;
}

export interface RevocationEffect {
  readonly revocation: StandingRevocation;
  /** Those where it is not in effect first. */
  readonly verifiers: readonly VerifierEffect[];
}

/** Those that there are, by the parts that know them. */
export interface KnownVerifiers {
  /** Nodes that have attested and whose SVID is not over, be they connected or not; epoch seconds. */
  nodes(): Promise<readonly { readonly spiffeId: string; readonly expiresAtS: number }[]>;
  /** Processes of gateways that are connected. */
  gateways(): Promise<readonly { readonly spiffeId: string; readonly address: string; readonly instance: string }[]>;
}

/** What is revoked and quarantined. Everything may throw StoreError. */
export interface Revocations {
  /**
   * A quarantine that is stricter than the one of its subject takes its place, in one change.
   * @throws RevocationError ERR_REVOCATION_REQUEST, ERR_REVOCATION_EXISTS, ERR_REVOCATION_LIMIT
   */
  add(request: RevocationRequest, by: string): Promise<AddedRevocation>;
  /** Takes one back. @throws RevocationError ERR_REVOCATION_UNKNOWN, ERR_REVOCATION_LIVES */
  lift(id: string): Promise<StandingRevocation>;
  /** By sequence. */
  list(): Promise<readonly StandingRevocation[]>;
  /** Lets verifiers take what the store has, though it was put back: by order of an operator. */
  restart(): Promise<StateName>;
  /**
   * Makes sure of it that nothing of that is revoked, by what the store has after the call: to be called once something is signed, before it is handed out.
   * One answer for each of the facts: undefined where it may be. @throws StoreError: then nothing may be handed out either
   */
  checkSigned(facts: readonly RevocationFacts[]): Promise<readonly (RevocationError | undefined)[]>;
  /**
   * Refuses the use of what is revoked, by what this server knows at this moment; and of what is quarantined, where it is about `operating`.
   * @throws RevocationError ERR_REVOCATION_REVOKED
   */
  refuseUse(facts: RevocationFacts, use?: 'operating'): void;
  /** Calls after each change. Returns how to stop. */
  onChange(listener: () => void): () => void;
  /** How it is at every verifier, once all that are connected have said so, or after `waitMs`. @throws RevocationError ERR_REVOCATION_UNKNOWN; the abort error */
  effect(id: string, options: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<RevocationEffect>;
}

import type { RevocationError } from './errors.ts';
