/**
 * Which code of the database's own can't show a masked value: by the names in its text, each in all meanings that it has in any schema. Whether texts are
 * asked at all is decided first, by what runs without being named (decision 0025).
 */
import type { Taint } from './analysis.ts';
import type { Catalog, Relation } from './catalog.ts';
import type { UserFunction } from './catalog-functions.ts';
import { computingOperators, harmlessVolatile, isComputing, isPastSight } from './function-lists.ts';
import type { SessionFacts } from './plan.ts';
import { type Changes, isMasked, reached } from './reach.ts';
import { mayHaveAnyValue } from './settings.ts';

/** Functions that a session has made and the snapshot doesn't show, by `function NAME`; undefined: one whose text nobody has. */
export type MadeFunctions = ReadonlyMap<string, readonly UserFunction[] | undefined>;

/** What a session has made of which the snapshot may not know. */
export type Made = Pick<SessionFacts, 'created' | 'createdNames'>;

/** What is proven for one principal, under one version of the catalog. */
export interface Proofs {
  /** No code works on masked rows or for types, and what runs for other rows is proven: else nothing is. */
  readonly areThere: boolean;
  /** No call shows a masked value, or lays it anywhere. */
  proves(code: UserFunction, made: Made): boolean;
  /** The same of all that runs for the relation's rows, and for those that it leads to; and none of these is masked. */
  provesRelation(relation: Relation, changes: Changes, made: Made): boolean;
  /** It has masked columns, reads them, or shares rows with what has. */
  isNear(relation: Relation): boolean;
}

/** Of views, which are judged without code: they are asked before it. */
export const noProofs: Proofs = {
  areThere: false,
  proves: () => false,
  provesRelation: () => false,
  isNear: () => true,
};

type Masks = Pick<Taint, 'isInForce' | 'masksOf' | 'missingColumn' | 'masksDirectly'>;

export function createProofs(catalog: Catalog, taint: Masks): Proofs {
  const look: Look = { catalog, taint, clean: new Map(), proven: new Set(), unproven: new Set() };
  const isNear = nearness(catalog, taint);
  let areThere: boolean | undefined;
  const proofs: Proofs = {
    get areThere() {
      areThere ??= isOpen(look, isNear);
      return areThere;
    },
    isNear,
    proves: (code, made) => !taint.isInForce || (proofs.areThere && isProven(look, code, made)),
    provesRelation(relation, changes, made) {
      const clean = lookBehind(look, relation, changes);
      if (clean === undefined) return false;
      if (clean.code.length === 0 && !clean.hasOwnTypes) return true;
      return proofs.areThere && clean.code.every((one) => isProven(look, one, made));
    },
  };
  return proofs;
}

interface Look {
  readonly catalog: Catalog;
  readonly taint: Masks;
  /** By relation and what may be done to it. */
  readonly clean: Map<string, Clean>;
  readonly proven: Set<UserFunction>;
  readonly unproven: Set<UserFunction>;
}

/** What shows nothing masked itself, with all that it leads to. */
interface Clean {
  readonly code: readonly UserFunction[];
  /** Values of the database's own types are in it. */
  readonly hasOwnTypes: boolean;
}

/** A view's own columns may be masked by policy; else what it reads tells. */
function nearness(catalog: Catalog, taint: Masks): (relation: Relation) => boolean {
  const known = new Map<Relation, boolean>();
  const hasMasks = (one: Relation) =>
    one.kind === 'v' || one.kind === 'm' ? taint.masksDirectly(one) : isMasked(taint, one);
  return (relation) => {
    const before = known.get(relation);
    if (before !== undefined) return before;
    const all = reached(catalog, [relation], 'nothing');
    const isNear = Array.from(all).some(hasMasks);
    // What leads to none of all that, none of it leads to any.
    for (const one of isNear ? [relation] : all) known.set(one, isNear);
    return isNear;
  };
}

/** Nothing of the database's own runs on masked rows, or wherever a type or an operator is used; and what runs for other rows is proven. */
function isOpen(look: Look, isNear: Proofs['isNear']): boolean {
  const { catalog } = look;
  // Events of definitions set off code, with whatever in sight.
  if (catalog.hasEventTriggers) return false;
  for (const relation of catalog.relations.values()) {
    const code = relation.code.map((oid) => functionOf(catalog, oid));
    if (isNear(relation) ? code.length > 0 || relation.hasRules || relation.hasUnseenCode : isUnseen(relation))
      return false;
    if (!code.every((one) => isProven(look, one, nothingMade))) return false;
  }
  for (const one of catalog.functions.functionsByOid.values())
    if (one.isBuiltUpon && !isComputing(one.extension, computingOperators)) return false;
  return true;
}

