import type { Relation } from '../catalog/catalog.ts';
import { overseeingRelations, revealingRelations, secretRelations } from '../catalog/function-lists.ts';
import { leadsToValues, reached } from '../masks/withholding.ts';
import { maskWithoutColumn } from '../masks/without-column.ts';
import type { CreatedRelation } from '../plan.ts';
import { RefusedText } from '../refusal.ts';
import { type Fields, hasField, locationOf, textOf } from '../text/tree.ts';
import { askAdministration, askPastSight } from '../verdict/administration.ts';
import type { UsedRelation } from '../verdict/uses.ts';
import type { Analysis } from './analysis.ts';
import { isOwnTable } from './own-tables.ts';
import type { Output } from './scope.ts';

/** What the name of a relation resolves to. */
export type ResolvedRelation =
  | { readonly kind: 'table'; readonly relation: Relation }
  /** Made by this session; the snapshot doesn't show it. */
  | { readonly kind: 'created'; readonly created: CreatedRelation }
  | OpenRelation
  | { readonly kind: 'system'; readonly schema: string; readonly name: string };

/**
 * A name of which the server knows better what it is: it may mean any of `meanings`, and policy is asked about all of them. While columns are masked,
 * only where none of them leads to any: else it would have to be known what comes back.
 */
export interface OpenRelation {
  readonly kind: 'open';
  readonly meanings: readonly [UsedRelation, ...UsedRelation[]];
  /** The answer when policy does not allow one of them. */
  readonly otherwise: RefusedText;
}

/**
 * Resolves a RangeVar in PostgreSQL's order: temporary relations, pg_catalog, the path. Throws the refusal `unknown-relation` when the
 * snapshot has no such name, `restricted-relation` when it holds secrets (unless the query spares them).
 */
export function resolveRelation(
  analysis: Analysis,
  range: Fields,
  { sparesSecrets }: { sparesSecrets: boolean } = { sparesSecrets: false },
): ResolvedRelation {
  const resolved = findRelation(analysis, range) ?? unknownRelation(analysis, range);
  if (resolved.kind === 'system') {
    if (!sparesSecrets) refuseRestricted(analysis, resolved);
    askOverseeing(analysis, resolved);
  }
  return resolved;
}

/** What a name that nobody here knows may mean: a relation of that name in any schema of the path, just made. */
function unknownRelation(analysis: Analysis, range: Fields): OpenRelation {
  const schema = textOf(range, 'schemaname');
  const name = textOf(range, 'relname') ?? '';
  const text = schema === undefined ? name : `${schema}.${name}`;
  const otherwise = new RefusedText('unknown-relation', `relation "${text}" does not exist`, {
    location: locationOf(range),
  });
  const isElsewhere = hasField(range, 'catalogname') && textOf(range, 'catalogname') !== analysis.catalog.database;
  const schemas = (schema === undefined ? analysis.searchPath : [schema]).filter(
    (one) => analysis.catalog.systemRelations(one) === undefined,
  );
  const [first, ...more] = schemas.map((one) => madeIn(one, name));
  if (analysis.taint.isInForce || isElsewhere || first === undefined) throw otherwise;
  analysis.found.unknown.add(`relation ${text}`);
  return { kind: 'open', meanings: [first, ...more], otherwise };
}

function madeIn(schema: string, name: string): UsedRelation {
  return { schema, name, relation: undefined, created: { schema, name, columns: undefined } };
}

/**
 * As `resolveRelation`, but undefined when there is none, and without the check of system relations. Every name of a statement comes
 * through here, so what must not be touched at all is refused here.
 */
export function findRelation(analysis: Analysis, range: Fields): ResolvedRelation | undefined {
  const name = textOf(range, 'relname') ?? '';
  const schema = textOf(range, 'schemaname');
  const database = textOf(range, 'catalogname');
  if (database !== undefined && database !== analysis.catalog.database) return undefined;
  const resolved = schema === undefined ? findUnqualified(analysis, name) : findIn(analysis, schema, name);
  if (resolved?.kind === 'table') {
    refuseMissingColumn(analysis, resolved.relation);
    analysis.found.relations.add(resolved.relation);
    if (leadsToChanged(analysis, resolved.relation)) analysis.found.runsUnseen = true;
  }
  if (resolved?.kind === 'created' && isOwnTable(analysis, resolved.created)) analysis.found.hasOwnTables = true;
  else if (resolved?.kind === 'created' || resolved?.kind === 'open') analysis.found.runsUnseen = true;
  return resolved;
}

