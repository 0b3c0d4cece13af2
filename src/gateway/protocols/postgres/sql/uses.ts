import type { Relation } from './catalog.ts';
import type { CreatedRelation } from './plan.ts';

/** What can be done to a table's rows, as policy names it after `postgres:`. */
export type RowAction = 'select' | 'insert' | 'update' | 'delete' | 'truncate';

/** One action on one relation, gathered over all places of a statement. */
export interface RelationUse {
  readonly schema: string;
  readonly name: string;
  /** Undefined for a relation of this session that the snapshot doesn't show. */
  readonly relation: Relation | undefined;
  /** Names of all its columns, undefined when they can't be known. */
  readonly columnNames: readonly string[] | undefined;
  readonly action: RowAction;
  /** `ONLY` stood at every place, so inheriting tables stay out. */
  readonly isOnly: boolean;
  readonly columns: ReadonlySet<string>;
  readonly hasWhere: boolean;
  /** True when the action takes place even if no column is named (a select of `count(*)`). */
  readonly isCertain: boolean;
  noteColumn(name: string): void;
  noteAll(): void;
}

/** A relation by the parts that a use needs. */
export interface UsedRelation {
  readonly schema: string;
  readonly name: string;
  readonly relation: Relation | undefined;
  readonly created: CreatedRelation | undefined;
}

/** Gathers what a statement does to relations. */
export interface Uses {
  /** A place where the relation is used. `isCertain: false`: it counts only once a column is noted. */
  add(
    used: UsedRelation,
    action: RowAction,
    place: { hasWhere: boolean; isOnly?: boolean; isCertain?: boolean },
  ): RelationUse;
  /** In order of first use, those that take place. */
  list(): readonly RelationUse[];
}

/** `moved`: names of columns may mean others than the snapshot shows, so a use of one counts as one of all. */
export function createUses({ moved }: { moved: boolean }): Uses {
  const byKey = new Map<string, MutableUse>();
  return {
    add(used, action, { hasWhere, isOnly = false, isCertain = true }) {
      const key = JSON.stringify([action, used.schema, used.name]);
      const known = byKey.get(key);
      if (known !== undefined) {
        known.hasWhere &&= hasWhere;
        known.isOnly &&= isOnly;
        known.isCertain ||= isCertain;
        return known;
      }
      const use = createUse(used, action, { hasWhere, isOnly, isCertain, moved });
      byKey.set(key, use);
      return use;
    },
    list: () => Array.from(byKey.values()).filter((use) => use.isCertain || use.columns.size > 0),
  };
}

interface MutableUse extends RelationUse {
  isOnly: boolean;
  hasWhere: boolean;
  isCertain: boolean;
}

function createUse(
  { schema, name, relation, created }: UsedRelation,
  action: RowAction,
  { moved, ...place }: { hasWhere: boolean; isOnly: boolean; isCertain: boolean; moved: boolean },
): MutableUse {
  const columns = new Set<string>();
  const columnNames = relation?.columns.map((column) => column.name) ?? created?.columns;
  const all = columnNames ?? [];
  const known = new Set(all);
  return {
    schema,
    name,
    relation,
    columnNames,
    action,
    ...place,
    columns,
    noteColumn(column) {
      // A name that the snapshot doesn't have may be a new column or a function of the whole row.
      if (known.has(column) && !moved) columns.add(column);
      else if (relation === undefined) columns.add(column);
      else for (const one of all) columns.add(one);
    },
    noteAll() {
      for (const one of all) columns.add(one);
    },
  };
}