/** A foreign table's rows are another server's. */
function isUnseen({ kind, hasUnseenCode }: Relation): boolean {
  return hasUnseenCode && kind !== 'f';
}

const nothingMade: Made = { created: new Map(), createdNames: new Map() };

function isProven(look: Look, code: UserFunction, made: Made): boolean {
  // What a session alone has made is nobody else's, and may be what another's code calls: of neither anything is kept.
  const isShared = made.createdNames.size === 0 && made.created.size === 0 && code.oid !== 0;
  if (isShared && look.proven.has(code)) return true;
  if (isShared && look.unproven.has(code)) return false;
  const closure = closureOf(look, code, { made, isShared });
  if (isShared && closure === undefined) look.unproven.add(code);
  if (isShared) for (const one of closure ?? []) look.proven.add(one);
  return closure !== undefined;
}

/** All that runs with the code; undefined as soon as something of it isn't proven. One that calls itself round others stands or falls with them. */
function closureOf(
  look: Look,
  code: UserFunction,
  { made, isShared }: { made: Made; isShared: boolean },
): ReadonlySet<UserFunction> | undefined {
  const found = new Set([code]);
  // A set's iterator comes to what is added on the way.
  for (const one of found) {
    if (isShared && look.proven.has(one)) continue;
    const next = lookAt(look, one, made);
    if (next === undefined) return undefined;
    for (const callee of next) found.add(callee);
  }
  return found;
}

/** In the place of a function that nobody here knows. */
const unknown: UserFunction = {
  ...{ oid: 0, schema: '', name: '', isProcedure: false, isLate: true, language: '', settings: [], parts: [] },
  ...{ argumentsMin: 0, argumentsMax: 0, extension: undefined, text: undefined, isBuiltUpon: true },
};

function functionOf({ functions }: Catalog, oid: number): UserFunction {
  return functions.functionsByOid.get(oid) ?? unknown;
}

/** What one piece of code runs itself; undefined when it isn't proven. */
function lookAt(look: Look, code: UserFunction, made: Made): readonly UserFunction[] | undefined {
  if (isComputing(code.extension) && !code.isLate) return [];
  const { catalog } = look;
  const { text } = code;
  if (text === undefined || text.isLoose || !code.settings.every(isHarmlessSetting)) return undefined;
  if (!text.written.every((name) => isPlainTable(catalog, name, made))) return undefined;
  const next = code.parts.map((oid) => functionOf(catalog, oid));
  for (const name of text.names) {
    if (isPastSight(name) || isUnprovenBuiltin(catalog, name) || isMadeOfOthers(catalog, name, made)) return undefined;
    next.push(...(catalog.functions.functions.get(name) ?? []));
    const key = `function ${name}`;
    if (made.createdNames.has(key)) next.push(...(made.createdNames.get(key) ?? [unknown]));
    for (const relation of catalog.relationsNamed(name)) {
      const clean = lookBehind(look, relation, text.changes);
      if (clean === undefined) return undefined;
      next.push(...clean.code);
    }
  }
  return next;
}

/** Written to, a view may be another relation of anybody's, and so may be what nobody here knows. */
function isPlainTable(catalog: Catalog, name: string, { created }: Made): boolean {
  const isServers = ['pg_catalog', 'information_schema'].some((schema) => catalog.systemRelations(schema)?.has(name));
  const known = catalog.relationsNamed(name);
  const made = Array.from(created.values()).filter((one) => one.name === name);
  if (isServers || known.length + made.length === 0) return false;
  return known.every(({ kind }) => kind === 'r' || kind === 'p');
}

/** This session's own view or copy of what others have, or what it has renamed: whose rows it shows no snapshot tells. */
function isMadeOfOthers(catalog: Catalog, name: string, { created }: Made): boolean {
  for (const one of created.values())
    if (one.name === name && one.isPlain !== true && catalog.relation(one.schema, name) === undefined) return true;
  return false;
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

/** Undefined when the relation, or what it leads to, may show masked values, or runs what nobody here can read. */
function lookBehind({ catalog, taint, clean }: Look, relation: Relation, changes: Changes): Clean | undefined {
  const key = `${relation.oid} ${changes}`;
  const known = clean.get(key);
  if (known !== undefined) return known;
  const code = new Set<UserFunction>();
  let hasOwnTypes = false;
  for (const one of reached(catalog, [relation], changes)) {
    if (one.hasUnseenCode || isMasked(taint, one) || (one.hasRules && changes !== 'nothing')) return undefined;
    for (const oid of one.code) code.add(functionOf(catalog, oid));
    hasOwnTypes ||= one.hasOwnTypes;
  }
  const found = { code: Array.from(code), hasOwnTypes };
  clean.set(key, found);
  return found;
}