/** Refuses a relation that a mask should protect and doesn't: see `mask-without-column`. */
export function refuseMissingColumn({ taint }: Analysis, relation: Relation): void {
  const missing = taint.missingColumn(relation);
  if (missing !== undefined) throw maskWithoutColumn(missing, relation);
}

/**
 * The first in the order of the path. Whoever may drop or rename it can do so between this verdict and the server's own look, and then the
 * name means the next: so it may mean both.
 */
function findUnqualified(analysis: Analysis, name: string): ResolvedRelation | undefined {
  const [first, ...hidden] = analysis.searchPath.flatMap((schema) => findIn(analysis, schema, name) ?? []);
  if (first === undefined || first.kind === 'system' || hidden.length === 0) return first;
  const isTemporary = first.kind === 'created' && first.created.schema === 'pg_temp';
  if (!isTemporary && !analysis.isOtherRole && !mayMove(analysis, first)) return first;
  const otherwise = new RefusedText(
    'ambiguous-relation',
    isTemporary
      ? `"${name}" is a temporary relation and a permanent one`
      : `several schemas of the path have a relation "${name}", and you may change which one the name means`,
    { hint: 'Qualify the name with its schema.' },
  );
  if (analysis.taint.isInForce && !(isTemporary && hidesHarmless(analysis, first, hidden))) throw otherwise;
  const meanings = hidden.flatMap((one) => (one.kind === 'system' || one.kind === 'open' ? [] : usedRelation(one)));
  return { kind: 'open', meanings: [usedRelation(first), ...meanings], otherwise };
}

/** A table of the session's own hides permanent ones, and neither it nor any of those leads to what is masked: whichever it is by then. */
function hidesHarmless(analysis: Analysis, first: ResolvedRelation, hidden: readonly ResolvedRelation[]): boolean {
  if (first.kind !== 'created' || !isOwnTable(analysis, first.created)) return false;
  return hidden.every((one) => one.kind === 'table' && isHarmless(analysis, one.relation));
}

/** True when the name of a relation may come to mean a table of the session's own besides. */
export function isHarmless(analysis: Analysis, relation: Relation): boolean {
  analysis.found.relations.add(relation);
  return !leadsToValues(analysis, new Set([relation]), true);
}

function mayMove(analysis: Analysis, resolved: ResolvedRelation): boolean {
  const { schema, name } = usedRelation(resolved);
  return analysis.moved || analysis.mayDefine(schema, name);
}

function findIn(analysis: Analysis, schema: string, name: string): ResolvedRelation | undefined {
  const system = analysis.catalog.systemRelations(schema);
  if (system !== undefined) return system.has(name) ? { kind: 'system', schema, name } : undefined;
  const relation = analysis.catalog.relation(schema, name);
  if (relation !== undefined) return { kind: 'table', relation };
  const created = analysis.created.get(`${schema}.${name}`);
  return created === undefined ? undefined : { kind: 'created', created };
}

function refuseRestricted(analysis: Analysis, { name }: { readonly name: string }): void {
  if (secretRelations.has(name))
    askPastSight(
      analysis,
      new RefusedText('restricted-relation', `"${name}" holds credentials, so it takes postgres:admin`),
    );
  if (analysis.taint.isInForce && revealingRelations.has(name)) throw revealing(name);
}

function askOverseeing(analysis: Analysis, { name }: { readonly name: string }): void {
  if (overseeingRelations.has(name)) askAdministration(analysis);
}

/** Refuses a relation by its name alone: extensions put such views into user schemas. */
export function refuseRevealing({ taint }: Analysis, name: string): void {
  if (taint.isInForce && (name === 'pg_stat_statements' || name === 'pg_stat_monitor')) throw revealing(name);
}

