import type { Socket } from 'node:net';
import type { NodeAttestor, PeerProcess } from '../attestation/index.ts';
import type { KnownRevocations } from '../known-revocations/index.ts';
import type { LocalProtocol, TargetView } from '../model/index.ts';
import { createRpcServer, healthService, type RpcService } from '../rpc/index.ts';
import {
  type Clock,
  createSampledLog,
  type Log,
  messageOf,
  type PeerClock,
  type Random,
  type Service,
  stopAll,
} from '../std/index.ts';
import { type Attachment, createAttachment } from './attach/attachment.ts';
import { createNodeStateFile } from './attach/node-state.ts';
import { createServerLink, type ServerLink } from './attach/server-link.ts';
import { type CacheFile, createCacheFile } from './cache/cache-file.ts';
import { createExpiryWatch } from './cache/expiry.ts';
import { createJwtIssuer } from './cache/issue-jwt.ts';
import { createJwtCache, type JwtCache } from './cache/jwt-cache.ts';
import { createMinter } from './cache/mint.ts';
import { createSvidCache, type SvidCache } from './cache/svid-cache.ts';
import { type Caller, type Callers, createCallers, type OpenAttestor } from './callers.ts';
import type { AgentConfig } from './config.ts';
import type { Counters } from './counters.ts';
import type { AgentError } from './errors.ts';
import { createRefusals, type Refusals } from './refusals.ts';
import { assembleRevocations, followTogether, type RevocationHealth } from './revoked/assemble-revocations.ts';
import { createOpenWorks, type OpenWorks } from './revoked/open-work.ts';
import { createRevoked, type Revoked } from './revoked/revoked.ts';
import type { Sealer } from './sealed-json.ts';
import { createSyncLoop, type SyncLoop } from './sync/sync-loop.ts';
import { createWatch } from './sync/watch.ts';
import { createLinks } from './targets/link.ts';
import { serveTargetSession } from './targets/session.ts';
import { createTargetSockets, type TargetSockets } from './targets/targets.ts';
import type { UnixListeners } from './unix-listeners.ts';
import { createIdentities } from './workload-api/identities.ts';
import { CALLER, createWorkloadApi } from './workload-api/service.ts';

/** All that the agent's parts are made of. */
export interface Assembly {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: AgentConfig;
  readonly counters: Counters;
  readonly doors: UnixListeners;
  /** Is told what the server says of its clock. */
  readonly serverClock: PeerClock;
  readonly sealer: Sealer;
  readonly node: { readonly type: string; readonly node: NodeAttestor; readonly config: unknown };
  readonly workloadAttestors: readonly OpenAttestor[];
  readonly protocols: readonly LocalProtocol[];
  readonly readPeer: (socket: Socket) => PeerProcess;
  readonly onFatal: (error: AgentError) => void;
  /** What is known of revocations. */
  readonly revocations: KnownRevocations;
}

/** The parts of an agent, put together. */
export interface Parts {
  readonly attachment: Attachment;
  readonly cache: SvidCache;
  /** What serves workloads, in the order in which it starts. */
  readonly services: readonly Service[];
  /** Fills the cache with what was kept on disk, and opens the doors of its targets. */
  restore(): Promise<void>;
  /** The data folder is its own, and the server is asked. */
  begin(): Promise<void>;
  /** Leaves both alone until `resume`. What is kept is whole by then, and doors neither come nor go. */
  pause(): Promise<void>;
  resume(): void;
  targetNames(): string[];
  /** What the last sync with the server failed with, and for how long they have. */
  problem(): ReturnType<SyncLoop['problem']>;
  pushLostForMs(): number | undefined;
  /** How far it is known who is revoked. */
  readonly revocations: RevocationHealth;
  /** What reading or writing the cache's file last failed with. */
  cacheProblem(): unknown;
  /** While the services still run: closes the doors of targets and lets their sessions come to an end. */
  drain(): Promise<void>;
  /** After the doors were given up, instead of `drain`: ends what is served, and waits for sessions as long as they may go on. */
  outlast(signal: AbortSignal): Promise<void>;
  /** After the services have stopped: writes the cache, closes the link. */
  close(): Promise<void>;
}

