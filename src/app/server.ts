import { parseTrustDomain, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import {
  accessMigrations,
  createAccessPolicies,
  createServerApi,
  type RestServer,
  restMigrations,
  type WriteAudit,
} from '../api/index.ts';
import { approvalMigrations } from '../approval/index.ts';
import { attestors } from '../attestation/attestors/registry.generated.ts';
import {
  type AttestorMember,
  attestationMigrations,
  createNodeAttestation,
  createNodes,
  type NodeAttestation,
  readOperator,
} from '../attestation/index.ts';
import type { KeystoreMember } from '../authority/index.ts';
import { type Authority, type AuthorityOptions, authorityMigrations, createAuthority } from '../authority/index.ts';
import { keystores } from '../authority/keystores/registry.generated.ts';
import { parseAddress, type ServerConfig } from '../config/index.ts';
import type { LedgerReader } from '../ledger/index.ts';
import { personsMigrations } from '../persons/index.ts';
import { openPrivateFolder, openSocketFolder, readGivenSecretNow, readTrustedFile } from '../private-files/index.ts';
import { createQuestions, questionsMigrations } from '../questions/index.ts';
import { recordsLaterMigrations, recordsMigrations, retentionMigrations, sinkMigrations } from '../records/index.ts';
import { createRegistration, registrationMigrations } from '../registration/index.ts';
import { createResources, resourcesMigrations } from '../resources/index.ts';
import { revocationLaterMigrations, revocationMigrations } from '../revocation/index.ts';
import { createRpcServer, defaultLimits } from '../rpc/index.ts';
import { createLiveSessions } from '../sessions/index.ts';
import { createPeerClock, memberById, parseDurationMs, type Service, startAll, stopAll } from '../std/index.ts';
import { storeEngines } from '../store/engines/registry.generated.ts';
import {
  type GivenFiles,
  type Migration,
  type Store,
  type StoreEngineMember,
  storeMigrations,
} from '../store/index.ts';
import { accessForms } from './access-forms.generated.ts';
import { createServerApproval, declaredRules } from './approval/server-approval.ts';
import { openDeclaredKinds } from './declared-kinds.ts';
import { endpoints } from './endpoint-registry.generated.ts';
import { AppError } from './errors.ts';
import { createClockCheck } from './health/clock-check.ts';
import { type Conditions, createConditions, reasonsOf } from './health/conditions.ts';
import { createHealthServer } from './health/health-server.ts';
import { clockIsSynchronised } from './health/machine-clock.ts';
import type { Metric } from './health/metrics.ts';
import { createProcessChecks } from './health/process-checks.ts';
import { recordMetrics, shippingMetrics, sinkMetrics } from './health/record-checks.ts';
import { serverRevocationMetrics } from './health/revocation-checks.ts';
import { createServerChecks } from './health/server-checks.ts';
import { createStoreProbe } from './health/store-probe.ts';
import { createNodeAliases } from './node-aliases.ts';
import { hardenProcess } from './process/hardening.ts';
import { createServerRetention, createServerSinks } from './record-sinks.ts';
import { allChosen, chosen, type Role, type RoleDeps } from './role.ts';
import { createServerIdentity } from './server-identity.ts';
import { createServerRest } from './server-rest.ts';
import { createServerMembers, createServerRevocation } from './server-revocation.ts';
import { openServerRecord } from './shipping/own-record.ts';
import { VERSION } from './version.ts';

/** A server that runs. */
export interface ServerRole extends Role {
  readonly authority: Authority;
  readonly ledger: LedgerReader;
  /** Where agents and gateways connect, once started. */
  address(): { host: string; port: number };
  /** Where REST is served, once started: its local socket, and over TLS where that is configured. */
  restAddresses(): ReturnType<RestServer['addresses']>;
}

export interface ServerDeps extends RoleDeps<ServerConfig> {
  /** Go on where the authority's keys, or the store's data of it, were lost. */
  readonly acceptLoss?: boolean;
}

/** The control plane, as its section of the configuration says. */
export async function createServerApp(deps: ServerDeps): Promise<ServerRole> {
  const { config, clock, log } = deps;
  hardenProcess({ log, attested: false }); // Before any key is read.
  openPrivateFolder(config.dataDir);
  openSocketFolder(config.socket);
  const parts = await openParts(deps);
  const { authority, registration, resources, ledger, nodes, attestation, identity, trustDomain, records } = parts;
  const { questions } = parts;
  const sessions = createLiveSessions({ questions, clock, present: resources.gatewayInstances });
  let started = false;
  // What an operator did is on disk before anyone is told.
  const audit: WriteAudit = (event) => ledger.synced(ledger.append(event));
  const api = createServerApi({
    ...{ clock, log, trustDomain, authority, registration, resources, records, nodes },
    parsePolicies: parts.parsePolicies,
    ...{ access: parts.access, questions, sessions, revocations: parts.revocations, feed: parts.feed },
    approvals: parts.approvals,
    nodeAttestation: attestation.attestation,
    agentTtlS: durationMs(config.svid.agentTtl) / 1000,
    audit,
    ready: () => started,
    readOperator,
  });
  const remote = createRpcServer({
    ...{ clock, log, ...api },
    listen: { ...parseAddress(config.listen), tls: identity.tls },
    limits: { connectionAgeMsMax: CONNECTION_AGE_MS_MAX },
  });
  const local = createRpcServer({ clock, log, ...api, listen: { unix: config.socket, mode: 0o600 } });
  const rest = createServerRest(deps, { ...parts, sessions, audit });
  // Together, so that the grace is not given twice.
  const doors: Service = {
    start: (signal) => startAll([remote, local, rest], signal),
    async stop() {
      await Promise.all([remote.stop(), local.stop(), rest.stop()]);
    },
  };
  const conditions = conditionsOf(deps, parts, () => started);
  const services: Service[] = [...conditions.services, ...parts.services, doors];
  if (config.http !== undefined)
    services.unshift(
      createHealthServer({
        ...parseAddress(config.http),
        log,
        conditions: conditions.conditions,
        metrics: metricsOf(parts),
      }),
    );
  return {
    ...{ authority, ledger },
    restAddresses: rest.addresses,
    notReady: () => reasonsOf(conditions.conditions.findings()),
    graceMs: defaultLimits.graceMs,
    failure: () => ledger.failure,
    async start(signal) {
      await startAll(services, signal);
      started = true;
    },
    async stop() {
      started = false;
      await conditions.conditions.stop(); // What has been stopped is no condition.
      await stopAll(services);
    },
    address() {
      const address = remote.address();
      if ('unix' in address) throw new AppError('ERR_APP_CONFIG', 'the server listens on TCP');
      return address;
    },
  };
}

/** The features that the API stands on, and the order in which they start. */
async function openParts(deps: ServerDeps) {
  const { config, clock, random, log } = deps;
  const trustDomain = parseTrustDomain(deps.trustDomain);
  const store = await openStore(deps);
  const keystore = openKeystore(deps);
  const authority = createAuthority({
    ...{ store, keystore, clock, random, log, trustDomain },
    options: { ...authorityOptions(config), acceptLoss: deps.acceptLoss === true },
  });
  const knowsTrustDomain = (name: TrustDomain) => authority.federatedBundle(name) !== undefined;
  const { lifeMsMax, written } = createServerMembers(deps, { store, authority });
  const registration = createRegistration({ store, clock, random, log, trustDomain, knowsTrustDomain, written });
  const aliases = createNodeAliases(registration);
  const nodes = createNodes({ store, clock, random, log, trustDomain, removeAliases: aliases.removeAliases });
  const { parsePolicies, kinds } = openDeclaredKinds({ entries: registration, trustDomain });
  const resources = createResources({ store, clock, random, log, kinds });
  const questions = createQuestions({ store, clock, random, log, present: resources.gatewayInstances });
  const takesLinks = config.api?.signIn?.oidc === undefined;
  const access = createAccessPolicies({ store, clock, log, trustDomain, endpoints, takesLinks, forms: accessForms });
  const { ledger, records, shipping } = openServerRecord({ config, trustDomain, store, clock, random, log });
  const sinks = createServerSinks(deps, { store, trustDomain, write: (event) => ledger.synced(ledger.append(event)) });
  const retention = createServerRetention(deps, { store, trustDomain });
  const revocation = createServerRevocation(deps, { store, authority, nodes, resources, trustDomain, lifeMsMax });
  const { revocations, feed, standing, verifierCounts } = revocation;
  const around = { store, authority, registration, resources, revocations, trustDomain };
  const approvals = createServerApproval(deps, { ...around, rules: declaredRules(resources) });
  const identity = createServerIdentity({ authority, clock, log, id: spiffeIdOf(trustDomain, '/spire/server') });
  const attestation = createAttestationService(() =>
    createNodeAttestation({
      ...{
        ...{ nodes, clock, random, log, trustDomain, issuer: authority, revocations },
        readTrustedFile: readTrusted,
        svidTtlS: durationMs(config.svid.agentTtl) / 1000,
      },
      attestors: allChosen(config.attestors).map(({ id, config: settings }) => ({
        member: nodeAttestor(id),
        config: settings,
      })),
      aliases,
    }),
  );
  const databaseClock = createPeerClock(clock);
  const probe = createStoreProbe({ clock, store, databaseClock, migrations: migrationsOf() });
  const services: Service[] = [
    store,
    migrating(store),
    // It ships what the ledger signs when that stops.
    shipping,
    ledger,
    records,
    sinks,
    retention,
    probe,
    keystore,
    authority,
    nodes,
    registration,
    resources,
    questions,
    access,
    revocation,
    approvals,
    attestation,
    identity,
  ];
  return {
    ...{ trustDomain, store, authority, nodes, registration, resources, ledger, identity, attestation, services },
    ...{ revocations, feed, standing, verifierCounts, approvals, access, questions, probe, databaseClock },
    ...{ parsePolicies, records, shipping, sinks, retention },
  };
}

/** Those of all features, in the order in which they are applied. */
export function migrationsOf(): readonly Migration[] {
  return [
    ...authorityMigrations,
    ...attestationMigrations,
    ...registrationMigrations,
    ...resourcesMigrations,
    ...recordsMigrations,
    ...questionsMigrations,
    ...restMigrations,
    ...storeMigrations,
    ...personsMigrations,
    ...recordsLaterMigrations,
    ...sinkMigrations,
    ...accessMigrations,
    ...revocationMigrations,
    ...revocationLaterMigrations,
    ...retentionMigrations,
    ...approvalMigrations,
  ];
}

function migrating(store: Store): Service {
  return { start: () => store.migrate(migrationsOf(), { release: VERSION }), stop: async () => {} };
}

/** What can be wrong with a server, and the services that check. */
function conditionsOf(
  { config, clock, log }: ServerDeps,
  parts: Awaited<ReturnType<typeof openParts>>,
  started: () => boolean,
): { readonly conditions: Conditions; readonly services: readonly Service[] } {
  const checks = createProcessChecks({ clock, log, dataDir: config.dataDir });
  const conditions = createConditions('server', {
    ...{ clock, log },
    checks: {
      ...checks.checks,
      ...createServerChecks({ ...parts, clock, started }),
      clock: createClockCheck({
        peer: parts.databaseClock,
        peerName: 'the database',
        synchronised: clockIsSynchronised,
      }),
    },
  });
  return { conditions, services: [checks.service, conditions] };
}

function authorityOptions(config: ServerConfig): AuthorityOptions {
  return {
    x509KeyType: config.ca.keyType,
    jwtKeyType: config.ca.jwtKeyType,
    caTtlMs: durationMs(config.ca.ttl),
    x509SvidTtlMs: durationMs(config.svid.x509Ttl),
    jwtSvidTtlMs: durationMs(config.svid.jwtTtl),
    serverId: config.serverId,
  };
}

function metricsOf({
  registration,
  ledger,
  resources,
  records,
  shipping,
  sinks,
  ...revocation
}: Awaited<ReturnType<typeof openParts>>): Metric[] {
  return [
    {
      name: 'countersign_registration_revision',
      help: 'Revision of the registration entries.',
      read: () => registration.revision(),
    },
    { name: 'countersign_ledger_entries', help: 'Entries in the ledger.', read: () => ledger.sequence + 1 },
    ...shippingMetrics(shipping),
    ...recordMetrics(records),
    ...sinkMetrics(sinks),
    ...serverRevocationMetrics(revocation),
    {
      name: 'countersign_gateways_connected',
      help: 'Gateways that are connected.',
      read: () => resources.gateways().filter(({ connected }) => connected).length,
    },
    {
      name: 'countersign_servers',
      help: 'Servers on this database that are there, this one included.',
      read: () => resources.servers().held,
    },
    {
      name: 'countersign_servers_gone_total',
      help: 'Servers that this one has found gone since it runs.',
      read: () => resources.servers().gone,
    },
    {
      name: 'countersign_server_was_gone_total',
      help: 'How often this server was taken for gone by another since it runs.',
      read: () => resources.servers().selfGone,
    },
  ];
}

function openStore({ config, clock, log }: RoleDeps<ServerConfig>) {
  const { id, config: settings } = chosen(config.store);
  const member = memberById<StoreEngineMember>(storeEngines, id);
  if (!member) throw new AppError('ERR_APP_CONFIG', `there is no store engine ${id}`);
  const files: GivenFiles = {
    readSecretFile: (path) =>
      readGivenSecretNow(`file:${path}`, { env: process.env, bytesMax: STORE_SECRET_BYTES_MAX }),
    readTrustedFile: readTrusted,
  };
  return member.open(settings, { clock, log, dataDir: config.dataDir, files });
}

function openKeystore({ config, log, random }: RoleDeps<ServerConfig>) {
  const { id, config: settings } = chosen(config.keystore);
  const member = memberById<KeystoreMember>(keystores, id);
  if (!member) throw new AppError('ERR_APP_CONFIG', `there is no keystore ${id}`);
  return member.open(settings, { log, random, dataDir: config.dataDir });
}

function nodeAttestor(id: string): AttestorMember {
  const member = memberById<AttestorMember>(attestors, id);
  if (!member?.node) throw new AppError('ERR_APP_CONFIG', `there is no node attestor ${id}`);
  return member;
}

/** Verifiers read files when they are opened, so attestation is made at start, not before. */
function createAttestationService(create: () => Promise<NodeAttestation>): Service & { attestation: NodeAttestation } {
  let created: NodeAttestation | undefined;
  return {
    async start() {
      created = await create();
    },
    async stop() {},
    attestation: {
      attest(request) {
        if (!created) throw new AppError('ERR_APP_CONFIG', 'attestation is not started');
        return created.attest(request);
      },
    },
  };
}

function durationMs(text: string): number {
  const value = parseDurationMs(text);
  if (value === undefined) throw new AppError('ERR_APP_CONFIG', `${text} is no duration`);
  return value;
}

/** A file of CA certificates: who can change it decides whom this server believes. */
function readTrusted(path: string): Buffer | undefined {
  return readTrustedFile(path, { bytesMax: CERTIFICATES_BYTES_MAX });
}

/** Hundreds of certificates, or a CRL of fifty thousand. */
const CERTIFICATES_BYTES_MAX = 4 * 1024 * 1024;
/** A connection URL, or a private key in PEM. */
const STORE_SECRET_BYTES_MAX = 65_536;
/** Agents connect anew every three minutes, so that they spread over servers that were added. */
const CONNECTION_AGE_MS_MAX = 3 * 60_000;
