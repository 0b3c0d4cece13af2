/**
 * Approvals: operations that gateways hold until people have answered.
 *
 * It promises: a question outlives servers and connections, and is answered by whoever may, at any server; an answer is bound to the digest of all that
 * it is about, and used once; what is not answered in time is a no; nothing is taken for an answer that was not committed. It must not know how an
 * operation is held, what it does, or how people come.
 */
export { type Approvals, type ApprovalsDeps, createApprovals } from './approvals.ts';
export { approvalRuleProblems, approvalRuleSpec, parseApprovalRule } from './declared-rule.ts';
export { type ApprovalEndpointNeeds, endpoints } from './endpoints.ts';
export { ApprovalError, errorTable } from './errors.ts';
export { approvalMigrations } from './migrations.ts';
export type { AskedSpend } from './spend.ts';
export type {
  Answerer,
  Approval,
  ApprovalRule,
  ApprovalSurroundings,
  AskedAnswer,
  AskedHold,
  HoldingGateway,
  HoldState,
  HoldTold,
} from './types.ts';
