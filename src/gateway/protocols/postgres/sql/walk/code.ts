/** Which code a statement runs on the server: functions, operators, casts; what of it is refused, asked of policy, or proven harmless. */

import {
  adminFunctions,
  computingExtensions,
  computingOperators,
  functionsOfExtensions,
  harmlessVolatile,
  informationFunctions,
  inputFunctions,
  largeObjectFunctions,
  overseeingFunctions,
  refusedFunctionPrefixes,
  refusedFunctions,
  revealingFunctions,
} from '../catalog/function-lists.ts';
import type { UserCast, UserFunction } from '../catalog/functions.ts';
import type { SessionEffect } from '../plan.ts';
import { notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource, functionResource } from '../resources.ts';
import { codePath } from '../session/search-path.ts';
import { checkRole, checkSetting, identitySettings, mayHaveAnyValue } from '../session/settings.ts';
import {
  constantOf,
  type Fields,
  fieldOf,
  fieldsOf,
  listOf,
  locationOf,
  nodeOf,
  stringsOf,
  textOf,
} from '../text/tree.ts';
import { askAdministration, askPastSight } from '../verdict/administration.ts';
import type { Analysis } from './analysis.ts';
import { type BoundParameters, isPlainCast, parameterOf } from './bound-parameters.ts';
import { isBuiltinType, isBuiltinTypeName } from './builtin-types.ts';

interface Call {
  readonly schema: string | undefined;
  readonly name: string;
  readonly argumentCount: number;
  readonly location?: number | undefined;
}

/** Judges one function call; its arguments are walked by the caller. */
export function checkCall(analysis: Analysis, fields: Fields): void {
  const names = stringsOf(listOf(fields, 'funcname'));
  const name = names?.at(-1);
  if (names === undefined || name === undefined || names.length > 2) throw notUnderstood('function name');
  const call: Call = {
    schema: names.length === 2 ? names[0] : undefined,
    name,
    argumentCount: listOf(fields, 'args').length,
    location: locationOf(fields),
  };
  // Only this session can have made it, and it is in no snapshot.
  if (call.schema?.startsWith('pg_temp') === true) {
    refuseByName(analysis, call);
    askEverywhere(analysis, { ...call, schema: 'pg_temp' }, undefined);
    return;
  }
  if (call.schema === 'information_schema' && informationFunctions.has(name)) return;
  refuseByName(analysis, call);
  const users = candidates(analysis, call);
  if (mayBeBuiltin(analysis, call)) checkBuiltin(analysis, call, fields);
  else if (users.length === 0 && !isTypeName(analysis, call)) askUnknown(analysis, call);
  for (const user of users) checkUserFunction(analysis, user);
  if (analysis.createdNames.has(`function ${name}`)) askEverywhere(analysis, call, undefined);
}

/** A name that nobody here knows may mean a function just made: it is the server's to say, where policy allows whatever it may mean. */
export function askUnknown(analysis: Analysis, call: Pick<Call, 'schema' | 'name'>): void {
  if (isOfNewExtension(analysis, call.name)) return;
  const otherwise = unknownFunction(call);
  const isSystem = call.schema === 'pg_catalog' || call.schema === 'information_schema';
  if (analysis.taint.isInForce || isSystem) throw otherwise;
  if (!analysis.createdNames.has(`function ${call.name}`)) analysis.found.unknown.add(otherwise.message);
  askEverywhere(analysis, call, otherwise);
}

/** The extension that brings it was made by this session, and no snapshot shows another function of that name. */
function isOfNewExtension({ createdNames }: Analysis, name: string): boolean {
  for (const [extension, names] of functionsOfExtensions)
    if (createdNames.has(`extension ${extension}`) && names.test(name)) return true;
  return false;
}

/** Asks for a function of that name in every schema it may be in. */
function askEverywhere(
  analysis: Analysis,
  { schema, name }: Pick<Call, 'schema' | 'name'>,
  otherwise: RefusedText | undefined,
): void {
  if (analysis.taint.isInForce) throw unproven(name);
  analysis.found.writes = true;
  const schemas = schema === undefined ? codePath(analysis.searchPath).filter((one) => one !== 'pg_catalog') : [schema];
  if (schemas.length === 0) throw otherwise ?? unknownFunction({ schema, name });
  for (const one of schemas)
    analysis.questions.push({
      action: 'postgres:call',
      resource: functionResource(analysis.place, one, name),
      ...(otherwise === undefined ? {} : { otherwise }),
    });
}

