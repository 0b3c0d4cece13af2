import { dirname, join } from 'node:path';
import type { GatewayUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { parseTrustDomain, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import { type GatewayConfig, parseAddress } from '../config/index.ts';
import {
  type Companions,
  createGateway,
  createSecretStore,
  type Gateway,
  type GatewayDeps,
  loadProtocols,
  type SecretStore,
} from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import { createLedger, createShippingBound, type LedgerReader, type LedgerWriter } from '../ledger/index.ts';
import { createPolicyLoader } from '../policy/index.ts';
import { openPrivateFolder } from '../private-files/index.ts';
import { type Connect, createRpcClient } from '../rpc/index.ts';
import {
  createPeerClock,
  createSilentLog,
  createSystemHeap,
  memoryBytes,
  parseDurationMs,
  type Random,
  raceAbort,
  type Secret,
  type Service,
  startAll,
  stopAll,
} from '../std/index.ts';
import { formatVerifierKey, noteKeyOf } from '../wire/tlog/index.ts';
import { createWorkloadIdentity, type WorkloadIdentity } from '../workload-identity/index.ts';
import { type ControlWatch, createControlWatch } from './control/control-watch.ts';
import { createDrain, type Drain } from './control/drain.ts';
import { createGatewayApprovals, type GatewayApprovalsDeps } from './control/gateway-approvals.ts';
import { createGatewayControl, type GatewayControl } from './control/gateway-control.ts';
import { createGatewayQuestions } from './control/gateway-questions.ts';
import { createGatewayReports, type GatewayReports } from './control/gateway-reports.ts';
import { createGatewayRules, openRevocations } from './control/gateway-revocations.ts';
import { createGatewayUpdates } from './control/gateway-updates.ts';
import { serverConnection } from './control/server-connection.ts';
import { sessionAnswers } from './control/session-answers.ts';
import { type DigestKey, openDigestKey } from './digest-key.ts';
import { createClockCheck } from './health/clock-check.ts';
import { type Conditions, createConditions, reasonsOf } from './health/conditions.ts';
import { createGatewayChecks } from './health/gateway-checks.ts';
import { createHealthServer } from './health/health-server.ts';
import { clockIsSynchronised } from './health/machine-clock.ts';
import type { Metric } from './health/metrics.ts';
import { createProcessChecks } from './health/process-checks.ts';
import { shippingMetrics } from './health/record-checks.ts';
import { policySchema } from './policy-schema.ts';
import { hardenProcess } from './process/hardening.ts';
import type { Role, RoleDeps } from './role.ts';
import { deriveKey, openCheckpointKeeper, openLedgerSigner, openSealKey, openWithheldKey } from './role-keys.ts';
import { createGatewayShipping } from './shipping/gateway-shipping.ts';
import { ownFolderOf } from './workers/own-folder.ts';

/** A gateway that runs. */
export interface GatewayRole extends Role {
  readonly gateway: Gateway;
  readonly ledger: LedgerReader;
  readonly conditions: Pick<Conditions, 'findings'>;
  readonly metrics: readonly Metric[];
}

/** What one of several processes that are one gateway does not have for itself: see `workers/`. */
export interface GatewayShare {
  /** From 1 on. */
  readonly number: number;
  readonly of: number;
  readonly companions: Companions;
  /** Which key its digests are made with was new at this start of the gateway. */
  readonly digestKeyIsNew: boolean;
  /** Resolves to how many other gateways serve, once none of these does any more: as the server has told the last of them. */
  othersThan(told: number | undefined): Promise<number | undefined>;
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
export async function createGatewayApp(deps: RoleDeps<GatewayConfig>, share?: GatewayShare): Promise<GatewayRole> {
  const { config, clock, random, log } = deps;
  hardenProcess({ log, attested: true });
  const trustDomain = parseTrustDomain(deps.trustDomain);
  const { secrets, sealKey, digestKey, ledger, shipped } = openFiles(deps, share);
  const identity = createWorkloadIdentity({ clock, log, socket: config.workloadApi, followsTokens: true });
  const drainMs = parseDurationMs(config.drain) ?? 0;
  const rules = createGatewayRules({ clock, log }, config.revocations);
  const { connect, serverClock } = openConnection(deps, identity);
  const asking = openApprovals(deps, { trustDomain, connect, identity, own: () => control.own() });
  const gateway = await openGateway(deps, {
    ...{ approvals: asking.approvals, revocations: rules, ledger, identity, secrets, drainMs, share },
    ...{ sealKey, digestKey: digestKey.key },
  });
  const drainDelayMs = parseDurationMs(config.drainDelay) ?? 0;
  const updates = createGatewayUpdates({ gateway, log, policies: createPolicyLoader(policySchema) });
  const control = openControl(config, { sealKey, gateway, share });
  let reports: GatewayReports | undefined;
  let drain: Drain | undefined;
  const informed = Promise.withResolvers<void>();
  const taken = ({ principals, revision }: GatewayUpdate) => {
    if (principals === undefined) reports?.taken(Number(revision));
    if (updates.informed()) informed.resolve();
  };
  const shipping = createGatewayShipping({ clock, random, log, connect, identity, ledger: shipped });
  const watch = createControlWatch<GatewayUpdate>({
    ...{ clock, random, log, connect },
    onServerTime: serverClock.says,
    follow: (client, signal) => control.updates(client, reports?.state() ?? 'starting', signal),
    apply: async (update) =>
      update.question === undefined
        ? updates.take(update).finally(() => taken(update))
        : questions.take(update.question),
  });
  const questions = openQuestions(deps, { gateway, control, watch });
  const revoked = openRevocations({ ...deps, share, sealKey, trustDomain, rules, connect, identity, control, gateway });
  const metrics = [...metricsOf(gateway, ledger), ...shippingMetrics(shipping), ...revoked.metrics];
  const checks = createProcessChecks({ clock, log, dataDir: config.dataDir });
  let started = false;
  const isAnnounced = () => !updates.informed() || reports?.announced() === true;
  const conditions = createConditions('gateway', {
    // Of several, whoever holds them together tells.
    ...{ clock, log: share === undefined ? log : createSilentLog() },
    checks: {
      ...checks.checks,
      workers: () => [],
      ...createGatewayChecks({
        ...{ clock, config, ledger, identity, gateway, updates, watch, shipping, revoked },
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
  drain = createDrain({ clock, log, delayMs: drainDelayMs, gateway, reports: leavingTogether(reports, share) });
  const doors = share === undefined ? [gateway, watch] : opensInformed({ identity, watch, gateway }, informed.promise);
  // It ships what the ledger signs when that stops.
  const first = [checks.service, conditions, shipping, ledger, identity, revoked];
  const services: Service[] = [...first, ...doors, questions, reports];
  if (config.http !== undefined)
    services.unshift(createHealthServer({ ...parseAddress(config.http), log, conditions, metrics }));
  return {
    ...{ gateway, ledger, conditions, metrics, graceMs: drainDelayMs + drainMs, hurry: drain.hurry },
    notReady: () => reasonsOf(conditions.findings()),
    async start(signal) {
      await startAll(services, signal);
      started = true;
    },
    async stop() {
      // Without its ledger it can do nothing for its sessions.
      if (started && ledger.failure === undefined) await drain.leave();
      await conditions.stop(); // What has been stopped is no condition.
      await stopAll(services);
      await asking.stop();
    },
    failure: () => ledger.failure,
  };
}

/** A way to the server, whose clock is seen by it. */
function openConnection({ clock, random, config, ...deps }: RoleDeps<GatewayConfig>, identity: WorkloadIdentity) {
  const serverClock = createPeerClock(clock);
  const serverId = spiffeIdOf(parseTrustDomain(deps.trustDomain), '/spire/server');
  return {
    serverClock,
    connect: serverConnection({ address: config.server, identity, clock, random, serverClock, serverId }),
  };
}

/** Asks people by way of the server, over a connection of its own. */
function openApprovals(
  { clock, random, log }: RoleDeps<GatewayConfig>,
  of: Pick<GatewayApprovalsDeps, 'own'> & {
    readonly trustDomain: TrustDomain;
    readonly connect: Connect;
    readonly identity: Pick<WorkloadIdentity, 'current' | 'jwtAuthorities'>;
  },
) {
  const { trustDomain, connect, identity, own } = of;
  const client = createRpcClient({ clock, log, connect });
  const approvals = createGatewayApprovals({
    ...{ clock, random, log, trustDomain, own, client: () => client },
    gateway: () => identity.current()?.id.uri,
    authorities: () => identity.jwtAuthorities(trustDomain),
  });
  return { approvals, stop: () => client.close() };
}

/** What the gateway has in its folder. */
function openFiles(deps: RoleDeps<GatewayConfig>, share: GatewayShare | undefined) {
  const { config, random, log, env } = deps;
  const secrets = openSecrets(config.dataDir, { random, env });
  const sealKey = openSealKey(config.dataDir, random);
  const digestKey = openDigestKey(config.dataDir, { random, log });
  return { secrets, sealKey, digestKey, ...openLedger(deps, { sealKey, digestKey, share }) };
}

function openControl(
  { advertise, listen }: GatewayConfig,
  of: { readonly sealKey: Secret; readonly gateway: Gateway; readonly share: GatewayShare | undefined },
) {
  const { sealKey, gateway, share } = of;
  const instance = deriveKey(sealKey, `gateway instance${suffixOf(share, ' ')}`);
  return createGatewayControl(() => {
    const { host, port } = parseAddress(advertise ?? listen);
    return port === 0 ? `${host}:${gateway.address().link}` : `${host}:${port}`;
  }, instance.reveal().toString('hex'));
}

/** Answers over the connection that the question came by. */
function openQuestions(
  { clock, random, log }: RoleDeps<GatewayConfig>,
  of: { readonly gateway: Gateway; readonly control: GatewayControl; readonly watch: ControlWatch },
) {
  const { gateway, control, watch } = of;
  return createGatewayQuestions({
    ...{ clock, random, log, handlers: sessionAnswers(gateway) },
    send: (page, signal) => control.answer(watch, page, signal),
  });
}

/** Among several, one that has nothing to serve by yet leaves what comes to the others: its doors are shut until then. */
function opensInformed(
  { identity, watch, gateway }: { identity: Pick<WorkloadIdentity, 'ready'>; watch: Service; gateway: Service },
  informed: Promise<void>,
): Service[] {
  const whenInformed: Service = {
    async start(signal) {
      await raceAbort(informed, signal);
      await gateway.start(signal);
    },
    stop: () => gateway.stop(),
  };
  return [{ start: (signal) => identity.ready(signal).then(() => {}), async stop() {} }, watch, whenInformed];
}

/** While one of several leaves, the others are none that would take its sessions. */
function leavingTogether(reports: GatewayReports, share: GatewayShare | undefined): Pick<GatewayReports, 'leave'> {
  return share === undefined ? reports : { leave: async () => share.othersThan(await reports.leave()) };
}

/** Tells what is one process's own; of the first it is what a gateway alone has, so that one may become several and one again. */
function suffixOf(share: GatewayShare | undefined, separator: string): string {
  return share === undefined || share.number === 1 ? '' : `${separator}worker-${share.number}`;
}

async function openGateway(
  { config, clock, random, log }: RoleDeps<GatewayConfig>,
  parts: Pick<
    GatewayDeps,
    'ledger' | 'identity' | 'secrets' | 'drainMs' | 'digestKey' | 'revocations' | 'approvals'
  > & {
    readonly sealKey: Secret;
    readonly share: GatewayShare | undefined;
  },
) {
  const { sealKey, share, ...own } = parts;
  return createGateway({
    ...{ clock, random, log, ...own, protocols: await loadProtocols(protocols) },
    maskKey: deriveKey(sealKey, 'hash masks'),
    withheldKey: openWithheldKey(config.dataDir, random),
    listen: parseAddress(config.listen),
    limits: { sessionsMax: config.sessionsMax, sessionsPerIdentityMax: config.sessionsPerIdentityMax },
    ...budgets(config, share?.of ?? 1),
    ...(share && { companions: share.companions }),
    heap: createSystemHeap(),
    durability: { reads: config.durability.reads, changes: config.durability.writes },
  });
}

/** Each start says in the ledger which key its digests are made with, so that a key that was lost is told from content that differs. */
function openLedger(
  { config, clock, log, random, trustDomain }: RoleDeps<GatewayConfig>,
  parts: { readonly sealKey: Secret; readonly digestKey: DigestKey; readonly share: GatewayShare | undefined },
) {
  const { sealKey, digestKey, share } = parts;
  const dataDir = ownFolderOf(config.dataDir, share?.number ?? 1);
  if (dataDir !== config.dataDir) for (const folder of [dirname(dataDir), dataDir]) openPrivateFolder(folder);
  const origin = `${trustDomain}/gateway/${config.name}${suffixOf(share, '/')}`;
  const directory = join(dataDir, 'ledger');
  const signer = openLedgerSigner({ dataDir, name: origin, sealKey, random });
  const bound = createShippingBound(clock, parseDurationMs(config.unshippedMax) ?? 0);
  const ledger = createLedger({
    ...{ clock, log, origin, directory, signer, refusal: bound.refusal },
    about: { ...digestKey.about, ...(share?.digestKeyIsNew ? { digestKeyIsNew: true } : {}) },
    keeper: openCheckpointKeeper({ dataDir, sealKey, random }),
  });
  const verifierKey = formatVerifierKey(noteKeyOf(origin, signer.publicKey));
  return { ledger, shipped: { origin, verifierKey, directory, bound } };
}

/** As configured, and never more than the machine, or the container, has room for; divided among so many processes. */
function budgets(config: GatewayConfig, processes: number): { heldBytesMax: number; cacheBytesMax: number } {
  const memory = memoryBytes();
  const partOf = (bytesMax: number, share: number, least: number) => {
    const all = Math.min(bytesMax, Math.floor(memory * share));
    return Math.max(Math.floor(all / processes), Math.min(all, least));
  };
  return {
    heldBytesMax: partOf(config.heldBytesMax, HELD_SHARE_MAX, HELD_BYTES_MIN),
    cacheBytesMax: partOf(config.cacheBytesMax, CACHE_SHARE_MAX, CACHE_BYTES_MIN),
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
/** Of one process among many: with less, as the configuration's own least, none works. */
const HELD_BYTES_MIN = 16 * 1024 * 1024;
const CACHE_BYTES_MIN = 1024 * 1024;
