import type { SessionEffect, SessionFacts } from './plan.ts';
import { charactersOf } from './prepared.ts';

/** A session that has done nothing yet. */
export const noSessionFacts: SessionFacts = {
  searchPath: 'default',
  prepared: new Map(),
  cursors: new Map(),
  created: new Map(),
  moved: false,
};

/** Prepared statements, cursors or new relations that one session may hold: far more than any driver keeps, and small in memory. */
export const sessionNamesMax = 5_000;

/** Names of relations and columns that one session may have made: a table has 1,600 columns at most, and nobody makes thousands of those. */
export const createdBytesMax = 8 * 1024 * 1024;

/** Bytes that the facts take. */
export function bytesOfFacts({ prepared, cursors, created }: SessionFacts): number {
  const texts = (charactersOf(prepared) + charactersOf(cursors)) * BYTES_A_CHARACTER;
  return texts + (prepared.size + cursors.size) * RECORD_BYTES + createdBytes(created);
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
 * The facts once a snapshot was taken that shows all that the session has done: what it made is found there, or was dropped since.
 * Temporary relations are in no snapshot.
 */
export function settleSessionFacts(facts: SessionFacts): SessionFacts {
  const created = new Map(Array.from(facts.created).filter(([, { schema }]) => schema === 'pg_temp'));
  return { ...facts, created, moved: false };
}

function applyEffect(facts: SessionFacts, effect: SessionEffect): SessionFacts {
  switch (effect.kind) {
    case 'prepare':
      return { ...facts, prepared: new Map(facts.prepared).set(effect.name, effect.prepared) };
    case 'deallocate':
      return { ...facts, prepared: without(facts.prepared, effect.name) };
    case 'declare':
      return { ...facts, cursors: new Map(facts.cursors).set(effect.name, effect.prepared) };
    case 'close':
      return { ...facts, cursors: without(facts.cursors, effect.name) };
    case 'create': {
      const key = `${effect.relation.schema}.${effect.relation.name}`;
      return { ...facts, created: new Map(facts.created).set(key, effect.relation) };
    }
    case 'move':
      return facts.moved ? facts : { ...facts, moved: true };
    case 'search-path':
      return facts.searchPath === effect.path ? facts : { ...facts, searchPath: effect.path };
    case 'discard':
      return { ...noSessionFacts, moved: facts.moved };
    case 'transaction':
      // What a rollback undoes may stay here: every fact only makes the planner know a name that the server then doesn't.
      return facts;
    default:
      return effect satisfies never;
  }
}

function without<Value>(map: ReadonlyMap<string, Value>, name: string | undefined): ReadonlyMap<string, Value> {
  if (name === undefined) return new Map();
  const rest = new Map(map);
  rest.delete(name);
  return rest;
}

/** One that is not Latin takes two. */
const BYTES_A_CHARACTER = 2;
const RECORD_BYTES = 200;
/** Of a name, beside its characters. */
const NAME_BYTES = 24;
