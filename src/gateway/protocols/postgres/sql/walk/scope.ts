import type { Relation } from '../catalog/catalog.ts';
import { maskedUse, RefusedText } from '../refusal.ts';
import type { ColumnMask } from '../taint/probes.ts';
import type { Fields } from '../text/tree.ts';
import type { RelationUse } from '../verdict/uses.ts';

/** A masked column at its origin, as a RowDescription will name it. */
export interface Masked extends ColumnMask {
  readonly attribute: `${number}:${number}`;
}

/** One output column of a query or of a FROM item. `name` is undefined when it has none that could be known. */
export interface OutputColumn {
  readonly name: string | undefined;
  readonly masked: Masked | undefined;
  /** The reference that a masked column of a select list is. */
  readonly reference?: Fields;
}

/** Columns of a query in order. `isExact`: there are no further ones, and none is missing between. */
export interface Output {
  readonly columns: readonly OutputColumn[];
  readonly isExact: boolean;
}

/** Something in FROM that names can resolve to. */
export interface FromItem {
  /** What references call it; undefined: only its columns can be named. */
  readonly alias: string | undefined;
  /** Schema, when it can also be named `schema.alias`. */
  readonly schema: string | undefined;
  readonly output: Output;
  /** Where reads of its columns are noted; undefined for what is no table. */
  readonly use: RelationUse | undefined;
  /** The table's own column names at the positions of `output`, which an alias list may have renamed. */
  readonly relation: Relation | undefined;
  /** It surely has the columns that every table has; a view has none of them. */
  readonly hasSystemColumns?: boolean;
}

/** Names visible at one query level; `parent` is the level around it. */
export interface Scope {
  readonly items: FromItem[];
  readonly parent: Scope | undefined;
  /** WITH queries in sight, by name. */
  readonly ctes: Ctes;
  /** True when a join merges columns or an item isn't exact, so positions of `*` can't be counted. */
  isInexact: boolean;
}

/** Where a query stands: the level around it and the WITH queries in sight. */
export interface Outer {
  readonly parent: Scope | undefined;
  readonly ctes: Ctes;
}

export type Ctes = ReadonlyMap<string, Output>;

export const outermost: Outer = { parent: undefined, ctes: new Map() };

export function createScope({ parent, ctes }: Outer): Scope {
  return { items: [], parent, ctes, isInexact: false };
}

/** What a column reference means. `masked` covers every column it may be. */
export interface Reference {
  readonly masked: Masked | undefined;
  /** More than one column, or none that is certain: not a plain column in the server's eyes either. */
  readonly isPlain: boolean;
  /** `t.f` where t may have no column f: then it calls the function f with the whole row. */
  readonly mayCall: boolean;
}

const clean: Reference = { masked: undefined, isPlain: true, mayCall: false };

/** System columns: they tell where a row lies, not what is in it. */
const systemColumns = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']);

/** Resolves `name` as PostgreSQL does: innermost level first; columns before whole rows. */
export function resolveColumn(scope: Scope, name: string): Reference {
  let isMaybe = false;
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    let found: Reference | undefined;
    for (const item of level.items) {
      const column = columnOf(item, name);
      if (column === 'maybe') isMaybe = true;
      else if (column !== undefined)
        found = {
          masked: found?.masked ?? column.masked,
          isPlain: found === undefined && !isMaybe,
          mayCall: false,
        };
    }
    if (found !== undefined) return found;
  }
  // No column surely has this name, so it may be a whole row; if a masked one, that can't pass.
  const item = itemNamed(scope, { alias: name, schema: undefined });
  if (item !== undefined) return wholeRow(item);
  if (!isMaybe) throw new RefusedText('unknown-column', `column "${name}" does not exist`);
  return clean;
}

/** Resolves `alias.name` or `schema.alias.name`. */
export function resolveQualified(
  scope: Scope,
  by: { alias: string; schema: string | undefined },
  name: string,
): Reference {
  const item = itemNamed(scope, by);
  if (item === undefined) throw unknownAlias(scope, by);
  const column = columnOf(item, name);
  if (column === undefined || column === 'maybe') return { ...wholeRow(item), mayCall: true };
  return { masked: column.masked, isPlain: true, mayCall: false };
}

