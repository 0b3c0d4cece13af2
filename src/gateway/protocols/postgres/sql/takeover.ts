/**
 * Which names a new function must not have while columns are masked. Code that works on masked values, and looks for what it calls by name when it
 * runs, would pass them to a function that takes the place of the one it means; so would what PostgreSQL has bound to a function that is replaced.
 */
import type { Taint } from './analysis.ts';
import type { Catalog, Relation } from './catalog.ts';
import type { UserFunction } from './catalog-functions.ts';
import { informationFunctions, isComputing } from './function-lists.ts';
import { reached, showsMasked } from './reach.ts';

/** True when nothing that may work on masked values would run a function of that name, or might by a name that nobody can read. */
export function mayTakeName(catalog: Catalog, taint: Taint, name: string): boolean {
  const { builtins, builtinTypes, functions } = catalog.functions;
  // Statements of others pass values to these, and to those of extensions, and PostgreSQL takes the one that fits better.
  if (builtins.has(name) || builtinTypes.has(name) || informationFunctions.has(name)) return false;
  const replaced = functions.get(name) ?? [];
  if (replaced.some(({ extension }) => extension !== undefined)) return false;
  const all = Array.from(functions.values()).flat();
  const exposure = new Exposure(catalog, taint);
  if (withCallers(all, all.filter(isUnreadable)).some((one) => exposure.isExposed(one) || exposure.namesMasked(one)))
    return false;
  if (replaced.some((one) => exposure.isExposed(one))) return false;
  const callers = withCallers(all, replaced, name).filter(
    (one) => !replaced.includes(one) || calls(one, new Set([name])),
  );
  return callers.every((one) => !exposure.isExposed(one) && taint.proofs.proves(one, new Map()));
}

/** It runs what it is told to, or what no text shows, and finds it by name. */
function isUnreadable({ isLate, text, extension }: UserFunction): boolean {
  return isLate && !isComputing(extension) && (text === undefined || text.isLoose);
}

/** These, and all that may call one of them, round others as well; `name` has none yet, perhaps. */
function withCallers(
  all: readonly UserFunction[],
  start: readonly UserFunction[],
  name?: string,
): readonly UserFunction[] {
  const found = new Set(start);
  const names = new Set([...start.map((one) => one.name), ...(name === undefined ? [] : [name])]);
  for (let size = -1; size < names.size; ) {
    size = names.size;
    for (const one of all) {
      if (found.has(one) || !calls(one, names)) continue;
      found.add(one);
      names.add(one.name);
    }
  }
  const oids = new Set(Array.from(found, ({ oid }) => oid));
  for (const one of all) if (one.parts.some((oid) => oids.has(oid))) found.add(one);
  return Array.from(found);
}

function calls({ text, partNames }: UserFunction, names: ReadonlySet<string>): boolean {
  const has = (name: string) => names.has(name);
  return partNames.some(has) || text?.names.some(has) === true || text?.mentioned.some(has) === true;
}

/** What of a database's code may be given masked values. */
class Exposure {
  readonly #catalog: Catalog;
  readonly #taint: Taint;
  readonly #masked = new Map<Relation, boolean>();
  #byCode: ReadonlyMap<number, readonly Relation[]> | undefined;

  constructor(catalog: Catalog, taint: Taint) {
    this.#catalog = catalog;
    this.#taint = taint;
  }

  /** It runs for rows with masked columns, or wherever an operator or a type is used. */
  isExposed({ oid, isBuiltUpon }: UserFunction): boolean {
    if (isBuiltUpon) return true;
    this.#byCode ??= relationsByCode(this.#catalog);
    return this.#byCode.get(oid)?.some((relation) => this.#leadsToMasked(relation)) === true;
  }

  /** Its text, or a string in it, does. */
  namesMasked({ text }: UserFunction): boolean {
    const isMasked = (name: string) => this.#catalog.relationsNamed(name).some((one) => this.#leadsToMasked(one));
    return text?.names.some(isMasked) === true || text?.mentioned.some(isMasked) === true;
  }

  #leadsToMasked(relation: Relation): boolean {
    const known = this.#masked.get(relation);
    if (known !== undefined) return known;
    const all = Array.from(reached(this.#catalog, [relation], 'nothing'));
    const isMasked = all.some((one) => showsMasked(this.#taint, one));
    this.#masked.set(relation, isMasked);
    return isMasked;
  }
}

function relationsByCode({ relations }: Catalog): ReadonlyMap<number, readonly Relation[]> {
  const byCode = new Map<number, Relation[]>();
  for (const relation of relations.values())
    for (const oid of relation.code) {
      const list = byCode.get(oid);
      if (list === undefined) byCode.set(oid, [relation]);
      else list.push(relation);
    }
  return byCode;
}
