/**
 * What a SQL text means, before PostgreSQL sees it: which relations, columns and functions it touches, what policy says of each, and
 * which answer columns must be masked.
 *
 * It promises: a text is forwarded only when every statement of it was understood and allowed; one refused statement refuses the text;
 * with masks in force a statement is forwarded only when no masked value can reach the client but through a column that the
 * RowDescription names by table and attribute. Names are resolved by a catalog snapshot, never by asking. It must not know
 * sockets, messages or time: the same request always has the same plan.
 */

export { askedAsWritten } from './as-written.ts';
export type { BoundValue } from './bound.ts';
export type { Catalog } from './catalog.ts';
export { type CatalogMirror, type CatalogQuestion, createCatalogMirror } from './catalog-mirror.ts';
export { firstUserOid } from './catalog-queries.ts';
export { defaultLimits } from './default-limits.ts';
export {
  codingBetween,
  encodingHint,
  encodingNamed,
  holdsAnyValue,
  isServedEncoding,
  type TextCoding,
  undecodedBytes,
} from './encodings.ts';
export { SqlError } from './errors.ts';
export { statementOfCall } from './function-lists.ts';
export { unasked } from './judge.ts';
export { maskColumns } from './mask-columns.ts';
export { indexMasks, type MissingColumn, missingColumn } from './masks-without-column.ts';
export { databaseResource } from './names.ts';
export { loadParser } from './parse.ts';
export type {
  Decider,
  DeclaredCursor,
  Forward,
  MaskPlan,
  Plan,
  Planner,
  PlanRequest,
  Refusal,
  Rewritten,
  SearchPath,
  SessionEffect,
  SessionFacts,
  StatementFacts,
  StatementPlan,
  TextLimits,
  Withholding,
} from './plan.ts';
export { createPlanner } from './planner.ts';
export { policySchema } from './policy-schema.ts';
export type { PreparedStatement } from './prepared.ts';
export { positionInOwnText } from './rewrite.ts';
export { type Run, runsOf } from './runs.ts';
export { parsePath } from './search-path.ts';
export {
  applySessionEffects,
  areSameNames,
  bytesOfFacts,
  endTransaction,
  failSessionFacts,
  mayBringBack,
  noSessionFacts,
  sessionNamesMax,
  settleSessionFacts,
} from './session-facts.ts';
export { settingQuestion, startSetting } from './settings.ts';
export { type MaskedColumn, type TableMask, tableMasks } from './table-masks.ts';
