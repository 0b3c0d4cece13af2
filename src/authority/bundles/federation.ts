import type { TrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import type { AuthorityDeps } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import { journalTransaction } from '../journal.ts';
import { checkForeignBundle, storeBundle } from './bundles.ts';

/** Keeps a foreign bundle unless a newer one is known: an older one could bring back a key that was revoked. */
export async function keepForeignBundle(deps: AuthorityDeps, bundle: Bundle, signal: AbortSignal): Promise<void> {
  checkForeignBundle(bundle, deps.trustDomain);
  await journalTransaction(
    deps.store,
    async (journal) => {
      const stored = await journal.bundles();
      const known = stored.find((each) => each.trustDomain === bundle.trustDomain);
      if (known && bundle.sequence < known.sequence) {
        throw new AuthorityError(
          'ERR_AUTHORITY_BUNDLE',
          `the bundle of ${bundle.trustDomain} has sequence ${bundle.sequence}, ${known.sequence} is known`,
        );
      }
      if (!known && stored.length > FEDERATED_MAX) {
        throw new AuthorityError(
          'ERR_AUTHORITY_BUNDLE',
          `at most ${FEDERATED_MAX} trust domains can be federated with`,
        );
      }
      await journal.replaceBundle(storeBundle(bundle));
    },
    { changes: true, signal },
  );
}

/** Forgets a foreign bundle; false when it was not known. */
export async function forgetForeignBundle(
  deps: AuthorityDeps,
  name: TrustDomain,
  signal: AbortSignal,
): Promise<boolean> {
  if (name === deps.trustDomain) throw new AuthorityError('ERR_AUTHORITY_BUNDLE', 'the own bundle can not be removed');
  return journalTransaction(deps.store, (journal) => journal.removeBundle(name), { changes: true, signal });
}

/** Each is loaded into memory and sent to agents. */
const FEDERATED_MAX = 1000;
