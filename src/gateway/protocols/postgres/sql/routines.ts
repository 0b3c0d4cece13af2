/** Functions, procedures and triggers that are made while columns are masked: only of code that is proven then, and again whenever it is called. */
import type { Analysis } from './analysis.ts';
import type { UserFunction } from './catalog-functions.ts';
import { provesMade } from './code.ts';
import { type CodeLanguage, createCodeReader, isCodeLanguage } from './code-text.ts';
import { RefusedText } from './refusal.ts';
import { createScope, outermost } from './scope.ts';
import { mayHaveAnyValue } from './settings.ts';
import { mayTakeFunction, refuseNear } from './taken-names.ts';
import {
  childOf,
  type Fields,
  fieldOf,
  fieldsOf,
  hasField,
  listOf,
  nodeOf,
  stringOf,
  stringsOf,
  textOf,
} from './tree.ts';

/** Refuses a new function or procedure that is not proven, or could take the place of one that others pass values to. */
export function checkNewFunction(analysis: Analysis, fields: Fields): void {
  const made = readFunction(fields);
  if (made === undefined || made.schema.startsWith('pg_') || !listOf(fields, 'options').every(isHarmlessOption))
    throw unprovenRoutine('only functions in SQL and PL/pgSQL can be read');
  const name = `function ${made.name}`;
  const others = analysis.createdNames;
  const known = others.has(name) ? others.get(name) : [];
  // It may call itself.
  const all = new Map(others).set(name, known && [...known, made]);
  if (!analysis.taint.proofs.proves(made, { created: analysis.created, createdNames: all }))
    throw unprovenRoutine(`the text of ${made.name} runs SQL in a string, or names what may show masked values`);
  if (!mayTakeFunction(analysis, made.name))
    throw unprovenRoutine(`${made.name} is a name that statements of others mean PostgreSQL's by`);
  for (const parameter of listOf(fields, 'parameters'))
    analysis.expression(fieldOf(nodeOf(parameter)?.fields ?? {}, 'defexpr'), createScope(outermost));
}

/** Refuses a trigger whose function is not proven, or that masked rows come to. */
export function checkNewTrigger(analysis: Analysis, fields: Fields): void {
  const path = stringsOf(listOf(fields, 'funcname')) ?? [];
  // What is in the schema of temporary objects no snapshot shows.
  const isTemporary = path.length > 1 && path[0]?.startsWith('pg_temp') !== false;
  if (isTemporary || !isProvenName(analysis, path.at(-1) ?? ''))
    throw unprovenRoutine(`function ${path.at(-1)} is not proven harmless`);
  for (const name of ['relation', 'constrrel'])
    if (hasField(fields, name)) refuseNear(analysis, fieldsOf(fields, name));
}

/** Refuses another name, owner, schema, setting or right of code, unless all that has its name is proven. */
export function checkAlteredFunction(analysis: Analysis, kind: string, fields: Fields): void {
  if (!listOf(fields, 'actions').every(isHarmlessOption)) throw unprovenRoutine('only settings that are harmless');
  for (const name of alteredNames(kind, fields))
    if (!isProvenName(analysis, name) || !mayTakeFunction(analysis, name))
      throw unprovenRoutine(`function ${name} is not proven harmless, or has a name of PostgreSQL's`);
  const newName = kind === 'RenameStmt' ? (textOf(fields, 'newname') ?? '') : undefined;
  if (newName !== undefined && !mayTakeFunction(analysis, newName))
    throw unprovenRoutine(`${newName} is a name that statements of others mean PostgreSQL's by`);
}

/** A statement that alters functions or rights on them, and nothing else. */
export function altersFunctions(kind: string, fields: Fields): boolean {
  if (kind === 'AlterFunctionStmt') return true;
  if (kind === 'GrantStmt')
    return textOf(fields, 'targtype') === 'ACL_TARGET_OBJECT' && routineKinds.has(textOf(fields, 'objtype') ?? '');
  const type = kind === 'RenameStmt' ? 'renameType' : 'objectType';
  return alteringKinds.has(kind) && routineKinds.has(textOf(fields, type) ?? '');
}

function alteredNames(kind: string, fields: Fields): readonly string[] {
  const objects =
    kind === 'GrantStmt'
      ? listOf(fields, 'objects')
      : [fieldOf(fields, 'object') ?? { ObjectWithArgs: fieldOf(fields, 'func') }];
  return objects.map((object) => stringsOf(listOf(nodeOf(object)?.fields ?? {}, 'objname'))?.at(-1) ?? '');
}

/** All that has that name, in any schema, is proven. */
function isProvenName(analysis: Analysis, name: string): boolean {
  const known = analysis.catalog.functions.functions.get(name) ?? [];
  const isMade = analysis.createdNames.has(`function ${name}`);
  if (known.length === 0 && !isMade) return analysis.taint.proofs.areThere && triggerBuiltins.has(name);
  return (!isMade || provesMade(analysis, name)) && known.every((one) => analysis.taint.proofs.proves(one, analysis));
}

