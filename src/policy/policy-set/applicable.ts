import { AnnotationError } from '../obligations/annotation-error.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { type FieldReading, fieldForms, fieldText, isFieldOf, readField, type WrittenField } from '../schema/fields.ts';
import { partsOfId } from '../schema/resource-from-id.ts';
import type { ResourceFields } from '../schema/schema.ts';
import type { ResourceScope } from '../types.ts';
import { typesOf } from './scopes.ts';

/** What a permit is about, as far as its scope says. */
export interface PermitScope {
  readonly actions: readonly string[];
  readonly resource: ResourceScope;
}

/** What a mask of the permit means on each type of resource that the permit can be about; on none of them it would keep nothing back. */
export function readingsOf(
  mask: WrittenField,
  permit: PermitScope,
  schema: PolicySchema,
): ReadonlyMap<string, FieldReading> {
  return new Map(
    possibleReadings(mask, permit, schema).filter(([type, reading]) =>
      isFieldOf(reading, { attributes: attributesIn(permit.resource, type, schema) }),
    ),
  );
}

/** As that, of a permit that somebody wrote. @throws AnnotationError where it is on none */
export function requireReadings(
  mask: WrittenField,
  permit: PermitScope,
  schema: PolicySchema,
): ReadonlyMap<string, FieldReading> {
  const on = readingsOf(mask, permit, schema);
  if (on.size > 0) return on;
  const [first] = possibleReadings(mask, permit, schema);
  if (first !== undefined) throw elsewhere(mask, permit.resource, first[1]);
  const types = typesOfPermit(permit, schema);
  const fields = fieldsOf(types, schema);
  throw fields.length === 0 ? withoutFields(types, schema) : noSuchField(mask, fields);
}

/** By the types alone. */
function possibleReadings(
  mask: WrittenField,
  permit: PermitScope,
  schema: PolicySchema,
): readonly (readonly [string, FieldReading])[] {
  return fieldsOf(typesOfPermit(permit, schema), schema).flatMap(([type, fields]) => {
    const reading = readField(mask, fields);
    return reading === undefined ? [] : [[type, reading] as const];
  });
}

function fieldsOf(types: readonly string[], schema: PolicySchema): readonly (readonly [string, ResourceFields])[] {
  return types.flatMap((type) => {
    const fields = schema.entityTypes.get(type)?.fields;
    return fields === undefined ? [] : [[type, fields] as const];
  });
}

/** The actions that a permit can be about something by. */
export function reachableActions({ actions, resource }: PermitScope, schema: PolicySchema): readonly string[] {
  return actions.filter((action) => typesOfPermit({ actions: [action], resource }, schema).length > 0);
}

function typesOfPermit({ actions, resource }: PermitScope, schema: PolicySchema): readonly string[] {
  const types = actions.flatMap((action) =>
    Array.from(typesOf(resource, { schema, types: schema.actions.get(action)?.resources ?? new Set() })),
  );
  return Array.from(new Set(types)).sort();
}

/** What the scope's id says of every resource of that type in it: a type's path begins with the path of the type that it is in. */
export function attributesIn(
  scope: ResourceScope,
  type: string,
  schema: PolicySchema,
): { readonly [name: string]: string } {
  if (scope.op !== 'equals' && scope.op !== 'in') return {};
  const named = (of: string) => Array.from(schema.namedById.values()).find((one) => one.type === of)?.path;
  const parts = partsOfId(scope.id);
  const path = named(type);
  if (path === undefined || named(scope.type)?.length !== parts.length) return {};
  return Object.fromEntries(parts.map((part, index) => [path[index] ?? '', part]));
}

function withoutFields(types: readonly string[], schema: PolicySchema): AnnotationError {
  const all = Array.from(schema.entityTypes).flatMap(([type, { fields }]) => (fields === undefined ? [] : [type]));
  // Those of other protocols are no help to whoever has named one.
  const namespaces = new Set(types.filter((type) => type.includes('::')).map((type) => type.split('::')[0]));
  const near = all.filter((type) => namespaces.has(type.split('::')[0]));
  const fielded = near.length === 0 ? all : near;
  const about = types.length === 0 ? 'no resource at all' : `${types.join(', ')} alone`;
  return new AnnotationError(`the permit is about ${about}, which has no fields to mask`, {
    annotation: 'mask',
    help: `take the mask away, or put it on the permit of what shows fields: ${fielded.join(', ')}`,
  });
}

function noSuchField(mask: WrittenField, fields: readonly (readonly [string, ResourceFields])[]): AnnotationError {
  const forms = fields.map(([type, one]) => `${fieldForms(one).join(', ')} in ${type}`);
  const types = fields.map(([type]) => type).join(', ');
  return new AnnotationError(`${fieldText(mask)} can be no field of ${types}`, {
    annotation: 'mask',
    help: `a field is written ${forms.join('; ')}`,
  });
}

function elsewhere(mask: WrittenField, scope: ResourceScope, { own }: FieldReading): AnnotationError {
  const about = scope.op === 'equals' || scope.op === 'in' ? `${scope.type}::${JSON.stringify(scope.id)}` : '';
  return new AnnotationError(`${fieldText(mask)} is of another resource than ${about}, which the permit is about`, {
    annotation: 'mask',
    help: `write the field alone, ${fieldText({ ...mask, path: own })}, or name the permit's own resource`,
  });
}
