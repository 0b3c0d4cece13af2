/**
 * Which code of the database's own can't show a masked value: by the names in its text, each in all meanings that it has in any schema (decision 0023).
 */
import type { Taint } from './analysis.ts';
import type { Catalog, Relation } from './catalog.ts';
import type { UserCast, UserFunction, UserOperator } from './catalog-functions.ts';
import { commonOperators, computingOperators, harmlessVolatile, isComputing, isPastSight } from './function-lists.ts';
import { reached, showsMasked } from './reach.ts';
import { mayHaveAnyValue } from './settings.ts';

/** Functions that a session has made and the snapshot doesn't show, by `function NAME`; undefined: one whose text nobody has. */
export type MadeFunctions = ReadonlyMap<string, readonly UserFunction[] | undefined>;

/** What is proven for one principal, under one version of the catalog. */
export interface Proofs {
  /** No call shows a masked value, or lays it anywhere, unless one is passed to it. */
  proves(code: UserFunction, made: MadeFunctions): boolean;
  /** The same of what an operator or a cast runs. */
  provesFunction(oid: number, made: MadeFunctions): boolean;
  /** All that runs for the relation's rows is proven. */
  provesCodeOf(relation: Relation, made: MadeFunctions): boolean;
}

/** `isSettled`: nothing is worked out just now that other answers rest on. */
export function createProofs(
  catalog: Catalog,
  taint: Pick<Taint, 'isInForce' | 'masksOf' | 'missingColumn'>,
  isSettled: () => boolean,
): Proofs {
  const proven = new Map<UserFunction, Flags>();
  const unproven = new Set<UserFunction>();
  const clean = new Map<string, readonly UserFunction[]>();
  const look: Look = { catalog, taint, clean };
  const proves: Proofs['proves'] = (code, made) => {
    if (!taint.isInForce) return true;
    // What a session alone has made is nobody else's, and may be what another's code calls: of neither anything is kept.
    const isShared = made.size === 0 && code.oid !== 0;
    if (isShared && proven.has(code)) return true;
    if (isShared && unproven.has(code)) return false;
    const closure = closureOf(look, { code, made, proven: isShared ? proven : none });
    if (closure !== undefined && isShared) for (const one of closure.code) proven.set(one, closure.flags);
    if (closure === undefined && isShared && isSettled()) unproven.add(code);
    return closure !== undefined;
  };
  const provesFunction: Proofs['provesFunction'] = (oid, made) => {
    const code = catalog.functions.functionsByOid.get(oid);
    return code !== undefined && proves(code, made);
  };
  return {
    proves,
    provesFunction,
    provesCodeOf: ({ hasUnseenCode, code }, made) => !hasUnseenCode && code.every((oid) => provesFunction(oid, made)),
  };
}

interface Look {
  readonly catalog: Catalog;
  readonly taint: Pick<Taint, 'isInForce' | 'masksOf' | 'missingColumn'>;
  /** By relation and what may be done to it: the code that runs for it. Only of those that are proven to show nothing. */
  readonly clean: Map<string, readonly UserFunction[]>;
}

/** Of all that a function may run, together. */
interface Flags {
  /** An operator for types of the database's own under a name of PostgreSQL's. */
  ownOperators: boolean;
  /** Such a type is named. */
  ownTypes: boolean;
}

const none: ReadonlyMap<UserFunction, Flags> = new Map();

/** All that runs with the code; undefined as soon as something of it isn't proven. One that calls itself round others stands or falls with them. */
function closureOf(
  look: Look,
  { code, made, proven }: { code: UserFunction; made: MadeFunctions; proven: ReadonlyMap<UserFunction, Flags> },
): { readonly code: ReadonlySet<UserFunction>; readonly flags: Flags } | undefined {
  const { functions } = look.catalog;
  const flags: Flags = { ownOperators: false, ownTypes: false };
  const found = new Set([code, ...castsOf(look.catalog, isBetweenBuiltins(functions))]);
  let hasImplicit = false;
  // A set's iterator comes to what is added on the way.
  for (const one of found) {
    if (one === unknown) return undefined;
    const before = proven.get(one);
    if (before !== undefined) {
      flags.ownOperators ||= before.ownOperators;
      flags.ownTypes ||= before.ownTypes;
    } else {
      const next = lookAt(look, one, { made, flags });
      if (next === undefined) return undefined;
      for (const callee of next) found.add(callee);
    }
    // What values of such types set off, nothing names.
    if (!flags.ownTypes || hasImplicit) continue;
    hasImplicit = true;
    for (const callee of implicitCode(look.catalog)) found.add(callee);
  }
  return flags.ownOperators && flags.ownTypes ? undefined : { code: found, flags };
}

