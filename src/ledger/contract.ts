import type { KeyObject } from 'node:crypto';
import type { LedgerEvent } from '../model/index.ts';
import type { LedgerError } from './errors.ts';

/** The write side: what gateway and server hold. */
export interface LedgerWriter {
  /**
   * Appends one event and returns its sequence number. When it returns, the entry is in the operating system's hands (one
   * write): it survives kill -9 of this process. An intent also reserves room for its outcome; an `outcome` of an admitted
   * intent whose entry is at most {@link OUTCOME_BYTES_MAX} bytes never fails for lack of room.
   * @throws ERR_LEDGER_FULL, ERR_LEDGER_IO, ERR_LEDGER_CLOSED, ERR_LEDGER_ENTRY_INVALID: then nothing was recorded, and what
   * the event announces must not happen.
   */
  append(event: LedgerEvent): number;
  /**
   * Appends all events (at least one) with one write, all or nothing, and returns the first sequence number; the others
   * follow. Give outcomes in batches of their own: a batch that also holds anything else can be refused for lack of room.
   * @throws as {@link append}
   */
  appendAll(events: readonly LedgerEvent[]): number;
  /**
   * Resolves once the entry with that sequence number, and all before it, are on disk.
   * @throws ERR_LEDGER_IO when the disk failed, ERR_LEDGER_CLOSED when the ledger was stopped first
   */
  synced(sequence: number): Promise<void>;
  /** Sequence number of the newest entry; -1 while there is none. */
  readonly sequence: number;
  /** Sequence number up to which everything is on disk; -1 while there is none. */
  readonly syncedSequence: number;
}

/** Whether the log can go on. */
export interface LedgerHealth {
  /**
   * Why nothing is accepted any more, until the next start: the disk failed a write or a sync, and what it holds can't be taken for
   * granted. A start reads everything since the last checkpoint, writes it again and syncs it before it goes on.
   */
  readonly failure: LedgerError | undefined;
}

/** How the log fares, for whoever watches over it. */
export interface LedgerState {
  /** Why nothing is accepted any more, until the next start: as {@link LedgerHealth.failure}. */
  readonly failure: LedgerError | undefined;
  /** Why nothing new is accepted for now: no checkpoint could be signed for too long, or since the start; or its writer’s own reason. */
  readonly refusal: LedgerError | undefined;
  /** Room for new entries: `low` when the disk refuses the next segment, `none` when an intent would be refused as well. */
  readonly room: 'enough' | 'low' | 'none';
  /** Why the next segment can't be made, a full or read-only volume say; undefined once one was. */
  readonly roomFailure: Error | undefined;
  /** Milliseconds since the oldest entry without a checkpoint was written, or since the last checkpoint when that is less; 0 when all are signed. */
  readonly unsignedMs: number;
  /** Entries on disk that no checkpoint covers. */
  readonly unsignedEntries: number;
  /** Why the newest checkpoint could not be signed; undefined once one was. */
  readonly checkpointFailure: Error | undefined;
}

/** Tells how the log fares. */
export interface LedgerWatch {
  /** Undefined while the ledger is not started. */
  state(): LedgerState | undefined;
}

/** An entry as it stands in the log. */
export interface LedgerEntry extends Omit<LedgerEvent, 'kind'> {
  /** A `LedgerEventKind`, or one of a newer writer. */
  readonly kind: string;
  /** The version of the event; entries of before the first release have none. */
  readonly v?: number;
  /** Position in the log, from 0, without gaps: also the leaf index in the Merkle tree. */
  readonly seq: number;
  /** Epoch milliseconds; never less than that of the entry before. */
  readonly timeMs: number;
  /** What the wall clock said, where it had stepped back behind an earlier entry; else absent. */
  readonly wallMs?: number;
}

/** Which entries a search gives: all that are set must hold. Times are epoch milliseconds, compared with the wall clock's. */
export interface LedgerFilter {
  readonly kinds?: readonly string[];
  readonly actor?: string;
  readonly target?: string;
  readonly action?: string;
  readonly session?: string;
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** The read side. Each iterable ends (or throws the abort error) when its signal aborts. */
export interface LedgerReader {
  /** The newest signed checkpoint (a signed note), undefined while none was signed. */
  checkpoint(): Promise<string | undefined>;
  /** The last `count` entries, oldest first; with `follow`, then each new one as it is written. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
  tail(options: { count: number; follow: boolean; signal: AbortSignal }): AsyncIterable<LedgerEntry>;
  /** One entry. @throws ERR_LEDGER_NOT_FOUND, ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
  show(sequence: number, signal: AbortSignal): Promise<LedgerEntry>;
  /** A self-contained proof that the entry is in the signed log: see {@link LedgerProof}. @throws ERR_LEDGER_NOT_FOUND, ERR_LEDGER_CORRUPT */
  prove(sequence: number, signal: AbortSignal): Promise<LedgerProof>;
  /** RFC 6962 §2.1.2 consistency proof between two sizes covered by checkpoints, for a witness. @throws ERR_LEDGER_NOT_FOUND */
  proveConsistency(oldSize: number, newSize: number, signal: AbortSignal): Promise<readonly Buffer[]>;
  /** Entries that match, oldest first, by reading the segments through. @throws ERR_LEDGER_IO, ERR_LEDGER_CORRUPT */
  search(filter: LedgerFilter, signal: AbortSignal): AsyncIterable<LedgerEntry>;
}

/** A proof file: with the log's public key it shows, offline, that `entry` stands in the log. All fields are text. */
export interface LedgerProof {
  readonly format: 'countersign-ledger-proof/1';
  /** The entry's canonical JSON, byte for byte what was hashed. */
  readonly entry: string;
  /** C2SP tlog-proof: index, inclusion path, signed checkpoint. */
  readonly proof: string;
}

/** Who signs checkpoints. The private key stays with its holder; `sign` makes a plain Ed25519 signature (64 bytes). */
export interface LedgerSigner {
  /** Key name in signed notes, such as `countersign.example/gateway-1`: no space, no plus sign. */
  readonly name: string;
  readonly publicKey: KeyObject;
  /** Keys that signed under this name before: a log goes on from a checkpoint of theirs. */
  readonly formerPublicKeys?: readonly KeyObject[];
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/**
 * The newest checkpoint, kept where the signing key is and not in the ledger's folder: a start sees by it that the folder was put back to
 * an earlier state. It may lag behind by a checkpoint or so.
 */
export interface CheckpointKeeper {
  /** The note that was kept last; undefined while there is none. Rejects when there is one that can't be read. */
  read(): Promise<string | undefined>;
  /** Puts a note in place of the last one; it is whole, and on disk, when this resolves. */
  write(note: string): Promise<void>;
}

/** Sizes and delays; each has a default. */
export interface LedgerOptions {
  /** Bytes of one segment file, filled with zeros ahead of use. */
  readonly segmentBytes?: number;
  /** Milliseconds after which an entry's sync begins at the latest. */
  readonly syncDelayMs?: number;
  /** Milliseconds between checkpoints while entries come. */
  readonly checkpointEveryMs?: number;
  /** Where the tree is hashed: in a worker thread, or on the caller's (tests, short-lived tools). */
  readonly hashing?: 'thread' | 'inline';
}

/** Largest entry of an outcome, in bytes of canonical JSON, that is sure to find room after its intent was admitted. */
export const OUTCOME_BYTES_MAX = 4096;
