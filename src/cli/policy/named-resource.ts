import { policySchema } from '../../app/policy-schema.ts';
import {
  didYouMean,
  idOfParts,
  type PartOfAccess,
  PolicyError,
  partsOfId,
  resourceFromId,
} from '../../policy/index.ts';
import { UsageError } from '../command.ts';
import { type AskedPolicies, protocolOfTarget } from './declared-policies.ts';
import { protocolOfAction } from './named-actions.ts';

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
  /**
   * By target, the names that may follow its own: the databases it serves, the first of them where none is named, or its routes; undefined
   * where that is not known.
   */
  readonly targets: AskedPolicies['targets'];
  /** What each target is declared as, and so what it speaks. */
  readonly specs?: AskedPolicies['specs'];
}

/** The protocol of what an operator names: that of its target, or of its kind; undefined where neither tells. */
export function protocolOfNamed(text: string, { specs }: Pick<AskedPolicies, 'specs'>): string | undefined {
  const [, kind, name = ''] = KIND.exec(text) ?? [];
  if (kind !== undefined && kind !== 'target') return policySchema.namedById.get(kind)?.protocol;
  const [[target = ''] = []] = kind === undefined && NAME.test(text) ? splitName(text) : [[name]];
  return protocolOfTarget(specs, target);
}

/**
 * Reads `api` (whatever is in it) and `api/ROUTE`, or `shop/public.customers`, `shop/public.customers.ssn`, `shop/DATABASE/public.customers`, `shop/DATABASE` and `shop`, or
 * `table:shop/DATABASE/public/customers` and `route:api/ROUTE` as explanations and tests write it. Names that hold dots or slashes stand in double quotes.
 * @throws UsageError, NotAboutError
 */
export function namedResource(text: string, facts: Facts): NamedResource {
  const byKind = KIND.exec(text);
  if (byKind !== null) return ofKind(byKind[1] ?? '', byKind[2] ?? '', facts);
  const steps = splitName(text, facts.action);
  const [[target = '', ...more] = [], ...rest] = steps;
  const known = Array.from(facts.targets.keys());
  if (!facts.targets.has(target)) {
    const hint =
      didYouMean(target, known) ?? (known.length === 0 ? 'none is declared' : `there are ${known.join(', ')}`);
    throw new UsageError(`no target ${JSON.stringify(target)} is declared (${hint})`);
  }
  if (more.length > 0 || rest.length > 2) throw unreadable(text, facts.action);
  const [first, second] = rest;
  if (first === undefined) return inTarget(target, facts);
  checkProtocol(target, facts);
  if (!hasDatabases(facts.action)) {
    const [name = '', ...further] = first;
    if (further.length > 0 || second !== undefined) throw unreadable(text, facts.action);
    checkServed([target, name], facts);
    return ofParts([target, name], facts);
  }
  // The last step alone may have dots: what stands between slashes is a database.
  if (first.length === 1 && second === undefined) {
    checkDatabase(target, first[0] ?? '', facts);
    return ofParts([target, ...first], facts);
  }
  if (second === undefined) return ofParts([target, databaseOf(target, facts), ...first], facts);
  if (first.length > 1) throw unreadable(text, facts.action);
  checkDatabase(target, first[0] ?? '', facts);
  return ofParts([target, ...first, ...second], facts);
}

/** Everything in a target; the target as a whole or the one database it serves, where the action is about nothing else. */
function inTarget(target: string, facts: Facts): NamedResource {
  checkProtocol(target, facts);
  const [database, ...others] = facts.targets.get(target) ?? [];
  const { resources } = actionFacts(facts.action);
  const whole = resources.size === 1 ? kindOfLength(1, facts.action) : undefined;
  if (whole !== undefined) return exactly(whole, idOfParts([target]));
  const isOfDatabases = resources.size === 1 && kindOfLength(2, facts.action) !== undefined;
  if (isOfDatabases && database !== undefined && others.length === 0) return ofParts([target, database], facts);
  return { part: { op: 'in', type: 'Target', id: target }, label: `everything in target ${target}`, column: undefined };
}

