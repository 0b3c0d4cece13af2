import type { CreatedRelation, SessionEffect, SessionFacts, SessionRole, TransactionFacts } from '../plan.ts';
import { charactersOf } from './prepared.ts';

const LOGIN: SessionRole = { session: undefined, current: undefined };

/** A session that has done nothing yet. */
export const noSessionFacts: SessionFacts = {
  startPath: undefined,
  searchPath: undefined,
  pathAtCommit: undefined,
  role: LOGIN,
  roleAtCommit: LOGIN,
  prepared: new Map(),
  cursors: new Map(),
  created: new Map(),
  createdNames: new Set(),
  moved: false,
  tuned: false,
  transaction: undefined,
};

/** Prepared statements, cursors or new relations that one session may hold: far more than any driver keeps, and small in memory. */
export const sessionNamesMax = 5_000;

/** Names of relations and columns that one session may have made: a table has 1,600 columns at most, and nobody makes thousands of those. */
export const createdBytesMax = 8 * 1024 * 1024;

/** Bytes that the facts take. */
export function bytesOfFacts({ prepared, cursors, created, createdNames }: SessionFacts): number {
  const declared = Array.from(cursors.values(), (cursor) => cursor.prepared);
  const texts = (charactersOf(prepared.values()) + charactersOf(declared)) * BYTES_A_CHARACTER;
  return texts + (prepared.size + cursors.size + createdNames.size) * RECORD_BYTES + createdBytes(created);
}

export function createdBytes(created: SessionFacts['created']): number {
  let bytes = 0;
  for (const { name, columns = [] } of created.values()) {
    bytes += RECORD_BYTES + name.length * BYTES_A_CHARACTER;
    for (const column of columns) bytes += column.length * BYTES_A_CHARACTER + NAME_BYTES;
  }
  return bytes;
}

/**
 * The facts after a statement has completed; the same object when nothing changed. Maps are copied on change, so facts that a plan was
 * made with stay as they were.
 */
export function applySessionEffects(facts: SessionFacts, effects: readonly SessionEffect[]): SessionFacts {
  let next = facts;
  for (const effect of effects) next = applyEffect(next, effect);
  return next;
}

/**
 * The facts after a statement has failed: what its transaction made is undone with it, unless it stands in a block, which may still go back
 * to a savepoint.
 */
export function failSessionFacts(facts: SessionFacts): SessionFacts {
  return facts.transaction?.isBlock === true ? facts : undone(facts);
}

/**
 * The facts once the server says that no transaction is open. What no BEGIN has opened is committed; a block that no completed COMMIT or ROLLBACK
 * has ended is gone: a COMMIT that fails (a deferred constraint, say) has rolled it back.
 */
export function endTransaction(facts: SessionFacts): SessionFacts {
  if (facts.transaction === undefined) return facts;
  return facts.transaction.isBlock ? undone(facts) : committed(facts);
}

/**
 * The facts once a snapshot was taken that shows all that the session has done: what it made is found there, or was dropped since.
 * Temporary relations are in no snapshot.
 */
export function settleSessionFacts(facts: SessionFacts): SessionFacts {
  const created = keepEntries(facts.created, ({ schema }) => schema === 'pg_temp');
  return { ...facts, created, createdNames: noSessionFacts.createdNames, moved: false };
}

/** True when both mean the same to a plan: where in a transaction the session stands is no matter. */
export function areSameNames(a: SessionFacts, b: SessionFacts): boolean {
  return (
    a === b ||
    (a.searchPath === b.searchPath &&
      a.prepared === b.prepared &&
      a.cursors === b.cursors &&
      a.created === b.created &&
      a.createdNames === b.createdNames &&
      areSameRole(a.role, b.role) &&
      a.moved === b.moved &&
      a.tuned === b.tuned)
  );
}

/** True when the end of the transaction, or a savepoint, could bring back names that mean something else now. */
export function mayBringBack(facts: SessionFacts): boolean {
  const { transaction } = facts;
  if (transaction === undefined) return false;
  return !areSameUndo(transaction.start, facts) || transaction.savepoints.some(({ undo }) => !areSameUndo(undo, facts));
}

