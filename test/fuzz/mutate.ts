import type { Random } from '../../src/std/index.ts';

/** One changed copy of a seed: a few random edits of the kinds that break parsers. Repeatable for a seeded `random`. */
export function mutate(seeds: readonly Uint8Array[], random: Random): Buffer {
  const pick = (count: number) => Math.floor(random.fraction() * count);
  let bytes: Buffer = Buffer.from(seeds[pick(seeds.length)] ?? []);
  for (let edits = 1 + pick(4); edits > 0; edits--) bytes = edit(bytes, seeds, random, pick);
  return bytes.subarray(0, INPUT_BYTES_MAX);
}

function edit(bytes: Buffer, seeds: readonly Uint8Array[], random: Random, pick: (count: number) => number): Buffer {
  const at = pick(bytes.length + 1);
  const out = Buffer.from(bytes);
  switch (pick(8)) {
    case 0: // Flip a bit.
      if (out.length > 0) out.writeUInt8(out.readUInt8(at % out.length) ^ (1 << pick(8)), at % out.length);
      return out;
    case 1: // Another byte.
      if (out.length > 0) out.writeUInt8(pick(256), at % out.length);
      return out;
    case 2: // Cut off the end.
      return out.subarray(0, at);
    case 3: // Take a piece out.
      return Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + pick(16)))]);
    case 4: // Put random bytes in.
      return Buffer.concat([out.subarray(0, at), random.bytes(1 + pick(16)), out.subarray(at)]);
    case 5: // Repeat a piece.
      return Buffer.concat([out.subarray(0, at), out.subarray(at, at + 1 + pick(64)), out.subarray(at)]);
    case 6: {
      // Continue with another seed.
      const other = Buffer.from(seeds[pick(seeds.length)] ?? []);
      return Buffer.concat([out.subarray(0, at), other.subarray(pick(other.length + 1))]);
    }
    default: {
      // A length or number at its edge.
      const width = [1, 2, 4][pick(3)] ?? 1;
      if (out.length >= width)
        out.writeUIntBE((EDGES[pick(EDGES.length)] ?? 0) % 256 ** width, at % (out.length - width + 1), width);
      return out;
    }
  }
}

const EDGES = [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const INPUT_BYTES_MAX = 65_536;
