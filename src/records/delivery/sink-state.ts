import type { Clock } from '../../std/index.ts';

/** An entry that a sink refuses. */
export interface RefusedEntry {
  readonly log: number;
  readonly position: number;
  readonly origin: string;
  readonly reason: string;
  readonly sinceMs: number;
}

/** How a sink is, as this server knows. */
export interface SinkView {
  readonly name: string;
  /** Which member it is. */
  readonly kind: string;
  /** Whether this server is the one that hands over to it. */
  readonly isRunner: boolean;
  /** Entries that it was not looked into yet whether they go there; undefined at a server that does not hand over. */
  readonly behind: number | undefined;
  /** Entries that this process has handed over since it was started. */
  readonly taken: number;
  /** Why nothing can be handed over, since when (epoch milliseconds), and with which entry (`LOG/POSITION`) what waits begins, where that is known. */
  readonly away: { readonly reason: string; readonly sinceMs: number; readonly next?: string } | undefined;
  /** Entries that it refuses, one a log at most: what comes behind in that log waits. */
  readonly refused: readonly RefusedEntry[];
}

/** The same while it changes. */
export interface SinkState {
  view(): SinkView;
  held(isRunner: boolean): void;
  behind(entries: number): void;
  taken(entries: number): void;
  away(reason: string, next?: { readonly log: number; readonly position: number }): void;
  reached(): void;
  refused(entry: Omit<RefusedEntry, 'sinceMs'>): void;
  /** Whatever was refused of that log is not any more. */
  passed(log: number): void;
}

/** Creates a {@link SinkState}. */
export function createSinkState(clock: Clock, of: { readonly name: string; readonly kind: string }): SinkState {
  const refused = new Map<number, RefusedEntry>();
  let isRunner = false;
  let behind: number | undefined;
  let taken = 0;
  let away: SinkView['away'];
  return {
    view: () => ({ ...of, isRunner, behind, taken, away, refused: [...refused.values()] }),
    held(now) {
      isRunner = now;
      refused.clear();
      if (!now) behind = undefined;
    },
    behind(entries) {
      behind = entries;
    },
    taken(entries) {
      taken += entries;
    },
    away(reason, next) {
      away = {
        ...{ reason: reason.slice(0, REASON_LENGTH_MAX), sinceMs: away?.sinceMs ?? clock.now() },
        ...(next === undefined ? {} : { next: `${next.log}/${next.position}` }),
      };
    },
    reached() {
      away = undefined;
    },
    refused(entry) {
      const reason = entry.reason.slice(0, REASON_LENGTH_MAX);
      const before = refused.get(entry.log);
      const sinceMs = before?.position === entry.position ? before.sinceMs : clock.now();
      refused.set(entry.log, { ...entry, reason, sinceMs });
    },
    passed: (log) => void refused.delete(log),
  };
}

/** What others say ends up in the log of the server. */
const REASON_LENGTH_MAX = 500;
