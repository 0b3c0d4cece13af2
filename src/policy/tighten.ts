import { type Asked, type AttributeValue, type EntityRef, noObligations } from '../model/index.ts';
import type { PolicySchema } from './compose-schema.ts';
import { ANY } from './fields.ts';
import { limitsWith, limitWords } from './limits.ts';
import { elementsOf, literalOf } from './literal.ts';
import { countIn, type Occurrences, type RecordedOperation } from './recorded.ts';
import type { CedarTypeJson } from './schema.ts';
import type { Demands } from './types.ts';
import { writePermit } from './write-permit.ts';

/** A permit that was used, and how often. */
export interface TightPermit {
  readonly id: string;
  /** With the evidence in comments. */
  readonly text: string;
  readonly identity: string;
  readonly actions: readonly string[];
  readonly resource: string;
  readonly evidence: Occurrences;
}

/**
 * Finds the least set of permits that allows what was used: by identity, resource and action, in the contexts in which they were used, with the
 * masks, limits and recording of the last use. Contexts that are yes or no are taken as they were, all others by their values; of a set,
 * such as the columns of a query, its elements may come in other combinations than those that were seen.
 */
export interface Tightening {
  note(operation: RecordedOperation): void;
  /** By identity and resource. */
  permits(): readonly TightPermit[];
}

/** `schema`: the one under which the operations were judged. */
export function createTightening(schema: PolicySchema): Tightening {
  const uses = new Map<string, Use>();
  return {
    note(operation) {
      if (!operation.isAllowed) return;
      for (const one of operation.asked)
        if (one.decision.allow) noteUse(useOf(uses, { operation, one, schema }), operation, one); // Else it was asked for its forbids alone.
    },
    permits: () => permitsOf([...uses.values()], schema),
  };
}

function useOf(
  uses: Map<string, Use>,
  { operation, one, schema }: { operation: RecordedOperation; one: Asked; schema: PolicySchema },
): Use {
  const { principal } = operation;
  const { action, resource, context } = one.question;
  const types = schema.actions.get(action)?.context;
  if (types === undefined) throw new TypeError(`there is no action ${action}`);
  const flags = Object.keys(types).filter((name) => types[name]?.type === 'Boolean');
  const known = flags.map((name) => attributeIn(context, name));
  const key = JSON.stringify([principal.id, resource.type, resource.id, action, known]);
  let use = uses.get(key);
  if (use === undefined) {
    use = { principal, resource, action, seen: attributesOf(types, []), evidence: undefined, last: undefined };
    uses.set(key, use);
  }
  return use;
}

/** What one identity did to one resource, in contexts whose flags are alike. */
interface Use {
  readonly principal: EntityRef;
  readonly resource: EntityRef;
  readonly action: string;
  readonly seen: readonly Seen[];
  evidence: Occurrences | undefined;
  /** The newest: what it demanded is what is demanded now. */
  last: Asked | undefined;
}

/** What an attribute of the context was; those of records are looked at one by one. */
interface Seen {
  readonly path: readonly string[];
  readonly type: CedarTypeJson;
  /** Literals: of a set its elements. */
  readonly values: Set<string>;
  isAbsent: boolean;
  isPresent: boolean;
}

/** Records stand before what is in them. */
function attributesOf(types: Types, above: readonly string[]): Seen[] {
  return Object.entries(types).flatMap(([name, type]) => {
    const path = [...above, name];
    const inner = type.type === 'Record' ? attributesOf(type.attributes, path) : [];
    return [{ path, type, values: new Set<string>(), isAbsent: false, isPresent: false }, ...inner];
  });
}

function noteUse(use: Use, operation: RecordedOperation, one: Asked): void {
  const { context } = one.question;
  use.evidence = countIn(use.evidence, operation);
  if (use.evidence.lastSequence === operation.sequence) use.last = one;
  for (const seen of use.seen) {
    const { type, path } = seen;
    const holder = path.slice(0, -1).reduce<AttributeValue | undefined>(attributeIn, context);
    if (holder === undefined) continue; // Told of at the record that is not there.
    const value = attributeIn(holder, path.at(-1) ?? '');
    if (value === undefined) {
      seen.isAbsent = true;
      continue;
    }
    seen.isPresent = true;
    if (type.type === 'Set') for (const literal of elementsOf(value, type)) seen.values.add(literal);
    else if (type.type !== 'Record') seen.values.add(literalOf(value, type));
  }
}

function attributeIn(holder: AttributeValue | undefined, name: string): AttributeValue | undefined {
  if (typeof holder !== 'object' || Array.isArray(holder)) return undefined;
  return Object.hasOwn(holder, name) ? (holder as Context)[name] : undefined;
}

/** Actions that are used alike share a permit. */
function permitsOf(uses: readonly Use[], schema: PolicySchema): readonly TightPermit[] {
  const alike = Map.groupBy(uses, (use) =>
    JSON.stringify([
      ...[use.principal.id, use.resource.type, use.resource.id],
      ...[conditionsOf(use), demandsOf(use, schema)],
    ]),
  );
  const sorted = Array.from(alike.values(), (some) => some.toSorted((a, b) => compare(a.action, b.action)));
  const ordered = sorted.toSorted((a, b) => compareUses(a[0], b[0]));
  const width = String(ordered.length).length;
  return ordered.flatMap((some, at) => {
    const [first] = some;
    return first === undefined
      ? []
      : [permitOf(first, some, { schema, id: `tight-${String(at + 1).padStart(width, '0')}` })];
  });
}

