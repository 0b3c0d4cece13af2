/**
 * Counts the bytes that sessions hold for others: messages that are not whole yet, answers that wait for the ledger, what the other side
 * does not take, bound values. Limits on one session alone would let many sessions hold the sum of them.
 */
export interface MemoryBudget {
  /** The share of one session. `cut` ends that session at once: it runs when all together hold too much and this one holds most. */
  open(cut: (bytes: number) => void): Holding;
  /** Held by all sessions now. */
  readonly bytes: number;
  /** What they may hold together. */
  readonly bytesMax: number;
  /** Cuts the session that holds most; false when none holds anything. */
  cutLargest(): boolean;
}

/** What one session holds. */
export interface Holding {
  /** Says how many bytes the session holds from now on. May cut any session, this one too. */
  hold(bytes: number): void;
  /** Gives everything back; later counts are of no account. */
  close(): void;
}

/** Creates the count. Whoever holds most is cut when it passes `bytesMax`: so a session that holds little never pays for one that holds much. */
export function createMemoryBudget(bytesMax: number): MemoryBudget {
  const holders = new Set<Holder>();
  let total = 0;
  const change = (holder: Holder, bytes: number) => {
    total += bytes - holder.bytes;
    holder.bytes = bytes;
    if (bytes > 0) holders.add(holder);
    else holders.delete(holder);
  };
  const cutLargest = () => {
    let largest: Holder | undefined;
    for (const holder of holders) if (largest === undefined || holder.bytes > largest.bytes) largest = holder;
    if (largest === undefined) return false;
    const { bytes } = largest;
    change(largest, 0); // First: what ending it sets off must not count it again.
    largest.closed = true;
    largest.cut(bytes);
    return true;
  };
  return {
    ...{ bytesMax, cutLargest },
    open(cut) {
      const holder: Holder = { cut, bytes: 0, closed: false };
      return {
        hold(bytes) {
          if (holder.closed || bytes === holder.bytes) return;
          change(holder, bytes);
          while (total > bytesMax) cutLargest();
        },
        close() {
          if (!holder.closed) change(holder, 0);
          holder.closed = true;
        },
      };
    },
    get bytes() {
      return total;
    },
  };
}

interface Holder {
  readonly cut: (bytes: number) => void;
  bytes: number;
  closed: boolean;
}
