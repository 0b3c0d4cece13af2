import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { type Clock, type Log, messageOf, raceAbort } from '../../std/index.ts';
import { buildCertificateRequest } from '../../wire/x509/index.ts';
import { checkSvid } from '../attach/check-svid.ts';
import type { ServerLink } from '../attach/server-link.ts';
import type { Counters } from '../counters.ts';
import type { SvidCache } from './svid-cache.ts';
import type { AgentEntry } from './types.ts';

/** Has X.509-SVIDs issued, each for a key of its own made here. */
export interface Minter {
  /**
   * Asks for the SVIDs of `entries` and puts them into the cache (the caller publishes). An entry that is asked for already is
   * waited for, not asked again. What the server refuses for one entry is noted with the cache; a failed call rejects.
   */
  mint(entries: readonly AgentEntry[], signal: AbortSignal): Promise<void>;
}

export function createMinter(deps: {
  clock: Clock;
  log: Log;
  link: Pick<ServerLink, 'newX509Svids'>;
  cache: Pick<SvidCache, 'put' | 'refused'>;
  counters: Counters;
  /** Ends everything under way when the agent stops. */
  signal: AbortSignal;
}): Minter {
  const { clock, log, cache, counters } = deps;
  const underWay = new Map<string, Promise<void>>();

  const mintBatch = async (entries: readonly AgentEntry[]): Promise<void> => {
    const keys = await Promise.all(entries.map(newKey));
    const params = entries.map((entry, i) => ({ entryId: entry.id, csr: requestFor(entry, at(keys, i)) }));
    const results = await deps.link.newX509Svids(params, deps.signal);
    entries.forEach((entry, i) => {
      const { svid, status } = at(results, i);
      try {
        if (!svid) throw new Error(status?.message || `status ${status?.code ?? 'missing'}`);
        const key = at(keys, i);
        const checked = checkSvid(svid, { keySpkiDer: key.spkiDer, nowMs: clock.now(), expected: entry.spiffeId });
        const keyDer = key.privateKey.export({ format: 'der', type: 'pkcs8' });
        const { id: spiffeId, chainDer, expiresAtMs } = checked;
        const { id: entryId, revision } = entry;
        cache.put({ entryId, spiffeId, chainDer, keyDer, issuedAtMs: clock.now(), expiresAtMs, revision });
        counters.svidsMinted++;
      } catch (error) {
        // One entry's refusal (it may just have been deleted) must not cost the others their SVIDs.
        cache.refused(entry.id);
        counters.svidsRefused++;
        log.warn('agent.svid.refused', { entry: entry.id, spiffeId: entry.spiffeId.uri, problem: messageOf(error) });
      }
    });
  };

  return {
    async mint(entries, signal) {
      const waited = new Set<Promise<void>>();
      const fresh: AgentEntry[] = [];
      for (const entry of entries) {
        const running = underWay.get(entry.id);
        if (running) waited.add(running);
        else fresh.push(entry);
      }
      for (let start = 0; start < fresh.length; start += BATCH_MAX) {
        const batch = fresh.slice(start, start + BATCH_MAX);
        const work = mintBatch(batch).finally(() => {
          for (const entry of batch) underWay.delete(entry.id);
        });
        work.catch(() => {}); // Whoever waits hears of it; when all have given up, nobody needs to.
        for (const entry of batch) underWay.set(entry.id, work);
        // One batch at a time: the server's time is shared by all nodes, and a stream that waits goes first in the list.
        await raceAbort(work, signal);
      }
      if (waited.size > 0) await raceAbort(Promise.all(waited), signal);
    },
  };
}

interface KeyPair {
  readonly privateKey: KeyObject;
  readonly spkiDer: Buffer;
}

async function newKey(): Promise<KeyPair> {
  const { privateKey, publicKey } = await generateKeyPairAsync('ec', { namedCurve: 'P-256' });
  return { privateKey, spkiDer: publicKey.export({ format: 'der', type: 'spki' }) };
}

function requestFor(entry: AgentEntry, key: KeyPair): Buffer {
  return buildCertificateRequest({
    privateKey: key.privateKey,
    publicKeyDer: key.spkiDer,
    uris: [entry.spiffeId.uri],
  });
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`bug: no item ${index} of ${items.length}`);
  return item;
}

const generateKeyPairAsync = promisify(generateKeyPair);
/** What the server takes in one call. @see SPIRE server API, BatchNewX509SVID */
const BATCH_MAX = 500;
