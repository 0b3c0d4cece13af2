import type { TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, Selector } from '../../model/index.ts';
import type { Clock, Random } from '../../std/index.ts';
import { halfLifeMs } from '../backoff.ts';
import { issuedByTrusted, sameBundle } from './bundles.ts';
import { createEntryIndex, type EntryIndex } from './entry-index.ts';
import { emptySlot, evictUnused, isValid, nextTimes, planMinting, type Slot } from './slots.ts';
import { createSubscriptions, type Subscription, type WorkloadView } from './subscriptions.ts';
import type { AgentEntry, X509Svid } from './types.ts';

/** Entries, SVIDs and bundles of the node. Changes are seen by subscribers after `publish`. */
export interface SvidCache {
  /** False until it was first filled, from the server or from disk: before that nobody can be told "no identity". */
  ready(): boolean;
  applyEntries(entries: readonly AgentEntry[]): void;
  /** Own bundle and those of federated trust domains. An authority tainted or gone makes its SVIDs due for renewal. */
  applyBundles(own: Bundle, federated: ReadonlyMap<TrustDomain, Bundle>): void;
  entries(): ReadonlyMap<string, AgentEntry>;
  bundle(trustDomain: TrustDomain): Bundle | undefined;
  /** Those that have not expired. */
  svids(): X509Svid[];
  match(selectors: readonly Selector[]): WorkloadView;
  /** Entries that are not shown to a process with these selectors because they are revoked. */
  hidden(selectors: readonly Selector[]): readonly AgentEntry[];
  /** Takes an SVID, fresh from the server or from disk. It is dropped when its entry has gone meanwhile. */
  put(svid: X509Svid): void;
  /** Notes that an entry's SVID was refused, so that it is asked for again only after a growing pause. */
  refused(entryId: string): void;
  /** What to mint now; see {@link planMinting}. */
  due(): AgentEntry[];
  /** See {@link nextTimes}. */
  nextTimes(): { readonly renewAtMs: number; readonly expireAtMs: number };
  subscribe(selectors: readonly Selector[]): Subscription;
  /** Drops the SVIDs of entries that are revoked; nobody is shown these entries, or given anything of them, for as long. Seen after `publish`. */
  dropRevoked(): void;
  /** Drops everything; nothing is known then, as before the first sync. */
  clear(): void;
  /** Shows subscribers what changed since the last time, and evicts what nobody used lately. */
  publish(): void;
}

interface State {
  readonly slots: Map<string, Slot>;
  bundles: Map<TrustDomain, Bundle>;
  index: EntryIndex;
  filled: boolean;
  uses: number;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly trustDomain: TrustDomain;
  readonly svidsMax: number;
  /** Nobody gets anything of that entry. */
  readonly isRevoked?: ((entry: AgentEntry) => boolean) | undefined;
  /** The key of that SVID is not to be used any more. */
  readonly isKeyRevoked?: ((svid: X509Svid) => boolean) | undefined;
  /** Called after each change of what would be kept for a restart. */
  readonly onChange: () => void;
}

/** Creates a {@link SvidCache} holding about `svidsMax` SVIDs (subscribed ones are never evicted). */
export function createSvidCache(deps: Deps): SvidCache {
  const { clock, random } = deps;
  const state: State = { slots: new Map(), bundles: new Map(), index: createEntryIndex([]), filled: false, uses: 0 };
  const { slots } = state;
  const look = (selectors: readonly Selector[]) => lookUp(state, deps, selectors);
  const subscriptions = createSubscriptions(clock, look);
  return {
    ready: () => state.filled,
    applyEntries: (entries) => applyEntries(state, deps, entries),
    applyBundles: (own, federated) => applyBundles(state, deps, [own, ...federated.values()]),
    entries: () => new Map([...slots].map(([id, slot]) => [id, slot.entry])),
    bundle: (trustDomain) => state.bundles.get(trustDomain),
    svids: () => [...slots.values()].flatMap(({ svid }) => (isValid(svid, clock) ? svid : [])),
    match: look,
    hidden: (selectors) => hidden(state, deps, selectors),
    put(svid) {
      const slot = slots.get(svid.entryId);
      // It may have been on its way.
      if (!slot || slot.entry.spiffeId.uri !== svid.spiffeId.uri || isDead(slot.entry, svid, deps)) return;
      const current = slot.entry.revision === svid.revision;
      slot.svid = svid;
      slot.rotateAtMs = current ? halfLifeMs(random, svid.issuedAtMs, svid.expiresAtMs) : 0;
      slot.retryAtMs = 0;
      slot.backoff.reset();
      deps.onChange();
    },
    refused(entryId) {
      const slot = slots.get(entryId);
      if (slot) slot.retryAtMs = clock.now() + slot.backoff.nextMs();
    },
    due: () =>
      planMinting(unrevoked(slots, deps), { clock, subscribed: subscriptions.entryIds(), svidsMax: deps.svidsMax }),
    nextTimes: () => nextTimes(slots.values(), clock),
    subscribe: (selectors) => subscriptions.open(selectors),
    dropRevoked() {
      let isChanged = false;
      for (const slot of slots.values()) {
        if (slot.svid === undefined || !isDead(slot.entry, slot.svid, deps)) continue;
        slot.svid = undefined;
        isChanged = true;
      }
      if (isChanged) deps.onChange();
    },
    clear() {
      slots.clear();
      state.filled = false;
      state.index = createEntryIndex([]);
    },
    publish() {
      subscriptions.publish();
      evictUnused(slots.values(), () => subscriptions.entryIds(), deps.svidsMax);
    },
  };
}

