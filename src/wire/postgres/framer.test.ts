import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Framer, PostgresWireError } from './index.ts';
import { encodeMessage } from './writer.ts';

const message = fc
  .record({ type: fc.constantFrom('D', 'T', 'C', 'Q'), body: fc.uint8Array({ maxLength: 40 }) })
  .map(({ type, body }) => encodeMessage(type, Buffer.from(body)));

function collect(framer: Framer, out: Buffer[]): void {
  while (framer.next()) out.push(Buffer.from(framer.buffer.subarray(framer.start, framer.end)));
}

describe('the framer cuts a stream into whole messages', () => {
  test('however the stream is split', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(400), { maxLength: 30 }), (messages, cuts) => {
        const stream = Buffer.concat(messages);
        const framer = new Framer({ messageBytesMax: 1000 });
        const out: Buffer[] = [];
        const bounds = [...cuts.map((cut) => Math.min(cut, stream.length)), 0, stream.length].toSorted((a, b) => a - b);
        for (let i = 1; i < bounds.length; i++) {
          framer.push(Buffer.from(stream.subarray(bounds[i - 1], bounds[i])));
          if (i % 3 !== 0) collect(framer, out); // Chunks may also queue up before they are walked.
        }
        collect(framer, out);
        expect(Buffer.concat(out).equals(stream)).toBe(true);
        expect(out.length).toBe(messages.length);
        expect(framer.bufferedBytes).toBe(0);
      }),
    );
  });

  test('at every single boundary of a stream of two messages', () => {
    const stream = Buffer.concat([encodeMessage('Q', 'select 1'), encodeMessage('S')]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const framer = new Framer({ messageBytesMax: 100 });
      const out: Buffer[] = [];
      for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
        framer.push(part);
        collect(framer, out);
      }
      expect(out.map((one) => one.length)).toEqual([14, 5]);
    }
  });

  test('shows a whole message in the chunk it came in, not a copy', () => {
    const chunk = encodeMessage('D', 'value');
    const framer = new Framer({ messageBytesMax: 100 });
    framer.push(chunk);
    expect(framer.next()).toBe(true);
    expect(framer.buffer).toBe(chunk);
  });
});

describe('the framer shows long messages of some types in pieces', () => {
  const long = 300_000;
  const framing = () => new Framer({ messageBytesMax: 1000, inPieces: (type) => type === 0x64 });

  test('wherever the stream is cut, they are the bytes that came, and what follows is read as ever', () => {
    const body = Buffer.from(Array.from({ length: long }, (_, i) => i & 0xff));
    const stream = Buffer.concat([encodeMessage('D', 'a'), encodeMessage('d', body), encodeMessage('d', 'b')]);
    for (const cuts of [[8], [9, 10], [11, 200_000], [12, 13], [100_000, 250_000], [stream.length - 7]]) {
      const framer = framing();
      const shown: { type: number; bytes: Buffer; first: boolean; last: boolean }[] = [];
      for (const [i, start] of [0, ...cuts].entries()) {
        framer.push(stream.subarray(start, cuts[i]));
        while (framer.next()) {
          const bytes = framer.buffer.subarray(framer.start, framer.end);
          shown.push({ type: framer.type, bytes, first: framer.isFirst, last: framer.isLast });
        }
        // Never more than a header is kept.
        expect(framer.bufferedBytes).toBeLessThan(7);
      }
      expect(Buffer.concat(shown.map(({ bytes }) => bytes)).equals(stream)).toBe(true);
      expect(shown.filter(({ first }) => first).map(({ type }) => type)).toEqual([0x44, 0x64, 0x64]);
      expect(shown.filter(({ last }) => last).map(({ type }) => type)).toEqual([0x44, 0x64, 0x64]);
    }
  });

  test('of any length, while others end the stream', () => {
    const framer = framing();
    const header = Buffer.from([0x64, 0x3f, 0xff, 0xff, 0xff]);
    framer.push(header);
    expect(framer.next()).toBe(true);
    expect([framer.isFirst, framer.isLast]).toEqual([true, false]);
    const other = framing();
    other.push(Buffer.from([0x44, 0x3f, 0xff, 0xff, 0xff]));
    expect(() => other.next()).toThrow(PostgresWireError);
  });
});

describe('the framer refuses what it could not hold', () => {
  test.each([
    [3, 'ERR_PG_LENGTH'],
    [-1, 'ERR_PG_LENGTH'],
    [0, 'ERR_PG_LENGTH'],
    [100, 'ERR_PG_TOO_LONG'],
    [0x7fffffff, 'ERR_PG_LENGTH'],
  ])('an announced length of %i', (length, code) => {
    const header = Buffer.from([0x44, 0, 0, 0, 0]);
    header.writeInt32BE(length, 1);
    for (const cut of [5, 3]) {
      const framer = new Framer({ messageBytesMax: 100 });
      framer.push(header.subarray(0, cut));
      if (cut === 3) expect(framer.next()).toBe(false);
      framer.push(header.subarray(cut));
      expect(() => framer.next()).toThrow(expect.objectContaining({ code }));
    }
  });

  test('but takes a message of exactly the limit', () => {
    const framer = new Framer({ messageBytesMax: 100 });
    framer.push(encodeMessage('D', Buffer.alloc(95)));
    expect(framer.next()).toBe(true);
  });

  test('an oversize message of a type that may be dropped comes out without its body, and the stream goes on', () => {
    const stream = Buffer.concat([encodeMessage('Q', Buffer.alloc(500, 1)), encodeMessage('S')]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const framer = new Framer({ messageBytesMax: 1000, keptBytesMax: (type) => (type === 0x51 ? 100 : undefined) });
      const seen: [string, boolean, number][] = [];
      for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
        framer.push(part);
        while (framer.next()) seen.push([String.fromCharCode(framer.type), framer.oversize, framer.end - framer.start]);
        expect(framer.bufferedBytes).toBeLessThan(6);
      }
      expect(seen).toEqual([
        ['Q', true, 0],
        ['S', false, 5],
      ]);
    }
  });

  test('an announced length costs no memory until the bytes come', () => {
    const framer = new Framer({ messageBytesMax: 1 << 30 });
    const header = Buffer.from([0x44, 0, 0, 0, 0]);
    header.writeInt32BE((1 << 30) - 1, 1);
    const before = process.memoryUsage().arrayBuffers;
    framer.push(header);
    expect(framer.next()).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test('throws nothing but its own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const framer = new Framer({ messageBytesMax: 50 });
        framer.push(Buffer.from(bytes));
        try {
          while (framer.next()) expect(framer.end - framer.start).toBeGreaterThanOrEqual(5);
        } catch (error) {
          expect(error).toBeInstanceOf(PostgresWireError);
        }
      }),
    );
  });
});
