import type { EntityRef } from '../../model/index.ts';
import type { PolicySchema } from './compose-schema.ts';
import type { PolicySchemaFragment, ResourceFields } from './schema.ts';

/** A field as `@mask` writes it. `hasWildcard`: it has a `*` that stands in no quotes. */
export interface WrittenField {
  readonly path: readonly string[];
  readonly hasWildcard: boolean;
}

/** What a written field means in a resource of one type. */
export interface FieldReading {
  /** What the resource has to be: attributes that the path begins with. */
  readonly within: readonly { readonly attribute: string; readonly value: string }[];
  /** Names within the resource. */
  readonly own: readonly string[];
  /** Of the names within, for maps. */
  readonly key: string;
  /** Names of the attributes before it, all that the type declares. */
  readonly above: readonly string[];
}

/** How a type reads a field; undefined: it can have no such field. */
export function readField({ path, hasWildcard }: WrittenField, fields: ResourceFields): FieldReading | undefined {
  for (const pattern of fields.paths) {
    const lead = isOpen(pattern) ? 0 : path.length - pattern.length;
    if (lead < 0 || lead > fields.within.length) continue;
    const own = path.slice(lead);
    if (!fits(own, pattern) || (hasWildcard && !isOpen(pattern))) continue;
    const attributes = fields.within.slice(fields.within.length - lead);
    const within = attributes.map((attribute, index) => ({ attribute, value: path[index] ?? '' }));
    return { within, own, key: JSON.stringify(own), above: fields.within };
  }
  return undefined;
}

/** Whether the field can be one of `resource`, which has the type of the reading. An attribute that it lacks rules nothing out. */
export function isFieldOf({ within }: FieldReading, { attributes }: Pick<EntityRef, 'attributes'>): boolean {
  for (const { attribute, value } of within) {
    const found = Object.hasOwn(attributes, attribute) ? attributes[attribute] : undefined;
    if (typeof found === 'string' && found !== value) return false;
  }
  return true;
}

/** The whole path of a field in `resource`: `['public', 'customers', 'ssn']`. */
export function pathIn(reading: FieldReading, resource: EntityRef): readonly string[] {
  return [...leadIn(reading, resource), ...reading.own];
}

/** What it begins with, which is the same for all fields of the resource. */
export function leadIn({ above }: FieldReading, { attributes }: EntityRef): readonly string[] {
  return above.map((attribute) => String(attributes[attribute]));
}

/** A field as `@mask` reads it: `public."Tax Id".ssn`. */
export function fieldText({ path, hasWildcard }: WrittenField): string {
  const isPlain = (name: string) => PLAIN.test(name) || (hasWildcard && name === ANY);
  return path.map((name) => (isPlain(name) ? name : `"${name.replaceAll('"', '""')}"`)).join('.');
}

/** A field of an answer's masks as a policy on that resource alone would write it: `ssn`. */
export function fieldWithin(schema: PolicySchema, resource: EntityRef, path: readonly string[]): string {
  const lead = schema.entityTypes.get(resource.type)?.fields?.within.length ?? 0;
  return fieldText({ path: path.slice(lead), hasWildcard: true });
}

/** Whether two written fields, of which leading names may be left out, can be one. */
export function mayBeOneField(a: WrittenField, b: WrittenField): boolean {
  const [shorter = [], longer = []] = [a.path, b.path].toSorted((x, y) => x.length - y.length);
  return shorter.every((name, index) => name === longer[longer.length - shorter.length + index]);
}

/** What is wrong with what a fragment says of a type's fields; undefined: nothing. */
export function fieldsProblem(
  { within, paths, example }: ResourceFields,
  type: Pick<PolicySchemaFragment['entityTypes'][string], 'attributes' | 'path'>,
): string | undefined {
  const { attributes, path } = type;
  for (const name of within)
    if (attributes[name]?.type !== 'String' || attributes[name]?.required === false)
      return `a path begins with the attribute ${name}, which is no text that each has`;
  if (!within.every((name) => path?.includes(name) !== false)) return 'a path begins with what no id tells';
  const lengths = new Set(paths.map((pattern) => (isOpen(pattern) ? Number.POSITIVE_INFINITY : pattern.length)));
  // Else one path could be read in two ways, and a mask would be on the other field.
  if (within.length > 0 && (lengths.size !== 1 || lengths.has(Number.POSITIVE_INFINITY)))
    return 'paths that begin with attributes go on with one number of names';
  if (paths.some((pattern) => pattern.length === 0 || pattern.slice(0, -1).includes(REST)))
    return 'a path has a name, and ** only at its end';
  if (readField({ path: example, hasWildcard: false }, { within, paths, example }) === undefined)
    return `its example ${exampleText(example)} is none of its fields`;
  return undefined;
}

/** As a person may write a field of that type, the whole path first: `public.customers.ssn`, `customers.ssn`, `ssn`. */
export function fieldForms({ within, example }: ResourceFields): readonly string[] {
  return Array.from({ length: within.length + 1 }, (_, index) => exampleText(example.slice(index)));
}

function exampleText(path: readonly string[]): string {
  return fieldText({ path, hasWildcard: true });
}

function fits(own: readonly string[], pattern: readonly string[]): boolean {
  const isShort = isOpen(pattern) ? own.length < pattern.length : own.length !== pattern.length;
  return !isShort && pattern.every((name, index) => name === REST || name === ANY || name === own[index]);
}

function isOpen(pattern: readonly string[]): boolean {
  return pattern.at(-1) === REST;
}

/** In a mask and in a type's paths: whatever name stands there. */
export const ANY = '*';
const REST = '**';
/** Less than a mask may have without quotes: what is no letter of ASCII might be a blank to its reader. */
const PLAIN = /^[a-z_][a-z0-9_$]*$/;
