import type {
  AttributeValue,
  Barred,
  Decision,
  Denial,
  EntityRef,
  Judged,
  PolicySet,
  ReachedLimit,
} from '../../../../model/index.ts';
import type { MaskKind, PotentialMask } from '../../../../policy/index.ts';
import type { CacheBudget } from '../../../../std/index.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { PreparedStatement, PreparedTrees } from './session/prepared.ts';
import type { BoundValue } from './walk/bound-parameters.ts';

/**
 * What the planner asks of policy, for one principal. `decide` must answer the same for the same question as long as `version` and
 * `principalKey` stand: whatever can change an answer (a new policy set, a time window) must change one of them, because verdicts are
 * kept under these two. A gateway session's `policy` is one.
 */
export interface Decider {
  readonly version: number;
  /** Of this version, for the ledger. */
  readonly policySet: PolicySet | undefined;
  readonly principalKey: string;
  decide(action: string, resource: EntityRef, context: { readonly [name: string]: AttributeValue }): Decision;
  /** Every mask that could fall on an answer to this principal; may over-report, never under-report. */
  potentialMasks(): readonly PotentialMask[];
}

/** A relation that this session made or altered, which the catalog snapshot may not show yet: temporary, or of an open transaction. */
export interface CreatedRelation {
  /** `pg_temp` for a temporary one. */
  readonly schema: string;
  readonly name: string;
  /** Undefined when the statement doesn't tell (`CREATE TABLE AS`). */
  readonly columns: readonly string[] | undefined;
  /** ON COMMIT DROP. */
  readonly isDroppedOnCommit?: boolean;
  /**
   * The session's own, as it was made: temporary, or of the open transaction, so that nobody else reaches it. All its rows are its own, of types that
   * are PostgreSQL's.
   */
  readonly isOwnTable?: true;
}

/** A cursor declared in SQL, or a portal of the protocol. Its names mean what they meant then. */
export interface DeclaredCursor {
  /** A portal: `prepared` is a whole statement of any kind, and its columns may be masked. */
  readonly isPortal?: boolean;
  readonly prepared: PreparedStatement;
  /** WITH HOLD: it outlives its transaction. */
  readonly isHeld: boolean;
  readonly searchPath: SearchPath;
}

/** The names of a search path as they were set, `$user` and absent schemas included; undefined = the path that the session began with. */
export type SearchPath = readonly string[] | undefined;

/** Whose rights a session has; undefined = the login's. */
export interface SessionRole {
  /** SET SESSION AUTHORIZATION. */
  readonly session: string | undefined;
  /** SET ROLE, from which `none` leads back to the session's. */
  readonly current: string | undefined;
}

/** Where in a transaction a session stands: what a rollback brings back. */
export interface TransactionFacts {
  /** BEGIN was said: a failed statement does not end it. */
  readonly isBlock: boolean;
  readonly start: UndoFacts;
  /** Oldest first; `count`: so many of that name, one after the other, with nothing changed between. */
  readonly savepoints: readonly { readonly name: string; readonly undo: UndoFacts; readonly count: number }[];
}

type UndoFacts = Pick<
  SessionFacts,
  'searchPath' | 'pathAtCommit' | 'role' | 'roleAtCommit' | 'created' | 'createdNames' | 'cursors' | 'moved'
>;

/**
 * What the planner must know of the session's past. Start with `noSessionFacts`; after the server has *completed* a statement (never
 * earlier: a failed one changes nothing), replace the facts by `applySessionEffects(facts, statement.effects)`.
 * Statements that the protocol prepares count too (`EXECUTE` reaches them by name): on ParseComplete of a named statement apply
 * `{ kind: 'prepare', name, prepared: plan.prepared }`, on Close `{ kind: 'deallocate', name }`.
 */
export interface SessionFacts {
  /** The path that the client asked for at start-up, which RESET goes back to; undefined = the login's own. */
  readonly startPath: SearchPath;
  readonly searchPath: SearchPath;
  /** What the path is once the transaction is committed: SET LOCAL ends with it. */
  readonly pathAtCommit: SearchPath;
  readonly role: SessionRole;
  readonly roleAtCommit: SessionRole;
  readonly prepared: ReadonlyMap<string, PreparedStatement>;
  /**
   * Cursors declared in SQL. They share their names with the protocol's portals: to plan a FETCH, add those that the session has, each in
   * the place of a cursor of its name, since the newer of two is the one that lives.
   */
  readonly cursors: ReadonlyMap<string, DeclaredCursor>;
  /** By `schema.name`. */
  readonly created: ReadonlyMap<string, CreatedRelation>;
  /** `function NAME`, `schema NAME` and `extension NAME` of those made or renamed since the snapshot: a call may mean one of them. */
  readonly createdNames: ReadonlySet<string>;
  /** A statement dropped, renamed or altered something: of what the snapshot shows, relations and columns may be gone. */
  readonly moved: boolean;
  /** Settings that choose the way to the rows were changed, and DISCARD ALL has not been said since. */
  readonly tuned: boolean;
  /** Undefined while nothing was begun that a rollback could undo. */
  readonly transaction: TransactionFacts | undefined;
}

