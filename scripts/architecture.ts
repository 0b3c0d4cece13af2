/**
 * The one table of directions: which top folder may import which. `scripts/check.ts` holds every import against it, and
 * `scripts/gen.ts` prints the map in `ARCHITECTURE.md` from it. Features import each other only through their door (`index.ts`).
 */
export const below: readonly string[] = ['wire', 'model', 'std', 'sdk'];

/** Folder → what it promises, what it may import. Listed from the bottom up. */
export const architecture: Readonly<Record<string, readonly [promise: string, imports: readonly string[]]>> = {
  sdk: ['what others program against: identities, wire contracts and the client of REST', []],
  std: ['clock, chance, log, errors, secrets, cancellation, limits; no domain word', []],
  model: ['nouns that two or more features use: types and pure functions', ['std', 'sdk']],
  wire: ['pure codecs between bytes and values: no sockets, no clock', ['model', 'std', 'sdk']],
  endpoint: [
    'operations that people and machines are offered: words, input, output, action of policy',
    ['model', 'std', 'sdk'],
  ],
  'private-files': ["files and folders that are one user's own: checked, whole on disk or not there", ['std']],
  'api-documents': ['OpenAPI documents and protobuf descriptors: routes made of them, and held against them', below],
  rpc: ['gRPC calls and services on node:http2 sockets', below],
  store: ['persistence port, transactions, migrations, following of changes; engines', ['model', 'std', 'sdk']],
  authority: ['CA and signing keys, issuing SVIDs, bundles, rotation; keystores', ['store', 'private-files', ...below]],
  attestation: ['node and workload attestation to selectors; attestors', ['store', ...below]],
  registration: [
    'entries: selectors to identity, what an agent may issue, sync',
    ['store', 'endpoint', 'model', 'std', 'sdk'],
  ],
  policy: ['Cedar: validate, compile, decide (pure), explain, test', ['model', 'std', 'sdk']],
  resources: [
    'declared resources: plan, apply, watch; kinds',
    ['approval', 'store', 'endpoint', 'policy', 'registration', 'model', 'std', 'sdk'],
  ],
  questions: ['asks every gateway that is there, by whichever server, and gathers their answers', ['store', ...below]],
  sessions: ['sessions that run on all gateways: list, follow, end', ['questions', 'endpoint', ...below]],
  revocation: [
    'what is revoked and quarantined: kept, told to verifiers, and where it is in effect',
    ['store', 'endpoint', ...below],
  ],
  approval: ['operations that wait for people to answer: asked, answered, used once', ['store', 'endpoint', ...below]],
  persons: ['people: who has signed in, and the ways to do so', ['store', 'endpoint', 'model', 'std', 'sdk']],
  'known-revocations': [
    'who is revoked, as agents and gateways know it: the feed followed, kept and acknowledged',
    ['private-files', ...below],
  ],
  agent: [
    'node agent: Workload API, SVID cache, local target sockets',
    ['attestation', 'known-revocations', 'rpc', 'private-files', ...below],
  ],
  'workload-identity': [
    "a process's own SVID and bundles, kept fresh from the Workload API",
    ['rpc', 'private-files', ...below],
  ],
  ledger: ['append, Merkle tree, checkpoints, proofs, verify', below],
  records: [
    'every ledger shipped, checked, countersigned, kept and searched',
    ['store', 'ledger', 'endpoint', 'private-files', ...below],
  ],
  gateway: [
    'accept, authenticate, decide, oblige, forward, record; protocols',
    ['policy', 'ledger', 'workload-identity', 'rpc', 'private-files', ...below],
  ],
  api: [
    'gRPC services and REST; the only place errors become responses',
    [
      ...['authority', 'attestation', 'registration', 'resources', 'questions', 'sessions', 'ledger', 'records', 'rpc'],
      ...['revocation', 'approval', 'persons', 'policy', 'endpoint', 'store'],
      ...below,
    ],
  ],
  config: ['one YAML file, checked with line and column', ['model', 'std', 'sdk']],
  app: ['composition roots: server, agent, gateway, dev', ['*']],
  cli: ['commands: one file a verb', ['*']],
};

/** No module that does input or output may be imported here. */
export const pureFolders: readonly string[] = ['wire', 'model', 'policy', 'api-documents'];

/** Registries may be imported from these only. */
/** Files that may use the words of a protocol: its own, its codec's, and what shows examples of it. */
export const protocolsOwn = /^src\/(gateway\/protocols\/[^/]+|wire\/[^/]+|cli\/commands)\/|\.generated\.ts$/;

export const registryReaders: readonly string[] = ['app', 'cli'];

/**
 * The doors of app: the roles and what each is made of, and what `doctor` shares with them, so that it finds wrong by the same words what they
 * do. The rest is their own: `health/` says what is wrong with a role, `process/` is about the process that it runs in, and by `control/` a
 * gateway hears from the server and reports to it.
 */
export const appDoors: readonly string[] = [
  'src/app/agent.ts',
  'src/app/declared-kinds.ts',
  'src/app/policy-schema.ts',
  'src/app/digest-key.ts',
  'src/app/dev.ts',
  'src/app/gateway.ts',
  'src/app/health/clock-check.ts',
  'src/app/health/condition-table.ts',
  'src/app/health/machine-clock.ts',
  'src/app/health/process-checks.ts',
  'src/app/health/server-link.ts',
  'src/app/members.ts',
  'src/app/role-keys.ts',
  'src/app/role.ts',
  'src/app/server.ts',
  'src/app/version.ts',
  'src/app/workers/own-folder.ts',
  'src/app/workers/supervisor.ts',
  'src/app/workers/worker-process.ts',
  'src/app/workers/worker.ts',
];

/** Of the gateway's folder an agent loads the local halves of protocols, by a registry of their own, and nothing else: no parser, no policy. */
export const agentParts = {
  root: 'src/app/agent.ts',
  registry: 'src/gateway/protocols/local-registry.generated.ts',
  /** Who reads it: the agent, and commands that open a target at its socket. */
  readers: ['src/app/agent.ts', 'src/cli/connections/targets.ts'] as readonly string[],
  half: /^src\/gateway\/protocols\/[^/]+\/local\.ts$/,
} as const;
