import { createClientOpening } from './index.ts';

/** What a local client begins with: nothing is lost or changed but the one answer, and little is held. */
export function fuzz(input: Uint8Array): void {
  const opening = createClientOpening();
  const pieceBytes = 1 + ((input[0] ?? 0) % 37);
  let greeted = false;
  let pushed = 0;
  for (let at = 1; at < input.length; at += pieceBytes) {
    const piece = Buffer.from(input.subarray(at, at + pieceBytes));
    const state = opening.push(piece);
    pushed += piece.length;
    const missing = pushed - opening.heldBytes;
    if (!greeted && missing !== 0) throw new Error('bytes are missing');
    if (missing > 0 && input.indexOf(0x04, 1) < 0) throw new Error('something was taken out that is no settings frame');
    if (state === 'complete' || state === 'refused') return;
    if (state === 'between' && !greeted) {
      greeted = true;
      opening.greeted();
    }
  }
}

/** One byte for the size of the pieces; then preface, settings, their answer, and a call. */
export const seeds: readonly Uint8Array[] = [
  '24505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000000000040100000000000001010400000001' + '83',
  '05505249202a20485454502f322e300d0a0d0a534d0d0a0d0a0000060400000000000003000000640000040800000000000000ffff',
].map((hex) => Buffer.from(hex, 'hex'));

/** Frame heads. */
export const tokens = ['000000040000000000', '000000040100000000', '000001010400000001', '000004080000000000'].map(
  (hex) => Buffer.from(hex, 'hex'),
);
