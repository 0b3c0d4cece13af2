import type { Clock, Timer } from '../std/index.ts';

/** Tells when entries expire. */
export interface ExpirySchedule {
  /** Notes when the entry expires, instead of what was noted of it before; 0 is never. One that is gone by then does no harm. */
  add(id: string, atS: number): void;
  /** Forgets all that was noted. */
  clear(): void;
  stop(): void;
  /** Notes that are kept. */
  readonly size: number;
}

/** Calls `due` with the ids whose time has come by the wall clock; within a minute when the clock was set forward. */
export function createExpirySchedule(clock: Clock, due: (ids: readonly string[]) => void): ExpirySchedule {
  let heap: Expiry[] = [];
  /** What holds of each entry: whatever else the heap has of it is stale. */
  const current = new Map<string, number>();
  let timer: Timer | undefined;
  let timerAtMs = 0;

  const arm = () => {
    const [first] = heap;
    if (!first) return;
    const waitMs = Math.min(Math.max(first.atS * 1000 - clock.now(), 0), LOOK_EVERY_MS);
    const atMs = clock.monotonicMs() + waitMs;
    if (timer && timerAtMs <= atMs) return;
    timer?.cancel();
    timerAtMs = atMs;
    timer = clock.after(waitMs, fire);
  };
  const fire = () => {
    timer = undefined;
    const nowS = Math.floor(clock.now() / 1000);
    const ids: string[] = [];
    for (let first = heap[0]; first && first.atS <= nowS; first = heap[0]) {
      popHeap(heap);
      if (current.get(first.id) !== first.atS) continue;
      current.delete(first.id);
      ids.push(first.id);
    }
    if (ids.length > 0) due(ids);
    arm();
  };

  /** An entry that is given a later end again and again must not leave a note behind each time. */
  const dropStale = () => {
    const kept = heap.filter(({ id, atS }) => current.get(id) === atS);
    heap = [];
    for (const item of kept) pushHeap(heap, item);
  };
  const clear = () => {
    timer?.cancel();
    timer = undefined;
    heap = [];
    current.clear();
  };

  return {
    add(id, atS) {
      if (current.get(id) === atS) return;
      if (atS > 0) current.set(id, atS);
      else if (!current.delete(id)) return;
      if (atS > 0) pushHeap(heap, { id, atS });
      if (heap.length > 2 * current.size + STALE_MAX) dropStale();
      arm();
    },
    clear,
    stop: clear,
    get size() {
      return heap.length;
    },
  };
}

interface Expiry {
  readonly id: string;
  readonly atS: number;
}

/** A binary heap: each item expires no later than the two below it, at 2n+1 and 2n+2. */
function pushHeap(heap: Expiry[], item: Expiry): void {
  let place = heap.length;
  while (place > 0) {
    const above = (place - 1) >> 1;
    const parent = heap[above];
    if (!parent || parent.atS <= item.atS) break;
    heap[place] = parent;
    place = above;
  }
  heap[place] = item;
}

function popHeap(heap: Expiry[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let place = 0;
  for (;;) {
    const left = heap[2 * place + 1];
    const right = heap[2 * place + 2];
    const below = right && left && right.atS < left.atS ? right : left;
    if (!below || below.atS >= last.atS) break;
    heap[place] = below;
    place = below === right ? 2 * place + 2 : 2 * place + 1;
  }
  heap[place] = last;
}

/** The wall clock may be set: waiting longer than this could miss the moment. */
const LOOK_EVERY_MS = 60_000;
/** Beside one stale note for each that holds: dropping them then costs a constant for each note made. */
const STALE_MAX = 1_000;