/** What `alias.*` is in an expression: the whole row, also where a column is called like the alias. */
export function resolveRow(scope: Scope, by: { alias: string; schema: string | undefined }): Reference {
  const item = itemNamed(scope, by);
  if (item === undefined) throw unknownAlias(scope, by);
  return wholeRow(item);
}

/** The columns of `alias.*`, each noted as read. */
export function expandItem(scope: Scope, by: { alias: string; schema: string | undefined }): Output {
  const item = itemNamed(scope, by);
  if (item === undefined) throw unknownAlias(scope, by);
  noteAll(item);
  return item.output;
}

/** The columns of `*`, each noted as read. */
export function expandAll(scope: Scope): Output {
  const columns: OutputColumn[] = [];
  let isExact = !scope.isInexact;
  for (const item of scope.items) {
    noteAll(item);
    columns.push(...item.output.columns);
    isExact &&= item.output.isExact;
  }
  return { columns, isExact };
}

/** Every column of every relation in sight. */
export function noteEverything(scope: Scope): void {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) level.items.forEach(noteAll);
}

/** Every column at once, as a value: masked as soon as one of them is. */
export function wholeRow(item: FromItem): Reference {
  noteAll(item);
  const masked = item.output.columns.find((column) => column.masked !== undefined)?.masked;
  return { masked, isPlain: false, mayCall: false };
}

/** Renames the first columns by an alias list. Refuses where a masked column could get a name that isn't known. */
export function renameColumns(output: Output, names: readonly string[]): Output {
  if (names.length === 0) return output;
  if (!output.isExact) {
    if (output.columns.some(({ masked }) => masked !== undefined)) throw maskedUse();
    return { columns: [], isExact: false };
  }
  const columns = output.columns.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
  return { columns, isExact: true };
}

function columnOf(item: FromItem, name: string): OutputColumn | 'maybe' | undefined {
  const { columns, isExact } = item.output;
  let found: OutputColumn | undefined;
  for (let index = 0; index < columns.length; index += 1) {
    const column = columns[index];
    if (column?.name !== name) continue;
    note(item, index);
    if (found === undefined || column.masked !== undefined) found = column;
  }
  if (found !== undefined) return found;
  if (item.hasSystemColumns === true && systemColumns.has(name)) return { name, masked: undefined };
  // A column without a known name may have this one: PostgreSQL makes names up for expressions.
  if (isExact && columns.every((column) => column.name !== undefined)) return undefined;
  item.use?.noteColumn(name);
  return 'maybe';
}

function note(item: FromItem, index: number): void {
  const name = item.relation?.columns[index]?.name ?? item.output.columns[index]?.name;
  if (name !== undefined) item.use?.noteColumn(name);
}

function noteAll(item: FromItem): void {
  item.use?.noteAll();
}

function itemNamed(
  scope: Scope,
  { alias, schema }: { alias: string; schema: string | undefined },
): FromItem | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent)
    for (const item of level.items)
      if (item.alias === alias && (schema === undefined || item.schema === schema)) return item;
  return undefined;
}

/** As PostgreSQL says it; guessing here would let a name mean something to the server and nothing to policy. */
function unknownAlias(scope: Scope, { alias, schema }: { alias: string; schema: string | undefined }): RefusedText {
  const meant = schema === undefined ? otherwiseNamed(scope, alias) : undefined;
  if (meant === undefined) return new RefusedText('unknown-relation', `missing FROM-clause entry for table "${alias}"`);
  return new RefusedText('unknown-relation', `invalid reference to FROM-clause entry for table "${alias}"`, {
    hint: `Perhaps you meant to reference the table alias "${meant}".`,
  });
}

/** What the only table of that name in sight is called instead. */
function otherwiseNamed(scope: Scope, name: string): string | undefined {
  const found: string[] = [];
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent)
    for (const { relation, alias } of level.items)
      if (relation?.name === name && alias !== undefined) found.push(alias);
  return found.length === 1 ? found[0] : undefined;
}
