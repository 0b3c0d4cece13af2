import type { TrustDomain } from '@countersign/sdk/identity';
import type { Nodes } from '../attestation/index.ts';
import type { Authority } from '../authority/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { endSignInsOf } from '../persons/index.ts';
import { identitiesLabelled, type RegistrationDeps } from '../registration/index.ts';
import type { Resources } from '../resources/index.ts';
import {
  createLabelMembers,
  createRevocationFeed,
  createRevocations,
  createVerifierCounts,
  createVerifiers,
  type KnownVerifiers,
  type RevocationFeed,
  type Revocations,
  type StandingSource,
} from '../revocation/index.ts';
import { parseDurationMs, type Service, startAll, stopAll } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import type { RoleDeps } from './role.ts';

/** Members of labels that are revoked, which follow from entries; and how long what is signed may live. */
export function createServerMembers(
  { config, clock, random }: Pick<RoleDeps<ServerConfig>, 'config' | 'clock' | 'random'>,
  { store, authority }: { readonly store: Store; readonly authority: Authority },
) {
  const caLifeMs = parseDurationMs(config.ca.ttl) ?? 0;
  // Whatever an authority has signed ends with it; one that another server makes at this moment has its whole life before it.
  const lifeMsMax = () => {
    const endsMs = authority.authorities().map(({ expiresAtS }) => expiresAtS * 1000);
    return Math.max(caLifeMs, ...endsMs.map((ms) => ms - clock.now())) + SKEW_MS;
  };
  const members = createLabelMembers({ store, clock, random, lifeMsMax });
  const written: RegistrationDeps['written'] = (trx, entries, effects) =>
    members.join(
      trx,
      entries.map(({ spiffeId, attributes }) => ({ spiffeId: spiffeId.uri, labels: attributes.labels })),
      effects,
    );
  return { lifeMsMax, written };
}

/** What is revoked, over one store, as one server tells of it. */
export function createServerRevocation(
  { config, clock, random, log }: Pick<RoleDeps<ServerConfig>, 'config' | 'clock' | 'random' | 'log'>,
  parts: {
    readonly store: Store;
    readonly authority: Authority;
    readonly nodes: Nodes;
    readonly resources: Pick<Resources, 'gatewayInstances'>;
    readonly trustDomain: TrustDomain;
    readonly lifeMsMax: () => number;
  },
): Service & {
  readonly revocations: Revocations;
  /** As this server has it in memory; undefined: it has not read it yet. */
  readonly standing: () => ReturnType<StandingSource['latest']> | undefined;
  readonly feed: RevocationFeed;
  readonly verifierCounts: ReturnType<typeof createVerifierCounts>['counts'];
} {
  const { authority, trustDomain } = parts;
  const deps = { ...parts, clock, random, log };
  const known: KnownVerifiers = {
    nodes: () => livingNodes(deps.nodes, clock.now() / 1000),
    gateways: deps.resources.gatewayInstances,
  };
  const revocations = createRevocations({ ...deps, known, labelled: identitiesLabelled, endSignIns: endSignInsOf });
  // One server started anew is another one, whose verifiers are those that come to it.
  const server = `${config.serverId} ${random.bytes(8).toString('hex')}`;
  const verifiers = createVerifiers({ ...deps, server });
  const sign = authority.signStatement;
  const feed = createRevocationFeed({ ...deps, source: revocations, verifiers, sign, trustDomain });
  const counts = createVerifierCounts(deps);
  let isStarted = false;
  const services = [revocations, verifiers, counts];
  return {
    ...{ revocations, feed, verifierCounts: counts.counts },
    standing: () => (isStarted ? revocations.latest() : undefined),
    async start(signal) {
      await startAll(services, signal);
      isStarted = true;
    },
    stop: () => stopAll(services),
  };
}

/** Nodes whose SVID, or the one that waits to be used, is not over. */
async function livingNodes(nodes: Pick<Nodes, 'list'>, nowS: number) {
  const living: { readonly spiffeId: string; readonly expiresAtS: number }[] = [];
  let pageToken = '';
  do {
    const page = await nodes.list({ filter: { banned: false }, pageToken });
    for (const { spiffeId, notAfterS, newNotAfterS } of page.nodes) {
      const expiresAtS = Math.max(notAfterS, newNotAfterS);
      if (expiresAtS > nowS) living.push({ spiffeId: spiffeId.uri, expiresAtS });
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return living;
}

/** Verifiers' clocks may be late, and the hour of the database another than ours. */
const SKEW_MS = 60_000;