/** In the place of a function that nobody here knows. */
const unknown: UserFunction = {
  ...{ oid: 0, schema: '', name: '', isProcedure: false, isAggregate: false, isLate: true, language: '' },
  ...{ argumentsMin: 0, argumentsMax: 0, extension: undefined, text: undefined, isBuiltUpon: true, isOfType: true },
  ...{ settings: [], types: [], parts: [], partNames: [] },
};

function functionOf({ functions }: Catalog, oid: number): UserFunction {
  return functions.functionsByOid.get(oid) ?? unknown;
}

function isBetweenBuiltins({ builtinTypes }: Catalog['functions']): (cast: UserCast) => boolean {
  return ({ types }) => types.every((name) => builtinTypes.has(name));
}

function castsOf(catalog: Catalog, isMeant: (cast: UserCast) => boolean): readonly UserFunction[] {
  const casts = catalog.functions.casts.filter(
    (cast) => !isComputing(cast.extension, computingOperators) && isMeant(cast),
  );
  return casts.map((cast) => functionOf(catalog, cast.function));
}

/** Of casts, domains, types and classes of operators: nobody knows for which types, so all of it counts. */
function implicitCode(catalog: Catalog): readonly UserFunction[] {
  const { types, functionsByOid } = catalog.functions;
  const domains = Array.from(types.values()).flatMap((alike) => alike.flatMap(({ code }) => code));
  const ofTypes = Array.from(functionsByOid.values()).filter(
    ({ isOfType, extension }) => isOfType && !isComputing(extension, computingOperators),
  );
  return [...castsOf(catalog, () => true), ...domains.map((oid) => functionOf(catalog, oid)), ...ofTypes];
}

/** What one piece of code runs itself; undefined when it isn't proven. */
function lookAt(
  look: Look,
  code: UserFunction,
  { made, flags }: { made: MadeFunctions; flags: Flags },
): readonly UserFunction[] | undefined {
  if (isComputing(code.extension)) return [];
  const { catalog } = look;
  const { text } = code;
  if (text === undefined ? !code.isAggregate : text.isLoose) return undefined;
  if (!code.settings.every(isHarmlessSetting)) return undefined;
  const next = code.parts.map((oid) => functionOf(catalog, oid));
  for (const name of [...(text?.names ?? []), ...code.types, ...code.partNames]) {
    if (isPastSight(name) || isUnprovenBuiltin(catalog, name)) return undefined;
    if (catalog.functions.types.has(name)) flags.ownTypes = true;
    next.push(...(catalog.functions.functions.get(name) ?? []));
    const key = `function ${name}`;
    if (made.has(key)) next.push(...(made.get(key) ?? [unknown]));
    for (const relation of catalog.relationsNamed(name)) {
      const triggered = codeOfClean(look, relation, text?.changes ?? 'nothing');
      if (triggered === undefined) return undefined;
      next.push(...triggered);
    }
  }
  for (const operator of operatorsIn(catalog, text?.operators ?? [])) {
    if (operator.takesOwnOnly && commonOperators.has(operator.name)) flags.ownOperators = true;
    else next.push(functionOf(catalog, operator.function));
  }
  return next;
}

/** With any value: neither how texts are read, nor who runs the function. A path is no matter, since names count in every schema. */
function isHarmlessSetting(name: string): boolean {
  const setting = name.toLowerCase();
  return (
    setting === 'search_path' || mayHaveAnyValue({ customSettings: new Set(), taint: { isInForce: true } }, setting)
  );
}

function isUnprovenBuiltin({ functions: { builtins } }: Catalog, name: string): boolean {
  return builtins.get(name) === 'volatile' && !harmlessVolatile.has(name);
}

/** Those of the database's own, but for what only computes. */
function operatorsIn({ functions: { operators } }: Catalog, runs: readonly string[]): readonly UserOperator[] {
  const found: UserOperator[] = [];
  for (const [name, alike] of operators)
    if (runs.some((run) => run.includes(name)))
      found.push(...alike.filter(({ extension }) => !isComputing(extension, computingOperators)));
  return found;
}

/** The code that runs for a relation; undefined when it, or what it leads to, may show masked values, or runs what nobody here can read. */
function codeOfClean(
  { catalog, taint, clean }: Look,
  relation: Relation,
  changes: 'nothing' | 'rows' | 'tables',
): readonly UserFunction[] | undefined {
  const key = `${relation.oid} ${changes}`;
  const known = clean.get(key);
  if (known !== undefined) return known;
  const code: UserFunction[] = [];
  for (const one of reached(catalog, [relation], changes)) {
    if (one.hasRules || one.hasUnseenCode || showsMasked(taint, one)) return undefined;
    for (const oid of one.code) code.push(functionOf(catalog, oid));
  }
  clean.set(key, code);
  return code;
}
