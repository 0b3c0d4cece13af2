import type { TrustDomain } from '@countersign/sdk/identity';

/** How an agent is told to run; the values were checked by whoever read them from a file. */
export interface AgentConfig {
  readonly trustDomain: TrustDomain;
  /** `others`: further servers on the same database, in the order in which they are tried. */
  readonly serverAddress: ServerAddress & { readonly others?: readonly ServerAddress[] };
  /** What proves the server at the very first contact. `insecure` trusts whoever answers first, then pins its bundle. */
  readonly bootstrap: { readonly bundlePem: string } | { readonly insecure: true };
  /** Folder for the sealed state; made with mode 0700. */
  readonly dataDir: string;
  /** The Workload API's socket; its folder is made with mode 0755. */
  readonly socketPath: string;
  /** Folder in which each target gets a folder with its socket. */
  readonly targetsDir: string;
  readonly nodeAttestor: AttestorChoice;
  readonly workloadAttestors: readonly AttestorChoice[];
  /** What the state is sealed with: a passphrase by reference (`env:NAME`, `file:/path`); without it, a random key file beside the state. */
  readonly sealPassphrase?: string;
  /** How long sessions may go on in an agent that has handed over to a successor. */
  readonly lingerMs: number;
  /** Where the one that serves writes its process ID. */
  readonly pidFile?: string;
  /** Shown in the server's list of nodes. */
  readonly version: string;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** A registered attestor and its config, checked against its schema. */
export interface AttestorChoice {
  readonly id: string;
  readonly config: unknown;
}
