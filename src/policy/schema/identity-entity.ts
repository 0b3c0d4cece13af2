import type { SpiffeId } from '@countersign/sdk/identity';
import type { EntityRef, IdentityAttributes } from '../../model/index.ts';

/**
 * The principal of a request: `Identity` with the SPIFFE ID as its id and the attributes `uri`, `trustDomain` and `path`. It is in
 * `TrustDomain::"example.org"` and in an `IdentityPath` for each step of its path: `spiffe://example.org/ns/shop/sa/web` is in
 * `IdentityPath::"spiffe://example.org/ns/shop"`. An identity is not in the path that is itself. Paths deeper than 64 steps have
 * entities for the first 64.
 *
 * `known`: what its entries say of it, as `owner`, `environment` and tags. Without that nobody has said what it is: a question about all
 * requests leaves conditions on these open, and a whole request has none. `isQuarantined`: that of `principal.quarantined`.
 */
export function identityEntity(
  identity: SpiffeId,
  known?: IdentityAttributes,
  { isQuarantined = false }: { readonly isQuarantined?: boolean } = {},
): EntityRef {
  let parent: EntityRef = { type: 'TrustDomain', id: identity.trustDomain, attributes: {}, parents: [] };
  let slash = identity.path.indexOf('/', 1);
  for (let step = 0; slash > 0 && step < PATH_STEPS_MAX; step++) {
    const id = `spiffe://${identity.trustDomain}${identity.path.slice(0, slash)}`;
    parent = { type: 'IdentityPath', id, attributes: {}, parents: [parent] };
    slash = identity.path.indexOf('/', slash + 1);
  }
  const attributes = {
    ...{ uri: identity.uri, trustDomain: identity.trustDomain, path: identity.path, quarantined: isQuarantined },
    ...(known === undefined || known.owner === '' ? {} : { owner: known.owner }),
    ...(known === undefined || known.environment === '' ? {} : { environment: known.environment }),
  };
  const entity = { type: 'Identity', id: identity.uri, attributes, parents: [parent] };
  return known === undefined ? entity : { ...entity, tags: known.labels };
}

/** Below the number of ancestors that a request may bring. */
const PATH_STEPS_MAX = 64;
