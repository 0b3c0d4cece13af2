import type { Clock } from '../../../std/index.ts';
import type { TransactionStatus } from '../../../wire/postgres/index.ts';
import type { SessionLedger } from '../../session.ts';
import { Names } from './names.ts';
import type { Operations } from './operations.ts';
import { type Portal, type Prepared, ReplyQueue } from './replies.ts';
import {
  applySessionEffects,
  bytesOfFacts,
  type Catalog,
  type Decider,
  noSessionFacts,
  type Planner,
  type SessionEffect,
  type SessionFacts,
  settleSessionFacts,
} from './sql/index.ts';

/** What both directions of one session share. */
export interface ConversationDeps {
  readonly clock: Clock;
  readonly planner: Planner;
  readonly decider: Decider;
  readonly ledger: SessionLedger;
  readonly operations: Operations;
  /** Key of `hash` masks. */
  readonly maskKey: Uint8Array;
  /** The newest catalog snapshot; undefined when it is too old to rely on. */
  catalog(): Catalog | undefined;
}

/** One bound value, cell or piece of COPY data: each message is held in memory until it is whole. */
export const messageBytesMax = 64 * 1024 * 1024;

/** The state of one session between client and target, as far as replies have told it. */
export class Conversation {
  readonly deps: ConversationDeps;
  readonly replies = new ReplyQueue();
  readonly statements = new Names<Prepared>(({ text }) => text.length * TEXT_BYTES_A_CHARACTER + RECORD_BYTES);
  readonly portals = new Names<Portal>(({ parameters }) => parameters.reduce(addLength, RECORD_BYTES));
  status: TransactionStatus = 'I';
  /** The target reads COPY data. */
  copyIn = false;
  /** The current segment has failed: the target ignores everything up to the next Sync, so it is not sent at all. */
  skipping = false;
  /** A statement changed the catalog and its transaction may not be over. */
  catalogChanged = false;
  /** Masks are in force: texts outside of any reply are withheld as well. */
  withholding = false;
  facts: SessionFacts = noSessionFacts;
  /** The facts when the last transaction ended: what a failed one falls back to. */
  #settledFacts: SessionFacts = noSessionFacts;
  #weighed: { readonly facts: SessionFacts; readonly bytes: number } | undefined;

  constructor(deps: ConversationDeps) {
    this.deps = deps;
  }

  /** Bytes of what the session has made, and prepared in SQL. */
  get factsBytes(): number {
    if (this.#weighed?.facts !== this.facts) this.#weighed = { facts: this.facts, bytes: bytesOfFacts(this.facts) };
    return this.#weighed.bytes;
  }

  get idle(): boolean {
    return this.replies.length === 0 && !this.replies.open && this.status === 'I';
  }

  /** A statement completed. */
  completed(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      // What a transaction made is gone with it. After ROLLBACK TO, some of it may remain: to believe too little is safe, since
      // a name then means the settled relation, whose rows are held against the row description.
      if (effect.kind === 'transaction' && (effect.verb === 'rollback' || effect.verb === 'rollback-to')) this.failed();
      if (effect.kind === 'discard') this.statements.clear();
      if (effect.kind === 'deallocate') {
        if (effect.name === undefined) this.statements.clear();
        else this.statements.forget(effect.name);
      }
    }
    if (effects.length > 0) this.facts = applySessionEffects(this.facts, effects);
  }

  /** A statement failed, and with it whatever its transaction made; prepared statements are not part of transactions. */
  failed(): void {
    if (this.facts === this.#settledFacts) return;
    // What else it dropped may stay dropped: ROLLBACK TO goes back to the middle of a transaction.
    this.facts = { ...this.#settledFacts, prepared: this.facts.prepared, moved: this.facts.moved };
  }

  /** A snapshot was taken since the last transaction ended. */
  snapshotTaken(): void {
    this.facts = settleSessionFacts(this.facts);
    this.#settledFacts = this.facts;
  }

  /** The target is ready for the next request. */
  ready(status: TransactionStatus): void {
    this.status = status;
    if (status !== 'I') return;
    this.#settledFacts = this.facts;
    this.portals.clear();
  }
}

function addLength(bytes: number, value: Buffer | null): number {
  return bytes + (value === null ? 0 : value.length);
}

/** A text that is not Latin takes two bytes a character; its plan is mostly shared with other sessions. */
const TEXT_BYTES_A_CHARACTER = 2;
/** What is kept beside the text of a statement or the values of a portal. */
const RECORD_BYTES = 200;
