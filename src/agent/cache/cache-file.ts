import { join } from 'node:path';
import { parseSpiffeId, parseTrustDomain, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, Selector, TargetView } from '../../model/index.ts';
import { removePrivateFile } from '../../private-files/index.ts';
import { type Clock, type Log, messageOf, type Random, type Timer } from '../../std/index.ts';
import { type BundleJson, bundleFromJson, bundleToJson } from '../bundle-json.ts';
import { readSealed, type Sealer, writeSealed } from '../sealed-json.ts';
import type { AgentEntry, JwtSvid, X509Svid } from './types.ts';

/** All that a restarted agent needs to serve while its server is away. */
export interface CacheSnapshot {
  readonly entries: readonly AgentEntry[];
  readonly svids: readonly X509Svid[];
  readonly jwts: readonly { readonly key: string; readonly svid: JwtSvid }[];
  /** The own trust domain's first. */
  readonly bundles: readonly Bundle[];
  readonly targets: readonly TargetView[];
}

/** Keeps the cache in a sealed file, written some time after changes: a crash loses a few seconds of SVIDs, which are minted anew. */
export interface CacheFile {
  /** @throws AgentError ERR_AGENT_STATE */
  read(): Promise<CacheSnapshot | undefined>;
  /** Says that the cache changed; it is written soon, at most once per pause. */
  changed(): void;
  /** Writes what changed, and then nothing more until `release`. At first nothing is written either: the file may be another's yet. */
  hold(): Promise<void>;
  release(): void;
  /** Writes now, when something changed. */
  flush(): Promise<void>;
  /** What it could not be read or written for, the last time either was tried. */
  problem(): unknown;
  /** Removes the file, and writes no more. */
  remove(): Promise<void>;
}

export function createCacheFile(deps: {
  dataDir: string;
  trustDomain: TrustDomain;
  sealer: Sealer;
  clock: Clock;
  random: Random;
  log: Log;
  snapshot: () => CacheSnapshot | undefined;
}): CacheFile {
  const path = join(deps.dataDir, FILE);
  const context = `countersign agent svid cache v1 ${deps.trustDomain}`;
  let dirty = false;
  let removed = false;
  let held = true;
  let problem: unknown;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();
  let lastWriteMs = Number.NEGATIVE_INFINITY;

  const write = (): Promise<void> => {
    writing = writing.then(async () => {
      const value = dirty && !removed && !held ? deps.snapshot() : undefined;
      if (!value) return;
      dirty = false;
      lastWriteMs = deps.clock.monotonicMs();
      try {
        await writeSealed({ path, context, sealer: deps.sealer, random: deps.random, value: toJson(value) });
        problem = undefined;
      } catch (error) {
        // A full disk costs the restart its cache; it must not cost running workloads their identities.
        dirty = true;
        problem = error;
        deps.log.error('agent.cache.write_failed', { path, problem: messageOf(error) });
      }
    });
    return writing;
  };

  const schedule = () => {
    if (timer || removed || held) return;
    const sinceMs = deps.clock.monotonicMs() - lastWriteMs;
    timer = deps.clock.after(Math.max(WRITE_SOON_MS, WRITE_PAUSE_MS - sinceMs), () => {
      timer = undefined;
      void write();
    });
  };
  const flush = () => {
    timer?.cancel();
    timer = undefined;
    return write();
  };

  return {
    async read() {
      try {
        const json = await readSealed<SnapshotJson>({ path, context, sealer: deps.sealer });
        return json && fromJson(json);
      } catch (error) {
        problem = error;
        throw error;
      }
    },
    problem: () => problem,
    changed() {
      dirty = true;
      schedule();
    },
    async hold() {
      await flush();
      held = true;
    },
    release() {
      held = false;
      if (dirty) schedule();
    },
    flush,
    async remove() {
      removed = true;
      timer?.cancel();
      await writing;
      await removePrivateFile(path);
    },
  };
}

interface EntryJson {
  readonly id: string;
  readonly spiffeId: string;
  readonly selectors: readonly Selector[];
  readonly federatesWith: readonly string[];
  readonly hint: string;
  readonly createdAtS: number;
  readonly revision: number;
  readonly prefetch: boolean;
  readonly uniqueJwt: boolean;
}

interface SvidJson {
  readonly entryId: string;
  readonly spiffeId: string;
  readonly chain: readonly string[];
  readonly key: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly revision: number;
}

interface SnapshotJson {
  readonly entries: readonly EntryJson[];
  readonly svids: readonly SvidJson[];
  readonly jwts: CacheSnapshot['jwts'];
  readonly bundles: readonly BundleJson[];
  readonly targets: readonly TargetView[];
}

function toJson(snapshot: CacheSnapshot): SnapshotJson {
  return {
    entries: snapshot.entries.map((entry) => ({ ...entry, spiffeId: entry.spiffeId.uri })),
    svids: snapshot.svids.map(({ chainDer, keyDer, spiffeId, ...rest }) => ({
      ...rest,
      spiffeId: spiffeId.uri,
      chain: chainDer.map((der) => der.toString('base64')),
      key: keyDer.toString('base64'),
    })),
    jwts: snapshot.jwts,
    bundles: snapshot.bundles.map(bundleToJson),
    targets: snapshot.targets,
  };
}

function fromJson(json: SnapshotJson): CacheSnapshot {
  return {
    entries: json.entries.map((entry) => ({
      ...entry,
      spiffeId: parseSpiffeId(entry.spiffeId),
      federatesWith: entry.federatesWith.map(parseTrustDomain),
    })),
    svids: json.svids.map(({ chain, key, spiffeId, ...rest }) => ({
      ...rest,
      spiffeId: parseSpiffeId(spiffeId),
      chainDer: chain.map((der) => Buffer.from(der, 'base64')),
      keyDer: Buffer.from(key, 'base64'),
    })),
    jwts: json.jwts,
    bundles: json.bundles.map(bundleFromJson),
    targets: json.targets,
  };
}

const FILE = 'cache.sealed';
/** Long enough to gather the changes of one sync. */
const WRITE_SOON_MS = 250;
/** A full cache is some megabytes: not written more often than this. */
const WRITE_PAUSE_MS = 5_000;
