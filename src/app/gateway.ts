import { join } from 'node:path';
import type { GatewayUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { type GatewayConfig, parseAddress } from '../config/index.ts';
import {
  createGateway,
  createSecretStore,
  type Gateway,
  type GatewayDeps,
  loadProtocols,
  type SecretStore,
} from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import { createLedger, type LedgerReader, type LedgerWriter } from '../ledger/index.ts';
import { createPolicyLoader } from '../policy/index.ts';
import { openPrivateFolder } from '../private-files/index.ts';
import {
  createPeerClock,
  createSystemHeap,
  memoryBytes,
  parseDurationMs,
  type Random,
  type Secret,
  type Service,
  startAll,
  stopAll,
} from '../std/index.ts';
import { createWorkloadIdentity } from '../workload-identity/index.ts';
import { createControlWatch } from './control/control-watch.ts';
import { createDrain, type Drain } from './control/drain.ts';
import { createGatewayControl } from './control/gateway-control.ts';
import { createGatewayReports, type GatewayReports } from './control/gateway-reports.ts';
import { createGatewayUpdates } from './control/gateway-updates.ts';
import { serverConnection } from './control/server-connection.ts';
import { policySchema } from './declared-rules.ts';
import { type DigestKey, openDigestKey } from './digest-key.ts';
import { createClockCheck } from './health/clock-check.ts';
import { createConditions, reasonsOf } from './health/conditions.ts';
import { createGatewayChecks } from './health/gateway-checks.ts';
import { createHealthServer, type Metric } from './health/health-server.ts';
import { clockIsSynchronised } from './health/machine-clock.ts';
import { createProcessChecks } from './health/process-checks.ts';
import { hardenProcess } from './process/hardening.ts';
import type { Role, RoleDeps } from './role.ts';
import { deriveKey, openCheckpointKeeper, openLedgerSigner, openSealKey, openWithheldKey } from './role-keys.ts';

/** A gateway that runs. */
export interface GatewayRole extends Role {
  readonly gateway: Gateway;
  readonly ledger: LedgerReader;
}

/** The secrets of the gateway whose data lies there: for the command that puts one in. */
export function openSecrets(dataDir: string, deps: { random: Random; env: RoleDeps<unknown>['env'] }): SecretStore {
  openPrivateFolder(dataDir);
  return createSecretStore({ directory: join(dataDir, 'secrets'), key: openSealKey(dataDir, deps.random), ...deps });
}

/**
 * A gateway, as its section of the configuration says. It is ready when it has an identity and the server has told it targets and
 * policies; from then on it goes on with what it has when the server is away.
 */
export async function createGatewayApp(deps: RoleDeps<GatewayConfig>): Promise<GatewayRole> {
  const { config, clock, random, log, env } = deps;
  hardenProcess({ log, attested: true });
  const trustDomain = parseTrustDomain(deps.trustDomain);
  const secrets = openSecrets(config.dataDir, { random, env });
  const sealKey = openSealKey(config.dataDir, random);
  const digestKey = openDigestKey(config.dataDir, { random, log });
  const ledger = openLedger(deps, { sealKey, digestKey });
  const identity = createWorkloadIdentity({ clock, log, socket: config.workloadApi });
  const drainMs = parseDurationMs(config.drain) ?? 0;
  const gateway = await openGateway(deps, { sealKey, digestKey: digestKey.key, ledger, identity, secrets, drainMs });
  const drainDelayMs = parseDurationMs(config.drainDelay) ?? 0;
  const updates = createGatewayUpdates({ gateway, log, policies: createPolicyLoader(policySchema) });
  const serverClock = createPeerClock(clock);
  const control = createGatewayControl(() => {
    const { host, port } = parseAddress(config.advertise ?? config.listen);
    return port === 0 ? `${host}:${gateway.address().link}` : `${host}:${port}`;
  }, deriveKey(sealKey, 'gateway instance').reveal().toString('hex'));
  let reports: GatewayReports | undefined;
  let drain: Drain | undefined;
  const taken = ({ revision }: GatewayUpdate) => reports?.taken(Number(revision));
  const watch = createControlWatch<GatewayUpdate>({
    ...{ clock, random, log },
    connect: serverConnection({
      address: config.server,
      identity,
      serverId: spiffeIdOf(trustDomain, '/spire/server'),
      clock,
      serverClock,
    }),
    onServerTime: serverClock.says,
    follow: (client, signal) => control.updates(client, reports?.state() ?? 'starting', signal),
    apply: (update) => updates.take(update).finally(() => void (update.principals ?? taken(update))),
  });
  const metrics = metricsOf(gateway, ledger);
  const checks = createProcessChecks({ clock, log, dataDir: config.dataDir });
  let started = false;
  const isAnnounced = () => !updates.informed() || reports?.announced() === true;
  const conditions = createConditions('gateway', {
    ...{ clock, log },
    checks: {
      ...checks.checks,
      ...createGatewayChecks({
        clock,
        config,
        ledger,
        identity,
        gateway,
        updates,
        watch,
        started: () => started && isAnnounced(),
      }),
      leaving: () => drain?.findings() ?? [],
      clock: createClockCheck({ peer: serverClock, peerName: 'the server', synchronised: clockIsSynchronised }),
    },
  });
  reports = createGatewayReports({
    ...{ clock, log, conditions, look: gateway.look, informed: updates.informed },
    send: (report, signal) => control.report(watch, report, signal),
  });
  drain = createDrain({ clock, log, delayMs: drainDelayMs, gateway, reports });
  const services: Service[] = [checks.service, conditions, ledger, identity, gateway, watch, reports];
  if (config.http !== undefined)
    services.unshift(createHealthServer({ ...parseAddress(config.http), log, conditions, metrics }));
  return {
    ...{ gateway, ledger },
    notReady: () => reasonsOf(conditions.findings()),
    async start(signal) {
      await startAll(services, signal);
      started = true;
    },
    graceMs: drainDelayMs + drainMs,
    async stop() {
      // Without its ledger it can do nothing for its sessions.
      if (started && ledger.failure === undefined) await drain.leave();
      await conditions.stop(); // What has been stopped is no condition.
      await stopAll(services);
    },
    hurry: drain.hurry,
    failure: () => ledger.failure,
  };
}

async function openGateway(
  { config, clock, random, log }: RoleDeps<GatewayConfig>,
  parts: Pick<GatewayDeps, 'ledger' | 'identity' | 'secrets' | 'drainMs' | 'digestKey'> & { readonly sealKey: Secret },
) {
  const { sealKey, ...own } = parts;
  return createGateway({
    ...{ clock, random, log, ...own, protocols: await loadProtocols(protocols) },
    maskKey: deriveKey(sealKey, 'hash masks'),
    withheldKey: openWithheldKey(config.dataDir, random),
    listen: parseAddress(config.listen),
    limits: { sessionsMax: config.sessionsMax, sessionsPerIdentityMax: config.sessionsPerIdentityMax },
    ...budgets(config),
    heap: createSystemHeap(),
    durability: { reads: config.durability.reads, changes: config.durability.writes },
  });
}

/** Each start says in the ledger which key its digests are made with, so that a key that was lost is told from content that differs. */
function openLedger(
  { config, clock, log, random, trustDomain }: RoleDeps<GatewayConfig>,
  { sealKey, digestKey }: { readonly sealKey: Secret; readonly digestKey: DigestKey },
) {
  const { dataDir } = config;
  const origin = `${trustDomain}/gateway/${config.name}`;
  return createLedger({
    ...{ clock, log, origin, directory: join(dataDir, 'ledger') },
    about: digestKey.about,
    signer: openLedgerSigner({ dataDir, name: origin, sealKey, random }),
    keeper: openCheckpointKeeper({ dataDir, sealKey, random }),
  });
}

/** As configured, and never more than the machine, or the container, has room for. */
function budgets({ heldBytesMax, cacheBytesMax }: GatewayConfig): { heldBytesMax: number; cacheBytesMax: number } {
  const memory = memoryBytes();
  return {
    heldBytesMax: Math.min(heldBytesMax, Math.floor(memory * HELD_SHARE_MAX)),
    cacheBytesMax: Math.min(cacheBytesMax, Math.floor(memory * CACHE_SHARE_MAX)),
  };
}

function metricsOf(gateway: Gateway, ledger: Pick<LedgerWriter, 'sequence' | 'syncedSequence'>): readonly Metric[] {
  return [
    { name: 'countersign_gateway_sessions', help: 'Sessions open now.', read: () => gateway.sessions().length },
    {
      name: 'countersign_gateway_refused',
      help: 'Connections refused or cut before they were a session, since the start.',
      read: () => gateway.counts().refused,
    },
    ...memoryMetrics(gateway),
    { name: 'countersign_ledger_entries', help: 'Entries in the ledger.', read: () => ledger.sequence + 1 },
    {
      name: 'countersign_ledger_unsynced_entries',
      help: 'Entries written and not yet on disk.',
      read: () => ledger.sequence - ledger.syncedSequence,
    },
  ];
}

function memoryMetrics(gateway: Gateway): readonly Metric[] {
  const counts = () => gateway.counts();
  const of = (name: string, help: string, read: () => number): Metric => ({
    name: `countersign_gateway_${name}`,
    help,
    read,
  });
  return [
    of('held_bytes', 'Bytes that sessions hold in memory for others.', () => counts().heldBytes),
    of('held_limit_bytes', 'Bytes that sessions may hold together.', () => counts().heldBytesMax),
    {
      name: 'countersign_gateway_cache_bytes',
      help: 'Bytes of what is kept so that it need not be worked out again.',
      label: 'cache',
      read: () => counts().cacheBytes,
    },
    of('cache_limit_bytes', 'Bytes that all caches may have together.', () => counts().cacheBytesMax),
    of('catalog_bytes', 'Bytes that the catalogs of all databases take, about.', () => counts().catalogBytes),
    of('memory_ended', 'Sessions ended for want of memory, since the start.', () => counts().endedForMemory),
  ];
}

/** Buffers lie beside the heap, which takes the larger part: see the limit that the executable sets. */
const HELD_SHARE_MAX = 0.25;
const CACHE_SHARE_MAX = 0.1;
