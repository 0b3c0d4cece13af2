import { assert } from '../../std/index.ts';
import { formatFrame, parseFrame } from './frame.ts';

/** A frame is what `formatFrame` makes, and ends within the bytes. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  for (let at = 0; at <= bytes.length; ) {
    const frame = parseFrame(bytes, at);
    if (frame.kind !== 'frame') return;
    assert(frame.end > at && frame.end <= bytes.length, 'a frame ends within the bytes');
    assert(
      formatFrame(frame.payload, frame.unsynced).equals(bytes.subarray(at, frame.end)),
      'a frame has one spelling',
    );
    at = frame.end;
  }
}

const two = Buffer.concat([formatFrame(Buffer.from('first'), 0), formatFrame(Buffer.from('second'), 7)]);
export const seeds: readonly Uint8Array[] = [
  two,
  Buffer.concat([two, Buffer.alloc(40)]),
  two.subarray(0, two.length - 3),
  Buffer.alloc(12),
  Buffer.from('00000000ffffffff0000000000', 'hex'),
];
