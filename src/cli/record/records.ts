import type { Record as RecordMessage } from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import { type LedgerEntry, parseEntry } from '../../ledger/index.ts';
import { formatCanonicalJson, type JsonValue } from '../../wire/tlog/index.ts';

/** An entry of the record. */
export interface ShownRecord {
  readonly log: number;
  readonly entry: LedgerEntry;
}

/** Reads what the server answers with. @throws LedgerError ERR_LEDGER_CORRUPT */
export function shownRecord({ log, entry }: RecordMessage): ShownRecord {
  return { log, entry: parseEntry(entry) };
}

/** Reads what REST tells of. @throws LedgerError ERR_LEDGER_CORRUPT */
export function toldRecord({ log, entry }: { readonly log: number; readonly entry: object }): ShownRecord {
  // It came as JSON; in canonical form it is read, and held to what an entry is, as from any other source.
  return { log, entry: parseEntry(Buffer.from(formatCanonicalJson(entry as JsonValue))) };
}

/** As `--json` shows it: the entry as it was written, and whose it is. */
export function recordValue({ log, entry }: ShownRecord) {
  return { log, ...entry };
}
