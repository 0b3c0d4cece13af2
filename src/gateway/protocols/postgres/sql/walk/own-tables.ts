/**
 * Tables that the session has made and nobody else can reach, temporary ones and those of its open transaction: what reads them reads rows that are there
 * for nobody else, and nothing behind them.
 */

import type { Catalog } from '../catalog/catalog.ts';
import { computingExtensions } from '../catalog/function-lists.ts';
import { leadsToValues } from '../masks/withholding.ts';
import type { CreatedRelation } from '../plan.ts';
import { type Fields, flagOf, hasField, textOf } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';

/**
 * The relation that CREATE TABLE, CREATE TABLE AS, SELECT INTO or CREATE SEQUENCE makes, once the whole statement was walked, noted as the session's own
 * where it surely is. With IF NOT EXISTS there may be a view already; what an event trigger does to a new table nobody here knows. Parents, keys and
 * materialized views lead on to what they name; a copy of rows does not.
 */
export function asOwnTable(analysis: Analysis, fields: Fields, made: CreatedRelation): CreatedRelation {
  const { catalog, found } = analysis;
  const isAlone = !flagOf(fields, 'if_not_exists') && !hasField(fields, 'ofTypename');
  const hasKnownTypes = !found.runsUnseen && !Array.from(found.relations).some(({ hasOwnTypes }) => hasOwnTypes);
  if (!isAlone || !hasKnownTypes || catalog.hasEventTriggers) return made;
  const isCopy = hasField(fields, 'rel') || textOf(fields, 'objtype') === 'OBJECT_TABLE';
  const leadsOn = !isCopy && leadsToValues(analysis, found.relations, true);
  return leadsOn ? made : { ...made, isOwnTable: true };
}

/**
 * True of a table that no code of the database's own can stand behind, since there is none: an operator class for the type of a column, say, which
 * sorts its rows by a function that no statement names.
 */
export function isOwnTable({ catalog }: Pick<Analysis, 'catalog'>, created: CreatedRelation): boolean {
  return created.isOwnTable === true && !mayRunOwnCode(catalog);
}

/** Functions but those of extensions that only compute, in whatever language, or what calls them unasked. */
export function mayRunOwnCode(catalog: Catalog): boolean {
  return catalog.hasEventTriggers || hasOwnCode(catalog);
}

/** Functions but those of extensions that only compute, in whatever language. */
export function hasOwnCode({ functions: { functions } }: Catalog): boolean {
  for (const alike of functions.values())
    if (alike.some(({ extension }) => extension === undefined || !computingExtensions.has(extension))) return true;
  return false;
}
