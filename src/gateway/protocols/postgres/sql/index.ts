/**
 * What a SQL text means, before PostgreSQL sees it: which relations, columns and functions it touches, what policy says of each, and
 * which answer columns must be masked.
 *
 * It promises: a text is forwarded only when every statement of it was understood and allowed; one refused statement refuses the text;
 * with masks in force a statement is forwarded only when no masked value can reach the client but through a column that the
 * RowDescription names by table and attribute. Names are resolved by a catalog snapshot, never by asking. It must not know
 * sockets, messages or time: the same request always has the same plan.
 *
 * The rooms, each of which needs only those before it: `text` (from characters to a tree, and what texts have in common), `catalog` (what
 * the database says of itself), `masks` (what a mask does to columns, texts and answers), `verdict` (what policy is asked, and what
 * follows from its answers), `session` (what went before in a session and gives names their meaning), `walk` (queries and expressions,
 * name by name), `statements` (every other kind of statement) and `taint` (which columns are masked for a principal). `planner.ts` puts them
 * together; `plan.ts`, `refusal.ts` and `resources.ts` are words that all of them use.
 */

export { askedAsWritten } from './as-written.ts';
export type { Catalog } from './catalog/catalog.ts';
export { statementOfCall } from './catalog/function-lists.ts';
export { type CatalogMirror, type CatalogQuestion, createCatalogMirror } from './catalog/mirror.ts';
export { firstUserOid } from './catalog/queries.ts';
export { defaultLimits } from './default-limits.ts';
export { SqlError } from './errors.ts';
export { maskColumns } from './masks/mask-columns.ts';
export { positionInOwnText } from './masks/rewrite.ts';
export { type MaskedColumn, type TableMask, tableMasks } from './masks/table-masks.ts';
export { indexMasks, type MissingColumn, missingColumn } from './masks/without-column.ts';
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
export { databaseResource } from './resources.ts';
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
} from './session/facts.ts';
export type { PreparedStatement } from './session/prepared.ts';
export { parsePath } from './session/search-path.ts';
export { settingQuestion, startSetting } from './session/settings.ts';
export {
  codingBetween,
  encodingHint,
  encodingNamed,
  holdsAnyValue,
  isServedEncoding,
  type TextCoding,
  undecodedBytes,
} from './text/encodings.ts';
export { loadParser } from './text/parse.ts';
export { unasked } from './verdict/judge.ts';
export { type Run, runsOf } from './verdict/runs.ts';
export type { BoundValue } from './walk/bound-parameters.ts';
