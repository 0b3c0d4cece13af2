import { createAuthorityFilter } from './index.ts';

/** What a local client sends: cut anywhere, the result is the same, and differs from the input by slashes turned into dashes at most. */
export function fuzz(input: Uint8Array): void {
  const whole = Buffer.from(input);
  createAuthorityFilter().pass(whole);
  const cut = Buffer.from(input);
  const filter = createAuthorityFilter();
  const pieceBytes = 1 + ((input[0] ?? 0) % 37);
  for (let at = 0; at < cut.length; at += pieceBytes) filter.pass(cut.subarray(at, at + pieceBytes));
  if (!cut.equals(whole)) throw new Error('the result depends on how the bytes are cut');
  whole.forEach((byte, at) => {
    if (byte !== input[at] && !(byte === 0x2d && input[at] === 0x2f))
      throw new Error('a byte was changed that is no slash');
  });
}

/** The first frames of a client: preface, settings, and one call with a path for its authority. */
export const seeds: readonly Uint8Array[] = [
  Buffer.from(
    '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000' +
      '00001301040000000183410d2f746d702f6361702e736f636b840000',
    'hex',
  ),
  Buffer.concat([Buffer.alloc(24), Buffer.from('00000901080000000102410422c2f2f610000', 'hex')]),
];

/** Frame heads and fields. */
export const tokens = [
  '000001010400000001',
  '000001090400000001',
  '00000001250000000f',
  '41',
  '01',
  '10',
  '7f80',
  '3fe11f',
  '0a3a617574686f72697479',
  '2f',
].map((hex) => Buffer.from(hex, 'hex'));
