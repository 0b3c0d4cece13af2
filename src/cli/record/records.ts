import type { Record as RecordMessage } from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import { type LedgerEntry, parseEntry } from '../../ledger/index.ts';

/** An entry of the record. */
export interface ShownRecord {
  readonly log: number;
  readonly entry: LedgerEntry;
}

/** Reads what the server answers with. @throws LedgerError ERR_LEDGER_CORRUPT */
export function recordOf({ log, entry }: RecordMessage): ShownRecord {
  return { log, entry: parseEntry(entry) };
}

/** As `--json` shows it: the entry as it was written, and whose it is. */
export function recordValue({ log, entry }: ShownRecord) {
  return { log, ...entry };
}
