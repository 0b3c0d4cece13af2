import type { FastRandom } from './fast-random.ts';

/** What inputs are made from. */
export interface Stock {
  /** Inputs to change; at least one. */
  readonly inputs: readonly Uint8Array[];
  /** Pieces that the format gives a meaning to: keywords, magic numbers, tags. May be empty. */
  readonly tokens: readonly Uint8Array[];
}

/** A changed copy of an input: a few edits of the kinds that break parsers. Repeatable for a seeded `random`. */
export function mutate({ inputs, tokens }: Stock, random: FastRandom): Buffer {
  let bytes: Buffer = Buffer.from(pick(inputs, random) ?? []);
  for (let edits = 1 + random.below(1 + random.below(8)); edits > 0; edits--) {
    const kinds = tokens.length > 0 ? EDITS_WITH_TOKENS : EDITS;
    const edit = kinds[random.below(kinds.length)] ?? flipBit;
    bytes = edit(bytes, { inputs, tokens }, random);
  }
  return bytes.length > INPUT_BYTES_MAX ? bytes.subarray(0, INPUT_BYTES_MAX) : bytes;
}

/** May change `bytes` in place: it is always a copy of its own. */
type Edit = (bytes: Buffer, stock: Stock, random: FastRandom) => Buffer;

const flipBit: Edit = (bytes, _stock, random) => {
  if (bytes.length === 0) return bytes;
  const at = random.below(bytes.length);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
  return bytes;
};

const anotherByte: Edit = (bytes, _stock, random) => {
  if (bytes.length > 0) bytes.writeUInt8(random.below(256), random.below(bytes.length));
  return bytes;
};

const nudgeByte: Edit = (bytes, _stock, random) => {
  if (bytes.length === 0) return bytes;
  const at = random.below(bytes.length);
  bytes.writeUInt8((bytes.readUInt8(at) + 249 + random.below(15)) & 0xff, at);
  return bytes;
};

const cutEnd: Edit = (bytes, _stock, random) => bytes.subarray(0, random.below(bytes.length + 1));

const takeOut: Edit = (bytes, _stock, random) => {
  const at = random.below(bytes.length + 1);
  return replace(bytes, at, { bytes: 1 + random.below(16), by: NOTHING });
};

const putIn: Edit = (bytes, _stock, random) => {
  const more = Buffer.alloc(1 + random.below(16), random.below(256));
  if (random.below(2) === 0) for (let i = 0; i < more.length; i++) more.writeUInt8(random.below(256), i);
  return replace(bytes, random.below(bytes.length + 1), { bytes: 0, by: more });
};

const repeat: Edit = (bytes, _stock, random) => {
  const at = random.below(bytes.length + 1);
  const piece = Buffer.from(bytes.subarray(at, at + 1 + random.below(64)));
  // Now and then very often: what nests or adds up shows itself only in numbers.
  const times = random.below(64) === 0 ? 1 + random.below(200) : 1;
  return replace(bytes, at, { bytes: 0, by: times === 1 ? piece : Buffer.concat(Array(times).fill(piece)) });
};

const move: Edit = (bytes, _stock, random) => {
  const at = random.below(bytes.length + 1);
  const piece = Buffer.from(bytes.subarray(at, at + 1 + random.below(32)));
  const rest = replace(bytes, at, { bytes: piece.length, by: NOTHING });
  return replace(rest, random.below(rest.length + 1), { bytes: 0, by: piece });
};

const goOnAsAnother: Edit = (bytes, { inputs }, random) => {
  const other = pick(inputs, random) ?? NOTHING;
  const from = random.below(other.length + 1);
  return replace(bytes, random.below(bytes.length + 1), { bytes: bytes.length, by: other.subarray(from) });
};

const pieceOfAnother: Edit = (bytes, { inputs }, random) => {
  const other = pick(inputs, random) ?? NOTHING;
  const from = random.below(other.length + 1);
  const by = other.subarray(from, from + 1 + random.below(64));
  return replace(bytes, random.below(bytes.length + 1), { bytes: random.below(2) * by.length, by });
};

/** A number at its edge. */
const edgeNumber: Edit = (bytes, _stock, random) => {
  const width = pick(WIDTHS, random) ?? 1;
  if (bytes.length < width) return bytes;
  const value = (pick(EDGES, random) ?? 0) % 256 ** width;
  bytes.writeUIntBE(value, random.below(bytes.length - width + 1), width);
  return bytes;
};

/** A length that is, or nearly is, that of what follows: random bytes are rarely that, and parsers go on only then. */
const honestLength: Edit = (bytes, _stock, random) => {
  const width = pick(WIDTHS, random) ?? 1;
  if (bytes.length < width) return bytes;
  const at = random.below(bytes.length - width + 1);
  const follows = random.below(bytes.length - at - width + 1);
  const whole = random.below(2) === 0 ? bytes.length - at - width : follows;
  const value = whole + (random.below(2) === 0 ? 0 : (pick(NEAR, random) ?? 0));
  bytes.writeUIntBE(Math.max(0, value) % 256 ** width, at, width);
  return bytes;
};

const digits: Edit = (bytes, _stock, random) => {
  const by = Buffer.from(pick(NUMBER_TEXTS, random) ?? '0');
  return replace(bytes, random.below(bytes.length + 1), { bytes: random.below(3), by });
};

const token: Edit = (bytes, { tokens }, random) => {
  const by = pick(tokens, random) ?? NOTHING;
  return replace(bytes, random.below(bytes.length + 1), { bytes: random.below(2) * by.length, by });
};

function replace(bytes: Buffer, at: number, what: { bytes: number; by: Uint8Array }): Buffer {
  const after = Math.min(bytes.length, at + what.bytes);
  const out = Buffer.allocUnsafe(at + what.by.length + bytes.length - after);
  bytes.copy(out, 0, 0, at);
  out.set(what.by, at);
  bytes.copy(out, at + what.by.length, after);
  return out;
}

function pick<T>(list: readonly T[], random: FastRandom): T | undefined {
  return list[random.below(list.length)];
}

const EDITS: readonly Edit[] = [
  ...[flipBit, anotherByte, nudgeByte, cutEnd, takeOut, putIn, repeat, move],
  ...[goOnAsAnother, pieceOfAnother, edgeNumber, honestLength, digits],
];
const EDITS_WITH_TOKENS: readonly Edit[] = [...EDITS, token, token, token, token];
const NOTHING = new Uint8Array(0);
const WIDTHS = [1, 2, 3, 4];
const NEAR = [-4, -2, -1, 1, 2, 4];
const EDGES = [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const NUMBER_TEXTS = ['0', '-1', '-0', '1e9', '2147483648', '9007199254740993', '18446744073709551616', '0x10', 'NaN'];
const INPUT_BYTES_MAX = 65_536;
