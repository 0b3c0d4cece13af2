/**
 * How an operation ended. `suspended`: not all of its answer was asked for; `over-limit`: it was stopped at a limit of policy; `unknown`: the
 * connection was lost while it ran; `skipped`: it never ran, kept from it by an error before it or by the end of its session.
 */
export type OutcomeStatus = 'done' | 'suspended' | 'failed' | 'skipped' | 'unknown' | 'over-limit';

/**
 * What happened. `hold` comes before people are asked to approve of an operation; then its intent or its denial. `intent` comes before an operation is forwarded, `outcome` after; `denial` stands alone; `ledger` is what the
 * ledger says of itself (started, stopped, cut a torn tail).
 */
export type LedgerEventKind =
  | 'hold'
  | 'intent'
  | 'outcome'
  | 'denial'
  | 'session-open'
  | 'session-close'
  | 'admin'
  | 'ledger';

/**
 * Version of what an entry says. It grows when something that was there before comes to mean something else, not with what is added: entries of
 * a newer version are shown as they are, by whoever reads them, with a word that they are newer.
 */
export const EVENT_VERSION = 1;

/**
 * One event for the ledger, before it gets its sequence number. Values are JSON: no undefined, no floats, no secrets; integers
 * must be safe. OCSF-shaped: `actor` is the verified identity, `target` the protected system, `action` the protocol's verb.
 */
export interface LedgerEvent {
  readonly kind: LedgerEventKind;
  /** Epoch milliseconds, as the wall clock says. */
  readonly timeMs: number;
  /**
   * SPIFFE ID; for whoever came in by the local operator socket, or was turned away for want of an identity, `unix:uid:N` of that machine;
   * `admin` where the kernel does not tell which operator it was.
   */
  readonly actor: string;
  readonly target: string;
  readonly action: string;
  readonly session: string;
  /** Joins intent and outcome: unique within the session. Empty for session and admin events. */
  readonly operation: string;
  /** Everything else, by kind, as docs/reference/ledger.md has it; what only a protocol knows, under its name. */
  readonly detail: { readonly [name: string]: LedgerValue };
}

/** What an event may hold: JSON whose numbers are safe integers and whose strings are well-formed. */
export type LedgerValue =
  | string
  | number
  | boolean
  | null
  | readonly LedgerValue[]
  | { readonly [name: string]: LedgerValue };
