import type { Clock, Log, Member, Random, Secret } from '../std/index.ts';
import type { OcsfEvent } from './delivery/ocsf-event.ts';

/** An entry of the record as a sink is given it. */
export interface SinkItem {
  /** `TRUST-DOMAIN/LOG/POSITION`: the same each time that the entry is handed over. */
  readonly id: string;
  readonly event: OcsfEvent;
  /** The event as JSON, on one line. */
  readonly json: string;
}

/**
 * What became of what was handed over. `taken`: all of it is kept there. `refused`: something of it is refused, and would be when it came again;
 * of a single one it is that. `away`: nothing is known of it, or it may be taken later, not before `retryAfterMs` where that is said.
 */
export type SinkAnswer =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'away'; readonly reason: string; readonly retryAfterMs?: number | undefined };

/** Something that entries go to, while this process is the one that hands them over. */
export interface Sink {
  /**
   * Hands over, in that order: at most 500 items, made of 1 MiB of entries or of one larger. Called by one at a time. The same may come again, and
   * in other pieces. A signal that aborts ends it soon; what it throws counts as `away`. No secret may be in a reason.
   */
  send(items: readonly SinkItem[], options: { readonly signal: AbortSignal }): Promise<SinkAnswer>;
  /** Closes what is open; nothing is under way. */
  close(): Promise<void>;
}

/** What a sink works with. */
export interface SinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What the sink is called in the configuration. */
  readonly name: string;
  /** Relative paths lie below it. */
  readonly dataDir: string;
  /** What a reference, `env:NAME` or `file:PATH`, points to, as it is now; undefined when there is none. Throws when others can read the file. */
  readonly readSecret: (reference: string) => Secret | undefined;
  /** A file that says whom to believe; undefined when there is none. Throws when others could have written it. */
  readonly readTrustedFile: (path: string) => Buffer | undefined;
}

/** A kind of sink: one folder in `sinks/`. */
export interface SinkMember extends Member {
  readonly kind: 'sink';
  /**
   * Opens it for that config, which is checked against the member's schema here. Reaches nobody yet.
   * @throws RecordsError ERR_RECORDS_SINK
   */
  open(config: unknown, deps: SinkDeps): Promise<Sink>;
}
