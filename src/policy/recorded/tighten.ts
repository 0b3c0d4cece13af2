import { type Asked, type AttributeValue, type EntityRef, noObligations } from '../../model/index.ts';
import { limitsWith, limitWords } from '../obligations/limits.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { ANY } from '../schema/fields.ts';
import type { CedarTypeJson } from '../schema/schema.ts';
import type { Demands } from '../types.ts';
import { elementsOf, literalOf } from './literal.ts';
import { joinOccurrences, type Occurrences, occurrenceOf, type RecordedOperation } from './operation.ts';
import { tagCondition, writePermit } from './write-permit.ts';

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
 * masks, limits and recording of the last use; where some masks are NULL inside of expressions and others are not, by two permits that apply together. Contexts that are yes or no are taken as they were, all others and tags by their values; of a set,
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
  const tagsOf = new Map<string, Set<string>>();
  return {
    note(operation) {
      if (!operation.isAllowed) return;
      for (const one of operation.asked) {
        if (!one.decision.allow) continue; // It was asked for its forbids alone.
        const use = useOf(uses, { operation, one, schema });
        noteContext(use, one.question.context);
        noteTags(use, one.question.resource, tagsOf);
      }
    },
    permits: () => permitsOf([...uses.values()], schema, tagsOf),
  };
}

/** With one occurrence more. */
function useOf(
  uses: Map<string, Use>,
  { operation, one, schema }: { operation: RecordedOperation; one: Asked; schema: PolicySchema },
): Use {
  const { principal } = operation;
  const { action, resource, context } = one.question;
  const facts = schema.actions.get(action);
  if (facts === undefined) throw new TypeError(`there is no action ${action}`);
  const told = facts.told.get(resource.type) ?? [];
  const types = Object.fromEntries(Object.entries(facts.context).filter(([name]) => !told.includes(name)));
  const flags = Object.keys(types).filter((name) => types[name]?.type === 'Boolean');
  const known = flags.map((name) => attributeIn(context, name));
  const key = JSON.stringify([principal.id, resource.type, resource.id, action, known]);
  const before = uses.get(key);
  const evidence = joinOccurrences(before?.evidence, occurrenceOf(operation));
  const use: Use = before ?? {
    principal,
    resource,
    action,
    seen: attributesOf(types, []),
    evidence,
    last: one,
    tags: new Map(),
  };
  use.evidence = evidence;
  if (evidence.lastSequence === operation.sequence) use.last = one;
  uses.set(key, use);
  return use;
}

