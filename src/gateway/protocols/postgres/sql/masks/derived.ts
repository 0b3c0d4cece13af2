/** Masked columns inside of expressions: refused, or NULL where policy says `@derived("null")` (decision 0024). */

import { maskedUse } from '../refusal.ts';
import {
  type Fields,
  fieldOf,
  flagOf,
  hasField,
  isFields,
  listOf,
  locationOf,
  nodeOf,
  stringsOf,
} from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import type { Masked, Output, Reference } from '../walk/scope.ts';

/** The places of a text in which NULL takes that column's place: its ColumnRef, or the number by which ORDER BY names an output. */
export type DerivedReads = Map<Fields, Masked>;

/** A masked column is used there otherwise than to be shown. Throws where that can't be NULL. */
export function readDerived(
  { reads }: Analysis,
  { masked, isPlain }: Pick<Reference, 'masked' | 'isPlain'>,
  at: { readonly node: Fields; readonly name: string | undefined },
): void {
  if (masked === undefined) return;
  const isCertain = reads !== undefined && isPlain && locationOf(at.node) !== undefined;
  if (!isCertain || masked.derived !== 'null') throw maskedUse(at.name);
  reads.set(at.node, masked);
}

/** Columns that are worked with, not shown: none may be masked, or it is NULL. */
export function withoutMasks(analysis: Analysis, output: Output): Output {
  if (output.columns.every(({ masked }) => masked === undefined)) return output;
  const columns = output.columns.map(({ name, masked, reference }) => {
    if (masked === undefined) return { name, masked };
    if (reference === undefined) throw maskedUse(name);
    readDerived(analysis, { masked, isPlain: true }, { node: reference, name });
    return { name, masked: undefined };
  });
  return { columns, isExact: output.isExact };
}

/**
 * True of `(null::"public"."customers")."email"`, what the gateway writes for a masked column: the column's very type, and no row. What it
 * names is a column for certain, no function of the row.
 */
export function isNullOfMasked({ taint, catalog, found }: Analysis, indirection: Fields): boolean {
  const cast = nodeOf(fieldOf(indirection, 'arg'));
  const path = stringsOf(listOf(indirection, 'indirection'));
  if (cast?.kind !== 'TypeCast' || path?.length !== 1) return false;
  const constant = nodeOf(fieldOf(cast.fields, 'arg'));
  if (constant?.kind !== 'A_Const' || !flagOf(constant.fields, 'isnull')) return false;
  const type = fieldOf(cast.fields, 'typeName');
  const isPlainType = isFields(type) && !hasField(type, 'arrayBounds') && !hasField(type, 'typmods');
  const names = isPlainType ? stringsOf(listOf(type, 'names')) : undefined;
  const [schema, name] = names?.length === 2 ? names : [];
  const relation = schema === undefined || name === undefined ? undefined : catalog.relation(schema, name);
  const masks = relation && taint.masksOf(relation);
  const at = relation?.columns.findIndex((column) => column.name === path[0]) ?? -1;
  if (masks === undefined || masks === 'opaque' || masks[at] === undefined) return false;
  found.touchesMasked = true;
  return true;
}
