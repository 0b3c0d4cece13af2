/**
 * Looks for thousands of byte strings at once, at about the speed at which files are read: after Wu and Manber, the four bytes at the end of a
 * window say how far it may be moved.
 */

/** Calls `found` with the number of the needle and the offset, for each place where one begins. */
export type Search = (bytes: Buffer, found: (needle: number, at: number) => void) => void;

export function createSearch(needles: readonly Buffer[]): Search {
  const window = Math.min(...needles.map(({ length }) => length));
  if (needles.length === 0) return () => {};
  if (window < BLOCK) throw new Error(`a needle of ${window} bytes; ${BLOCK} or more are allowed`);
  const farthest = Math.min(window - BLOCK + 1, 255);
  const shifts = new Uint8Array(1 << HASH_BITS).fill(farthest);
  const endings = new Map<number, number[]>();
  for (const [index, needle] of needles.entries()) {
    for (let end = BLOCK; end <= window; end++) {
      const hash = hashAt(needle, end - BLOCK);
      shifts[hash] = Math.min(shifts[hash] ?? 0, window - end);
    }
    const last = hashAt(needle, window - BLOCK);
    endings.set(last, [...(endings.get(last) ?? []), index]);
  }
  return (bytes, found) => {
    for (let at = 0; at + window <= bytes.length; ) {
      const hash = hashAt(bytes, at + window - BLOCK);
      const shift = shifts[hash] ?? 0;
      if (shift === 0) {
        for (const index of endings.get(hash) ?? []) {
          const needle = needles[index] ?? EMPTY;
          if (needle.compare(bytes, at, Math.min(at + needle.length, bytes.length)) === 0) found(index, at);
        }
      }
      at += shift || 1;
    }
  };
}

function hashAt(bytes: Buffer, at: number): number {
  const block =
    (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  return Math.imul(block, SPREAD) >>> (32 - HASH_BITS);
}

const EMPTY = Buffer.alloc(0);
const BLOCK = 4;
/** A table of 1 MiB stays in the cache and is mostly empty for some thousands of needles. */
const HASH_BITS = 20;
/** 2^32 divided by the golden ratio. */
const SPREAD = 0x9e3779b1;