function permitOf(
  first: Use,
  some: readonly Use[],
  { id, schema }: { readonly id: string; readonly schema: PolicySchema },
): TightPermit {
  const { principal, resource } = first;
  const actions = [...new Set(some.map(({ action }) => action))];
  const evidence = some.flatMap((use) => use.evidence ?? []).reduce(joined);
  const text = writePermit({
    ...{ id, principal, actions, demands: demandsOf(first, schema), when: conditionsOf(first) },
    resource: { op: 'equals', type: resource.type, id: resource.id },
  });
  const comments = some.map((use) => `// ${use.action}: ${evidenceText(use.evidence)}\n`);
  return {
    ...{ id, actions, evidence, identity: principal.id, resource: resource.id },
    text: `${comments.join('')}${text}`,
  };
}

/** In Cedar's notation: the context is one of those that were seen. */
function conditionsOf({ seen }: Pick<Use, 'seen'>): readonly string[] {
  return seen.flatMap((one) => {
    if (!one.isPresent && !one.isAbsent) return []; // In a record that never was there.
    const [above, name] = [one.path.slice(0, -1), one.path.at(-1) ?? ''];
    // An attribute of a record is looked at where the record is.
    const records = above.flatMap((_, at) => {
      const record = seen.find(
        ({ path }) => path.length === at + 1 && path.every((part, index) => part === above[index]),
      );
      return record === undefined || !mayLack(record) ? [] : [hasOf(record.path)];
    });
    const inner = conditionOf(one, { path: ['context', ...above, name].join('.'), has: hasOf(one.path) });
    if (inner === undefined) return [];
    return [records.reduceRight((condition, has) => `!(${has}) || (${has} && (${condition}))`, inner)];
  });
}

function conditionOf(
  { type, values, isAbsent, isPresent }: Seen,
  { path, has }: { path: string; has: string },
): string | undefined {
  if (!isPresent) return `!(${has})`;
  const isOptional = type.required === false;
  if (type.type === 'Record') return isAbsent || !isOptional ? undefined : has;
  const literals = [...values].sort();
  const list = `[${literals.join(', ')}]`;
  let isSeen: string;
  if (type.type === 'Set') isSeen = literals.length === 0 ? `${path}.isEmpty()` : `${list}.containsAll(${path})`;
  else if (type.type === 'Boolean') isSeen = literals[0] === 'true' ? path : `!${path}`;
  else isSeen = literals.length === 1 ? `${path} == ${literals[0]}` : `${list}.contains(${path})`;
  // The validator wants to see that it is there, again.
  if (isAbsent) return `!(${has}) || (${has} && ${isSeen})`;
  return isOptional ? `${has} && ${isSeen}` : isSeen;
}

function mayLack({ type }: Seen): boolean {
  return type.required === false;
}

function hasOf(path: readonly string[]): string {
  return `${['context', ...path.slice(0, -1)].join('.')} has ${path.at(-1)}`;
}

function demandsOf({ last, action, resource }: Use, schema: PolicySchema): Omit<Demands, 'policies'> {
  const { masks, limits, record } = last?.decision.allow ? last.decision.obligations : noObligations;
  // On one resource alone, so without what of a path its name says.
  const lead = schema.entityTypes.get(resource.type)?.fields?.within.length ?? 0;
  return {
    masks: masks.map(({ path, kind }) => ({ path: path.slice(lead), hasWildcard: path.includes(ANY), kind })),
    limits: limitsWith(limits, limitWords(schema, [action])),
    ...{ derived: undefined, approval: undefined, record },
  };
}

function joined(a: Occurrences, b: Occurrences): Occurrences {
  return {
    count: a.count + b.count,
    firstMs: Math.min(a.firstMs, b.firstMs),
    lastMs: Math.max(a.lastMs, b.lastMs),
    lastSequence: Math.max(a.lastSequence, b.lastSequence),
  };
}

function evidenceText(evidence: Occurrences | undefined): string {
  if (evidence === undefined) return 'never';
  const { count, firstMs, lastMs, lastSequence } = evidence;
  const [first, last] = [firstMs, lastMs].map((ms) => new Date(ms).toISOString());
  return count === 1
    ? `once, ${last}, ledger entry ${lastSequence}`
    : `${count} times, ${first} to ${last}, last in ledger entry ${lastSequence}`;
}

function compareUses(a: Use | undefined, b: Use | undefined): number {
  const key = (use: Use | undefined) => [use?.principal.id ?? '', use?.resource.id ?? '', use?.action ?? ''];
  const [left, right] = [key(a), key(b)];
  for (const [at, part] of left.entries()) {
    const order = compare(part, right[at] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

type Types = { readonly [name: string]: CedarTypeJson };
type Context = { readonly [name: string]: AttributeValue };
