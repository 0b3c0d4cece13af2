/** Chance for mutation: repeatable from its seed, and fast enough (a few ns a number) not to be what a fuzz run spends its time on. */
export interface FastRandom {
  /** An integer in [0, count); 0 for a count of 0. */
  below(count: number): number;
}

/** Creates a {@link FastRandom} from a text: sfc32, its state filled by a hash of the text. */
export function createFastRandom(seed: string): FastRandom {
  let [a, b, c] = [hash(seed, 0x9e3779b9), hash(seed, 0x243f6a88), hash(seed, 0xb7e15162)];
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) next(); // Lets every bit of the seed reach every bit of the state.
  return { below: (count) => Math.floor((next() / 2 ** 32) * count) };
}

/** FNV-1a over UTF-16 units. */
function hash(text: string, start: number): number {
  let value = start | 0;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value ^ (value >>> 15);
}
