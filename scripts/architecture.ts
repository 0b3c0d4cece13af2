/**
 * The one table of directions: which top folder may import which. `scripts/check.ts` holds every import against it, and
 * `scripts/gen.ts` prints the map in `ARCHITECTURE.md` from it. Features import each other only through their door (`index.ts`).
 */
export const architecture: Readonly<Record<string, { readonly promise: string; readonly imports: readonly string[] }>> =
  {
    sdk: { promise: 'what others program against: identities and wire contracts', imports: [] },
    std: { promise: 'clock, chance, log, errors, secrets, cancellation, limits; no domain word', imports: [] },
    model: { promise: 'nouns that two or more features use: types and pure functions', imports: ['std', 'sdk'] },
    wire: { promise: 'pure codecs between bytes and values: no sockets, no clock', imports: ['model', 'std', 'sdk'] },
    rpc: { promise: 'gRPC calls and services on node:http2 sockets', imports: ['wire', 'model', 'std', 'sdk'] },
    store: {
      promise: 'persistence port, transactions, migrations, change feed; engines',
      imports: ['model', 'std', 'sdk'],
    },
    authority: {
      promise: 'CA and signing keys, issuing SVIDs, bundles, rotation; keystores',
      imports: ['store', 'wire', 'model', 'std', 'sdk'],
    },
    attestation: {
      promise: 'node and workload attestation to selectors; attestors',
      imports: ['store', 'wire', 'model', 'std', 'sdk'],
    },
    registration: {
      promise: 'entries: selectors to identity, what an agent may issue, sync',
      imports: ['store', 'model', 'std', 'sdk'],
    },
    resources: {
      promise: 'declared targets and policies: plan, apply, watch',
      imports: ['store', 'policy', 'model', 'std', 'sdk'],
    },
    agent: {
      promise: 'Workload API, SVID cache, local target sockets on a node',
      imports: ['attestation', 'rpc', 'wire', 'model', 'std', 'sdk'],
    },
    policy: { promise: 'Cedar: validate, compile, decide (pure), explain, test', imports: ['model', 'std', 'sdk'] },
    ledger: { promise: 'append, Merkle tree, checkpoints, proofs, verify', imports: ['wire', 'model', 'std', 'sdk'] },
    gateway: {
      promise: 'accept, authenticate, decide, oblige, forward, record; protocols',
      imports: ['policy', 'ledger', 'rpc', 'wire', 'model', 'std', 'sdk'],
    },
    api: {
      promise: 'gRPC services and HTTP surface; the only place errors become responses',
      imports: [
        'authority',
        'attestation',
        'registration',
        'resources',
        'ledger',
        'rpc',
        'wire',
        'model',
        'std',
        'sdk',
      ],
    },
    app: { promise: 'composition roots: server, agent, gateway, dev', imports: ['*'] },
    cli: { promise: 'commands: one file a verb', imports: ['*'] },
  };

/** Modules that do input or output (or read time and chance): not allowed in these folders. */
export const pureFolders: readonly string[] = ['wire', 'model', 'policy'];
