/**
 * Policy: Cedar texts become an immutable, indexed set of closures that answers requests.
 *
 * It promises: default deny; forbid wins; a forbid that can not be evaluated denies, which is the one rule stricter than Cedar's; else
 * the same answers and determining policies as Cedar; a cost per decision that does not grow with the policies that do not concern
 * the request. It must not know where policies are kept, who asks, or what a protocol looks like: protocols bring schema fragments.
 * It does no I/O and reads no clock.
 *
 * Its folders:
 * - `expressions/` Cedar's values and expressions, ready to be evaluated
 * - `schema/` what there is to ask about: types, fields, entities, requests that fit
 * - `obligations/` what annotations demand: masks, limits
 * - `policy-set/` compiled policies, and all that they are asked together
 * - `loading/` from texts to a policy set, and what is to be said of the texts
 * - `recorded/` what a ledger has of questions, judged again and turned into permits
 */

export {
  type PolicyCase,
  type PolicyCaseResult,
  parseCaseTime,
  parsePolicyCases,
  policyCasesSchema,
  requestOfCase,
  runPolicyTests,
} from './cases.ts';
export { errorTable, PolicyError, type PolicyErrorCode } from './errors.ts';
export { approvalText } from './loading/approval.ts';
export { expiredPolicies } from './loading/expired.ts';
export { placeOfAnnotation } from './loading/find-in-text.ts';
export {
  checkParsed,
  checkPolicies,
  createPolicyLoader,
  formatProblem,
  loadPolicies,
  type PolicyLoader,
  type PolicyReport,
} from './loading/load.ts';
export { didYouMean } from './loading/nearest-name.ts';
export { type FormOf, type ParsedForm, type ParsedForms, readForms } from './loading/parsed-forms.ts';
export { cutPolicies } from './loading/split.ts';
export { type KnownNames, unmatchedNames } from './loading/unmatched-names.ts';
export { limitsWith, limitText, limitWords, type PermitLimit, writtenLimit } from './obligations/limits.ts';
export { maskCovers, scopeReaches } from './obligations/mask-covers.ts';
export {
  type ByteMask,
  createByteMask,
  type MaskKind,
  maskGrowthMax,
  maskKinds,
  maskText,
  stricterMask,
} from './obligations/masks.ts';
export type { Occurrences, RecordedOperation } from './recorded/operation.ts';
export { createKnownAttributes, type KnownAttributes, readOperation, readRecorded } from './recorded/read-recorded.ts';
export { formatObligations } from './recorded/recorded-obligations.ts';
export { createReplay, type Replay, type ReplayDifference } from './recorded/replay.ts';
export { createTightening, type TightPermit } from './recorded/tighten.ts';
export { entityLiteral, tagCondition, writePermit } from './recorded/write-permit.ts';
export { composeSchema, type PolicySchema } from './schema/compose-schema.ts';
export { fieldText, fieldWithin, mayBeOneField, type WrittenField } from './schema/fields.ts';
export { identityEntity } from './schema/identity-entity.ts';
export { idOfParts, partsOfId, resourceFromId } from './schema/resource-from-id.ts';
export type { CedarTypeJson, PolicySchemaFragment, ResourceFields } from './schema/schema.ts';
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
