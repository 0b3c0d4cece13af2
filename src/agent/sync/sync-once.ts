import type { TrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { type Clock, createLimiter, type Log, messageOf, throwIfAborted } from '../../std/index.ts';
import type { Attachment } from '../attach/attachment.ts';
import type { ServerLink } from '../attach/server-link.ts';
import type { JwtCache } from '../cache/jwt-cache.ts';
import type { Minter } from '../cache/mint.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import type { AgentEntry } from '../cache/types.ts';
import { AgentError } from '../errors.ts';
import { syncEntries } from './sync-entries.ts';

export interface SyncDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly attachment: Attachment;
  readonly link: ServerLink;
  readonly cache: SvidCache;
  readonly jwts: JwtCache;
  readonly minter: Minter;
  readonly version: string;
}

/**
 * Brings the cache to what the server says now: node identity, entries, bundles, then the SVIDs that are due. `onEntries` runs once
 * entries and bundles are in place, whatever becomes of the minting. A proof of the node that was begun is ended by `proofSignal` alone: cut off,
 * what proves it would be used up with nothing to show for it.
 * @throws RpcError, AgentError
 */
export async function syncOnce(
  deps: SyncDeps,
  { signal, proofSignal }: { signal: AbortSignal; proofSignal: AbortSignal },
  onEntries: () => void,
): Promise<void> {
  const { attachment, link, cache } = deps;
  const before = attachment.identity();
  await attachment.ensure(proofSignal);
  throwIfAborted(signal);
  if (attachment.identity() !== before) await postStatus(deps, signal);
  const entries = await syncEntries(link.syncEntries(signal), cache.entries(), deps.log);
  const own = await link.bundle(signal);
  const federated = await fetchFederated(link, entries, signal);
  await attachment.acceptBundle(own);
  apply(deps, { own, federated, entries });
  cache.publish(); // What was taken away is gone at once; who waits for an identity sees that there is one to wait for.
  onEntries();
  await mintDue(deps, signal);
}

/** Has minted what is due, telling subscribers after each batch; the first batch holds what they wait for. */
export async function mintDue(
  { cache, minter }: Pick<SyncDeps, 'cache' | 'minter'>,
  signal: AbortSignal,
): Promise<void> {
  const due = cache.due();
  for (let at = 0; at < due.length; at += MINT_STEP) {
    await minter.mint(due.slice(at, at + MINT_STEP), signal);
    cache.publish();
  }
}

function apply(
  { cache, jwts }: SyncDeps,
  news: { own: Bundle; federated: ReadonlyMap<TrustDomain, Bundle>; entries: readonly AgentEntry[] },
): void {
  const before = cache.bundle(news.own.trustDomain);
  cache.applyBundles(news.own, news.federated);
  cache.applyEntries(news.entries);
  const now = cache.bundle(news.own.trustDomain);
  if (now === before || !now) return;
  jwts.retain(new Set(now.jwtAuthorities.filter((key) => !key.tainted).map((key) => key.keyId)));
}

async function fetchFederated(
  link: ServerLink,
  entries: readonly AgentEntry[],
  signal: AbortSignal,
): Promise<Map<TrustDomain, Bundle>> {
  const domains = new Set(entries.flatMap((entry) => entry.federatesWith));
  const gate = createLimiter({
    runningMax: FEDERATED_AT_ONCE,
    waitersMax: domains.size,
    full: () => new Error('bug: full'),
  });
  const found = new Map<TrustDomain, Bundle>();
  await Promise.all(
    [...domains].map((domain) =>
      gate.run(async () => {
        const bundle = await link.federatedBundle(domain, signal);
        if (!bundle) return; // Named by an entry before an operator has brought its bundle: nothing to show yet.
        if (bundle.trustDomain !== domain) {
          throw new AgentError(
            'ERR_AGENT_SERVER_ANSWER',
            `the bundle of ${domain} came as that of ${bundle.trustDomain}`,
          );
        }
        found.set(domain, bundle);
      }, signal),
    ),
  );
  return found;
}

async function postStatus(deps: SyncDeps, signal: AbortSignal): Promise<void> {
  try {
    await deps.link.postStatus(deps.version, deps.attachment.bundle()?.sequence ?? 0, signal);
  } catch (error) {
    // For the operator's list only; a server that can't take it still issues identities.
    deps.log.warn('agent.status.not_taken', { problem: messageOf(error) });
  }
}

const FEDERATED_AT_ONCE = 10;
/** One call of the server: subscribers hear of their SVIDs before the next begins. */
const MINT_STEP = 500;
