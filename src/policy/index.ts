/**
 * Policy: Cedar texts become an immutable, indexed set of closures that answers requests.
 *
 * It promises: default deny; forbid wins; a forbid that can not be evaluated denies, which is the one rule stricter than Cedar's; else
 * the same answers and determining policies as Cedar; a cost per decision that does not grow with the policies that do not concern
 * the request. It must not know where policies are kept, who asks, or what a protocol looks like: protocols bring schema fragments.
 * It does no I/O and reads no clock.
 */
export { approvalText } from './approval.ts';
export {
  type PolicyCase,
  type PolicyCaseResult,
  parseCaseTime,
  parsePolicyCases,
  policyCasesSchema,
  requestOfCase,
  runPolicyTests,
} from './cases.ts';
export { composeSchema, type PolicySchema } from './compose-schema.ts';
export { errorTable, PolicyError, type PolicyErrorCode } from './errors.ts';
export { expiredPolicies } from './expired.ts';
export { fieldText, fieldWithin, mayBeOneField, type WrittenField } from './fields.ts';
export { identityEntity } from './identity-entity.ts';
export { limitsWith, limitText, limitWords, type PermitLimit, writtenLimit } from './limits.ts';
export {
  checkPolicies,
  createPolicyLoader,
  formatProblem,
  loadPolicies,
  type PolicyLoader,
  type PolicyReport,
} from './load.ts';
export { maskCovers } from './mask-covers.ts';
export {
  type ByteMask,
  createByteMask,
  type MaskKind,
  maskGrowthMax,
  maskKinds,
  maskText,
  stricterMask,
} from './masks.ts';
export { didYouMean } from './nearest-name.ts';
export { readOperation, readRecorded } from './read-recorded.ts';
export type { Occurrences, RecordedOperation } from './recorded.ts';
export { formatObligations } from './recorded-obligations.ts';
export { createReplay, type Replay, type ReplayDifference } from './replay.ts';
export { idOfParts, partsOfId, resourceFromId } from './resource-from-id.ts';
export type { CedarTypeJson, PolicySchemaFragment, ResourceFields } from './schema.ts';
export { cutPolicies } from './split.ts';
export { createTightening, type TightPermit } from './tighten.ts';
export type {
  Access,
  AccessPolicy,
  CompiledPolicies,
  Demands,
  Explanation,
  Hindrance,
  PartOfAccess,
  PolicyExplanation,
  PolicyName,
  PolicyNames,
  PolicyPosition,
  PolicyProblem,
  PolicySource,
  PolicySummary,
  PotentialMask,
  ResourceScope,
  SessionAccess,
  WhatCan,
  WhoCan,
  WrittenMask,
} from './types.ts';
export { type KnownNames, unmatchedNames } from './unmatched-names.ts';
export { entityLiteral, writePermit } from './write-permit.ts';
