import { createClientFrames, createServerFrames } from './index.ts';

/** What a client sends, or a server: cut anywhere, the same is known of it, and none of it is changed. */
export function fuzz(input: Uint8Array): void {
  follow(input, createClientFrames);
  follow(input, createServerFrames);
}

function follow(input: Uint8Array, create: typeof createClientFrames): void {
  const whole = Buffer.from(input);
  const cut = 1 + ((input[0] ?? 0) % 37);
  const [once, pieces] = [create(), create()];
  const first = once.pass(whole, 0, 0);
  let second: ReturnType<typeof once.pass>;
  for (let at = 0; at < input.length && second === undefined; at += cut)
    second = pieces.pass(whole.subarray(at, at + cut), 0, 0);
  if (!whole.equals(input)) throw new Error('bytes were changed');
  if (first !== second) throw new Error('what there is too much of depends on how the bytes are cut');
  for (const id of [1, 3, 5]) {
    const [one, other] = [once.take(id), pieces.take(id)];
    if (first === undefined && JSON.stringify(one) !== JSON.stringify(other))
      throw new Error('what is known of a stream depends on how the bytes are cut');
  }
}

/** The first frames of a client: preface, settings, a request, and its body in two frames. */
export const seeds: readonly Uint8Array[] = [
  Buffer.from(
    '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000' +
      '00001301040000000183410d2f746d702f6361702e736f636b840000',
    'hex',
  ),
  Buffer.concat([
    Buffer.alloc(24),
    Buffer.from('0000010104000000018300000300000000000161626300000000010000000001', 'hex'),
  ]),
];

/** Frame heads and fields. */
export const tokens = [
  '000001010400000001',
  '000001010500000003',
  '000001090400000001',
  '000000000100000001',
  '00000403000000000100000008',
  '00000001250000000f',
  ...['41', '01', '10', '7f80', '3fe11f', '83', '82'],
].map((hex) => Buffer.from(hex, 'hex'));
