import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSpiffeId, parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { openTestStore } from '../../../test/support/store.ts';
import { accessForms } from '../../app/access-forms.generated.ts';
import { createServerApproval } from '../../app/approval/server-approval.ts';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import { type ApprovalRule, approvalMigrations } from '../../approval/index.ts';
import { member as joinToken } from '../../attestation/attestors/join-token/index.ts';
import {
  type AttestorMember,
  attestationMigrations,
  createNodeAttestation,
  createNodes,
  type Nodes,
} from '../../attestation/index.ts';
import { type Authority, authorityMigrations, createAuthority } from '../../authority/index.ts';
import { member as memoryKeystore } from '../../authority/keystores/memory/index.ts';
import type { LedgerEvent } from '../../model/index.ts';
import { endSignInsOf } from '../../persons/index.ts';
import { createQuestions, type QuestionsDeps, questionsMigrations } from '../../questions/index.ts';
import {
  createRecords,
  createWitness,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
} from '../../records/index.ts';
import {
  createRegistration,
  identitiesLabelled,
  type Registration,
  type RegistrationDeps,
  registrationMigrations,
} from '../../registration/index.ts';
import { createResources, type Resources, resourcesMigrations } from '../../resources/index.ts';
import {
  createLabelMembers,
  createRevocationFeed,
  createRevocations,
  createVerifiers,
  type LabelMembersDeps,
  type RevocationsDeps,
  revocationLaterMigrations,
  revocationMigrations,
} from '../../revocation/index.ts';
import { createRpcClient, createRpcServer, type RpcClient, type TlsIdentity } from '../../rpc/index.ts';
import { createLiveSessions } from '../../sessions/index.ts';
import {
  createManualClock,
  createSeededRandom,
  createSilentLog,
  type Service,
  startAll,
  stopAll,
} from '../../std/index.ts';
import { type Migration, storeMigrations } from '../../store/index.ts';
import { buildCertificateRequest } from '../../wire/x509/index.ts';
import { accessMigrations, createAccessPolicies, createServerApi, type ServerApiDeps } from '../index.ts';

type TestServerOptions = Partial<Pick<ServerApiDeps, 'log' | 'readOperator' | 'parsePolicies'>> & {
  /** Besides those of the features. */
  readonly migrations?: readonly Migration[];
  readonly takesLinks?: boolean;
};

