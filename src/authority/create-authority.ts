import type { Bundle } from '../model/index.ts';
import { createListeners, messageOf, type Service, throwIfAborted } from '../std/index.ts';
import type {
  Authority,
  AuthorityDeps,
  AuthorityHealth,
  AuthorityInfo,
  IssuedX509Svid,
  X509SvidRequest,
} from './authority.ts';
import { forgetForeignBundle, keepForeignBundle } from './bundles/federation.ts';
import { AuthorityError } from './errors.ts';
import { issueBatch } from './issuing/issue-batch.ts';
import type { JournalRow } from './journal.ts';
import { checkOptions } from './options.ts';
import { activateNext, prepareNext, revokeAuthority, taintAuthority } from './rotation/rotation-steps.ts';
import { createUpkeep } from './rotation/upkeep.ts';

/**
 * Creates the authority of one server. `start` loads the journal, makes the first keys when there are none, and from then on looks every ten
 * seconds whether the next are due.
 * @throws AuthorityError ERR_AUTHORITY_OPTIONS; (from start) ERR_AUTHORITY_KEYS_LOST, ERR_AUTHORITY_STORE_LOST
 */
export function createAuthority(deps: AuthorityDeps): Authority & AuthorityHealth & Service {
  checkOptions(deps.options);
  // A listener's fault is its own: it must not stop rotation, nor the other listeners.
  const listeners = createListeners<Bundle>((error) =>
    deps.log.error('authority.listener.failed', { error: messageOf(error) }),
  );
  const upkeep = createUpkeep(deps, listeners.tell);
  const issue = (request: X509SvidRequest): IssuedX509Svid => {
    if (request.signal) throwIfAborted(request.signal);
    const { x509 } = upkeep.published();
    if (!x509) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'no X.509 authority is active');
    return x509.issue(request);
  };
  const infoOf = (id: string): AuthorityInfo => {
    const row = upkeep.published().rows.find((each) => each.id === id);
    if (!row) throw new AuthorityError('ERR_AUTHORITY_NOT_FOUND', `there is no authority ${id}`);
    return toInfo(row);
  };
  return {
    start: upkeep.start,
    stop: upkeep.stop,
    problem: upkeep.problem,
    unable: upkeep.unable,
    lost: () => upkeep.lost().map(toInfo),
    issueX509Svid: async (request) => issue(request),
    issueX509SvidBatch: (requests, signal) => issueBatch(requests, issue, signal),
    async issueJwtSvid(request) {
      const { jwt } = upkeep.published();
      if (!jwt) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'no JWT key is active');
      return jwt.issue(request);
    },
    async signStatement(statement) {
      const { jwt } = upkeep.published();
      if (!jwt) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'no JWT key is active');
      return jwt.sign(statement);
    },
    bundle() {
      const { own } = upkeep.published();
      if (!own) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'the bundle is not loaded yet');
      return own;
    },
    onBundle: listeners.add,
    federatedBundle: (trustDomain) => upkeep.published().federated.get(trustDomain),
    federatedBundles: () => [...upkeep.published().federated.values()],
    setFederatedBundle: (bundle, signal) => upkeep.change(signal, () => keepForeignBundle(deps, bundle, signal)),
    removeFederatedBundle: (name, signal) => upkeep.change(signal, () => forgetForeignBundle(deps, name, signal)),
    authorities: () => upkeep.published().rows.map(toInfo).reverse(),
    prepare: async (kind, signal) => infoOf(await upkeep.change(signal, (context) => prepareNext(kind, context))),
    activate: async (kind, signal) => infoOf(await upkeep.change(signal, (context) => activateNext(kind, context))),
    taint: (id, signal) => upkeep.change(signal, (context) => taintAuthority(id, context)),
    revoke: (id, signal) => upkeep.change(signal, (context) => revokeAuthority(id, context)),
  };
}

function toInfo(row: JournalRow): AuthorityInfo {
  const { id, kind, serverId, state, tainted, notBeforeS, expiresAtS } = row;
  return { id, kind, serverId, state, tainted, notBeforeS, expiresAtS };
}
