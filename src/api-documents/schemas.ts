import { foldName } from '../wire/json/index.ts';
import type { References } from './references.ts';
import { type Fields, fieldsOf, own, ownFields, ownList, ownText } from './values.ts';

/** What schemas say of fields. */
export interface Schemas {
  /**
   * Whether values of a schema can have a field there: `open` where the schema leaves that to others. Lists need no name of their own, and names are
   * matched as masks match them. @throws DocumentError ERR_DOCUMENT_REFERENCE
   */
  presence(schema: unknown, path: readonly string[], options?: { readonly hasWildcard?: boolean }): Presence;
  /** The paths of fields that are written out, at most {@link PATHS_MAX} and {@link LEVELS_MAX} names deep, in order. */
  paths(schema: unknown): readonly SchemaPath[];
}

export type Presence = 'there' | 'open' | 'absent';

/** A field of a schema. */
export interface SchemaPath {
  readonly path: readonly string[];
  /** A text, number or boolean that no list leads to. */
  readonly isPlain: boolean;
  /** Its schema says that it is a password, or only written. */
  readonly isPassword: boolean;
}

/** Reads schemas of OpenAPI 3.0 and JSON Schema alike. An object that lists its properties and says no more has these alone, as people mean it. */
export function createSchemas(references: References): Schemas {
  const listed = new Map<unknown, readonly SchemaPath[]>();
  const folded = new Map<Fields, ReadonlyMap<string, readonly unknown[]>>();
  const byFoldedName = (properties: Fields) => {
    const before = folded.get(properties);
    if (before !== undefined) return before;
    const found = new Map<string, unknown[]>();
    for (const [name, property] of Object.entries(properties)) {
      const key = foldName(name);
      const alike = found.get(key);
      if (alike === undefined) found.set(key, [property]);
      else alike.push(property);
    }
    folded.set(properties, found);
    return found;
  };
  return {
    presence(schema, path, { hasWildcard = false } = {}) {
      const found = createLook(
        references,
        { path: path.map(foldName), written: path, hasWildcard },
        byFoldedName,
      )(schema, 0);
      return found === 'bare' ? 'open' : found;
    },
    paths(schema) {
      const found = listed.get(schema) ?? listedPaths(references, schema);
      listed.set(schema, found);
      return found;
    },
  };
}

/** `bare`: says nothing about fields at all. */
type Found = Presence | 'bare';

interface Wanted {
  readonly path: readonly string[];
  readonly written: readonly string[];
  readonly hasWildcard: boolean;
}

function createLook(
  references: References,
  { path, written, hasWildcard }: Wanted,
  byFoldedName: (properties: Fields) => ReadonlyMap<string, readonly unknown[]>,
) {
  const known: Map<unknown, Found>[] = path.map(() => new Map());
  let looked = 0;
  let depth = 0;
  const look = (schema: unknown, at: number): Found => {
    if (at === path.length) return schema === false ? 'absent' : 'there';
    const before = known[at]?.get(schema);
    if (before !== undefined) return before;
    // Whoever made so many of them can't be told what is missing.
    if (++looked > LOOKS_MAX || depth > DEPTH_MAX) return 'open';
    known[at]?.set(schema, 'bare'); // A circle adds nothing to what it began with.
    depth++;
    const found = lookAt(schema, at);
    depth--;
    known[at]?.set(schema, found);
    return found;
  };
  const lookAt = (schema: unknown, at: number): Found => {
    const fields = fieldsOf(schema);
    if (fields === undefined) return schema === false ? 'absent' : 'bare';
    if (isBeyond(fields)) return 'open';
    const parts: Found[] = [ownPart(fields, at)];
    const reference = ownText(fields, '$ref');
    if (reference !== undefined) parts.push(look(references.target(reference), at));
    for (const part of ownList(fields, 'allOf')) parts.push(look(part, at));
    for (const name of ALTERNATIVES)
      for (const part of ownList(fields, name)) parts.push(saysNothing(part) ? 'open' : look(part, at));
    for (const name of CONDITIONS) if (Object.hasOwn(fields, name)) parts.push(look(fields[name], at));
    for (const part of Object.values(ownFields(fields, 'dependentSchemas') ?? {})) parts.push(look(part, at));
    return most(parts);
  };
  const ownPart = (fields: Fields, at: number): Found => {
    const parts: Found[] = [];
    const isAny = hasWildcard && written[at] === '*';
    const properties = ownFields(fields, 'properties');
    const named = properties === undefined ? undefined : byFoldedName(properties);
    for (const property of (isAny ? Array.from(named?.values() ?? []).flat() : named?.get(path[at] ?? '')) ?? [])
      parts.push(below(property, at));
    // Patterns are the document's own and are not run: any name may fit.
    for (const property of Object.values(ownFields(fields, 'patternProperties') ?? {})) parts.push(below(property, at));
    // Of names that are not listed.
    for (const name of REST_OF_OBJECT)
      if (Object.hasOwn(fields, name)) parts.push(saysNothing(fields[name]) ? 'open' : below(fields[name], at));
    for (const items of itemsOf(fields))
      parts.push(saysNothing(items) ? 'open' : look(items, at), isAny ? below(items, at) : 'bare');
    if (parts.some((part) => part !== 'bare')) return most(parts);
    return bareOr(fields);
  };
  /** A name further. No circle leads back from there, so what says nothing may be anything. */
  const below = (schema: unknown, at: number): Found => {
    const found = look(schema, at + 1);
    return found === 'bare' ? 'open' : found;
  };
  return look;
}

