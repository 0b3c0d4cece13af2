/**
 * The access gateway: accepts clients by their verified identity, and for each operation decides, obliges, records, forwards.
 *
 * It promises: no byte of a client reaches a target before its identity is proven by this gateway itself; no operation reaches a target
 * before policy allowed it and the ledger took it; the target's credential never reaches a client; sessions end when their identity
 * does. It must not know where identities, policies and targets come from, nor (that is its members' work) what a protocol says.
 *
 * Its folders:
 * - `listeners/` sockets, TLS, and how a connection becomes a session's
 * - `targets/` what is served, whether it can be reached, and by which secrets
 * - `sessions/` one client's way to its target: the gate, its pipelines, the policies in force
 * - `recording/` what the ledger gets of a session
 * - `capacity/` how much may be held at once: bytes, heap, descriptors
 * - `protocols/` one folder a member
 */

export {
  type Approvals,
  type HeldQuestion,
  type HoldAnswer,
  HoldEnd,
} from './approvals/approvals.ts';
export type { Companions, PassedWord, SharedDoor } from './companions.ts';
export { errorTable, GatewayError } from './errors.ts';
export { createGateway, type Gateway, type GatewayDeps, type SessionInfo } from './gateway.ts';
export type { CurrentIdentity, GatewayIdentity } from './identity.ts';
export {
  type AskedQuestions,
  type LoadedProtocol,
  loadProtocols,
  type ProtocolMember,
  type ProtocolPath,
  type SecretResolver,
  type SessionRefusal,
  type StartTls,
  type Target,
  type TargetDeps,
  type TargetPolicies,
  type TargetWarning,
} from './protocol.ts';
export { createContentDigester, keyIdOf } from './recording/content-digest.ts';
export { openWithheld } from './recording/withheld.ts';
export type { PrincipalsUpdate } from './sessions/known-identities.ts';
export type { LiveOperation, LiveSession } from './sessions/live-sessions.ts';
export {
  type Answer,
  createQuotas,
  type OwnQuotas,
  type Place,
  type QuotaHolder,
  type Quotas,
  type ReachedQuota,
  type TakenQuota,
} from './sessions/quotas.ts';
export { type GatewaySession, SessionEnd, type SessionPolicy } from './sessions/session.ts';
export type { SessionLimits } from './sessions/sessions.ts';
export type { RevocationRules } from './sessions/standing.ts';
export { definitionOf } from './targets/open-targets.ts';
export { createSecretStore, type SecretStore } from './targets/secrets.ts';
export type { TargetProblem } from './targets/target-problem.ts';