/** Judges `(x).f`, and `t.f` where t may have no column f: if there is no such field either, PostgreSQL calls the function f. */
export function checkAttribute(analysis: Analysis, name: string | undefined): void {
  if (name === undefined) return;
  const call: Call = { schema: undefined, name, argumentCount: 1 };
  refuseByName(analysis, call);
  if (mayBeBuiltin(analysis, call)) checkBuiltin(analysis, call, {});
  for (const user of candidates(analysis, call)) checkUserFunction(analysis, user);
  if (analysis.createdNames.has(`function ${name}`)) askEverywhere(analysis, call, undefined);
}

function refuseByName(analysis: Analysis, { name, argumentCount }: Call): void {
  const isRefused =
    refusedFunctions.has(name) ||
    refusedFunctionPrefixes.some((prefix) => name.startsWith(prefix)) ||
    // With two arguments the second is SQL that it runs.
    (name === 'ts_rewrite' && argumentCount === 2);
  if (isRefused) {
    const message = `function ${name} reaches past what the gateway can see, so it takes postgres:admin`;
    askPastSight(analysis, new RefusedText('restricted-function', message));
  }
  if (!adminFunctions.has(name)) return;
  analysis.found.writes = true;
  askAdministration(analysis);
}

function mayBeBuiltin({ catalog }: Analysis, { schema, name }: Call): boolean {
  return (schema === undefined || schema === 'pg_catalog') && catalog.functions.builtins.has(name);
}

function checkBuiltin(analysis: Analysis, { name }: Call, fields: Fields): void {
  if (name === 'set_config') checkSetConfig(analysis, fields);
  if (name === 'pg_notify')
    analysis.questions.push({ action: 'postgres:notify', resource: databaseResource(analysis.place) });
  if (largeObjectFunctions.has(name)) askLargeObject(analysis, name);
  if (changingBuiltins.has(name)) analysis.found.writes = true;
  if (overseeingFunctions.has(name)) askAdministration(analysis);
  if (!analysis.taint.isInForce) return;
  if (inputFunctions.has(name)) analysis.found.runsUnseen = true;
  const isVolatile = analysis.catalog.functions.builtins.get(name) === 'volatile';
  if (revealingFunctions.has(name) || (isVolatile && !harmlessVolatile.has(name))) throw unproven(name);
}

/** Whose object it is and what is in it nobody here knows. */
export function askLargeObject(analysis: Analysis, name: string): void {
  if (analysis.taint.isInForce) throw unproven(name);
  analysis.found.writes = true;
  analysis.questions.push({
    action: 'postgres:call',
    resource: functionResource(analysis.place, 'pg_catalog', name),
  });
}

/**
 * `set_config(name, value, local)` is SET in an expression, so it stands under the same list, which reads constants and what is bound to
 * parameters. Any other expression can be the value of a setting that may have any: services name their tenant so.
 */
function checkSetConfig(analysis: Analysis, fields: Fields): void {
  const args = listOf(fields, 'args');
  // Another function of that name might be the one that is meant, and take other types.
  const isAlone =
    !analysis.catalog.functions.functions.has(SET_CONFIG) && !analysis.createdNames.has(FUNCTION_SET_CONFIG);
  const bound = isAlone ? analysis.bound : undefined;
  const [name, value] = args.map((one) => textArgument(one, bound));
  const isLocal = localArgument(args[2], bound);
  if (name === null) return; // The server refuses it.
  if (name === LATER) return void noteLater(analysis);
  if (name === undefined)
    throw new RefusedText(
      'setting-refused',
      'set_config takes the name of the setting as a constant or parameter here',
    );
  const setting = name.text.toLowerCase();
  if (value === undefined || value === LATER) {
    if (mayHaveAnyValue(analysis, setting) || setting.includes('.'))
      return void checkSetting(analysis, setting, undefined);
    if (value === LATER) return void noteLater(analysis);
    throw new RefusedText(
      'setting-refused',
      `set_config takes a constant or a parameter as value for "${setting}" here`,
    );
  }
  const values = value === null ? undefined : [value.text];
  if (isLocal === LATER && followedSettings.has(setting)) return void noteLater(analysis);
  const effect = settingEffect(analysis, setting, { values, isLocal: isLocal === true });
  if (effect === undefined) return;
  // One that may run or not would leave nobody here knowing what the names after it mean.
  if (isLocal === undefined || !analysis.certainCalls.has(fields))
    throw new RefusedText('setting-refused', `set_config sets "${setting}" only by a SELECT of its own here`, {
      hint: `Write SELECT set_config(...) without FROM or WHERE, with constants or parameters, or SET ${setting}.`,
    });
  analysis.found.settings.push(effect);
}

