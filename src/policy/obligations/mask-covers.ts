import type { EntityRef } from '../../model/index.ts';
import { isFieldOf } from '../schema/fields.ts';
import type { PotentialMask, ResourceScope } from '../types.ts';

/**
 * Whether a mask of `maskBearing` could reach `resource`: its policy's scope fits it, and the field may be one of its own. True where
 * that is not certain. The field to hide is the one that `on` has for the resource's type.
 */
export function maskCovers(mask: PotentialMask, resource: EntityRef): boolean {
  const reading = mask.on.get(resource.type);
  return reading !== undefined && isFieldOf(reading, resource) && scopeReaches(mask.scope, resource);
}

/** Whether a scope takes in a resource, as its parents tell. */
export function scopeReaches(scope: ResourceScope, resource: EntityRef): boolean {
  switch (scope.op) {
    case 'any':
      return true;
    case 'is':
      return resource.type === scope.type;
    case 'equals':
      return resource.type === scope.type && resource.id === scope.id;
    case 'in':
      return (scope.is === undefined || resource.type === scope.is) && isWithin(resource, scope);
    default:
      return scope satisfies never;
  }
}

function isWithin(resource: EntityRef, place: { readonly type: string; readonly id: string }): boolean {
  if (resource.type === place.type && resource.id === place.id) return true;
  return resource.parents.some((parent) => isWithin(parent, place));
}
