import { createHash, randomBytes } from 'node:crypto';

/** The only source of chance. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Buffer;
  /** A number in [0, 1); for jitter, never for secrets. */
  fraction(): number;
}

/** The operating system's randomness. */
export function createSystemRandom(): Random {
  return {
    bytes: (count) => randomBytes(count),
    fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
  };
}

/** A repeatable sequence from `seed`: for tests and simulations only. */
export function createSeededRandom(seed: string): Random {
  let counter = 0;
  const block = () => createHash('sha256').update(`${seed}:${counter++}`).digest();
  return {
    bytes(count) {
      const blocks: Buffer[] = [];
      for (let have = 0; have < count; have += 32) blocks.push(block());
      return Buffer.concat(blocks).subarray(0, count);
    },
    fraction: () => block().readUInt32BE() / 2 ** 32,
  };
}
