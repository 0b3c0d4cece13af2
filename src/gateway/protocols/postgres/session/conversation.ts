import type { Clock } from '../../../../std/index.ts';
import type { ErrorText, TransactionStatus } from '../../../../wire/postgres/index.ts';
import {
  applySessionEffects,
  bytesOfFacts,
  type Catalog,
  type Decider,
  endTransaction,
  failSessionFacts,
  noSessionFacts,
  type Planner,
  type SearchPath,
  type SessionEffect,
  type SessionFacts,
  settleSessionFacts,
  type TextLimits,
} from '../sql/index.ts';
import { EncodingInForce } from './encoding-in-force.ts';
import { Names } from './names.ts';
import { type Portal, type Prepared, ReplyQueue } from './replies.ts';

/** What both directions of one session share. */
export interface ConversationDeps {
  readonly clock: Clock;
  readonly planner: Planner;
  readonly decider: Decider;
  /** Key of `hash` masks. */
  readonly maskKey: Uint8Array;
  /** The search path that the client asked for. */
  readonly startPath: SearchPath;
  /** As the session begins, by PostgreSQL's own names; one of the pairs that are served. */
  readonly encodings: { readonly client: string; readonly server: string };
  readonly limits: TextLimits;
  /** The newest catalog snapshot; undefined when it is too old to rely on. */
  catalog(): Catalog | undefined;
  /** See `CatalogSource.isOutdated`. */
  isOutdated(): boolean;
}

/** What the session does for the direction from client to target. */
export interface RequestsPort {
  /** Ends the session with that error to the client. */
  fail(error: ErrorText): void;
  /** Does something later, on behalf of this session: what it throws costs this session only. */
  guard(act: () => void): void;
  /** Takes a new catalog snapshot; `pump` is called again when it is there (or could not be had). */
  refreshCatalog(): void;
  /** The client has said goodbye. */
  terminated(): void;
}

/** A message that has to be looked at as a whole: bound values, a row with masked cells. Other rows and COPY data pass in pieces. */
export const messageBytesMax = 64 * 1024 * 1024;

/** The state of one session between client and target, as far as replies have told it. */
export class Conversation {
  readonly deps: ConversationDeps;
  readonly replies = new ReplyQueue();
  readonly statements = new Names<Prepared>(
    ({ text, sent }) => (text.length + (sent === text ? 0 : sent.length)) * TEXT_BYTES_A_CHARACTER + RECORD_BYTES,
  );
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
  facts: SessionFacts;
  readonly encoding: EncodingInForce;
  /** Names that a snapshot was taken for in vain since the last transaction ended: the server knows them better. */
  readonly sought = new Set<string>();
  #weighed: { readonly facts: SessionFacts; readonly bytes: number } | undefined;

  constructor(deps: ConversationDeps) {
    this.deps = deps;
    this.facts = { ...noSessionFacts, startPath: deps.startPath };
    this.encoding = new EncodingInForce(deps.encodings);
  }

  /** Bytes of what the session has made, and prepared in SQL. */
  get factsBytes(): number {
    if (this.#weighed?.facts !== this.facts) this.#weighed = { facts: this.facts, bytes: bytesOfFacts(this.facts) };
    return this.#weighed.bytes;
  }

  get idle(): boolean {
    return this.replies.length === 0 && !this.replies.open && this.status === 'I';
  }

  /** A statement completed, with that tag; a COMMIT of what has failed answers ROLLBACK. */
  completed(effects: readonly SessionEffect[], tag = ''): void {
    for (const effect of effects) {
      if (effect.kind === 'discard') this.statements.clear();
      // Cursors and portals have one space of names: the newest of a name is the one that lives.
      if (effect.kind === 'discard') this.portals.gone(undefined);
      if (effect.kind === 'declare' || effect.kind === 'close') this.portals.gone(effect.name);
      if (effect.kind === 'deallocate') {
        if (effect.name === undefined) this.statements.clear();
        else this.statements.forget(effect.name);
      }
    }
    if (effects.length === 0) return;
    this.encoding.completed(effects);
    const isUndone = tag === 'ROLLBACK';
    const done = isUndone
      ? effects.map((effect) => (effect.kind === 'transaction' ? rolledBack(effect) : effect))
      : effects;
    this.facts = applySessionEffects(this.facts, done);
  }

  /** The protocol's Close of a portal, or of a cursor, was carried out. */
  portalClosed(name: string): void {
    this.portals.confirmed(name, undefined);
    if (this.facts.cursors.has(name)) this.facts = applySessionEffects(this.facts, [{ kind: 'close', name }]);
  }

  /** A statement failed, and with it whatever its transaction made; prepared statements are not part of transactions. */
  failed(): void {
    this.facts = failSessionFacts(this.facts);
    this.encoding.failed();
  }

  /** A snapshot was taken since the last transaction ended. */
  snapshotTaken(): void {
    this.facts = settleSessionFacts(this.facts);
  }

  /** The target is ready for the next request. */
  ready(status: TransactionStatus): void {
    this.status = status;
    this.encoding.ready(status);
    if (status !== 'I') return;
    this.facts = endTransaction(this.facts);
    this.sought.clear();
    this.portals.clear();
  }
}

function rolledBack(effect: Extract<SessionEffect, { kind: 'transaction' }>): SessionEffect {
  return effect.verb === 'commit' ? { ...effect, verb: 'rollback' } : effect;
}

function addLength(bytes: number, value: Buffer | null): number {
  return bytes + (value === null ? 0 : value.length);
}

/** A text that is not Latin takes two bytes a character; its plan is mostly shared with other sessions. */
const TEXT_BYTES_A_CHARACTER = 2;
/** What is kept beside the text of a statement or the values of a portal. */
const RECORD_BYTES = 200;
