import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createClientOpening, type OpeningState } from './index.ts';

function frame(type: number, flags: number, payload: Buffer = Buffer.alloc(0), stream = 0): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const SETTINGS = frame(4, 0, Buffer.from('000300000064', 'hex'));
const ANSWER = frame(4, 1);
const WINDOW = frame(8, 0, Buffer.from('000f0000', 'hex'));
const CALL = frame(1, 4, Buffer.from([0x83]), 1);
const DATA = frame(0, 1, Buffer.from('hello'), 1);

/** Pushes each part; says that settings were sent as soon as the client may be waiting for them, if told to. */
function read(parts: readonly Buffer[], greets = true) {
  const opening = createClientOpening();
  const states: OpeningState[] = [];
  let greeted = false;
  for (const part of parts) {
    const state = opening.push(part);
    states.push(state);
    if (state === 'between' && greets && !greeted) {
      greeted = true;
      opening.greeted();
    }
    if (state === 'complete' || state === 'refused') break;
  }
  return { states, opening };
}

describe('createClientOpening', () => {
  it('is complete with the headers of the first call, whatever follows them', () => {
    const { states, opening } = read([Buffer.concat([PREFACE, SETTINGS, WINDOW, CALL, DATA])]);
    expect(states).toEqual(['complete']);
    expect(opening.called).toBe(true);
    expect(opening.bytes()).toEqual(Buffer.concat([PREFACE, SETTINGS, WINDOW, CALL, DATA]));
  });

  it('tells a client that may wait for the server from one that is in the middle of a frame', () => {
    const { states } = read([PREFACE, SETTINGS.subarray(0, 10), SETTINGS.subarray(10), WINDOW, CALL.subarray(0, 9)]);
    expect(states).toEqual(['partial', 'partial', 'between', 'between', 'partial']);
  });

  it('takes the answer to the settings out, before the first call or behind it, and no other', () => {
    const before = read([Buffer.concat([PREFACE, SETTINGS]), Buffer.concat([ANSWER, CALL, ANSWER])]);
    expect(before.states).toEqual(['between', 'complete']);
    expect(before.opening.bytes()).toEqual(Buffer.concat([PREFACE, SETTINGS, CALL, ANSWER]));
    const behind = read([Buffer.concat([PREFACE, SETTINGS]), Buffer.concat([CALL, DATA]), ANSWER]);
    expect(behind.states).toEqual(['between', 'between', 'complete']);
    expect(behind.opening.bytes()).toEqual(Buffer.concat([PREFACE, SETTINGS, CALL, DATA]));
  });

  it('waits for all of a header block', () => {
    const head = frame(1, 0, Buffer.from([0x83]), 1);
    const { states } = read([Buffer.concat([PREFACE, SETTINGS, head]), frame(9, 4, Buffer.from([0x86]), 1)], false);
    expect(states).toEqual(['between', 'complete']);
  });

  it.each([
    ['no preface', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['no settings first', Buffer.concat([PREFACE, WINDOW])],
    ['half a setting', Buffer.concat([PREFACE, frame(4, 0, Buffer.alloc(3))])],
    ['settings twice', Buffer.concat([PREFACE, SETTINGS, SETTINGS])],
    ['an empty window update', Buffer.concat([PREFACE, SETTINGS, frame(8, 0, Buffer.alloc(4))])],
    ['a window that overflows', Buffer.concat([PREFACE, SETTINGS, frame(8, 0, Buffer.from('7fffffff', 'hex'))])],
    ['a ping', Buffer.concat([PREFACE, SETTINGS, frame(6, 0, Buffer.alloc(8))])],
    ['too large a frame', Buffer.concat([PREFACE, SETTINGS, frame(1, 4, Buffer.alloc(16_385)).subarray(0, 9)])],
    [
      'headers without end',
      Buffer.concat([PREFACE, SETTINGS, ...Array.from({ length: 17 }, () => frame(9, 0, Buffer.alloc(16_384)))]),
    ],
  ])('leaves %s to node:http2, unchanged', (_name, bytes) => {
    const { states, opening } = read([bytes]);
    expect(states).toEqual(['complete']);
    expect(opening.called).toBe(false);
    expect(opening.bytes()).toEqual(bytes);
  });

  it.each([
    ['too large a frame', [frame(1, 4, Buffer.alloc(16_385)).subarray(0, 9)]],
    ['more than is held', Array.from({ length: 17 }, () => frame(0, 0, Buffer.alloc(16_384), 1))],
  ])('refuses %s where the answer is still to come', (_name, parts) => {
    expect(read([Buffer.concat([PREFACE, SETTINGS]), ...parts]).states.at(-1)).toBe('refused');
  });

  it('comes to the same end however the bytes are cut', () => {
    const pieces = fc.constantFrom(SETTINGS, ANSWER, WINDOW, CALL, DATA, frame(6, 0, Buffer.alloc(8)), frame(1, 0));
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), fc.integer({ min: 1, max: 40 }), (frames, pieceBytes) => {
        const bytes = Buffer.concat([PREFACE, SETTINGS, ...frames, CALL]);
        const parts = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, n) =>
          bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes),
        );
        const { states, opening } = read(parts, false);
        expect(states.at(-1)).toBe('complete');
        expect(bytes.subarray(0, opening.heldBytes)).toEqual(opening.bytes());
        expect(opening.called).toBe(read([bytes], false).opening.called);
      }),
    );
  });
});
