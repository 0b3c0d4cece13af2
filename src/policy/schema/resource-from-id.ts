import type { EntityRef } from '../../model/index.ts';
import { PolicyError } from '../errors.ts';
import type { NamedById, PolicySchema } from './compose-schema.ts';

/**
 * The resource that an id alone describes: `('table', 'shop/app/public/users')` with its attributes and parents, as the fragment's
 * `path` says. `attributes` adds those that are no part of the id.
 * @throws PolicyError ERR_POLICY_TEST when the schema has no such kind, or the id has the wrong parts
 */
export function resourceFromId(
  schema: PolicySchema,
  resource: { readonly kind: string; readonly id: string; readonly attributes?: EntityRef['attributes'] },
): EntityRef {
  const { kind, id } = resource;
  if (kind === 'target')
    throw new PolicyError(
      'ERR_POLICY_TEST',
      'a target is written as an entity, because its id does not tell its protocol',
    );
  const named = schema.namedById.get(kind);
  const kinds = Array.from(schema.namedById.keys()).sort().join(', ');
  if (named === undefined)
    throw new PolicyError('ERR_POLICY_TEST', `there is no resource kind ${JSON.stringify(kind)}; there are ${kinds}`);
  const parts = partsOfId(id);
  if (parts.length !== named.path.length || parts.includes(''))
    throw new PolicyError(
      'ERR_POLICY_TEST',
      `the id of a ${kind} is ${named.path.join('/')}, not ${JSON.stringify(id)}`,
    );
  const made = build(schema, named, parts);
  return { ...made, attributes: { ...made.attributes, ...resource.attributes } };
}

/** The names in a resource's id: `['shop', 'app', 'public', 'a/b']` of `shop/app/public/a%2Fb`. */
export function partsOfId(id: string): readonly string[] {
  return id.split('/').map(decodePart);
}

/** The id that has these names. */
export function idOfParts(parts: readonly string[]): string {
  return parts.map(encodePart).join('/');
}

function build(schema: PolicySchema, named: NamedById, parts: readonly string[]): EntityRef {
  const declared = schema.entityTypes.get(named.type)?.attributes ?? {};
  const attributes: Record<string, string> = {};
  for (const [index, name] of named.path.entries())
    if (Object.hasOwn(declared, name)) attributes[name] = parts[index] ?? '';
  const parentParts = parts.slice(0, -1);
  const parents: EntityRef[] = [];
  for (const type of named.memberOf) {
    const parent = Array.from(schema.namedById.values()).find((one) => one.type === type);
    if (parent?.path.length === parentParts.length) parents.push(build(schema, parent, parentParts));
    else if (type === 'Target' && (parentParts.length === 1 || isWholeTarget(named)))
      parents.push(targetOf(named, parts[0] ?? ''));
  }
  return { type: named.type, id: idOfParts(parts), attributes, parents };
}

/** A type that is all of a target has its name for an id. */
function isWholeTarget({ path }: NamedById): boolean {
  return path.length === 1 && path[0] === 'target';
}

function targetOf({ protocol }: NamedById, name: string): EntityRef {
  return { type: 'Target', id: name, attributes: { name, protocol }, parents: [] };
}

function decodePart(part: string): string {
  return part.replaceAll(/%2f/gi, '/').replaceAll('%25', '%');
}

function encodePart(part: string): string {
  return part.replaceAll('%', '%25').replaceAll('/', '%2F');
}