/** Puts an agent together; nothing runs yet. */
export function assemble(deps: Assembly): Parts {
  const { clock, log, config, counters } = deps;
  const stop = new AbortController();
  let targets: readonly TargetView[] = [];
  const revoked = createRevoked(deps.revocations, () => attachment.identity()?.id.uri);
  const open = createOpenWorks({ clock, graceMs: END_BY_GATEWAY_MS });
  const store = assembleStore(deps, { signal: stop.signal, targets: () => targets, revoked });
  const { attachment, cache, jwts, file, link } = store;

  const showTargets = (views: readonly TargetView[]): Promise<void> => {
    targets = views;
    file.changed();
    return sockets.apply(views);
  };
  const watch = createWatch({
    ...{ clock, log, link },
    onChange: () => sync.poke(),
    onTargets: (views) => void showTargets(views),
    // A server that goes takes every agent's stream with it: they must not all come back in the same instant.
    onLost: () => void clock.after(deps.random.fraction() * LOST_SPREAD_MS, () => sync.poke()),
  });
  const fail = async (error: AgentError): Promise<void> => {
    log.error('agent.node.refused', { problem: error.message, code: error.code });
    for (const part of [cache, jwts]) part.clear();
    cache.publish();
    void showTargets([]);
    watch.restart();
    await Promise.all([file.remove(), attachment.forget()]).catch((problem: unknown) => {
      // The files open nothing any more, since the server refuses what is in them; whoever is told next must hear of the refusal.
      log.error('agent.state.not_removed', { problem: messageOf(problem) });
    });
    deps.onFatal(error);
  };
  const sync: SyncLoop = createSyncLoop({
    ...{ ...deps, ...store, watch, version: config.version },
    onFatal: (error) => void fail(error),
  });
  const revocations = assembleRevocations({ ...deps, known: deps.revocations }, { ...store, revoked, open, fail });
  const refusals = createRefusals({ clock, log, report: link.reportRefusals });
  const { sockets, api } = assembleDoors(deps, { ...store, ...{ sync, refusals, revoked, open }, signal: stop.signal });
  const services = [createExpiryWatch({ clock, cache }), refusals, api];
  const news = followTogether(sync, revocations);
  return {
    ...{ attachment, cache, services },
    async begin() {
      file.release();
      await news.start(stop.signal);
    },
    async pause() {
      await news.pause();
      await sockets.settled();
      await file.hold();
    },
    resume() {
      file.release();
      news.resume();
    },
    targetNames: () => sockets.names(),
    problem: () => sync.problem(),
    ...{ pushLostForMs: watch.lostForMs, cacheProblem: file.problem, revocations },
    async restore() {
      await revocations.restore();
      await restore(store, log, showTargets);
    },
    async drain() {
      await sockets.close();
      await news.stop();
    },
    async outlast(signal) {
      await news.stop();
      await stopAll(services);
      await link.close();
      await sockets.outlast(config.lingerMs, signal);
      await sockets.close();
    },
    async close() {
      stop.abort();
      watch.restart();
      await file.flush();
      await link.close();
      log.info('agent.stopped', { ...counters });
    },
  };
}

interface Store {
  readonly attachment: Attachment;
  readonly link: ServerLink;
  readonly cache: SvidCache;
  readonly jwts: JwtCache;
  readonly minter: ReturnType<typeof createMinter>;
  readonly file: CacheFile;
}

/** What the agent holds and how it gets it: the node's identity, the link to the server, caches and their files. */
function assembleStore(
  deps: Assembly,
  state: { signal: AbortSignal; targets: () => readonly TargetView[]; revoked: Revoked },
): Store {
  const { clock, random, log, config, counters, sealer } = deps;
  const { signal } = state;
  const disk = { dataDir: config.dataDir, trustDomain: config.trustDomain, sealer, random };
  const onChange = () => file.changed();
  // The caches and their file know each other: they say that they changed, it asks what they hold.
  const cache = createSvidCache({
    clock,
    random,
    trustDomain: config.trustDomain,
    svidsMax: SVIDS_MAX,
    onChange,
    isRevoked: state.revoked.entry,
    isKeyRevoked: state.revoked.svid,
  });
  const snapshot = () => snapshotOf({ cache, jwts, config, targets: state.targets() });
  const file: CacheFile = createCacheFile({ ...disk, clock, log, snapshot });
  // Likewise the node's identity and the link that shows it.
  const link: ServerLink = createServerLink({
    ...{ clock, log, config, serverClock: deps.serverClock },
    trusted: () => attachment.trusted(),
    identity: () => attachment.identity(),
  });
  const stateFile = createNodeStateFile(disk);
  const attachment: Attachment = createAttachment({
    clock,
    random,
    log,
    config,
    link,
    file: stateFile,
    attestor: deps.node,
  });
  const issue = createJwtIssuer({ clock, link, counters, signal });
  const jwts = createJwtCache({ clock, random, log, tokensMax: JWTS_MAX, issue, onChange });
  const minter = createMinter({ clock, log, link, cache, counters, signal });
  return { attachment, link, cache, jwts, minter, file };
}

/** Why a caller without an identity has none, if it is revoked. */
function barredOf(caller: Caller, { cache, revoked }: Pick<Store, 'cache'> & { readonly revoked: Revoked }) {
  let selectors: ReturnType<Caller['known']>;
  try {
    selectors = caller.known();
  } catch {
    return undefined; // It has ended: nobody is there to be told.
  }
  return revoked.barred(caller, cache.hidden(selectors ?? []));
}

