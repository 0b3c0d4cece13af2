import type { Selectable } from 'kysely';
import { HASH_BYTES, parseVerifierKey } from '../../wire/tlog/index.ts';
import type { RecordsTables } from '../migrations.ts';
import type { AlarmKind, LogState, TreeHead } from './judge-batch.ts';

export type LogRow = Selectable<RecordsTables['records_logs']>;

/** What the row of a log says of its tree. */
export function stateOf(row: LogRow): LogState {
  return {
    origin: row.origin,
    key: parseVerifierKey(row.verifier_key),
    head: headOf(row.size, row.edge),
    signed: headOf(row.signed_size, row.signed_edge),
  };
}

/** The columns that say it. */
export function stateColumns({ head, signed }: LogState) {
  return {
    size: head.size,
    edge: Buffer.concat([...head.edge]),
    signed_size: signed.size,
    signed_edge: Buffer.concat([...signed.edge]),
  };
}

/** A log, for whoever watches over it. */
export interface LogView {
  readonly id: number;
  readonly origin: string;
  /** 1, and one more each time that an operator has closed the log of that name. */
  readonly generation: number;
  /** The SPIFFE ID that ships it. */
  readonly owner: string;
  readonly verifierKey: string;
  /** Entries that a checkpoint vouches for. */
  readonly entries: number;
  /** The newest checkpoint, signed by the log and by the server that found it consistent. */
  readonly checkpoint: string | undefined;
  /** Epoch milliseconds when the shipper was last heard. */
  readonly heardMs: number;
  /** Its writer stopped in good order. */
  readonly ended: boolean;
  /** An operator has closed it: nothing more is expected of it. */
  readonly closed: boolean;
  readonly alarm: { readonly kind: AlarmKind; readonly found: string; readonly sinceMs: number } | undefined;
}

export function logView(row: LogRow): LogView {
  return {
    id: row.id,
    origin: row.origin,
    generation: row.generation,
    owner: row.owner,
    verifierKey: row.verifier_key,
    entries: row.signed_size,
    checkpoint: row.checkpoint ?? undefined,
    heardMs: row.heard_ms,
    ended: row.ended === 1,
    closed: row.closed === 1,
    alarm:
      row.alarm === null
        ? undefined
        : // Written by this feature alone, from its own union.
          { kind: row.alarm as AlarmKind, found: row.alarm_found ?? '', sinceMs: row.alarm_ms ?? 0 },
  };
}

function headOf(size: number, edge: Buffer): TreeHead {
  const count = edge.length / HASH_BYTES;
  const hashes = Array.from({ length: count }, (_, n) =>
    Buffer.from(edge.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES)),
  );
  return { size, edge: hashes };
}