/** A whole server over a real store and real sockets; only time, chance and the ledger are the test's. */
export async function startTestServer(options: TestServerOptions = {}) {
  const { log = createSilentLog(), migrations: others = [], takesLinks = true, ...more } = options;
  const folder = mkdtempSync(join(tmpdir(), 'api-'));
  const base = { clock: createManualClock(START_MS), random: createSeededRandom('api'), log };
  const testStore = await openTestStore([...MIGRATIONS, ...others], base);
  const deps = { ...base, store: testStore.store, trustDomain };
  const keystore = memoryKeystore.open({}, base);
  const authority = createAuthority({ ...deps, keystore, options: AUTHORITY_OPTIONS });
  const registration = createRegistration({
    ...deps,
    written: joinLabels(deps),
    knowsTrustDomain: (td) => authority.federatedBundle(td) !== undefined,
  });
  const resources = createResources({ ...deps, kinds: KINDS });
  const { questions, sessions } = testSessions({ ...deps, present: resources.gatewayInstances });
  const nodes = createNodes({ ...deps, removeAliases: async () => {} });
  const signal = new AbortController().signal;
  const access = createAccessPolicies({ ...deps, endpoints, takesLinks, forms: accessForms });
  const { revocations, verifiers, feed } = testRevocations({ ...deps, authority, nodes, resources });
  const { rules, approvals } = testApprovals(base, { ...deps, authority, registration, resources, revocations });
  const features: Service[] = [keystore, authority, registration, resources, questions, nodes, access];
  features.push(revocations, verifiers, approvals);
  await startAll(features, signal);
  const attestors = [joinToken, knock].map((member) => ({ member, config: {} }));
  const aliases = aliasesOf(registration);
  const nodeAttestation = await createNodeAttestation({
    ...{ ...deps, nodes, attestors, aliases, issuer: authority, revocations, readTrustedFile: () => undefined },
  });
  const ledger: LedgerEvent[] = [];
  const write = { fails: false };
  const audit = (event: LedgerEvent) => {
    if (write.fails) throw new Error('the disk is full');
    ledger.push(event);
  };
  const witness = createWitness('example.org/witness', generateKeyPairSync('ed25519').privateKey);
  const records = createRecords({ ...deps, witness, write: async (event) => audit(event), silenceMs: 45_000 });
  const api = createServerApi({
    ...deps,
    ...{ authority, registration, resources, records, nodes, nodeAttestation, audit, ready: () => true },
    ...{ access, revocations, feed, approvals },
    ...{ questions, sessions, parsePolicies: () => undefined, ...more },
  });
  const identify = async (path: string): Promise<TlsIdentity> => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicKeyDer = keys.publicKey.export({ format: 'der', type: 'spki' });
    const spiffeId = spiffeIdOf(trustDomain, path);
    const svid = await authority.issueX509Svid({ spiffeId, publicKeyDer, ttlS: 0, dnsNames: [] });
    return { chainDer: svid.chainDer, key: keys.privateKey };
  };
  const serverIdentity = await identify('/spire/server');
  const tcp = createRpcServer({ ...base, ...api, listen: { host: '127.0.0.1', port: 0, tls: () => serverIdentity } });
  const operatorSocket = join(folder, 'operator.sock');
  const local = createRpcServer({ ...base, ...api, listen: { unix: operatorSocket } });
  await startAll([tcp, local], signal);
  const clients: RpcClient[] = [];
  const keep = (client: RpcClient) => {
    clients.push(client);
    return client;
  };
  const address = tcp.address();
  if ('unix' in address) throw new Error('a TCP server has a port');
  return {
    ...{ access, authority, registration, resources, records, nodes, sessions, ledger, write, identify, revocations },
    ...{ approvals, rules },
    ...{ audit, store: testStore.store, random: base.random, log, folder, serverIdentity, operatorSocket },
    ...{ pacedAs: api.pacedAs, clock: base.clock, witnessKey: witness.key },
    /** A client with that identity, or none. */
    client: (identity?: TlsIdentity) =>
      keep(createRpcClient({ ...base, connect: { ...address, tls: { verifyPeer() {}, identity: () => identity } } })),
    /** A client of the operator's socket. */
    operator: () => keep(createRpcClient({ ...base, connect: { unix: operatorSocket } })),
    async stop() {
      await Promise.all(clients.map((client) => client.close()));
      await stopAll([...features, tcp, local]);
      await testStore.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function aliasesOf(registration: Pick<Registration, 'batchCreate'>) {
  return {
    async createAlias(nodeId: { uri: string }, aliasId: { uri: string }, id: string) {
      const selectors = [{ type: 'spiffe_id', value: nodeId.uri }];
      await registration.batchCreate([{ id, spiffeId: aliasId.uri, parentId: nodeId.uri, selectors }]);
    },
  };
}

function joinLabels(deps: Omit<LabelMembersDeps, 'lifeMsMax'>): NonNullable<RegistrationDeps['written']> {
  const members = createLabelMembers({ ...deps, lifeMsMax });
  return (trx, entries, effects) => {
    const identities = entries.map(({ spiffeId, attributes }) => ({
      spiffeId: spiffeId.uri,
      labels: attributes.labels,
    }));
    return members.join(trx, identities, effects);
  };
}

const lifeMsMax = () => 24 * 3_600_000;

function testRevocations(
  deps: Omit<RevocationsDeps, 'known' | 'lifeMsMax' | 'labelled' | 'endSignIns'> & {
    authority: Pick<Authority, 'signStatement'>;
    nodes: Pick<Nodes, 'list'>;
    resources: Pick<Resources, 'gatewayInstances'>;
  },
) {
  const known = {
    nodes: async () =>
      (await deps.nodes.list({})).nodes.map(({ spiffeId, notAfterS: expiresAtS }) => ({
        spiffeId: spiffeId.uri,
        expiresAtS,
      })),
    gateways: deps.resources.gatewayInstances,
  };
  const revocations = createRevocations({
    ...deps,
    known,
    lifeMsMax,
    labelled: identitiesLabelled,
    endSignIns: endSignInsOf,
  });
  const verifiers = createVerifiers({ ...deps, server: 'test' });
  const sign = deps.authority.signStatement;
  const feed = createRevocationFeed({ ...deps, source: revocations, verifiers, sign, trustDomain });
  return { revocations, verifiers, feed };
}

function testApprovals(
  base: Parameters<typeof createServerApproval>[0],
  parts: Omit<Parameters<typeof createServerApproval>[1], 'rules'>,
) {
  /** Those that are declared. */
  const rules: ApprovalRule[] = [];
  const find = (name: string) => rules.find((rule) => rule.name === name);
  return { rules, approvals: createServerApproval(base, { ...parts, rules: find }) };
}

function testSessions(deps: QuestionsDeps) {
  const questions = createQuestions(deps);
  return { questions, sessions: createLiveSessions({ questions, present: deps.present, clock: deps.clock }) };
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;

/** A key and the CSR for it; `uri` is what the CSR asks for. */
export function newCsr(uri: string, dnsNames: readonly string[] = []) {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyDer = keys.publicKey.export({ format: 'der', type: 'spki' });
  const csr = buildCertificateRequest({ privateKey: keys.privateKey, publicKeyDer, uris: [uri], dnsNames });
  return { key: keys.privateKey, publicKeyDer, csr };
}

/** A re-attestable attestor that asks one question: the answer is the challenge backwards. The payload names the node. */
const knock: AttestorMember = {
  ...joinToken,
  id: 'knock',
  type: 'knock',
  node: {
    prove: joinToken.node.prove,
    async openVerifier() {
      return {
        async verify(payload, challenge) {
          const answer = await challenge(Buffer.from('who is there'));
          if (answer.toString() !== 'ereht si ohw') throw new Error('a stranger');
          const spiffeId = parseSpiffeId(`spiffe://example.org/spire/agent/knock/${payload.toString()}`);
          return { spiffeId, selectors: [{ type: 'knock', value: payload.toString() }], reattestable: true };
        },
      };
    },
  },
};

function checkAlone(spec: unknown): string[] {
  return typeof spec === 'object' && spec !== null && 'wrong' in spec ? ['wrong is not allowed'] : [];
}

const KINDS = ['ApprovalRule', 'Policy', 'Target'].map((name) => ({ name, checkAlone }));

export const trustDomain = parseTrustDomain('example.org');
const START_MS = 1_800_000_000_000;
const AUTHORITY_OPTIONS = {
  x509KeyType: 'ec-p256',
  jwtKeyType: 'ec-p256',
  caTtlMs: 24 * 3_600_000,
  x509SvidTtlMs: 3_600_000,
  jwtSvidTtlMs: 300_000,
  serverId: 'test',
} as const;

const MIGRATIONS = [
  ...authorityMigrations,
  ...registrationMigrations,
  ...resourcesMigrations,
  ...storeMigrations,
  ...questionsMigrations,
  ...recordsMigrations,
  ...recordsLaterMigrations,
  ...attestationMigrations,
  ...accessMigrations,
  ...revocationMigrations,
  ...revocationLaterMigrations,
  ...retentionMigrations,
  ...approvalMigrations,
];