/** What one identity did to one resource, in contexts whose flags are alike. */
interface Use {
  readonly principal: EntityRef;
  readonly resource: EntityRef;
  readonly action: string;
  readonly seen: readonly Seen[];
  /** By tag of the resource, in how many uses it was there, and its values. */
  readonly tags: Map<string, { count: number; readonly values: Set<string> }>;
  evidence: Occurrences;
  /** The newest: what it demanded is what is demanded now. */
  last: Asked;
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

function noteContext({ seen: all }: Use, context: Context): void {
  for (const seen of all) {
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

/** `tagsOf`: by resource, the tags that it had in anybody's use. */
function noteTags({ tags }: Use, resource: EntityRef, tagsOf: Map<string, Set<string>>): void {
  const known = tagsOf.get(placeOfResource(resource)) ?? new Set();
  tagsOf.set(placeOfResource(resource), known);
  for (const [tag, value] of Object.entries(resource.tags ?? {})) {
    if (typeof value !== 'string') throw new TypeError(`the tag ${tag} is no text`);
    known.add(tag);
    const found = tags.get(tag) ?? { count: 0, values: new Set() };
    found.count++;
    found.values.add(value);
    tags.set(tag, found);
  }
}

function placeOfResource({ type, id }: EntityRef): string {
  return JSON.stringify([type, id]);
}

function attributeIn(holder: AttributeValue | undefined, name: string): AttributeValue | undefined {
  if (typeof holder !== 'object' || Array.isArray(holder)) return undefined;
  return Object.hasOwn(holder, name) ? (holder as Context)[name] : undefined;
}

/** Actions that are used alike share a permit. */
function permitsOf(
  uses: readonly Use[],
  schema: PolicySchema,
  tagsOf: ReadonlyMap<string, ReadonlySet<string>>,
): readonly TightPermit[] {
  const found = uses
    .flatMap((use) => {
      const when = [...conditionsOf(use), ...tagConditionsOf(use, tagsOf)];
      return demandsOf(use, schema).map((demands) => ({ use, when, demands }));
    })
    .toSorted((a, b) => compare(placeOf(a.use), placeOf(b.use)));
  const groups = [
    ...Map.groupBy(found, ({ use: { principal, resource }, when, demands }) =>
      JSON.stringify([principal.id, resource.type, resource.id, when, demands]),
    ).values(),
  ];
  const width = String(groups.length).length;
  return groups.flatMap((group, at) => {
    const [{ use, when, demands } = {}] = group;
    if (use === undefined || when === undefined || demands === undefined) return [];
    const { principal, resource } = use;
    const actions = [...new Set(group.map((one) => one.use.action))];
    const evidence = group.map((one) => one.use.evidence).reduce(joinOccurrences);
    const id = `tight-${String(at + 1).padStart(width, '0')}`;
    const scope = { op: 'equals', type: resource.type, id: resource.id } as const;
    const comments = group.map((one) => `// ${one.use.action}: ${evidenceText(one.use.evidence)}\n`);
    const text = `${comments.join('')}${writePermit({ id, principal, actions, demands, when, resource: scope })}`;
    return [{ id, text, identity: principal.id, actions, resource: resource.id, evidence }];
  });
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
      return record?.type.required === false ? [hasOf(record.path)] : [];
    });
    const inner = conditionOf(one, { path: ['context', ...above, name].join('.'), has: hasOf(one.path) });
    if (inner === undefined) return [];
    return [records.reduceRight((condition, has) => `!(${has}) || (${has} && (${condition}))`, inner)];
  });
}

/** A tag that this use never had, and another use of the same resource had, must not be there. */
function tagConditionsOf(
  { resource, tags, evidence }: Use,
  tagsOf: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  return Array.from(tagsOf.get(placeOfResource(resource)) ?? [])
    .sort()
    .map((tag) => {
      const { count, values } = tags.get(tag) ?? { count: 0, values: new Set<string>() };
      return tagCondition(tag, { values: Array.from(values), isAbsent: count < evidence.count });
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

function hasOf(path: readonly string[]): string {
  return `${['context', ...path.slice(0, -1)].join('.')} has ${path.at(-1)}`;
}

/** An annotation is about all masks of its permit, so each kind has one. */
function demandsOf({ last, action, resource }: Use, schema: PolicySchema): readonly Omit<Demands, 'policies'>[] {
  const { approvals = [], masks, limits, record } = last.decision.allow ? last.decision.obligations : noObligations;
  // On one resource alone, so without what of a path its name says.
  const lead = schema.entityTypes.get(resource.type)?.fields?.within.length ?? 0;
  const kinds = new Set(masks.map(({ derived }) => derived));
  const all = [...(kinds.size === 0 ? [undefined] : kinds)].map((derived) => ({
    masks: masks
      .filter((mask) => mask.derived === derived)
      .map(({ path, kind }) => ({ path: path.slice(lead), hasWildcard: path.includes(ANY), kind })),
    limits: limitsWith(limits, limitWords(schema, [action])),
    ...{ derived, approval: approvals[0], record },
  }));
  const [first] = all;
  // So has each rule: what several permits want is wanted together.
  return first === undefined ? all : [...all, ...approvals.slice(1).map((approval) => ({ ...first, approval }))];
}

/** In comments of no more than 80 columns. */
function evidenceText({ count, firstMs, lastMs, lastSequence }: Occurrences): string {
  const [first, last] = [firstMs, lastMs].map((ms) => new Date(ms).toISOString());
  return count === 1
    ? `once, ${last}, ledger entry ${lastSequence}`
    : `${count} times, last in ledger entry ${lastSequence}\n//   ${first} to ${last}`;
}

/** Identities together, and what is in one thing behind it. */
function placeOf({ principal, resource, action }: Use): string {
  return [principal.id, resource.id, action].join('\n');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

type Types = { readonly [name: string]: CedarTypeJson };
type Context = { readonly [name: string]: AttributeValue };