function applyEffect(facts: SessionFacts, effect: SessionEffect): SessionFacts {
  switch (effect.kind) {
    case 'prepare':
      return { ...facts, prepared: new Map(facts.prepared).set(effect.name, effect.prepared) };
    case 'deallocate':
      return { ...facts, prepared: without(facts.prepared, effect.name) };
    case 'declare': {
      const cursor = { prepared: effect.prepared, isHeld: effect.isHeld, searchPath: facts.searchPath };
      return { ...inTransaction(facts), cursors: new Map(facts.cursors).set(effect.name, cursor) };
    }
    case 'close':
      return { ...facts, cursors: without(facts.cursors, effect.name) };
    case 'create':
      return { ...inTransaction(facts), created: new Map(facts.created).set(keyOf(effect.relation), effect.relation) };
    case 'create-name':
      return { ...inTransaction(facts), createdNames: new Set(facts.createdNames).add(effect.name) };
    case 'drop':
      return { ...inTransaction(facts), created: withoutDropped(facts.created, effect.relations) };
    case 'move': {
      const created = withoutOwn(facts.created, (schema) => effect.isUntold === true || schema !== 'pg_temp');
      return facts.moved && created === facts.created ? facts : { ...inTransaction(facts), created, moved: true };
    }
    case 'tune':
      // No rollback takes it back here: the value before may have been another still.
      return facts.tuned ? facts : { ...facts, tuned: true };
    case 'search-path':
      return {
        ...inTransaction(facts),
        searchPath: effect.path,
        pathAtCommit: effect.isLocal ? facts.pathAtCommit : effect.path,
      };
    case 'role':
      return {
        ...inTransaction(facts),
        role: withRole(facts.role, effect),
        roleAtCommit: effect.isLocal ? facts.roleAtCommit : withRole(facts.roleAtCommit, effect),
      };
    case 'encoding':
      return facts; // The server reports it.
    case 'discard-temporary':
      return { ...inTransaction(facts), created: keepEntries(facts.created, ({ schema }) => schema !== 'pg_temp') };
    case 'discard':
      return { ...noSessionFacts, startPath: facts.startPath, moved: facts.moved, createdNames: facts.createdNames };
    case 'transaction':
      return applyTransaction(facts, effect);
    default:
      return effect satisfies never;
  }
}

function areSameRole(a: SessionRole, b: SessionRole): boolean {
  return a.session === b.session && a.current === b.current;
}

function withRole(
  { session }: SessionRole,
  { role, isSession }: Extract<SessionEffect, { kind: 'role' }>,
): SessionRole {
  // One that the session is given takes the place of both.
  return isSession ? { session: role, current: undefined } : { session, current: role };
}

type TransactionEffect = Extract<SessionEffect, { kind: 'transaction' }>;

function applyTransaction(facts: SessionFacts, { verb, name = '', chains = false }: TransactionEffect): SessionFacts {
  const { transaction } = facts;
  switch (verb) {
    case 'begin':
      // In a text of several statements it takes in those before it.
      return { ...facts, transaction: { savepoints: [], start: undoOf(facts), ...transaction, isBlock: true } };
    case 'commit':
      return chained(committed(facts), chains);
    case 'rollback':
      return chained(undone(facts), chains);
    case 'savepoint': {
      if (transaction === undefined) return facts;
      return { ...facts, transaction: { ...transaction, savepoints: withSavepoint(transaction, name, facts) } };
    }
    case 'release': {
      const at = indexOfSavepoint(transaction, name);
      if (transaction === undefined || at < 0) return facts;
      return { ...facts, transaction: { ...transaction, savepoints: release(transaction.savepoints, at) } };
    }
    case 'rollback-to': {
      const at = indexOfSavepoint(transaction, name);
      const savepoint = transaction?.savepoints[at];
      if (transaction === undefined || savepoint === undefined) return facts;
      const savepoints = transaction.savepoints.slice(0, at + 1);
      return { ...facts, ...savepoint.undo, transaction: { ...transaction, savepoints } };
    }
    default:
      return verb satisfies never;
  }
}

/** What a transaction can undo. Prepared statements are not part of transactions, and a cursor that was closed stays so. */
function undoOf(facts: SessionFacts): TransactionFacts['start'] {
  const { searchPath, pathAtCommit, role, roleAtCommit, created, createdNames, cursors, moved } = facts;
  return { searchPath, pathAtCommit, role, roleAtCommit, created, createdNames, cursors, moved };
}

