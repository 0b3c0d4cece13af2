import { type Clock, formatDurationMs } from '../std/index.ts';
import { LedgerError } from './errors.ts';

/** How long a ledger may go on while what stands in it is in no record but its own folder. */
export interface ShippingBound {
  /** Why nothing new may be written, behind so many entries. Asked before each entry. */
  refusal(written: number): LedgerError | undefined;
  /** The record keeps so many. */
  shipped(size: number): void;
}

/** Counts from when the oldest entry that is not shipped was written, since the start of the process; a second or two more while all is well. */
export function createShippingBound(clock: Pick<Clock, 'monotonicMs'>, mostMs: number): ShippingBound {
  let shipped = 0;
  /** No entry that is not shipped is older. */
  let sinceMs: number | undefined;
  let last = { written: 0, atMs: 0 };
  /** Entries from `written` on are no older than `atMs`. */
  let mark = last;
  return {
    refusal(written) {
      const nowMs = clock.monotonicMs();
      last = { written, atMs: nowMs };
      // A record that has more than was written has another ledger of this name.
      if (sinceMs === undefined || written === shipped) {
        sinceMs = nowMs;
        mark = last;
      }
      if (nowMs - sinceMs <= mostMs) return undefined;
      const waitMs = Math.floor((nowMs - sinceMs) / 1000) * 1000;
      const what = `entries of the last ${formatDurationMs(waitMs)} are not shipped to the record`;
      return new LedgerError('ERR_LEDGER_UNSHIPPED', `${what}, so nothing new is accepted`);
    },
    shipped(size) {
      shipped = size;
      if (size < mark.written) return;
      sinceMs = mark.atMs;
      mark = last;
    },
  };
}
