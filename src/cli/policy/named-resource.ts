import { policySchema } from '../../app/declared-rules.ts';
import {
  didYouMean,
  idOfParts,
  type PartOfAccess,
  PolicyError,
  partsOfId,
  resourceFromId,
} from '../../policy/index.ts';
import { UsageError } from '../command.ts';

/** A resource as an operator names it. */
export interface NamedResource {
  readonly part: PartOfAccess;
  /** `table shop/shop/public/orders`, or `everything in target shop`. */
  readonly label: string;
  /** With which the operation works, by the attribute of the context that holds such names. */
  readonly column: { readonly attribute: string; readonly name: string } | undefined;
}

/** An action that is not about such a thing: of those of a group it is left out. */
export class NotAboutError extends UsageError {}

/** What an action of the schema is about. */
interface Facts {
  readonly action: string;
  /** It is asked as one of a group: of things that are named alike (a table, a function) the usual one is meant. */
  readonly isOfGroup?: boolean;
  /** By target, the databases it serves, the first of them where none is named; undefined where that is not known. */
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
}

/**
 * Reads `shop/public.customers`, `shop/public.customers.ssn`, `shop/DATABASE/public.customers`, `shop/DATABASE` and `shop` (whatever is in it), or
 * `table:shop/DATABASE/public/customers` as explanations and tests write it. Names that hold dots or slashes stand in double quotes.
 * @throws UsageError, NotAboutError
 */
export function namedResource(text: string, facts: Facts): NamedResource {
  const byKind = /^([a-z]+):(.+)$/s.exec(text);
  if (byKind !== null) return ofKind(byKind[1] ?? '', byKind[2] ?? '', facts);
  const steps = splitName(text);
  const [[target = '', ...more] = [], ...rest] = steps;
  const known = Array.from(facts.targets.keys());
  if (!facts.targets.has(target)) {
    const hint =
      didYouMean(target, known) ?? (known.length === 0 ? 'none is declared' : `there are ${known.join(', ')}`);
    throw new UsageError(`no target ${JSON.stringify(target)} is declared (${hint})`);
  }
  if (more.length > 0 || rest.length > 2) throw unreadable(text);
  const [first, second] = rest;
  if (first === undefined) return inTarget(target, facts);
  // The last step alone may have dots: what stands between slashes is a database.
  if (first.length === 1 && second === undefined) {
    checkDatabase(target, first[0] ?? '', facts);
    return ofParts([target, ...first], facts);
  }
  if (second === undefined) return ofParts([target, databaseOf(target, facts), ...first], facts);
  if (first.length > 1) throw unreadable(text);
  checkDatabase(target, first[0] ?? '', facts);
  return ofParts([target, ...first, ...second], facts);
}

/** Everything in a target; the one database it serves, where the action is about nothing else. */
function inTarget(target: string, facts: Facts): NamedResource {
  const [database, ...others] = facts.targets.get(target) ?? [];
  const { resources } = actionFacts(facts.action);
  const isOfDatabases = resources.size === 1 && kindOfLength(2, facts.action) !== undefined;
  if (isOfDatabases && database !== undefined && others.length === 0) return ofParts([target, database], facts);
  return { part: { op: 'in', type: 'Target', id: target }, label: `everything in target ${target}`, column: undefined };
}

/** By the names of target, database, schema, table (or function) and column, as far as they go. */
function ofParts(parts: readonly string[], { action, isOfGroup = false }: Facts): NamedResource {
  const { resources, context } = actionFacts(action);
  const exact = kindOfLength(parts.length, action);
  if (isOfGroup && exact !== undefined && exact !== kindOfLength(parts.length)) throw notAbout(action, parts);
  if (exact !== undefined && resources.size === 1) return exactly(exact, idOfParts(parts));
  const [column, ...above] = parts.toReversed();
  const table = kindOfLength(above.length, action);
  if (above.length === COLUMN_DEPTH && table !== undefined && column !== undefined) {
    if (context['columns'] === undefined)
      throw new NotAboutError(`${action} is not about columns; name the table alone`);
    const of = exactly(table, idOfParts(above.toReversed()));
    return { ...of, label: `column ${column} of ${of.label}`, column: { attribute: 'columns', name: column } };
  }
  const place = exact ?? kindOfLength(parts.length);
  if (place === undefined) throw new NotAboutError(`${action} is about no such thing as ${idOfParts(parts)}`);
  const id = idOfParts(parts);
  // Of what an action is about, some may be exactly that, and some be in it.
  if (exact !== undefined && parts.length === COLUMN_DEPTH) return exactly(exact, id);
  const type = policySchema.namedById.get(place)?.type ?? '';
  if (!mayBeIn(action, type)) throw notAbout(action, parts);
  return { part: { op: 'in', type, id }, label: `everything in ${place} ${id}`, column: undefined };
}

