import { maskCovers } from '../../../../../policy/index.ts';
import type { Catalog, Relation } from '../catalog/catalog.ts';
import type { Decider } from '../plan.ts';
import { RefusedText } from '../refusal.ts';
import { type Place, tableResource } from '../resources.ts';
import { TABLE, type TableMask } from './table-masks.ts';

/** A column that a mask names and its table has not: misspelt, renamed or dropped. */
export interface MissingColumn {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  /** Ids of the policies that mask a column which the table has not, sorted. */
  readonly policies: readonly string[];
}

/** Finds the masks that name a certain table: by a qualified column, or because their policy is about that one table. */
export type MasksNaming = (table: TableName) => readonly TableMask[];

interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** Puts masks in order for {@link MasksNaming}. A mask that is good for any table that has such a column names none. */
export function indexMasks(masks: readonly TableMask[], place: Place): MasksNaming {
  const byName = new Map<string, TableMask[]>();
  const byId = new Map<string, TableMask[]>();
  for (const mask of masks) {
    const { column, scope } = mask;
    if (column.table !== undefined) append(byName, column.table, mask);
    else if ((scope.op === 'equals' || scope.op === 'in') && scope.type === TABLE) append(byId, scope.id, mask);
  }
  if (byName.size === 0 && byId.size === 0) return namesNothing;
  return (table) => {
    const named = byName.get(table.name) ?? none;
    // Most tables of a large database end here.
    if (named === none && byId.size === 0) return none;
    const resource = tableResource(place, table.schema, table.name);
    const scoped = byId.get(resource.id) ?? none;
    return [...named, ...scoped].filter((mask) => maskCovers(mask, resource));
  };
}

/** The first column that `masks` name and `columns` lack, with all policies that have such a mask. */
export function missingColumn(
  { schema, name: table }: TableName,
  columns: readonly string[],
  masks: readonly TableMask[],
): MissingColumn | undefined {
  const missing = masks.filter(({ column }) => !columns.includes(column.name));
  const column = missing[0]?.column.name;
  if (column === undefined) return undefined;
  return { schema, table, column, policies: Array.from(new Set(missing.map(({ policy }) => policy))).sort() };
}

/** What masks miss in one database, for one principal. */
export interface MissingColumns {
  readonly isEmpty: boolean;
  /** In the relation itself, or in one whose rows it shows: below a view or a rule, a partition, a parent. */
  reachedBy(relation: Relation): MissingColumn | undefined;
}

/** What is missing from the relations themselves, seen from all that lead to them. */
export function missingColumns(catalog: Catalog, direct: ReadonlyMap<number, MissingColumn>): MissingColumns {
  const known = new Map<number, MissingColumn | undefined>();
  return {
    isEmpty: direct.size === 0,
    reachedBy(relation) {
      if (direct.size === 0) return undefined;
      if (!known.has(relation.oid)) known.set(relation.oid, search(catalog, relation, direct));
      return known.get(relation.oid);
    },
  };
}

/** The refusal of everything that touches the relation `name`. */
export function maskWithoutColumn({ schema, table, column, policies }: MissingColumn, name: TableName): RefusedText {
  const isItself = name.schema === schema && name.name === table;
  const via = isItself ? '' : `; "${name.schema}.${name.name}" leads to that table`;
  return new RefusedText(
    'mask-without-column',
    `policy masks "${schema}.${table}.${column}", and there is no such column; mend the policy`,
    { hint: `Until then the mask hides nothing, so every use of the table is refused${via}.`, policies },
  );
}

/** Asks policy about a relation that a mask names in vain, as it is asked about those that have the column. */
export function probeMissing(
  relation: Relation,
  { place, decider, masksNaming }: { place: Place; decider: Decider; masksNaming: MasksNaming },
): MissingColumn | undefined {
  const candidates = masksNaming(relation);
  if (candidates.length === 0) return undefined;
  const columns = relation.columns.map(({ name }) => name);
  if (missingColumn(relation, columns, candidates) === undefined) return undefined;
  const resource = tableResource(place, relation.schema, relation.name);
  const decisions = [false, true].map((hasWhere) =>
    decider.decide('postgres:select', resource, { columns: columns.toSorted(), hasWhere }),
  );
  // A table that can't be read in this shape may still be read in another, or through a view.
  const applying = candidates.filter(({ policy }) =>
    decisions.some((decision) => !decision.allow || decision.policies.includes(policy)),
  );
  return missingColumn(relation, columns, applying);
}

/** Masks spread the same way. */
function search(
  catalog: Catalog,
  start: Relation,
  direct: ReadonlyMap<number, MissingColumn>,
): MissingColumn | undefined {
  const seen = new Set([start.oid]);
  const queue = [start.oid];
  for (const oid of queue) {
    const missing = direct.get(oid);
    if (missing !== undefined) return missing;
    const below = catalog.dependencies(oid).map(({ relation }) => relation);
    for (const next of [...below, ...catalog.parents(oid), ...catalog.children(oid)]) {
      if (seen.has(next.oid)) continue;
      seen.add(next.oid);
      queue.push(next.oid);
    }
  }
  return undefined;
}

function append(map: Map<string, TableMask[]>, key: string, mask: TableMask): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [mask]);
  else list.push(mask);
}

const none: readonly TableMask[] = [];
const namesNothing: MasksNaming = () => none;
