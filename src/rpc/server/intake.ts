/**
 * Counts the bytes of requests that a server holds: parts that wait for their rest, and messages that wait for their turn or whose call
 * is not over. Limits on one message and on the number of calls alone would let a peer hold the product of both.
 */
export interface Intake {
  /** The share of one connection. `cut` closes that connection at once: it runs when all together hold too much and this one holds most. */
  open(cut: () => void): ConnectionIntake;
}

/** What one connection holds. */
export interface ConnectionIntake {
  open(): CallIntake;
  /** Gives everything back. */
  close(): void;
}

/** What one call holds. */
export interface CallIntake {
  /** Says how many bytes the call holds from now on; false when that is more than its connection may. */
  hold(bytes: number): boolean;
  /** Gives everything back; later counts are of no account. */
  close(): void;
}

/** Creates an {@link Intake} for at most so many bytes of one connection and of all together. */
export function createIntake(limits: { connectionBytesMax: number; bytesMax: number }): Intake {
  const holders = new Set<Holder>();
  let totalBytes = 0;
  const change = (holder: Holder, byBytes: number) => {
    holder.bytes += byBytes;
    totalBytes += byBytes;
    if (holder.bytes > 0) holders.add(holder);
    else holders.delete(holder);
  };
  const release = (holder: Holder) => {
    holder.closed = true;
    change(holder, -holder.bytes);
  };
  const cutLargest = () => {
    let largest: Holder | undefined;
    for (const holder of holders) if (largest === undefined || holder.bytes > largest.bytes) largest = holder;
    if (largest === undefined) return;
    release(largest); // First: what closing sets off must not count it again.
    largest.cut();
  };
  const hold = (holder: Holder, byBytes: number) => {
    if (byBytes > 0 && holder.bytes + byBytes > limits.connectionBytesMax) return false;
    change(holder, byBytes);
    while (totalBytes > limits.bytesMax) cutLargest();
    return !holder.closed;
  };
  return {
    open(cut) {
      const holder: Holder = { cut, bytes: 0, closed: false };
      return {
        open: () => new CallHolding(holder, hold),
        close: () => release(holder),
      };
    },
  };
}

interface Holder {
  readonly cut: () => void;
  bytes: number;
  closed: boolean;
}

/** A class, since each call has one. */
class CallHolding implements CallIntake {
  readonly #holder: Holder;
  readonly #change: (holder: Holder, byBytes: number) => boolean;
  #heldBytes = 0;
  #closed = false;

  constructor(holder: Holder, change: (holder: Holder, byBytes: number) => boolean) {
    this.#holder = holder;
    this.#change = change;
  }

  hold(bytes: number): boolean {
    if (this.#closed || this.#holder.closed) return false;
    if (!this.#change(this.#holder, bytes - this.#heldBytes)) return false;
    this.#heldBytes = bytes;
    return true;
  }

  close(): void {
    if (!this.#closed && !this.#holder.closed) this.#change(this.#holder, -this.#heldBytes);
    this.#closed = true;
  }
}