/** What a completed statement changes for the statements after it. */
export type SessionEffect =
  | { readonly kind: 'prepare'; readonly name: string; readonly prepared: PreparedStatement }
  /** `name` undefined: all. */
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | {
      readonly kind: 'declare';
      readonly name: string;
      readonly prepared: PreparedStatement;
      readonly isHeld: boolean;
    }
  | { readonly kind: 'close'; readonly name: string | undefined }
  | { readonly kind: 'create'; readonly relation: CreatedRelation }
  | { readonly kind: 'create-name'; readonly name: `${'function' | 'schema' | 'extension' | 'type'} ${string}` }
  | {
      readonly kind: 'drop';
      readonly relations: readonly { readonly schema: string | undefined; readonly name: string }[];
    }
  /** What the open transaction has made may be another then. `isUntold`: and temporary relations, since nobody here knows which names. */
  | { readonly kind: 'move'; readonly isUntold?: true }
  | { readonly kind: 'tune' }
  | { readonly kind: 'search-path'; readonly path: SearchPath; readonly isLocal: boolean }
  /** Of the client's texts; `name` undefined: that of the session's beginning. */
  | { readonly kind: 'encoding'; readonly name: string | undefined }
  /** `role` undefined: that of the login, or, unless it is the session's, of the session. */
  | { readonly kind: 'role'; readonly role: string | undefined; readonly isSession: boolean; readonly isLocal: boolean }
  | { readonly kind: 'discard' }
  | { readonly kind: 'discard-temporary' }
  | {
      readonly kind: 'transaction';
      readonly verb: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback-to';
      /** Of the savepoint. */
      readonly name?: string;
      /** AND CHAIN. */
      readonly chains?: boolean;
    };

/** One policy question that a statement raises. `resource` is the entity's id. */
export interface Touch {
  readonly action: string;
  readonly resource: string;
}

/** What is known of a statement whatever the verdict: for the ledger. */
export interface StatementFacts {
  /** Lower-case words as in a command tag: `select`, `insert`, `create table`. */
  readonly kind: string;
  /** Equal for statements that differ only in constants, comments, spacing and lengths of constant lists: 16 hex digits. */
  readonly fingerprint: string;
  readonly touches: readonly Touch[];
  /** What policy was asked of it, and answered. */
  readonly judged: Judged;
}

/** Which answer columns are masked; ask it through `maskColumns`, never by hand. */
export interface MaskPlan {
  readonly byAttribute: ReadonlyMap<`${number}:${number}`, MaskKind>;
  /**
   * Table OIDs whose other columns are clean, up to that attribute number. A RowDescription that names another one means that the
   * server resolved a name otherwise, or that the snapshot is older than a change.
   */
  readonly relations: ReadonlyMap<number, number>;
  /** True when tables of unknown OID (made by this session) take part, so an OID outside of `relations` is clean as well. */
  readonly cleanRest: boolean;
  /** How many answer columns must turn out masked; fewer means that a value arrives without its origin. */
  readonly columnsMasked: number;
}

/**
 * A plan is good for what these names mean now: what was bound when they meant another thing must not be executed under it. Rows of a
 * portal count as the portal's.
 */
export interface Reads {
  readonly cursor?: { readonly name: string; readonly isPortal: boolean };
  /** The prepared statement. */
  readonly prepared?: string;
}

/**
 * `nothing`: no text about the statement can carry a masked value. `values`: one may, since the server computes with them or code runs that nobody
 * here has seen.
 */
export type Withholding = 'nothing' | 'values';

/** One statement that may be forwarded, with what must happen to it and to its answer. */
export interface StatementPlan extends StatementFacts {
  /** Changes data, schema or settings beyond the session: decides the ledger's durability. */
  readonly writes: boolean;
  /** Ids of the policies that determined the answers, sorted. */
  readonly policies: readonly string[];
  /** Undefined: rows are forwarded untouched. Else every RowDescription goes through `maskColumns` before a row does. */
  readonly masks: MaskPlan | undefined;
  /** Of its text: all of it, its digest, or not even that, since it carries a password that could be tried out by it. */
  readonly record: 'full' | 'digest' | 'nothing';
  /** Masked columns that read as NULL in it, or in another statement of its text: see `Rewritten.columns`. */
  readonly derived?: readonly string[];
  /** What texts of errors and notices about this statement may carry. */
  readonly withhold: Withholding;
  /** Masks are in force: texts that belong to no statement may carry masked values. */
  readonly isMasking: boolean;
  /** It is proven only as long as no parameter is of a type of the database's own. */
  readonly hasOwnOperators: boolean;
  readonly copy: 'in' | 'out' | undefined;
  /**
   * Names that neither the snapshot nor the session knows, where policy allows whatever they may mean. Take a new snapshot once for each,
   * and plan again; then the server knows what they are.
   */
  readonly unknown: readonly string[];
  /** What FETCH, MOVE or EXECUTE reads by its name. */
  readonly reads: Reads | undefined;
  readonly effects: readonly SessionEffect[];
  /**
   * What is set, or to what, is said by bound values, or there is no cursor of that name yet: plan again with what is bound
   * (`PlanRequest.parameters`) before it is executed. Until then this plan permits to parse, bind and describe it.
   */
  readonly needsValues: boolean;
  /** Take a new catalog snapshot once it has completed (and once its transaction has). */
  readonly changesCatalog: boolean;
}

