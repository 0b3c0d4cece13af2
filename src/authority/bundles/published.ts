import type { TrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import type { AuthorityDeps, AuthorityKind } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import { createJwtIssuer, type JwtIssuer } from '../issuing/issue-jwt.ts';
import { createX509Issuer, type X509Issuer } from '../issuing/issue-x509.ts';
import { type JournalRow, journalTransaction } from '../journal.ts';
import type { Timeline } from '../timeline.ts';
import { loadBundle, ownBundle, storeBundle } from './bundles.ts';

/** The journal as it is committed, and what follows from it: bundles and issuers. Nothing else makes an issuer, so nothing unpublished signs. */
export interface Published {
  readonly rows: readonly JournalRow[];
  /** The bundle of the own trust domain; undefined before the first authority. */
  readonly own: Bundle | undefined;
  readonly federated: ReadonlyMap<TrustDomain, Bundle>;
  readonly x509: X509Issuer | undefined;
  readonly jwt: JwtIssuer | undefined;
}

/** Reads the journal again; what has not changed stays the same object. */
export async function loadPublished(
  deps: AuthorityDeps,
  options: { readonly timeline: Timeline; readonly previous: Published; readonly signal: AbortSignal },
): Promise<Published> {
  const { previous, timeline, signal } = options;
  const { trustDomain } = deps;
  const { rows, bundles } = await journalTransaction(
    deps.store,
    async (journal) => ({ rows: await journal.rows(), bundles: await journal.bundles() }),
    { changes: false, signal },
  );
  const federated = new Map<TrustDomain, Bundle>();
  let sequence = 0;
  for (const stored of bundles) {
    if (stored.trustDomain === trustDomain) sequence = stored.sequence;
    else {
      const bundle = loadBundle(stored);
      const known = previous.federated.get(bundle.trustDomain);
      const unchanged = known && JSON.stringify(storeBundle(known)) === JSON.stringify(stored);
      federated.set(bundle.trustDomain, unchanged ? known : bundle);
    }
  }
  const before = previous.own?.sequence ?? 0;
  if (sequence < before) {
    throw new AuthorityError(
      'ERR_AUTHORITY_STORE_LOST',
      `the bundle in the store went back from sequence ${before} to ${sequence}: the store was emptied, exchanged or brought back from a backup`,
    );
  }
  const active = { deps, timeline, rows };
  return {
    rows,
    own: ownOf(trustDomain, { rows, sequence, previous: previous.own }),
    federated,
    x509: x509Of(active, previous.x509),
    jwt: jwtOf(active, previous.jwt),
  };
}

/** The bundles of `next` that are not the ones of `previous`; the own one also when a foreign one is gone. */
export function changedBundles(previous: Published, next: Published): Bundle[] {
  const forgotten = [...previous.federated.keys()].some((name) => !next.federated.has(name));
  const changed = next.own && (forgotten || next.own !== previous.own) ? [next.own] : [];
  for (const [name, bundle] of next.federated) if (previous.federated.get(name) !== bundle) changed.push(bundle);
  return changed;
}

/** Before anything is loaded. */
export const NOTHING_PUBLISHED: Published = {
  rows: [],
  own: undefined,
  federated: new Map(),
  x509: undefined,
  jwt: undefined,
};

interface Active {
  readonly deps: AuthorityDeps;
  readonly timeline: Timeline;
  readonly rows: readonly JournalRow[];
}

function ownOf(
  trustDomain: TrustDomain,
  loaded: { readonly rows: readonly JournalRow[]; readonly sequence: number; readonly previous: Bundle | undefined },
): Bundle | undefined {
  if (loaded.sequence === 0) return undefined;
  return loaded.previous?.sequence === loaded.sequence
    ? loaded.previous
    : ownBundle(trustDomain, loaded.rows, loaded.sequence);
}

function x509Of(active: Active, previous: X509Issuer | undefined): X509Issuer | undefined {
  const found = activeKey(active, 'x509');
  if (!found || found.row.id === previous?.id) return found && previous;
  return createX509Issuer({ ...found, defaultTtlMs: active.deps.options.x509SvidTtlMs });
}

function jwtOf(active: Active, previous: JwtIssuer | undefined): JwtIssuer | undefined {
  const found = activeKey(active, 'jwt');
  if (!found || found.row.id === previous?.id) return found && previous;
  const { jwtSvidTtlMs, jwtIssuer } = active.deps.options;
  return createJwtIssuer({ ...found, defaultTtlMs: jwtSvidTtlMs, issuer: jwtIssuer });
}

/** The active row of this server with its key; none when the keystore has lost it. */
function activeKey({ deps, timeline, rows }: Active, kind: AuthorityKind) {
  const { serverId } = deps.options;
  const row = rows.find((each) => each.kind === kind && each.state === 'active' && each.serverId === serverId);
  const key = row && deps.keystore.find(row.keyId);
  return row && key ? { row, key, timeline, trustDomain: deps.trustDomain, random: deps.random } : undefined;
}
