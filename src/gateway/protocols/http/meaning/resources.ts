import type { EntityRef } from '../../../../model/index.ts';

/** The whole of a target as policy sees it: its id is the target's name. The resource of `http:connect`, and of requests that no route takes. */
export function originResource(target: string): EntityRef {
  const parent: EntityRef = { type: 'Target', id: target, attributes: { name: target, protocol: 'http' }, parents: [] };
  return { type: 'Http::Origin', id: target, attributes: { target }, parents: [parent] };
}

/** A route: id `target/name`. `tags`: what the request has of what the route reads. */
export function routeResource(target: string, name: string, tags: { readonly [key: string]: string }): EntityRef {
  const route = {
    type: 'Http::Route',
    id: `${target}/${name}`,
    attributes: { target, name },
    parents: [originResource(target)],
  };
  // Without any, its id tells all about it.
  return Object.keys(tags).length === 0 ? route : { ...route, tags };
}