/** Where workloads come in: the Workload API's socket and the sockets of targets. */
function assembleDoors(
  deps: Assembly,
  parts: Store & { sync: SyncLoop; refusals: Refusals; revoked: Revoked; open: OpenWorks; signal: AbortSignal },
): { sockets: TargetSockets; api: Service } {
  const { clock, log, config, counters } = deps;
  const { cache, jwts, refusals, revoked, open, signal } = parts;
  const refused = createSampledLog({ clock, log });
  const { readPeer, workloadAttestors: attestors } = deps;
  const callers = createCallers({
    ...{ clock, log: refused, counters, readPeer, attestors, open, isRevoked: revoked.process },
  });
  const identities = createIdentities({ ...parts, clock, log });
  const ownBundle = () => cache.bundle(config.trustDomain);
  const links = createLinks({
    ...{ clock, log: refused, isRevoked: revoked.gateway },
    node: () => parts.attachment.identity()?.id.uri ?? '',
  });
  const doors = createTargetSockets({
    targetsDir: config.targetsDir,
    ...{ clock, log, doors: deps.doors, protocols: deps.protocols },
    serve: (socket, { target, protocol, drain }) =>
      serveTargetSession(socket, target, {
        ...{ protocol, clock, log, refused, refusals, counters, callers, identities, links },
        ...{ revoked, open, drain, signal, barred: (caller) => barredOf(caller, { cache, revoked }) },
      }),
  });
  const sockets: TargetSockets = {
    ...doors,
    apply(targets) {
      links.listed(targets.flatMap(({ gateways }) => gateways));
      return doors.apply(targets);
    },
  };
  const service = createWorkloadApi({
    ...{ clock, log, counters, refusals, identities, jwts, ownBundle, isRevoked: revoked.entry },
  });
  // What `spire-agent healthcheck` and probes ask; it tells nothing about anybody.
  const health = healthService((name) => (name === '' ? cache.ready() : undefined));
  return { sockets, api: openWorkloadSocket(deps, callers, [service, health]) };
}

function openWorkloadSocket(deps: Assembly, callers: Callers, services: readonly RpcService[]): Service {
  return createRpcServer({
    clock: deps.clock,
    log: deps.log,
    services,
    // Every process of the node may connect: what it gets depends on what it is.
    listen: { unix: deps.config.socketPath, mode: 0o777, place: deps.doors.place },
    limits: {
      connectionsMax: WORKLOAD_CONNECTIONS_MAX,
      requestBytesMax: WORKLOAD_REQUEST_BYTES_MAX,
      connectionRequestBytesMax: 4 * WORKLOAD_REQUEST_BYTES_MAX,
      serverRequestBytesMax: WORKLOAD_REQUESTS_BYTES_MAX,
      graceMs: GRACE_MS,
    },
    onConnection(peer, state) {
      state.set(CALLER, callers.accept(peer.socket));
    },
    pacedAs(_peer, state) {
      // As above: without one the connection was refused.
      const caller = state.get(CALLER) as Caller | undefined;
      return caller?.isOneOfMany ? `uid ${caller.uid}` : undefined;
    },
    onDisconnect(_peer, state) {
      // Only onConnection above writes under this symbol; it has not when it refused the connection.
      const caller = state.get(CALLER) as Caller | undefined;
      caller?.close();
    },
  });
}

async function restore(
  store: Store,
  log: Log,
  showTargets: (targets: readonly TargetView[]) => Promise<void>,
): Promise<void> {
  const { cache, jwts, file } = store;
  const kept = await file.read().catch((error: unknown) => {
    // It is a cache: without it the agent starts as on a new node, and the next write replaces it.
    log.warn('agent.cache.unreadable', { problem: messageOf(error) });
    return undefined;
  });
  const [own, ...federated] = kept?.bundles ?? [];
  if (!kept || !own) return;
  cache.applyBundles(own, new Map(federated.map((bundle) => [bundle.trustDomain, bundle])));
  cache.applyEntries(kept.entries);
  for (const svid of kept.svids) cache.put(svid);
  for (const { key, svid } of kept.jwts) jwts.restore(key, svid);
  await showTargets(kept.targets);
}

function snapshotOf(parts: { cache: SvidCache; jwts: JwtCache; config: AgentConfig; targets: readonly TargetView[] }) {
  const { cache, jwts, config, targets } = parts;
  const own = cache.bundle(config.trustDomain);
  if (!own || !cache.ready()) return undefined;
  const entries = [...cache.entries().values()];
  const domains = new Set(entries.flatMap((entry) => entry.federatesWith));
  domains.delete(config.trustDomain);
  const federated = [...domains].flatMap((domain) => cache.bundle(domain) ?? []);
  return { entries, svids: cache.svids(), jwts: jwts.snapshot(), bundles: [own, ...federated], targets };
}

/** So long a gateway has to end a session of its own, with the reason; then it is cut here. */
const END_BY_GATEWAY_MS = 500;
/** What SPIRE's agent holds too: about 2.5 kB each. */
const SVIDS_MAX = 1_000;
const JWTS_MAX = 1_000;
const WORKLOAD_CONNECTIONS_MAX = 8_192;
const LOST_SPREAD_MS = 500;
/** For answers that are on their way; streams are ended at once. */
const GRACE_MS = 5_000;
/** A token to validate is the largest request. */
const WORKLOAD_REQUEST_BYTES_MAX = 256 * 1024;
/** What all processes of the node together may make the agent hold: requests of a few hundred bytes, and tokens. */
const WORKLOAD_REQUESTS_BYTES_MAX = 64 * 1024 * 1024;
