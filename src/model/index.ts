/**
 * Nouns that two or more features use: types and pure functions, no I/O.
 *
 * It promises that a value of these types was checked at the door it came through. It must not know how anything is stored,
 * sent or decided.
 */
export { barredText } from './barred-text.ts';
export type { Bundle, JwtAuthority, X509Authority } from './bundle.ts';
export type { CurrentRevocations } from './current-revocations.ts';
export {
  type AttributeValue,
  type Barred,
  type Decision,
  type DecisionRequest,
  type EntityRef,
  type FieldMask,
  isBarred,
  type Limits,
  type LimitUnit,
  noObligations,
  type Obligations,
  type Quota,
  type QuotaUnit,
  type ReachedLimit,
  withoutApproval,
} from './decision.ts';
export type { Entry } from './entry.ts';
export {
  type FindingSeverity,
  type GatewayFinding,
  type GatewayReport,
  type GatewayState,
  gatewayStateNumbers,
  reportLimits,
} from './finding.ts';
export {
  agreedAttributes,
  attributesDigest,
  attributesText,
  disputedAttributes,
  hasAttributes,
  type IdentityAttributes,
  InvalidAttributes,
  NO_ATTRIBUTES,
  parseIdentityAttributes,
  type WrittenAttributes,
} from './identity-attributes.ts';
export type { KeyType, SigningAlgorithm } from './key.ts';
export {
  EVENT_VERSION,
  type LedgerEvent,
  type LedgerEventKind,
  type LedgerValue,
  type OutcomeStatus,
} from './ledger-event.ts';
export {
  inOneLine,
  isOneLine,
  isSessionId,
  type LiveSessionFilter,
  liveSessionLimits,
  matchesSession,
} from './live-session.ts';
export type { LocalClient, LocalOpening, LocalProtocol, LocalRefusal, LocalSession } from './local-protocol.ts';
export type { AttestedNode } from './node.ts';
export {
  type Asked,
  type Content,
  type Denial,
  type Judged,
  judgedBy,
  judgedTogether,
  type Operation,
  type PolicySet,
  passes,
  type Question,
  type ToldIdentity,
} from './operation.ts';
export {
  createRevocationIndex,
  type RevocationFacts,
  type RevocationIndex,
  type RevocationVerdict,
} from './revocation-index.ts';
export {
  formatRevocationSubject,
  InvalidRevocation,
  parseRevocation,
  parseRevocationActions,
  parseRevocationMembers,
  parseRevocationSubject,
  type Revocation,
  type RevocationMode,
  type RevocationState,
  type RevocationSubject,
  revocationLimits,
  revocationSubjectKey,
} from './revocations.ts';
export { compareSelectors, containsAll, formatSelector, parseSelector, type Selector } from './selector.ts';
export type { ResolvedTarget, TargetView } from './target.ts';
