import type { SpiffeId } from '@countersign/sdk/identity';
import type { Principal } from '../endpoint/index.ts';
import { agreedAttributes, NO_ATTRIBUTES } from '../model/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Clock } from '../std/index.ts';

/** A workload as policies of the API see it: what its entries of this moment say. */
export function createIdentityPrincipal(deps: {
  readonly clock: Pick<Clock, 'now'>;
  readonly registration: Pick<Registration, 'entriesOf'>;
}): (id: SpiffeId) => Extract<Principal, { kind: 'identity' }> {
  return (id) => {
    const nowS = deps.clock.now() / 1000;
    const entries = deps.registration.entriesOf(id);
    const current = entries.filter(({ expiresAtS }) => expiresAtS === 0 || expiresAtS > nowS);
    return {
      kind: 'identity',
      id,
      admin: current.some(({ admin }) => admin),
      attributes: current.length === 0 ? NO_ATTRIBUTES : agreedAttributes(current.map(({ attributes }) => attributes)),
    };
  };
}
