/** Temporary tables that the session has made: what reads them reads rows that are there for nobody else, and nothing behind them. */

import type { Catalog } from '../catalog/catalog.ts';
import { computingExtensions } from '../catalog/function-lists.ts';
import type { CreatedRelation } from '../plan.ts';
import { type Fields, flagOf, hasField } from '../text/tree.ts';
import type { Analysis } from './analysis.ts';

/**
 * The relation that CREATE TABLE, CREATE TABLE AS or SELECT INTO makes, once the whole statement was walked, noted as the session's own where
 * it surely is. A permanent one may be renamed by others, and a view take its name; with IF NOT EXISTS there may be a view already; what an event trigger
 * does to a new table nobody here knows.
 */
export function asOwnTable({ catalog, found }: Analysis, fields: Fields, made: CreatedRelation): CreatedRelation {
  const isAlone = made.schema === 'pg_temp' && !flagOf(fields, 'if_not_exists') && !hasField(fields, 'ofTypename');
  const hasKnownTypes = !found.runsUnseen && !Array.from(found.relations).some(({ hasOwnTypes }) => hasOwnTypes);
  return isAlone && hasKnownTypes && !catalog.hasEventTriggers ? { ...made, isOwnTable: true } : made;
}

/**
 * True of a table that no code of the database's own can stand behind, since there is none: an operator class for the type of a column, say, which
 * sorts its rows by a function that no statement names.
 */
export function isOwnTable({ catalog }: Pick<Analysis, 'catalog'>, created: CreatedRelation): boolean {
  return created.isOwnTable === true && !catalog.hasEventTriggers && !hasOwnCode(catalog);
}

/** Functions but those of extensions that only compute, in whatever language. */
export function hasOwnCode({ functions: { functions } }: Catalog): boolean {
  for (const alike of functions.values())
    if (alike.some(({ extension }) => extension === undefined || !computingExtensions.has(extension))) return true;
  return false;
}