/** By the names of target, database, schema, table (or function) and column, as far as they go. */
function ofParts(parts: readonly string[], { action, isOfGroup = false }: Facts): NamedResource {
  const { resources, context } = actionFacts(action);
  const exact = kindOfLength(parts.length, action);
  if (isOfGroup && exact !== undefined && exact !== usualKind(parts.length, action)) throw notAbout(action, parts);
  if (exact !== undefined && resources.size === 1) return exactly(exact, idOfParts(parts));
  const [column, ...above] = parts.toReversed();
  const table = kindOfLength(above.length, action);
  if (above.length === COLUMN_DEPTH && table !== undefined && column !== undefined) {
    if (context['columns'] === undefined)
      throw new NotAboutError(`${action} is not about columns; name the table alone`);
    const of = exactly(table, idOfParts(above.toReversed()));
    return { ...of, label: `column ${column} of ${of.label}`, column: { attribute: 'columns', name: column } };
  }
  const place = exact ?? usualKind(parts.length, action);
  if (place === undefined) throw new NotAboutError(`${action} is about no such thing as ${idOfParts(parts)}`);
  const id = idOfParts(parts);
  const type = policySchema.namedById.get(place)?.type ?? '';
  // Of what an action is about, some may be exactly that, and some be in it.
  const isInIt = (one: string) => policySchema.entityTypes.get(one)?.ancestorTypes.has(type) === true;
  if (exact !== undefined && !Array.from(resources).some(isInIt)) return exactly(exact, id);
  if (!mayBeIn(action, type)) throw notAbout(action, parts);
  return { part: { op: 'in', type, id }, label: `everything in ${place} ${id}`, column: undefined };
}

function ofKind(kind: string, id: string, facts: Facts): NamedResource {
  if (kind === 'target') return inTarget(id, facts);
  const named = policySchema.namedById.get(kind);
  const isAbout = named !== undefined && actionFacts(facts.action).resources.has(named.type);
  const exact = exactly(kind, id);
  if (named !== undefined && !hasDatabases(facts.action)) checkServed(partsOfId(id), facts);
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
  return new NotAboutError(
    `${action} is about ${/^[aeiou]/.test(named) ? 'an' : 'a'} ${named}, and ${idOfParts(parts)} is none`,
  );
}

/** A permit for what one protocol does gives nothing at a target of another. @throws NotAboutError */
function checkProtocol(target: string, { action, specs }: Facts): void {
  const protocol = specs && protocolOfTarget(specs, target);
  if (protocol === undefined || protocol === protocolOfAction(action)) return;
  throw new NotAboutError(`${action} is about nothing in target ${target}, which speaks ${protocol}`);
}

/** What stands directly in a target is known where its declaration says so. @throws UsageError */
function checkServed([target = '', name]: readonly string[], { action, targets }: Facts): void {
  const known = targets.get(target);
  if (known === undefined || name === undefined || known.includes(name)) return;
  const word = usualKind(2, action) ?? 'part';
  const hint = didYouMean(name, known) ?? (known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`);
  throw new UsageError(`target ${target} has no ${word} ${JSON.stringify(name)} (${hint})`);
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

/** The kind whose ids have so many parts, among those that an action is about. */
function kindOfLength(length: number, action: string): string | undefined {
  const about = actionFacts(action).resources;
  const found = Array.from(policySchema.namedById).find(
    ([, { path, type }]) => path.length === length && about.has(type),
  );
  return found?.[0];
}

/** As that, among all that the action's protocol has. */
function usualKind(length: number, action: string): string | undefined {
  const protocol = protocolOfAction(action);
  const found = Array.from(policySchema.namedById).find(
    ([, { path, ...named }]) => path.length === length && named.protocol === protocol,
  );
  return found?.[0];
}

/** Whether more than one name may follow a target's own, the first of them that of a database. */
function hasDatabases(action: string): boolean {
  return usualKind(COLUMN_DEPTH, action) !== undefined;
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
function splitName(text: string, action?: string): readonly (readonly string[])[] {
  if (!NAME.test(text)) throw unreadable(text, action);
  return (text.match(STEP) ?? []).map((step) =>
    (step.match(PART) ?? []).map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part)),
  );
}

function unreadable(text: string, action?: string): UsageError {
  const forms =
    action === undefined || hasDatabases(action)
      ? 'TARGET, TARGET/SCHEMA.TABLE, TARGET/SCHEMA.TABLE.COLUMN or TARGET/DATABASE/SCHEMA.TABLE'
      : `TARGET or TARGET/${(usualKind(2, action) ?? 'name').toUpperCase()}`;
  return new UsageError(`${JSON.stringify(text)} is no name of a resource; write ${forms}`);
}

const KIND = /^([a-z]+):(.+)$/s;
const ONE = '(?:"(?:[^"]|"")+"|[^"./]+)';
const DOTTED = `${ONE}(?:\\.${ONE})*`;
const NAME = new RegExp(`^${DOTTED}(?:/${DOTTED})*$`, 's');
const STEP = new RegExp(DOTTED, 'gs');
const PART = new RegExp(ONE, 'gs');
/** Target, database, schema, table: what has columns. */
const COLUMN_DEPTH = 4;
