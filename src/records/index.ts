/**
 * The record: where the ledgers of all writers meet.
 *
 * It promises that each entry that was shipped is kept once, byte for byte, at its position; that what it shows was signed by the key that is
 * bound to its log; that a log which is forked, rolled back, edited, has a gap or is silent is named; and that a checkpoint it has
 * cosigned goes on from every one it cosigned before. It must not know how entries come here, what a protocol is, or who asks.
 *
 * Its folders:
 * - `log/` one log: what is known of it, what a batch is judged by, and how it is kept
 * - `search/` what entries are found by
 * - `export/` all that a filter selects, with a statement that it is all, and proofs of single entries
 * - `follow/` what comes, told to all who follow from one reading
 * - `retention/` how content leaves: by rules of age, by erasure, and what a hold keeps
 * - `delivery/` how what comes in goes on to sinks: at least once, in the order of each log, by one server at a time
 * - `sinks/` what it goes on to: one folder a kind
 */

export { sinkMigrations } from './delivery/sink-rows.ts';
export type { RefusedEntry, SinkView } from './delivery/sink-state.ts';
export { endpoints } from './endpoints.ts';
export { errorTable, RecordsError } from './errors.ts';
export {
  type ExportManifest,
  formatManifest,
  parseManifest,
  parseServerKey,
  type VerifiedManifest,
  verifyManifest,
} from './export/manifest.ts';
export { type ExportedLog, type ExportFormat, parseStatement } from './export/statement.ts';
export { type LinesVerdict, linesOf, MARK_BYTES, markOf, verifyLines } from './export/verify-lines.ts';
export { batchLimits, type Intake, type LogStand, type Shipment } from './log/intake.ts';
export type { AlarmKind, LogBatch } from './log/judge-batch.ts';
export type { LogView } from './log/log-rows.ts';
export { createWitness, type Witness } from './log/witness.ts';
export { recordsLaterMigrations, recordsMigrations } from './migrations.ts';
export { createRecords, type Records } from './records.ts';
export { createRetention, type Retention, type RetentionView } from './retention/retention.ts';
export { retentionMigrations } from './retention/retention-rows.ts';
export type { SealRule } from './retention/seal.ts';
export { identityNamed, type RecordFilter } from './search/filter.ts';
export { filterOf, recordFilterSchema } from './search/filter-words.ts';
export { PAGE_MAX, type RecordEntry, type RecordPage } from './search/search.ts';
export type { SinkMember } from './sink.ts';
export { createSinks, type Sinks, type WantedSink } from './sinks.ts';
