import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { AttestedNode, Selector } from '../model/index.ts';
import type { Clock, Log, Member, Random, Secret } from '../std/index.ts';
import type { PeerProcess } from './process/peer-process.ts';

/**
 * The port of attestors: what proves a node to the server, or a process to the agent. Both halves of a node attestor live in one
 * folder. A member offers `node`, `workload` or both.
 */
export interface AttestorMember extends Member {
  readonly kind: 'attestor';
  /** The attestation type on the wire and in SPIFFE IDs, such as `join_token`; selectors of this attestor carry it as their type. */
  readonly type: string;
  readonly node?: NodeAttestor;
  readonly workload?: WorkloadAttestor;
}

/** Proves a node. `config` was checked against the member's schema. */
export interface NodeAttestor {
  /** Agent half: the first payload, and the answer to each challenge. */
  prove(config: unknown, deps: NodeProverDeps): Promise<NodeProof>;
  /** Server half: opened once with its config. */
  openVerifier(config: unknown, deps: NodeVerifierDeps): Promise<NodeVerifier>;
}

export interface NodeProverDeps {
  readonly random: Random;
  /**
   * Reads the secret behind `env:NAME` or `file:PATH`; undefined when there is none or an empty one. Rejects when others can read the file, with
   * a message that says what to do.
   */
  readonly readSecret: (reference: string) => Promise<Secret | undefined>;
}

export interface NodeProof {
  readonly payload: Buffer;
  /** Answers one challenge of the server. Throws AttestationError when none was expected. */
  answer(challenge: Buffer): Promise<Buffer>;
}

export interface NodeVerifierDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly trustDomain: TrustDomain;
  /**
   * Reads a file that decides whom the server lets in; undefined when there is none. Throws when others could have written it, with a message
   * that says what to do.
   */
  readonly readTrustedFile: (path: string) => Buffer | undefined;
  /** For what strangers need not know of a refusal; sampled. */
  readonly log: Log;
}

/** What belongs to one attestation. */
export interface VerifyContext {
  readonly signal: AbortSignal;
  /** Consumes an unused, unexpired join token in one atomic step; undefined when there is none such. */
  readonly consumeJoinToken: (token: string) => Promise<{ readonly agentId: SpiffeId | undefined } | undefined>;
}

export interface NodeVerifier {
  /**
   * Checks the payload, asking `challenge` as often as it needs. Resolves to what was proven.
   * @throws AttestationError ERR_ATTEST_REFUSED | ERR_ATTEST_PAYLOAD
   */
  verify(payload: Buffer, challenge: (bytes: Buffer) => Promise<Buffer>, context: VerifyContext): Promise<ProvenNode>;
}

export interface ProvenNode {
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  /** True when the same proof may be given again: renewal then goes by attesting anew. */
  readonly reattestable: boolean;
  /** Called with the node as it is known already, before anything is stored; throws to refuse. */
  readonly admit?: (known: AttestedNode | undefined) => void;
}

/** Tells what a process on this node is. */
export interface WorkloadAttestor {
  /** Opened once with its config. */
  open(config: unknown): (process: PeerProcess, signal: AbortSignal) => Promise<readonly Selector[]>;
  /** Why no process may ever show a selector with that value; undefined where nothing is odd about it. */
  doubt(value: string): SelectorDoubt | undefined;
}

/** What is odd about a selector. */
export interface SelectorDoubt {
  /** A part of a sentence, for people. */
  readonly why: string;
  /** It is so on this machine, and may be otherwise on another. */
  readonly isOfMachine: boolean;
}
