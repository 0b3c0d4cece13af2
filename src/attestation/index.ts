/**
 * Attestation: what is this node, what is this process, really? Facts come out as selectors; identities are given by registration.
 *
 * It promises that a selector was proven by its attestor in this very exchange, and that a process is the one that connected, not
 * a later bearer of its pid. It must not know how SVIDs are issued or what an identity may reach.
 */
export type {
  AttestorMember,
  NodeAttestor,
  NodeProof,
  NodeProverDeps,
  NodeVerifier,
  NodeVerifierDeps,
  ProvenNode,
  SelectorDoubt,
  VerifyContext,
  WorkloadAttestor,
} from './attestor.ts';
export { AttestationError, errorTable } from './errors.ts';
export {
  type AttestRequest,
  type AttestResult,
  createNodeAttestation,
  type NodeAttestation,
} from './node-attestation.ts';
export { attestationMigrations } from './nodes/migrations.ts';
export type { NodeFilter, NodePage } from './nodes/node-queries.ts';
export { createNodes, type Nodes, type SerialCheck } from './nodes/nodes.ts';
export { type Operator, readOperator } from './process/operator.ts';
export { type PeerProcess, readPeer } from './process/peer-process.ts';