/** Judges an assignment; answers what it makes of the path or the role. */
function settingEffect(
  analysis: Analysis,
  setting: string,
  to: { readonly values: readonly string[] | undefined; readonly isLocal: boolean },
): SessionEffect | undefined {
  if (identitySettings.has(setting)) return checkRole(analysis, setting, to);
  const path = checkSetting(analysis, setting, to.values);
  return path && { kind: 'search-path', path: path.names, isLocal: to.isLocal };
}

function noteLater(analysis: Analysis): void {
  analysis.found.needsValues = true;
}

/** A text that is known; null for NULL; undefined when nobody here knows. */
function textArgument(
  value: unknown,
  bound: BoundParameters | undefined,
): { text: string } | null | 'later' | undefined {
  const parameter = parameterOf(value);
  if (parameter !== undefined && bound?.isLater(parameter) === true) return LATER;
  const known = parameter === undefined ? plainConstantOf(value) : bound?.textOf(parameter);
  return typeof known === 'string' ? { text: known } : known === null ? null : undefined;
}

/** NULL is no. */
function localArgument(value: unknown, bound: BoundParameters | undefined): boolean | 'later' | undefined {
  const parameter = parameterOf(value);
  if (parameter !== undefined && bound?.isLater(parameter) === true) return LATER;
  const known = parameter === undefined ? plainConstantOf(value) : bound?.booleanOf(parameter);
  return typeof known === 'boolean' ? known : known === null ? false : undefined;
}

/** A cast to anything but `text` may make another value of a constant: `'role.x'::char(4)` is `'role'`. */
function plainConstantOf(value: unknown): string | boolean | null | undefined {
  const node = nodeOf(value);
  if (node?.kind !== 'TypeCast') return constantOf(value);
  return isPlainCast(fieldsOf(node.fields, 'typeName')) ? plainConstantOf(fieldOf(node.fields, 'arg')) : undefined;
}

function checkUserFunction(analysis: Analysis, user: UserFunction): void {
  if (isComputing(user.extension)) return;
  analysis.found.writes = true;
  analysis.questions.push({
    action: 'postgres:call',
    resource: functionResource(analysis.place, user.schema, user.name),
  });
  if (analysis.taint.isInForce) throw unproven(`${user.schema}.${user.name}`);
}

/** User functions that the call may mean: by name, number of arguments and visible schemas. */
export function candidates(analysis: Analysis, { schema, name, argumentCount }: Call): readonly UserFunction[] {
  const all = analysis.catalog.functions.functions.get(name) ?? [];
  return all.filter((user) => {
    if (!user.isProcedure && (argumentCount < user.argumentsMin || argumentCount > user.argumentsMax)) return false;
    return schema === undefined ? codePath(analysis.searchPath).includes(user.schema) : user.schema === schema;
  });
}

/** Judges the operators of an expression node: BETWEEN stands for two. */
export function checkComparison(analysis: Analysis, fields: Fields): void {
  if (textOf(fields, 'kind')?.includes('BETWEEN') === true)
    for (const name of ['>=', '<=', '<', '>']) checkOperatorName(analysis, name);
  else checkOperator(analysis, listOf(fields, 'name'));
}

/** Judges an operator by its (maybe qualified) name. */
export function checkOperator(analysis: Analysis, path: readonly unknown[]): void {
  if (path.length === 0) return;
  const names = stringsOf(path);
  const name = names?.at(-1);
  if (names === undefined || name === undefined || names.length > 2) throw notUnderstood('operator name');
  checkOperatorName(analysis, name, names.length === 2 ? names[0] : undefined);
}

export function checkOperatorName(analysis: Analysis, name: string, schema?: string): void {
  if (schema === 'pg_catalog' || !analysis.taint.isInForce) return;
  const users = analysis.catalog.functions.operators.get(name) ?? [];
  const isVisible = (one: string) =>
    schema === undefined ? codePath(analysis.searchPath).includes(one) : one === schema;
  const meant = users.filter((user) => isVisible(user.schema) && !isComputing(user.extension, computingOperators));
  if (meant.length === 0) return;
  if (schema !== undefined || !commonOperators.has(name) || !meant.every((user) => user.takesOwnOnly))
    throw unprovenOperator(name);
  analysis.found.ownOperators.add(name);
}

