import type { SpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { Entry, IdentityAttributes, Selector, WrittenAttributes } from '../model/index.ts';
import type { TransactionEffects } from '../store/index.ts';
import type { Principals } from './principals.ts';

/** What a caller says of an entry; texts are not checked yet. Times in seconds, 0 = none. */
export interface EntryInput {
  /** Empty = one is made. */
  readonly id?: string;
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly Selector[];
  readonly x509SvidTtlS?: number;
  readonly jwtSvidTtlS?: number;
  /** Trust domain names. */
  readonly federatesWith?: readonly string[];
  readonly admin?: boolean;
  readonly downstream?: boolean;
  readonly expiresAtS?: number;
  readonly dnsNames?: readonly string[];
  readonly storeSvid?: boolean;
  readonly hint?: string;
  /** Absent: a new entry has none, a changed one keeps its own. */
  readonly attributes?: WrittenAttributes;
}

/** Names of the fields that an update may change. */
export type EntryField = Exclude<keyof EntryInput, 'id' | 'attributes'>;

/** An update: `id` says which entry; the fields of the mask are taken from `entry`, all of them when there is no mask. */
export interface EntryUpdate {
  readonly id: string;
  readonly entry: Partial<Omit<EntryInput, 'id'>>;
  readonly mask?: ReadonlySet<EntryField>;
}

/** What became of one item of a batch; the order is that of the request. */
export type EntryResult =
  | { readonly status: 'ok'; readonly entry: Entry }
  /** An entry with that id, or with the same SPIFFE ID, parent and selectors, exists: `entry` is that one. */
  | { readonly status: 'already-exists'; readonly entry: Entry; readonly message: string }
  | { readonly status: 'invalid'; readonly message: string }
  | { readonly status: 'not-found'; readonly message: string };

/** What became of one deletion. */
export type DeleteResult =
  | { readonly status: 'ok'; readonly id: string }
  | { readonly status: 'invalid' | 'not-found'; readonly id: string; readonly message: string };

/** How a set given in a filter compares to the entry's: equal, entry's within given, entry's holds all given, any in common. */
export type MatchMode = 'exact' | 'subset' | 'superset' | 'any';

/** All conditions must hold. */
export interface EntryFilter {
  readonly spiffeId?: string;
  readonly parentId?: string;
  readonly selectors?: { readonly values: readonly Selector[]; readonly match: MatchMode };
  readonly federatesWith?: { readonly values: readonly string[]; readonly match: MatchMode };
  readonly hint?: string;
  readonly downstream?: boolean;
}

export interface EntryPage {
  readonly entries: readonly Entry[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** A node as registration sees it. */
export interface NodeView {
  readonly id: SpiffeId;
  readonly selectors: readonly Selector[];
}

/** Entries that are declared together with what another feature keeps. */
export interface Declaration {
  /** What would become of each; nothing is kept. @throws StoreError */
  rehearse(options?: { signal?: AbortSignal }): Promise<readonly EntryResult[]>;
  /**
   * Writes them as a part of the caller's transaction; items that fail are left out. May be called again when that runs again.
   * @throws RegistrationError ERR_REGISTRATION_REQUEST above {@link ENTRIES_DECLARED_MAX}
   */
  write(trx: Kysely<unknown>, effects: TransactionEffects): Promise<readonly EntryResult[]>;
  /** To be called after the commit: resolves once this process's `authorizedEntries` shows them. */
  committed(): Promise<void>;
}

/** Registration entries, and what follows from them for each node. */
export interface Registration {
  /**
   * Creates entries, all in one transaction; an item that fails does not hinder the others. When it resolves, this process's
   * `authorizedEntries` shows them. @throws RegistrationError ERR_REGISTRATION_REQUEST above {@link ENTRIES_PER_BATCH_MAX}; StoreError
   */
  batchCreate(inputs: readonly EntryInput[], options?: { signal?: AbortSignal }): Promise<readonly EntryResult[]>;
  /** Changes entries; the revision number of each grows, its creation time stays. As `batchCreate` otherwise. */
  batchUpdate(updates: readonly EntryUpdate[], options?: { signal?: AbortSignal }): Promise<readonly EntryResult[]>;
  /** Deletes entries by id. As `batchCreate` otherwise. */
  batchDelete(ids: readonly string[], options?: { signal?: AbortSignal }): Promise<readonly DeleteResult[]>;
  /**
   * Entries that are to be as given, by id: made when there is none with that id, else changed; and ids of those that are to be gone. Nothing is
   * done yet.
   */
  declare(inputs: readonly EntryInput[], remove?: readonly string[]): Declaration;
  /** Those of the entries with these ids that are there, as the caller's transaction sees them. */
  entriesIn(trx: Kysely<unknown>, ids: readonly string[]): Promise<readonly Entry[]>;
  /** The entry with that id as the database has it. */
  get(id: string): Promise<Entry | undefined>;
  /**
   * Entries that pass the filter, ordered by id, at most `pageSize` (1 to {@link PAGE_SIZE_MAX}, 0 = that maximum) and what fits a message.
   * @throws RegistrationError ERR_REGISTRATION_REQUEST
   */
  list(request: { filter?: EntryFilter; pageSize?: number; pageToken?: string }): Promise<EntryPage>;
  /** The attributes of those of the entries that have any, by entry id, as the database has them. */
  attributesOf(ids: readonly string[]): Promise<ReadonlyMap<string, IdentityAttributes>>;
  /** The number of entries that pass the filter. */
  count(filter?: EntryFilter): Promise<number>;
  /**
   * The entries that an agent may issue for: those whose parent is the node, an alias of it, or such an entry's own identity. An
   * alias is the SPIFFE ID of an entry whose parent is `spiffe://<td>/spire/server` and whose selectors the node has. In memory: takes no
   * database access, and time only for what it returns. No particular order; never an expired one.
   * @throws RegistrationError ERR_REGISTRATION_NOT_READY
   */
  authorizedEntries(nodeId: SpiffeId, nodeSelectors: readonly Selector[]): readonly Entry[];
  /**
   * The entry, when that node may issue for it: the check before each signature.
   * @throws RegistrationError ERR_REGISTRATION_NOT_READY
   */
  entryFor(entryId: string, nodeId: SpiffeId, nodeSelectors: readonly Selector[]): Entry | undefined;
  /** The entries for that SPIFFE ID, wherever they are parented: to know admins and downstreams by their identity. */
  entriesOf(spiffeId: SpiffeId): readonly Entry[];
  /** What the entries say of their identities, for policies. */
  readonly principals: Principals;
  /** Grows with every change of any entry. */
  revision(): number;
  /** Calls `listener` after each change, in every process; `revision()` is the new one. Returns the way to stop. */
  onChange(listener: (revision: number) => void): () => void;
  /**
   * Calls `listener` only when what `authorizedEntries` returns for this node changes (or may have, after a lost connection): what an agent's
   * push stream waits for. Costs nothing for changes that concern other nodes. Returns the way to stop.
   */
  watchNode(node: NodeView, listener: (revision: number) => void): () => void;
}

/** Agents and the command line send at most this many in one request. */
export const ENTRIES_PER_BATCH_MAX = 1000;
/** Some more than fit one request to the server. */
export const ENTRIES_DECLARED_MAX = 20_000;
export const PAGE_SIZE_MAX = 1000;