/** Notes how things stood before the first change of a transaction that no BEGIN has opened. */
function inTransaction(facts: SessionFacts): SessionFacts {
  if (facts.transaction !== undefined) return facts;
  return { ...facts, transaction: { isBlock: false, savepoints: [], start: undoOf(facts) } };
}

function committed(facts: SessionFacts): SessionFacts {
  return {
    ...facts,
    searchPath: facts.pathAtCommit,
    role: facts.roleAtCommit,
    cursors: keepEntries(facts.cursors, ({ isHeld }) => isHeld),
    created: withoutOwn(
      keepEntries(facts.created, ({ isDroppedOnCommit }) => isDroppedOnCommit !== true),
      (schema) => schema !== 'pg_temp',
    ),
    transaction: undefined,
  };
}

function undone(facts: SessionFacts): SessionFacts {
  return { ...facts, ...facts.transaction?.start, transaction: undefined };
}

/** AND CHAIN opens the next block at once. */
function chained(facts: SessionFacts, chains: boolean): SessionFacts {
  return chains ? { ...facts, transaction: { isBlock: true, savepoints: [], start: undoOf(facts) } } : facts;
}

/** A driver may set the same savepoint before each statement and release none: those that undo the same are counted. */
function withSavepoint(
  { savepoints }: TransactionFacts,
  name: string,
  facts: SessionFacts,
): TransactionFacts['savepoints'] {
  const last = savepoints.at(-1);
  const undo = undoOf(facts);
  const isSame = last?.name === name && areSameUndo(last.undo, undo);
  if (!isSame) return [...savepoints, { name, undo, count: 1 }];
  return [...savepoints.slice(0, -1), { ...last, count: last.count + 1 }];
}

function areSameUndo(a: TransactionFacts['start'], b: TransactionFacts['start']): boolean {
  return (
    a.searchPath === b.searchPath &&
    a.pathAtCommit === b.pathAtCommit &&
    a.role === b.role &&
    a.roleAtCommit === b.roleAtCommit &&
    a.created === b.created &&
    a.createdNames === b.createdNames &&
    a.cursors === b.cursors &&
    a.moved === b.moved
  );
}

function release(savepoints: TransactionFacts['savepoints'], at: number): TransactionFacts['savepoints'] {
  const released = savepoints[at];
  const before = savepoints.slice(0, at);
  if (released === undefined || released.count === 1) return before;
  return [...before, { ...released, count: released.count - 1 }];
}

function indexOfSavepoint(transaction: TransactionFacts | undefined, name: string): number {
  return transaction?.savepoints.findLastIndex((savepoint) => savepoint.name === name) ?? -1;
}

function keyOf({ schema, name }: Pick<CreatedRelation, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

/** A name without a schema is that of the temporary relation, if there is one. */
function withoutDropped(
  created: SessionFacts['created'],
  dropped: readonly { readonly schema: string | undefined; readonly name: string }[],
): SessionFacts['created'] {
  const rest = new Map(created);
  for (const { schema, name } of dropped)
    rest.delete(keyOf({ schema: schema?.startsWith('pg_temp') === false ? schema : 'pg_temp', name }));
  return rest.size === created.size ? created : rest;
}

/** Any of those in such schemas may be under another's name, or in the reach of others. */
function withoutOwn(created: SessionFacts['created'], isShared: (schema: string) => boolean): SessionFacts['created'] {
  const shared = Array.from(created).filter(([, { isOwnTable, schema }]) => isOwnTable === true && isShared(schema));
  if (shared.length === 0) return created;
  const rest = new Map(created);
  for (const [key, { isOwnTable: _, ...relation }] of shared) rest.set(key, relation);
  return rest;
}

function keepEntries<Value>(
  map: ReadonlyMap<string, Value>,
  isKept: (value: Value) => boolean,
): ReadonlyMap<string, Value> {
  const kept = new Map<string, Value>();
  for (const [key, value] of map) if (isKept(value)) kept.set(key, value);
  return kept.size === map.size ? map : kept;
}

function without<Value>(map: ReadonlyMap<string, Value>, name: string | undefined): ReadonlyMap<string, Value> {
  if (name === undefined) return map.size === 0 ? map : new Map();
  if (!map.has(name)) return map;
  const rest = new Map(map);
  rest.delete(name);
  return rest;
}

/** One that is not Latin takes two. */
const BYTES_A_CHARACTER = 2;
const RECORD_BYTES = 200;
/** Of a name, beside its characters. */
const NAME_BYTES = 24;