function ofKind(kind: string, id: string, facts: Facts): NamedResource {
  if (kind === 'target') return inTarget(id, facts);
  const named = policySchema.namedById.get(kind);
  const isAbout = named !== undefined && actionFacts(facts.action).resources.has(named.type);
  const exact = exactly(kind, id);
  if (named === undefined || isAbout) return exact;
  if (!mayBeIn(facts.action, named.type)) throw notAbout(facts.action, partsOfId(id));
  return { ...exact, part: { op: 'in', type: named.type, id }, label: `everything in ${exact.label}` };
}

/** True where something that the action is about is of that type, or in such a thing. */
function mayBeIn(action: string, type: string): boolean {
  const about = Array.from(actionFacts(action).resources);
  return about.some((one) => one === type || policySchema.entityTypes.get(one)?.ancestorTypes.has(type));
}

function notAbout(action: string, parts: readonly string[]): NotAboutError {
  const kinds = Array.from(policySchema.namedById).filter(([, { type }]) => actionFacts(action).resources.has(type));
  const named = kinds.map(([kind]) => kind).join(' or ');
  return new NotAboutError(`${action} is about a ${named}, and ${idOfParts(parts)} is none`);
}

/** Which databases a target serves is known where its declaration says so. @throws UsageError */
export function checkDatabase(target: string, database: string, { targets }: Pick<Facts, 'targets'>): void {
  const served = targets.get(target);
  if (served === undefined || served.length === 0 || served.includes(database)) return;
  const hint = didYouMean(database, served) ?? `it serves ${served.join(', ')}`;
  throw new UsageError(`target ${target} serves no database ${JSON.stringify(database)} (${hint})`);
}

/** @throws UsageError */
function exactly(kind: string, id: string): NamedResource {
  try {
    return { part: resourceFromId(policySchema, { kind, id }), label: `${kind} ${id}`, column: undefined };
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new UsageError(cause.message, { cause });
  }
}

/** The kind whose ids have so many parts, among those that an action is about or among all. */
function kindOfLength(length: number, action?: string): string | undefined {
  const about = action === undefined ? undefined : actionFacts(action).resources;
  const found = Array.from(policySchema.namedById).find(
    ([, { path, type }]) => path.length === length && (about === undefined || about.has(type)),
  );
  return found?.[0];
}

function actionFacts(action: string) {
  const facts = policySchema.actions.get(action);
  if (facts === undefined) throw new UsageError(`there is no action ${JSON.stringify(action)}`);
  return facts;
}

/** @throws UsageError */
function databaseOf(target: string, { targets }: Facts): string {
  const [database] = targets.get(target) ?? [];
  if (database !== undefined) return database;
  throw new UsageError(`which database of ${target}? Write ${target}/DATABASE/SCHEMA.TABLE`);
}

/** Steps between slashes, each cut at its dots. @throws UsageError */
function splitName(text: string): readonly (readonly string[])[] {
  if (!NAME.test(text)) throw unreadable(text);
  return (text.match(STEP) ?? []).map((step) =>
    (step.match(PART) ?? []).map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part)),
  );
}

function unreadable(text: string): UsageError {
  return new UsageError(
    `${JSON.stringify(text)} is no name of a resource; write TARGET, TARGET/SCHEMA.TABLE, TARGET/SCHEMA.TABLE.COLUMN or TARGET/DATABASE/SCHEMA.TABLE`,
  );
}

const ONE = '(?:"(?:[^"]|"")+"|[^"./]+)';
const DOTTED = `${ONE}(?:\\.${ONE})*`;
const NAME = new RegExp(`^${DOTTED}(?:/${DOTTED})*$`, 's');
const STEP = new RegExp(DOTTED, 'gs');
const PART = new RegExp(ONE, 'gs');
/** Target, database, schema, table: what has columns. */
const COLUMN_DEPTH = 4;
