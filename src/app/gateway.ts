import { join } from 'node:path';
import { Control } from '@countersign/sdk/contract';
import type { GatewayUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { type GatewayConfig, parseAddress } from '../config/index.ts';
import { createGateway, createSecretStore, type Gateway, type SecretStore } from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import { createLedger, type LedgerReader } from '../ledger/index.ts';
import { createPolicyLoader } from '../policy/index.ts';
import { openPrivateFolder } from '../private-files/index.ts';
import { parseDurationMs, type Random, type Service, startAll, stopAll } from '../std/index.ts';
import { createWorkloadIdentity } from '../workload-identity/index.ts';
import { createControlWatch } from './control-watch.ts';
import { policySchema } from './declared-rules.ts';
import { createGatewayUpdates } from './gateway-updates.ts';
import { createHealthServer, type Problem } from './health-server.ts';
import { ledgerProblems, type Role, type RoleDeps } from './role.ts';
import { deriveKey, openLedgerSigner, openSealKey } from './role-keys.ts';
import { serverConnection } from './server-connection.ts';
import { shieldProcess } from './shield.ts';

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
export function createGatewayApp(deps: RoleDeps<GatewayConfig>): GatewayRole {
  const { config, clock, random, log, env } = deps;
  shieldProcess({ log, attested: true });
  const trustDomain = parseTrustDomain(deps.trustDomain);
  const secrets = openSecrets(config.dataDir, { random, env });
  const sealKey = openSealKey(config.dataDir, random);
  const origin = `${trustDomain}/gateway/${config.name}`;
  const ledger = createLedger({
    clock,
    log,
    directory: join(config.dataDir, 'ledger'),
    origin,
    signer: openLedgerSigner({ dataDir: config.dataDir, name: origin, sealKey, random }),
  });
  const identity = createWorkloadIdentity({ clock, log, socket: config.workloadApi });
  const drainMs = parseDurationMs(config.drain) ?? 0;
  const gateway = createGateway({
    ...{ clock, random, log, identity, ledger, protocols, secrets },
    maskKey: deriveKey(sealKey, 'hash masks'),
    listen: parseAddress(config.listen),
    limits: { sessionsMax: config.sessionsMax, sessionsPerIdentityMax: config.sessionsPerIdentityMax },
    heldBytesMax: config.heldBytesMax,
    durability: { reads: config.durability.reads, changes: config.durability.writes },
    drainMs,
  });
  const updates = createGatewayUpdates({ gateway, log, policies: createPolicyLoader(policySchema) });
  const watch = createControlWatch<GatewayUpdate>({
    ...{ clock, random, log },
    connect: serverConnection({
      address: config.server,
      identity,
      serverId: spiffeIdOf(trustDomain, '/spire/server'),
      clock,
    }),
    follow: (client, signal) => {
      const { host, port } = parseAddress(config.advertise ?? config.listen);
      const advertise = port === 0 ? `${host}:${gateway.address().link}` : `${host}:${port}`;
      return client.serverStream(Control.method.watchGateway, { advertise }, { signal });
    },
    apply: updates.take,
  });
  const notReady = () => [
    ...(identity.current() ? [] : [`no identity: does the agent at ${config.workloadApi} know this process?`]),
    ...(updates.informed()
      ? []
      : [`the server at ${config.server} has not told targets and policies that can be used yet`]),
    ...ledgerProblems(ledger),
  ];
  const metrics = [
    { name: 'countersign_gateway_sessions', help: 'Sessions open now.', read: () => gateway.sessions().length },
    {
      name: 'countersign_gateway_refused',
      help: 'Connections refused or cut before they were a session, since the start.',
      read: () => gateway.counts().refused,
    },
    {
      name: 'countersign_gateway_held_bytes',
      help: 'Bytes that sessions hold in memory for others.',
      read: () => gateway.counts().heldBytes,
    },
    { name: 'countersign_ledger_entries', help: 'Entries in the ledger.', read: () => ledger.sequence + 1 },
    {
      name: 'countersign_ledger_unsynced_entries',
      help: 'Entries written and not yet on disk.',
      read: () => ledger.sequence - ledger.syncedSequence,
    },
  ];
  const services: Service[] = [ledger, identity, gateway, watch];
  if (config.http !== undefined) {
    const problems = () => [...updates.problems(), ...problemsOf(gateway)];
    services.unshift(createHealthServer({ ...parseAddress(config.http), log, notReady, problems, metrics }));
  }
  return {
    ...{ notReady, gateway, ledger },
    graceMs: drainMs,
    start: (signal) => startAll(services, signal),
    stop: () => stopAll(services),
    failure: () => ledger.failure,
  };
}

function problemsOf(gateway: Gateway): readonly Problem[] {
  return gateway.problems().map(({ target, what, ...more }) => ({ what: `target ${target}`, found: what, ...more }));
}
