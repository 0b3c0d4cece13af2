import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, formatFrame, parseFrame } from './index.ts';

describe('a frame', () => {
  const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 });

  it('is read back, one after another, up to the padding', () => {
    fc.assert(
      fc.property(payloads, fc.nat(40), (list, padding) => {
        const bytes = Buffer.concat([...list.map((payload, i) => formatFrame(payload, i)), Buffer.alloc(padding)]);
        let at = 0;
        for (const [i, payload] of list.entries()) {
          const frame = parseFrame(bytes, at);
          expect(frame).toMatchObject({ kind: 'frame', unsynced: i });
          if (frame.kind !== 'frame') return;
          expect(frame.payload.equals(payload)).toBe(true);
          at = frame.end;
        }
        expect(parseFrame(bytes, at)).toEqual({ kind: 'end' });
      }),
    );
  });

  it('begins with the CRC-32 of all that follows, as RFC 1952 §8 has it', () => {
    // Check value of the length, the unsynced count and `123456789`, worked out by Python's zlib.
    expect(formatFrame(Buffer.from('123456789'), 7).toString('hex', 0, 4)).toBe('a898380c');
  });

  it('is not read as whole when any one bit of it is wrong', () => {
    const bytes = formatFrame(Buffer.from('{"seq":1}'), 3);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const wrong = Buffer.from(bytes);
      wrong.writeUInt8(wrong.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(parseFrame(wrong, 0).kind).not.toBe('frame');
    }
  });

  it('is short, torn or absent when it is cut at any byte, never whole', () => {
    const bytes = formatFrame(Buffer.from('payload'), 0);
    for (let cut = 0; cut < bytes.length; cut++) {
      expect(parseFrame(bytes.subarray(0, cut), 0).kind).toBe(cut === 0 ? 'end' : 'short');
      const zeroed = Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(bytes.length - cut + 20)]);
      if (cut > 0) expect(parseFrame(zeroed, 0).kind).toBe('torn');
    }
  });

  it('tells how many bytes it needs', () => {
    const bytes = formatFrame(Buffer.alloc(100, 1), 0);
    expect(parseFrame(bytes.subarray(0, 5), 0)).toEqual({ kind: 'short', bytes: FRAME_HEADER_BYTES });
    expect(parseFrame(bytes.subarray(0, 50), 0)).toEqual({ kind: 'short', bytes: 112 });
  });

  it('has at most 1 MiB', () => {
    const largest = formatFrame(Buffer.alloc(FRAME_PAYLOAD_BYTES_MAX, 1), 0);
    expect(parseFrame(largest, 0).kind).toBe('frame');
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32BE(FRAME_PAYLOAD_BYTES_MAX + 1, 4);
    expect(parseFrame(header, 0)).toMatchObject({ kind: 'torn', reason: 'length 1048577 is over 1048576' });
  });
});
