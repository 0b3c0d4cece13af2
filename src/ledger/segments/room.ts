import type { LedgerEvent } from '../../model/index.ts';
import { FRAME_HEADER_BYTES } from '../../wire/tlog/index.ts';
import { OUTCOME_BYTES_MAX } from '../contract.ts';
import { operationKey } from '../entry.ts';
import { LedgerError } from '../errors.ts';
import { SEGMENT_HEADER_BYTES_MAX } from './segment.ts';
import type { SegmentPool } from './segment-pool.ts';

/**
 * Who may write how much. The free bytes of the active segment and of the spares are counted in slots, each good for one outcome
 * of the largest promised size; every intent without outcome holds a slot. An outcome uses up at most the slot it was given,
 * even where it has to leave the end of a segment unused: less than a slot was left there.
 */
export interface Room {
  /** A place for the batch. @throws ERR_LEDGER_FULL when it would take what is owed to others */
  admit(events: readonly LedgerEvent[], bytes: number, active: FreeSegment | undefined): Admission;
  /** True when every event is an outcome that is owed and within its size (`bytesOf` tells, asked in order): each alone will be admitted. */
  areOwed(events: readonly LedgerEvent[], bytesOf: (event: LedgerEvent) => number): boolean;
  /** True when an intent of the promised size would be admitted now. */
  hasRoom(active: FreeSegment | undefined): boolean;
  /** Sequence number of the oldest intent without outcome. */
  oldestOpen(): number | undefined;
}

/** Where a batch goes. */
export interface Admission {
  readonly to: 'active' | 'spare';
  /** The batch was written, its first event as entry `firstSeq`. */
  settle(firstSeq: number): void;
}

/** What is left of a segment. */
export interface FreeSegment {
  readonly bytes: number;
  readonly offset: number;
}

/** Creates the accounts over the intents that are open already, by operation key, oldest first. */
export function createRoom(deps: {
  readonly pool: SegmentPool;
  readonly segmentBytes: number;
  readonly open: ReadonlyMap<string, number>;
}): Room {
  const { pool } = deps;
  const open = new Map(deps.open);
  const settle = (keyed: readonly Keyed[], firstSeq: number) => {
    for (const [i, { kind, key }] of keyed.entries()) {
      if (kind === 'outcome') open.delete(key);
      // The first intent of a key holds the slot; a second one with the same key shares it.
      else if (kind === 'intent' && !open.has(key)) open.set(key, firstSeq + i);
    }
    pool.want(SPARES_MIN + Math.floor((2 * open.size * SLOT_BYTES) / deps.segmentBytes));
  };
  /** Slots left behind a batch of so many bytes; -1 when it does not fit. */
  const placeOf = (bytes: number, active: FreeSegment | undefined) => {
    const next = pool.ready[0];
    const fits = active !== undefined && active.offset + bytes <= active.bytes;
    const free = fits ? active.bytes - active.offset : (next?.bytes ?? 0) - SEGMENT_HEADER_BYTES_MAX;
    if (bytes > free) return { fits, slots: -1 };
    let slots = slotsIn(free - bytes);
    for (let i = fits ? 0 : 1; i < pool.ready.length; i++) {
      slots += slotsIn((pool.ready[i]?.bytes ?? 0) - SEGMENT_HEADER_BYTES_MAX);
    }
    return { fits, slots };
  };
  return {
    admit(events, bytes, active) {
      const { fits, slots } = placeOf(bytes, active);
      if (slots < 0) throw full(bytes, open.size);
      const keyed = events.map(withKey);
      const owed = owedAfter(open, keyed);
      if (owed.count > OPEN_INTENTS_MAX) throw full(bytes, owed.count);
      const kept = owed.count + (owed.own ? 0 : OWN_SLOTS);
      const promised = events.length === 1 && owed.promised && bytes <= SLOT_BYTES;
      if (slots < kept && !promised) throw full(bytes, owed.count);
      return { to: fits ? 'active' : 'spare', settle: (firstSeq) => settle(keyed, firstSeq) };
    },
    areOwed(events, bytesOf) {
      const keyed = events.map(withKey);
      return (
        new Set(keyed.map(({ key }) => key)).size === events.length &&
        owedAfter(open, keyed).promised &&
        events.every((event) => bytesOf(event) <= SLOT_BYTES)
      );
    },
    hasRoom: (active) => open.size < OPEN_INTENTS_MAX && placeOf(SLOT_BYTES, active).slots >= open.size + 1 + OWN_SLOTS,
    oldestOpen: () => open.values().next().value,
  };
}

/** An event as these accounts see it; the key is made once, and looked up several times. */
interface Keyed {
  readonly kind: LedgerEvent['kind'];
  readonly key: string;
}

function withKey(event: LedgerEvent): Keyed {
  return { kind: event.kind, key: operationKey(event) };
}

/** What the log will owe once these events are written. Two outcomes of one operation count twice, which errs on one batch, not on the slots. */
function owedAfter(
  open: ReadonlyMap<string, number>,
  events: readonly Keyed[],
): { readonly count: number; readonly promised: boolean; readonly own: boolean } {
  let count = open.size;
  let promised = true;
  let own = true;
  for (const { kind, key } of events) {
    const isOpen = (kind === 'outcome' || kind === 'intent') && open.has(key);
    if (kind === 'outcome' && isOpen) count--;
    else promised = false;
    if (kind === 'intent' && !isOpen) count++;
    if (kind !== 'ledger') own = false;
  }
  return { count: Math.max(0, count), promised, own };
}

function slotsIn(bytes: number): number {
  return Math.max(0, Math.floor(bytes / SLOT_BYTES));
}

function full(bytes: number, owed: number): LedgerError {
  const message = `no room for ${bytes} bytes beside the ${owed} outcomes owed (at most ${OPEN_INTENTS_MAX})`;
  return new LedgerError('ERR_LEDGER_FULL', message);
}

const SLOT_BYTES = FRAME_HEADER_BYTES + OUTCOME_BYTES_MAX;
/** Room for the ledger's own entries (started, stopped), which must fit where nothing else does. */
const OWN_SLOTS = 4;
/** Spares kept ready: one to go on with while the other is made. */
const SPARES_MIN = 2;
/** Bounds the memory and the disk that callers who never report an outcome can take. */
const OPEN_INTENTS_MAX = 100_000;
