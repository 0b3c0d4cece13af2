import { policySchema } from '../app/declared-rules.ts';
import { didYouMean, idOfParts, type PartOfAccess, PolicyError, resourceFromId } from '../policy/index.ts';
import { UsageError } from './command.ts';

/** A resource as an operator names it. */
export interface NamedResource {
  readonly part: PartOfAccess;
  /** `table shop/shop/public/orders`, or `everything in target shop`. */
  readonly label: string;
  /** With which the operation works, by the attribute of the context that holds such names. */
  readonly column: { readonly attribute: string; readonly name: string } | undefined;
}

/** What an action of the schema is about. */
interface Facts {
  readonly action: string;
  /** By target, the databases it serves, the first of them where none is named; undefined where that is not known. */
  readonly targets: ReadonlyMap<string, readonly string[] | undefined>;
}

/**
 * Reads `shop/public.customers`, `shop/public.customers.ssn`, `shop/DATABASE/public.customers`, `shop/DATABASE` and `shop` (whatever is in it), or
 * `table:shop/DATABASE/public/customers` as explanations and tests write it. Names that hold dots or slashes stand in double quotes.
 * @throws UsageError
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
  if (first.length === 1 && second === undefined) return ofParts([target, ...first], facts);
  if (second === undefined) return ofParts([target, databaseOf(target, facts), ...first], facts);
  if (first.length > 1) throw unreadable(text);
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
function ofParts(parts: readonly string[], { action }: Facts): NamedResource {
  const { resources, context } = actionFacts(action);
  const exact = kindOfLength(parts.length, action);
  if (exact !== undefined && resources.size === 1) return exactly(exact, idOfParts(parts));
  const [column, ...above] = parts.toReversed();
  const table = kindOfLength(above.length, action);
  if (above.length === COLUMN_DEPTH && table !== undefined && column !== undefined) {
    if (context['columns'] === undefined) throw new UsageError(`${action} is not about columns; name the table alone`);
    const of = exactly(table, idOfParts(above.toReversed()));
    return { ...of, label: `column ${column} of ${of.label}`, column: { attribute: 'columns', name: column } };
  }
  const place = exact ?? kindOfLength(parts.length);
  if (place === undefined) throw new UsageError(`${action} is about no such thing as ${idOfParts(parts)}`);
  const id = idOfParts(parts);
  // Of what an action is about, some may be exactly that, and some be in it.
  if (exact !== undefined && parts.length === COLUMN_DEPTH) return exactly(exact, id);
  const type = policySchema.namedById.get(place)?.type ?? '';
  return { part: { op: 'in', type, id }, label: `everything in ${place} ${id}`, column: undefined };
}

function ofKind(kind: string, id: string, facts: Facts): NamedResource {
  if (kind === 'target') return inTarget(id, facts);
  const named = policySchema.namedById.get(kind);
  const isAbout = named !== undefined && actionFacts(facts.action).resources.has(named.type);
  const exact = exactly(kind, id);
  if (named === undefined || isAbout) return exact;
  return { ...exact, part: { op: 'in', type: named.type, id }, label: `everything in ${exact.label}` };
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
