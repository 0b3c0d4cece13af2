/** Which definitions may be made while columns are masked, although others of their kind run code or change who may see what. */
import type { Catalog } from '../catalog/catalog.ts';
import { computingExtensions } from '../catalog/function-lists.ts';
import { childOf, type Fields, fieldsOf, listOf, nodeOf, stringOf, stringsOf, textOf } from '../text/tree.ts';

/**
 * New names of relations and their parts, rights on relations and schemas, types and schemas of one's own, extensions that only compute, empty
 * databases: no code runs that reads anything, and what is masked is refused by its name.
 */
export function runsNothing(catalog: Catalog, kind: string, fields: Fields): boolean {
  if (kind === 'RenameStmt') return relationParts.has(textOf(fields, 'renameType') ?? '');
  if (kind === 'CreateExtensionStmt') return isComputingExtension(fields);
  if (kind === 'CreateRangeStmt') return isPlainRange(catalog, fields) && !hasLateCode(catalog);
  if (kind === 'DropdbStmt') return true;
  if (kind === 'AlterOwnerStmt') return isOwnersTaking(catalog, fields);
  if (kind === 'AlterDefaultPrivilegesStmt') return isOfNewRelations(fields);
  if (kind === 'CreatedbStmt') return isEmptyDatabase(fields);
  if (kind !== 'GrantStmt') return false;
  const of = textOf(fields, 'objtype') ?? '';
  const isNamed = textOf(fields, 'targtype') === 'ACL_TARGET_OBJECT';
  return isNamed ? [...relationObjects, 'OBJECT_COLUMN', 'OBJECT_SCHEMA'].includes(of) : isOfSchema(fields);
}

/** Without another version, whose code is not the one that is known, and without those that it needs. */
function isComputingExtension(fields: Fields): boolean {
  const options = listOf(fields, 'options').map((option) => textOf(nodeOf(option)?.fields ?? {}, 'defname'));
  return computingExtensions.has(textOf(fields, 'extname') ?? '') && options.every((option) => option === 'schema');
}

/** Compared by PostgreSQL's own order, and by a difference that nobody else has a function for. */
function isPlainRange({ functions: { builtins, functions } }: Catalog, fields: Fields): boolean {
  return listOf(fields, 'params').every((param) => {
    const option = nodeOf(param)?.fields ?? {};
    const name = textOf(option, 'defname');
    if (name === 'subtype' || name === 'collation' || name === 'multirange_type_name') return true;
    const [difference = '', ...more] = stringsOf(listOf(childOf(option, 'arg')?.fields ?? {}, 'names')) ?? [];
    return name === 'subtype_diff' && more.length === 0 && builtins.has(difference) && !functions.has(difference);
  });
}

/**
 * Code of the database's own that looks for what it calls by name when it runs. With a range type come functions of its name, which such code, in
 * a trigger say, might find in the place of one that was dropped; whether they fail would tell of the values that it passes.
 */
export function hasLateCode({ functions: { functions } }: Catalog): boolean {
  for (const alike of functions.values())
    for (const { language, extension } of alike)
      if (language !== 'c' && language !== 'internal' && !computingExtensions.has(extension ?? '')) return true;
  return false;
}

/** A copy of another database would be one without its masks. */
function isEmptyDatabase(fields: Fields): boolean {
  return listOf(fields, 'options').every((option) => {
    const { defname, arg } = nodeOf(option)?.fields ?? {};
    if (defname === 'template') return stringOf(arg) === 'template0';
    return typeof defname === 'string' && databaseOptions.has(defname);
  });
}

const databaseOptions: ReadonlySet<string> = new Set([
  ...['owner', 'encoding', 'locale', 'lc_collate', 'lc_ctype', 'icu_locale', 'icu_rules', 'locale_provider'],
  ...['collation_version', 'tablespace', 'allow_connections', 'connection_limit', 'is_template', 'strategy'],
]);

/** The schemas whose relations GRANT and REVOKE are about, there or still to be made. */
export function schemasOfRights(kind: string, fields: Fields): readonly string[] {
  if (kind === 'GrantStmt' && isOfSchema(fields)) return stringsOf(listOf(fields, 'objects')) ?? [];
  return kind === 'AlterDefaultPrivilegesStmt' ? schemasOfDefaults(fields) : [];
}

function isOfSchema(fields: Fields): boolean {
  const isAll = textOf(fields, 'targtype') === 'ACL_TARGET_ALL_IN_SCHEMA';
  return isAll && relationObjects.includes(textOf(fields, 'objtype') ?? '');
}

/** In schemas that are named: anywhere, a partition of a masked table may be made. */
function isOfNewRelations(fields: Fields): boolean {
  const of = textOf(fieldsOf(fields, 'action'), 'objtype') ?? '';
  return of === 'OBJECT_SCHEMA' || (relationObjects.includes(of) && schemasOfDefaults(fields).length > 0);
}

function schemasOfDefaults(fields: Fields): readonly string[] {
  return listOf(fields, 'options').flatMap((option) => {
    const { defname, arg } = nodeOf(option)?.fields ?? {};
    return defname === 'schemas' ? (stringsOf(listOf(nodeOf(arg)?.fields ?? {}, 'items')) ?? []) : [];
  });
}

/** The session's own role. Another owner might add to a type what runs on masked values, for whoever comes by another way than the gateway. */
function isOwnersTaking({ user }: Catalog, fields: Fields): boolean {
  const owner = fieldsOf(fields, 'newowner');
  const isOwn = textOf(owner, 'roletype') === 'ROLESPEC_CSTRING' ? textOf(owner, 'rolename') === user : true;
  return isOwn && ['OBJECT_TYPE', 'OBJECT_DOMAIN', 'OBJECT_SCHEMA'].includes(textOf(fields, 'objectType') ?? '');
}

const relationObjects = ['OBJECT_TABLE', 'OBJECT_SEQUENCE'];

const relationParts: ReadonlySet<string> = new Set([
  ...['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_INDEX', 'OBJECT_SEQUENCE', 'OBJECT_TABCONSTRAINT'],
  ...['OBJECT_COLUMN', 'OBJECT_POLICY'],
]);

/** ALTER TYPE … CASCADE of a row type: it reaches into the tables made of it, and none of them is named. Without, it fails where there are any. */
export function reachesTables(kind: string, fields: Fields): boolean {
  if (kind !== 'AlterTableStmt' || textOf(fields, 'objtype') !== 'OBJECT_TYPE') return false;
  return listOf(fields, 'cmds').some((cmd) => textOf(nodeOf(cmd)?.fields ?? {}, 'behavior') === 'DROP_CASCADE');
}
