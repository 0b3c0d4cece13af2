import type { Relation } from '../catalog/catalog.ts';
import type { CreatedRelation } from '../plan.ts';
import type { RefusedText } from '../refusal.ts';

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
  /** The name may mean something else, or nothing: the answer when policy says no. Undefined: policy's own. */
  readonly otherwise: RefusedText | undefined;
  /** See `UsedRelation.others`. */
  readonly others?: readonly UsedRelation[];
  noteColumn(name: string): void;
  noteAll(): void;
}

/** A relation by the parts that a use needs. */
export interface UsedRelation {
  readonly schema: string;
  readonly name: string;
  readonly relation: Relation | undefined;
  readonly created: CreatedRelation | undefined;
  /** What else the name may mean: whatever is done is done to all of them. */
  readonly others?: readonly UsedRelation[];
  readonly otherwise?: RefusedText | undefined;
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
  const uses: Uses = {
    add(used, action, place) {
      const { hasWhere, isOnly = false, isCertain = true } = place;
      const { others = [], ...first } = used;
      if (others.length > 0) {
        const one = uses.add(first, action, place);
        const all = [one, ...others.map((other) => uses.add({ ...other, otherwise: used.otherwise }, action, place))];
        return {
          ...one,
          others,
          noteColumn(name) {
            for (const use of all) use.noteColumn(name);
          },
          noteAll() {
            for (const use of all) use.noteAll();
          },
        };
      }
      const key = JSON.stringify([action, used.schema, used.name]);
      const known = byKey.get(key);
      if (known !== undefined) {
        known.hasWhere &&= hasWhere;
        known.isOnly &&= isOnly;
        known.isCertain ||= isCertain;
        // What is meant elsewhere for certain is policy's to answer for.
        if (used.otherwise === undefined) known.otherwise = undefined;
        return known;
      }
      const use = createUse(used, action, { hasWhere, isOnly, isCertain, moved });
      byKey.set(key, use);
      return use;
    },
    list: () => Array.from(byKey.values()).filter((use) => use.isCertain || use.columns.size > 0),
  };
  return uses;
}

interface MutableUse extends RelationUse {
  isOnly: boolean;
  hasWhere: boolean;
  isCertain: boolean;
  otherwise: RefusedText | undefined;
}

function createUse(
  { schema, name, relation, created, otherwise }: UsedRelation,
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
    otherwise,
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