/**
 * After the walk: code of the database's own that types lead to. A cast that its owner has made runs wherever a value of its types becomes another, and
 * nothing need name it. An operator for types of its own, under the name of one of PostgreSQL's, is never meant where no value of such a type is
 * about: PostgreSQL takes it for nothing else (decision 0018).
 */
export function refuseOwnCode({ found, catalog, taint }: Analysis): void {
  if (!taint.isInForce) return;
  const [operator] = found.ownOperators;
  const hasCasts = catalog.functions.casts.some((cast) => isOwnCast(catalog, cast));
  if (operator === undefined && !hasCasts) return;
  const hasOwnTypes = Array.from(found.relations).some((relation) => relation.hasOwnTypes);
  if (hasCasts && hasOwnTypes)
    throw new RefusedText(
      'unproven-cast',
      'a cast of a type of this database runs a function that is not proven harmless while columns are masked',
    );
  // What runs unseen, and what was made just now, may have any types.
  if (operator !== undefined && (found.runsUnseen || found.hasOwnTables || hasOwnTypes))
    throw unprovenOperator(operator);
}

function isOwnCast({ functions }: Analysis['catalog'], { types, extension }: UserCast): boolean {
  return extension === undefined && !types.every((name) => functions.builtinTypes.has(name));
}

function unprovenOperator(name: string): RefusedText {
  return new RefusedText(
    'unproven-operator',
    `operator ${name} runs a function that is not proven harmless while columns are masked`,
  );
}

/** PostgreSQL has each of these for text or for numbers, so that two values of unknown type never leave its own types. */
const commonOperators: ReadonlySet<string> = new Set([
  ...[
    '=',
    '<>',
    '<',
    '<=',
    '>',
    '>=',
    '+',
    '-',
    '*',
    '/',
    '%',
    '||',
    '~~',
    '!~~',
    '~~*',
    '!~~*',
    '~',
    '~*',
    '!~',
    '!~*',
  ],
]);

/** Judges the type of a cast: a cast function of the database's own may run. */
export function checkType(analysis: Analysis, type: Fields): void {
  if (!analysis.taint.isInForce) return;
  const name = stringsOf(listOf(type, 'names'))?.at(-1);
  if (name === undefined) throw notUnderstood('type name');
  const plain = name.startsWith('_') ? name.slice(1) : name;
  // A domain's check may call anything.
  if (!isBuiltinType(analysis, type)) analysis.found.runsUnseen = true;
  const runs = analysis.catalog.functions.casts.some(
    (cast) => !isComputing(cast.extension, computingOperators) && cast.types.includes(plain),
  );
  if (runs)
    throw new RefusedText(
      'unproven-cast',
      `a cast of type ${name} runs a function that is not proven harmless while columns are masked`,
    );
}

function isComputing(extension: string | undefined, of = computingExtensions): boolean {
  return extension !== undefined && of.has(extension);
}

/** `date('…')`: a type's name called like a function is a cast. */
function isTypeName(analysis: Analysis, { schema, name, argumentCount }: Call): boolean {
  return argumentCount === 1 && isBuiltinTypeName(analysis, schema === undefined ? [name] : [schema, name]);
}

function unproven(name: string): RefusedText {
  return new RefusedText(
    'unproven-function',
    `function ${name} is not proven harmless, and columns of this database are masked for you`,
  );
}

export function unknownFunction({ schema, name, location }: Pick<Call, 'schema' | 'name' | 'location'>): RefusedText {
  return new RefusedText(
    'unknown-function',
    `function ${schema === undefined ? name : `${schema}.${name}`} does not exist`,
    { location },
  );
}

/** What names mean from then on. */
const followedSettings: ReadonlySet<string> = new Set(['search_path', ...identitySettings]);
const LATER = 'later';
const SET_CONFIG = 'set_config';
const FUNCTION_SET_CONFIG = `function ${SET_CONFIG}`;
/** PostgreSQL's own that change something beyond the statement. */
const changingBuiltins: ReadonlySet<string> = new Set(['nextval', 'setval', 'setseed', 'pg_stat_clear_snapshot']);