function isDead(entry: AgentEntry, svid: X509Svid, { isRevoked, isKeyRevoked }: Deps): boolean {
  return isRevoked?.(entry) === true || isKeyRevoked?.(svid) === true;
}

function unrevoked(slots: ReadonlyMap<string, Slot>, { isRevoked }: Deps): Slot[] {
  return [...slots.values()].filter(({ entry }) => isRevoked?.(entry) !== true);
}

/** Those that would match if they were not revoked. */
function hidden(state: State, { isRevoked }: Deps, selectors: readonly Selector[]): readonly AgentEntry[] {
  return isRevoked === undefined ? [] : state.index.match(selectors).filter(isRevoked);
}

function lookUp(state: State, deps: Deps, selectors: readonly Selector[]): WorkloadView {
  const { clock, trustDomain, isRevoked } = deps;
  const all = state.index.match(selectors);
  const matched = isRevoked !== undefined && all.some(isRevoked) ? all.filter((entry) => !isRevoked(entry)) : all;
  const identities: { entry: AgentEntry; svid: X509Svid }[] = [];
  const domains = new Set<TrustDomain>();
  for (const entry of matched) {
    const slot = state.slots.get(entry.id);
    if (!slot) continue;
    slot.usedAt = ++state.uses;
    if (isValid(slot.svid, clock)) identities.push({ entry, svid: slot.svid });
    for (const domain of entry.federatesWith) domains.add(domain);
  }
  domains.delete(trustDomain);
  const bundles = [trustDomain, ...[...domains].toSorted()].flatMap((domain) => state.bundles.get(domain) ?? []);
  return { matched, identities, bundles };
}

function applyEntries(state: State, deps: Deps, entries: readonly AgentEntry[]): void {
  const { slots } = state;
  const present = new Set(entries.map((entry) => entry.id));
  let changed = false;
  for (const id of slots.keys()) if (!present.has(id)) changed = slots.delete(id);
  for (const entry of entries) {
    const slot = slots.get(entry.id);
    if (slot?.entry === entry) continue;
    changed = true;
    if (slot && slot.entry.createdAtS === entry.createdAtS && slot.entry.spiffeId.uri === entry.spiffeId.uri) {
      // Another revision may mean another lifetime or other DNS names: the old SVID serves until the new one is here.
      if (slot.entry.revision !== entry.revision) slot.rotateAtMs = 0;
      slot.entry = entry;
    } else {
      slots.set(entry.id, emptySlot(entry, deps.random));
    }
  }
  state.filled ||= state.bundles.has(deps.trustDomain);
  if (!changed) return;
  state.index = createEntryIndex(entries);
  deps.onChange();
}

function applyBundles(state: State, deps: Deps, bundles: readonly Bundle[]): void {
  const before = state.bundles;
  const after = new Map<TrustDomain, Bundle>();
  for (const bundle of bundles) {
    if (after.has(bundle.trustDomain)) continue; // The own bundle comes first: no federated one stands in for it.
    const old = before.get(bundle.trustDomain);
    after.set(bundle.trustDomain, old && sameBundle(old, bundle) ? old : bundle);
  }
  state.bundles = after;
  const changed = before.size !== after.size || [...after].some(([domain, bundle]) => before.get(domain) !== bundle);
  if (!changed) return;
  deps.onChange();
  const own = after.get(deps.trustDomain);
  if (!own || own === before.get(deps.trustDomain)) return;
  for (const slot of state.slots.values()) if (slot.svid && !issuedByTrusted(slot.svid, own)) slot.rotateAtMs = 0;
}