/** Why a text is refused. */
export type RefusalReason =
  | 'text-too-long'
  /** Not for clients: it takes longer than all others may wait. Plan it with `planLong`. */
  | 'text-not-at-once'
  | 'text-malformed'
  | 'text-too-deep'
  | 'syntax-error'
  | 'several-statements'
  | 'statement-not-understood'
  | 'statement-refused'
  | 'policy-denied'
  | Barred['reason']
  /** These three: the snapshot doesn't know a name. Take a new snapshot once and plan again; then answer with the refusal. */
  | 'unknown-relation'
  | 'unknown-column'
  | 'unknown-function'
  | 'unknown-prepared'
  | 'unknown-cursor'
  | 'ambiguous-relation'
  | 'name-taken'
  | 'uncertain-name'
  | 'session-limit'
  | 'over-limit'
  /** It needs an approval, and has none. */
  | `approval-${'needed' | 'denied' | 'expired' | 'withdrawn' | 'refused'}`
  | 'server-file'
  | 'setting-refused'
  | 'restricted-relation'
  | 'restricted-function'
  | 'masked-column-use'
  | 'mask-without-column'
  | 'unproven-function'
  | 'unproven-operator'
  | 'unproven-cast'
  | 'unproven-rule'
  | 'masked-ddl';

export interface Refusal {
  readonly verdict: 'refuse';
  readonly sqlstate: string;
  readonly reason: RefusalReason;
  /** Safe to send to the client: names of its own text only. */
  readonly message: string;
  readonly hint?: string;
  /** Character position in the text from 1, for syntax errors and names that can't be found. */
  readonly position?: number;
  readonly policies: readonly string[];
  /** Of `over-limit`. */
  readonly limit?: ReachedLimit;
  /** Of what waited for an approval. */
  readonly held?: Denial['held'];
  /** The statements of the text up to and with the refused one, as far as understood. */
  readonly statements: readonly StatementFacts[];
  /**
   * The text before the refused statement, when a transaction ends in it: that much PostgreSQL carries out for good before it comes to
   * the statement. Plan it by itself.
   */
  readonly before?: string;
}

export interface Forward {
  readonly verdict: 'forward';
  /** In the order of the text; empty for an empty text. Alike ones in a row of a long text have one plan: see `runsOf`. */
  readonly statements: readonly StatementPlan[];
  /** The parsed statement when the text holds exactly one: for `SessionFacts.prepared`. */
  readonly prepared: PreparedStatement | undefined;
  /** What must be sent in the place of the text. */
  readonly rewritten?: Rewritten;
}

/** A text in which masked columns that are worked with were replaced by NULL. */
export interface Rewritten {
  readonly sql: string;
  /** Where, in characters of the new text from 0, in their order, and how long it was in the old one. */
  readonly replaced: readonly { readonly at: number; readonly length: number; readonly of: number }[];
  /** The columns, each as `schema.relation.column`. */
  readonly columns: readonly string[];
}

/** The verdict on a whole text: one refused statement refuses all of it, but what is committed before. */
export type Plan = Refusal | Forward;

export interface PlanRequest {
  readonly sql: string;
  /** `parse` = a Parse message: one statement at most. */
  readonly mode: 'simple' | 'parse';
  readonly catalog: Catalog;
  readonly decider: Decider;
  readonly session: SessionFacts;
  /** What is bound to `$1`, `$2` …, for plans that need it. */
  readonly parameters?: readonly BoundValue[];
  /** Of what EXECUTE and FETCH run, where `planLong` has had it parsed. */
  readonly trees?: PreparedTrees;
}

export interface Planner {
  /** Pure but for its verdict cache. Never throws for any text; `loadParser` must have been awaited. */
  plan(request: PlanRequest): Plan;
  /**
   * As `plan`, of a text of any length, statement by statement, others being served in between. Undefined: the catalog or policy has
   * changed meanwhile, so that one part was judged by what another no longer means. Ask again.
   */
  planLong(request: PlanRequest): Promise<Plan | undefined>;
}

/** What a text may have. */
export interface TextLimits {
  /** Bytes of a text, which is held whole until it is forwarded. */
  readonly textBytes: number;
  /** Statements of a text, each an entry of the ledger; alike ones in a row count as one (see `runsOf`). */
  readonly statements: number;
  /** Tokens of one statement: its tree takes about half a kilobyte of memory for each. */
  readonly words: number;
}

export interface PlannerOptions {
  /** Name of the target, first part of every resource id. */
  readonly target: string;
  readonly database: string;
  /** Where verdicts and masks are kept. */
  readonly caches: CacheBudget;
  /** Settings with a dot in their name (`app.tenant`) that clients may set; none by default, since row security often trusts them. */
  readonly customSettings?: readonly string[];
  readonly limits?: TextLimits;
}