/** Of one that leads nowhere. */
function bareOr(fields: Fields): Found {
  const hasProperties = Object.keys(ownFields(fields, 'properties') ?? {}).length > 0;
  if (hasProperties || Object.hasOwn(fields, 'enum') || Object.hasOwn(fields, 'const')) return 'absent';
  const type = own(fields, 'type');
  const types = (Array.isArray(type) ? type : [type]).filter((one) => one !== 'null');
  if (types.length === 0) return 'absent'; // Null alone.
  const isPlain = type !== undefined && !types.some((one) => one === 'object' || one === 'array');
  if (isPlain) return 'absent';
  return type === undefined || hasParts(fields) ? 'bare' : 'open';
}

function hasParts(fields: Fields): boolean {
  return PARTS.some((name) => Object.hasOwn(fields, name));
}

/** What refers by other ways than a place, or to whatever schema builds on it. */
function isBeyond(fields: Fields): boolean {
  if (Object.hasOwn(fields, '$dynamicRef') || Object.hasOwn(fields, '$recursiveRef')) return true;
  return Object.hasOwn(fields, 'discriminator') && !Object.hasOwn(fields, 'oneOf') && !Object.hasOwn(fields, 'anyOf');
}

function itemsOf(fields: Fields): readonly unknown[] {
  const items = own(fields, 'items');
  const lists = [Array.isArray(items) ? items : [items], ownList(fields, 'prefixItems')];
  const rest = ['additionalItems', 'unevaluatedItems', 'contains'].map((name) => own(fields, name));
  return [...lists.flat(), ...rest].filter((one) => fieldsOf(one) !== undefined);
}

/** `{}`, `true`, or a description alone. */
function saysNothing(schema: unknown): boolean {
  if (schema === true) return true;
  const fields = fieldsOf(schema);
  return fields !== undefined && Object.keys(fields).every((name) => REMARKS.has(name) || name.startsWith('x-'));
}

function most(parts: readonly Found[]): Found {
  return ORDER.find((one) => parts.includes(one)) ?? 'bare';
}

function listedPaths(references: References, root: unknown): readonly SchemaPath[] {
  const found = new Map<string, SchemaPath>();
  let looked = 0;
  const visit = (
    schema: unknown,
    path: readonly string[],
    options: { isInList: boolean; above: ReadonlySet<unknown> },
  ): void => {
    const fields = fieldsOf(schema);
    if (fields === undefined || options.above.has(schema) || options.above.size > DEPTH_MAX) return;
    if (path.length > LEVELS_MAX) return;
    if (++looked > LISTED_LOOKS_MAX || found.size >= PATHS_MAX) return;
    const inside = { ...options, above: new Set([...options.above, schema]) };
    const reference = ownText(fields, '$ref');
    if (reference !== undefined) visit(references.target(reference), path, inside);
    for (const part of [...ownList(fields, 'allOf'), ...ALTERNATIVES.flatMap((name) => ownList(fields, name))])
      visit(part, path, inside);
    for (const items of itemsOf(fields)) visit(items, path, { ...inside, isInList: true });
    for (const [name, property] of Object.entries(ownFields(fields, 'properties') ?? {})) {
      note(property, [...path, name], options.isInList);
      visit(property, [...path, name], inside);
    }
  };
  const note = (property: unknown, path: readonly string[], isInList: boolean): void => {
    const key = JSON.stringify(path);
    if (found.size >= PATHS_MAX || found.has(key)) return;
    const fields = fieldsOf(references.resolved(property));
    const isPassword = own(fields, 'format') === 'password' || own(fields, 'writeOnly') === true;
    found.set(key, { path, isPlain: !isInList && isPlainType(own(fields, 'type')), isPassword });
  };
  visit(root, [], { isInList: false, above: new Set() });
  return Array.from(found.values());
}

function isPlainType(type: unknown): boolean {
  const types = (Array.isArray(type) ? type : [type]).filter((one) => one !== 'null');
  return types.length > 0 && types.every((one) => PLAIN_TYPES.has(String(one)));
}

const ORDER = ['there', 'open', 'absent'] as const;
const ALTERNATIVES = ['oneOf', 'anyOf'] as const;
const CONDITIONS = ['then', 'else'] as const;
const REST_OF_OBJECT = ['additionalProperties', 'unevaluatedProperties'] as const;
const PARTS = ['$ref', 'allOf', ...ALTERNATIVES, ...CONDITIONS, 'dependentSchemas', 'patternProperties'] as const;
const REMARKS: ReadonlySet<string> = new Set([
  ...['title', 'description', 'example', 'examples', 'default', 'deprecated', 'externalDocs', '$comment', 'xml'],
]);
const PLAIN_TYPES: ReadonlySet<string> = new Set(['string', 'number', 'integer', 'boolean']);
const LOOKS_MAX = 100_000;
/** Of schemas, each within or by reference of the one before. */
const DEPTH_MAX = 500;
const LISTED_LOOKS_MAX = 5_000;
const PATHS_MAX = 2_000;
const LEVELS_MAX = 12;