/** The refusal of a change of PostgreSQL's own tables. */
export function belongsToServer({ schema, name }: { readonly schema: string; readonly name: string }): RefusedText {
  return new RefusedText(
    'statement-refused',
    `"${schema}.${name}" belongs to the server: changing it takes postgres:admin`,
  );
}

function revealing(name: string): RefusedText {
  return new RefusedText('restricted-relation', `"${name}" can show masked values and is not readable here`);
}

/** The parts of a resolved relation that a use is made of. */
export function usedRelation(resolved: ResolvedRelation): UsedRelation {
  if (resolved.kind === 'system')
    return { schema: resolved.schema, name: resolved.name, relation: undefined, created: undefined };
  if (resolved.kind === 'open') {
    const [first, ...others] = resolved.meanings;
    return { ...first, others, otherwise: resolved.otherwise };
  }
  if (resolved.kind === 'created') {
    const { created } = resolved;
    return { schema: created.schema, name: created.name, relation: undefined, created };
  }
  const { relation } = resolved;
  return { schema: relation.schema, name: relation.name, relation, created: undefined };
}

/** All relations that a known name may mean. */
export function meaningsOf(known: ResolvedRelation): readonly [UsedRelation, ...UsedRelation[]] {
  return known.kind === 'open' ? known.meanings : [usedRelation(known)];
}

/** The columns of a relation with their masks; notes that masked values are touched. Refuses one whose masked columns aren't known. */
export function outputOf(analysis: Analysis, resolved: ResolvedRelation): Output {
  if (resolved.kind === 'open') analysis.found.touchesCreated = true;
  if (resolved.kind === 'system' || resolved.kind === 'open') return { columns: [], isExact: false };
  if (resolved.kind === 'created') {
    analysis.found.touchesCreated = true;
    const names = analysis.moved ? [] : (resolved.created.columns ?? []);
    return { columns: names.map((name) => ({ name, masked: undefined })), isExact: false };
  }
  const { relation } = resolved;
  refuseRevealing(analysis, relation.name);
  const masks = analysis.taint.masksOf(relation);
  if (masks === 'opaque')
    throw new RefusedText(
      'masked-column-use',
      `"${relation.schema}.${relation.name}" shows masked values in a form that can't be masked`,
      {
        hint: 'Its definition uses a masked column, or something that is not proven harmless.',
      },
    );
  if (masks.some((mask) => mask !== undefined)) analysis.found.touchesMasked = true;
  const columns = relation.columns.map(({ name }, index) => ({ name, masked: masks[index] }));
  if (!mayHaveChanged(analysis, relation) && !mayChangeMeanwhile(analysis, relation, masks))
    return { columns, isExact: true };
  // A column that is gone would leave its name to the query around; what is masked can't be changed while it is.
  return { columns: columns.filter(({ masked }) => masked !== undefined), isExact: false };
}

/** True when the relation has ctid, xmin and the like for certain, so that these names mean nothing else. */
export function surelyHasSystemColumns(analysis: Analysis, resolved: ResolvedRelation): boolean {
  return resolved.kind === 'table' && resolved.relation.kind !== 'v' && !mayHaveChanged(analysis, resolved.relation);
}

/**
 * Another session of the same identity may alter it while the statement waits for a lock: a column that is gone then leaves its name, or its
 * place, to a masked one. What is masked itself can't be altered.
 */
function mayChangeMeanwhile(
  { taint, mayDefine }: Analysis,
  { schema, name }: Relation,
  masks: readonly unknown[],
): boolean {
  return taint.isInForce && masks.every((mask) => mask === undefined) && mayDefine(schema, name);
}

/** Altered by this session, perhaps in a transaction that the snapshot doesn't see: columns may be new, or gone. */
function mayHaveChanged({ moved, created }: Analysis, { schema, name }: Relation): boolean {
  return moved || created.has(`${schema}.${name}`);
}

/** It, or what the snapshot says it leads to: a view below it may have been replaced. */
function leadsToChanged(analysis: Analysis, relation: Relation): boolean {
  if (analysis.moved || analysis.created.size === 0) return analysis.moved;
  return Array.from(reached(analysis.catalog, new Set([relation]), true)).some((one) => mayHaveChanged(analysis, one));
}
