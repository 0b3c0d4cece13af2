import type { SpiffeId } from '@countersign/sdk/identity';
import type { EntityRef } from '../../model/index.ts';

/**
 * The principal of a request: `Identity` with the SPIFFE ID as its id and the attributes `uri`, `trustDomain` and `path`. It is in
 * `TrustDomain::"example.org"` and in an `IdentityPath` for each step of its path: `spiffe://example.org/ns/shop/sa/web` is in
 * `IdentityPath::"spiffe://example.org/ns/shop"`. An identity is not in the path that is itself. Paths deeper than 64 steps have
 * entities for the first 64.
 */
export function identityEntity(identity: SpiffeId): EntityRef {
  let parent: EntityRef = { type: 'TrustDomain', id: identity.trustDomain, attributes: {}, parents: [] };
  let slash = identity.path.indexOf('/', 1);
  for (let step = 0; slash > 0 && step < PATH_STEPS_MAX; step++) {
    const id = `spiffe://${identity.trustDomain}${identity.path.slice(0, slash)}`;
    parent = { type: 'IdentityPath', id, attributes: {}, parents: [parent] };
    slash = identity.path.indexOf('/', slash + 1);
  }
  const attributes = { uri: identity.uri, trustDomain: identity.trustDomain, path: identity.path };
  return { type: 'Identity', id: identity.uri, attributes, parents: [parent] };
}

/** Below the number of ancestors that a request may bring. */
const PATH_STEPS_MAX = 64;