/** PostgreSQL's own functions for triggers: they compute from the row. */
const triggerBuiltins: ReadonlySet<string> = new Set([
  ...['tsvector_update_trigger', 'tsvector_update_trigger_column', 'suppress_redundant_updates_trigger'],
]);
const alteringKinds: ReadonlySet<string> = new Set(['RenameStmt', 'AlterOwnerStmt', 'AlterObjectSchemaStmt']);
const routineKinds: ReadonlySet<string> = new Set(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE']);

/** Refuses a block of DO that is not proven, as if it were a function. */
export function refuseUnprovenBlock(analysis: Analysis, fields: Fields): void {
  const { text, language = 'plpgsql' } = optionsOf(listOf(fields, 'args'));
  const isText = language === 'plpgsql' && text !== undefined;
  const code = isText ? codeOf({ name: '', schema: '' }, text, language) : undefined;
  if (code === undefined || !analysis.taint.proofs.proves(code, analysis))
    throw unprovenRoutine('the block runs SQL in a string, or names what may show masked values');
}

/** The function that CREATE FUNCTION makes, as a snapshot will show it; undefined when its text can't be read. */
export function readFunction(fields: Fields): UserFunction | undefined {
  const path = stringsOf(listOf(fields, 'funcname')) ?? [];
  const name = path.at(-1);
  const { text, language } = optionsOf(listOf(fields, 'options'));
  if (name === undefined || text === undefined || language === undefined || !isCodeLanguage(language)) return undefined;
  const code = codeOf({ name, schema: path.at(-2) ?? '' }, text, language);
  if (code?.text === undefined) return undefined;
  const names = [...code.text.names, ...typesIn(fields)];
  return { ...code, text: { ...code.text, names }, settings: settingsIn(listOf(fields, 'options')) };
}

function codeOf(
  { name, schema }: { name: string; schema: string },
  source: string,
  language: CodeLanguage,
): UserFunction | undefined {
  const text = createCodeReader()(source, language);
  return (
    text && {
      ...{ oid: 0, schema, name, isProcedure: false, isLate: true, language, text, settings: [], parts: [] },
      ...{ argumentsMin: 0, argumentsMax: 0, extension: undefined, isBuiltUpon: false },
    }
  );
}

/** Each once, and the text by itself: else it is a name in a library, or standard SQL whose names are looked up now. */
function optionsOf(options: readonly unknown[]): { readonly text?: string; readonly language?: string } {
  const only = (name: string) => {
    const found = options
      .map((option) => nodeOf(option)?.fields ?? {})
      .filter((one) => textOf(one, 'defname') === name);
    return found.length === 1 ? fieldOf(found[0] ?? {}, 'arg') : undefined;
  };
  const body = only('as');
  const list = nodeOf(body);
  const texts = list?.kind === 'List' ? stringsOf(listOf(list.fields, 'items')) : stringsOf([body]);
  const language = stringOf(only('language'))?.toLowerCase();
  return {
    ...(texts?.length === 1 && texts[0] !== undefined ? { text: texts[0] } : {}),
    ...(language === undefined ? {} : { language }),
  };
}

function isHarmlessOption(option: unknown): boolean {
  const fields = nodeOf(option)?.fields ?? {};
  const name = textOf(fields, 'defname') ?? '';
  if (name !== 'set') return harmlessOptions.has(name);
  const setting = textOf(childOf(fields, 'arg')?.fields ?? {}, 'name')?.toLowerCase() ?? '';
  return (
    setting === 'search_path' || mayHaveAnyValue({ customSettings: new Set(), taint: { isInForce: true } }, setting)
  );
}

/** Not a support function, a transform, or a window function, which are C. */
const harmlessOptions: ReadonlySet<string> = new Set([
  ...['as', 'language', 'volatility', 'strict', 'security', 'leakproof', 'parallel', 'cost', 'rows'],
]);

function settingsIn(options: readonly unknown[]): readonly string[] {
  return options.flatMap((option) => {
    const fields = nodeOf(option)?.fields ?? {};
    if (textOf(fields, 'defname') !== 'set') return [];
    return textOf(childOf(fields, 'arg')?.fields ?? {}, 'name') ?? [''];
  });
}

/** All names in its signature that could be of types. */
function typesIn(fields: Fields): readonly string[] {
  const types = listOf(fields, 'parameters').map((one) => fieldsOf(nodeOf(one)?.fields ?? {}, 'argType'));
  if (hasField(fields, 'returnType')) types.push(fieldsOf(fields, 'returnType'));
  return types.flatMap((type) => stringsOf(listOf(type, 'names')) ?? ['']);
}

function unprovenRoutine(why: string): RefusedText {
  return new RefusedText('masked-ddl', `${why}, and columns of this database are masked for you`);
}
