import { describe, expect, it } from 'vitest';
import { createClientFrames } from './index.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const END_STREAM = 1;
const END_HEADERS = 4;
const [DATA, HEADERS, RESET, PING, WINDOW, CONTINUATION] = [0, 1, 3, 6, 8, 9];

function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Three fields: one of the table alone, one with a name of the table, one of its own; a change of the table’s size before them. */
const FIELDS = Buffer.from([0x3f, 0xe1, 0x1f, 0x83, 0x44, 2, 0x2f, 0x61, 0x00, 1, 0x78, 1, 0x79]);
const open = (stream: number, flags = END_HEADERS | END_STREAM) => frame(HEADERS, flags, stream, FIELDS);
const many = (times: number, one: Buffer) => Buffer.concat(Array.from({ length: times }, () => one));

function passed(...frames: readonly Buffer[]) {
  const follower = createClientFrames();
  const flood = follower.pass(Buffer.concat([PREFACE, ...frames]), 0, 0);
  return { follower, flood };
}

describe('a stream', () => {
  it('has as many fields as were sent, whoever drops some', () => {
    expect(passed(open(1)).follower.take(1)).toEqual({ fields: 3, hasEnded: true, isReset: false });
  });

  it('has those of its continuations, wherever they are cut, and not those behind its body', () => {
    const { follower } = passed(
      frame(HEADERS, 0, 1, FIELDS.subarray(0, 6)),
      frame(CONTINUATION, 0, 1, FIELDS.subarray(6, 10)),
      frame(CONTINUATION, END_HEADERS, 1, FIELDS.subarray(10)),
      open(1),
    );
    expect(follower.take(1)).toMatchObject({ fields: 3 });
  });

  it('has those between its priority and its padding', () => {
    const payload = Buffer.concat([Buffer.from([2]), Buffer.alloc(5), FIELDS, Buffer.alloc(2)]);
    expect(passed(frame(HEADERS, 0x2c, 1, payload)).follower.take(1)).toMatchObject({ fields: 3 });
  });

  it('has ended once the last byte of its last frame is there, and not before', () => {
    const { follower } = passed(open(1, END_HEADERS));
    const stream = follower.take(1);
    const last = frame(DATA, END_STREAM, 1, Buffer.from('abc'));
    follower.pass(last.subarray(0, -1), 0, 0);
    expect(stream).toMatchObject({ hasEnded: false });
    follower.pass(last.subarray(-1), 0, 0);
    expect(stream).toMatchObject({ hasEnded: true });
  });

  it('is known to be taken back before anybody hears of it', () => {
    expect(passed(open(1), frame(RESET, 0, 1, Buffer.alloc(4))).follower.take(1)).toMatchObject({ isReset: true });
  });

  it('is forgotten when one behind it is asked about', () => {
    const { follower } = passed(open(1), open(3));
    expect(follower.take(3)).toBeDefined();
    expect(follower.take(1)).toBeUndefined();
  });
});

describe('too much', () => {
  const reset = (at: number) => Buffer.concat([open(at * 2 + 1), frame(RESET, 0, at * 2 + 1, Buffer.alloc(4))]);
  const resets = (from: number, times: number) =>
    Buffer.concat(Array.from({ length: times }, (_, at) => reset(from + at)));

  it('is more than 200 streams that are taken back at once, or 20 a second', () => {
    expect(passed(resets(0, 200)).flood).toBeUndefined();
    expect(passed(resets(0, 201)).flood).toBe('resets');
    const { follower } = passed(resets(0, 200));
    expect(follower.pass(resets(200, 20), 1_000, 0)).toBeUndefined();
    expect(follower.pass(resets(220, 1), 1_000, 0)).toBe('resets');
  });

  it('is more than 1,000 streams that nobody was told of', () => {
    const opens = (times: number) => Buffer.concat(Array.from({ length: times }, (_, at) => open(at * 2 + 1)));
    expect(passed(opens(1_000)).flood).toBeUndefined();
    expect(passed(opens(1_001)).flood).toBe('streams');
  });

  it('is more than 5,000 frames that belong to no request, but for windows of what was sent', () => {
    const ping = frame(PING, 0, 0, Buffer.alloc(8));
    expect(passed(many(5_000, ping)).flood).toBeUndefined();
    expect(passed(many(5_001, ping)).flood).toBe('control');
    const { follower } = passed(many(5_000, ping));
    expect(follower.pass(many(1_000, frame(WINDOW, 0, 0, Buffer.alloc(4))), 0, 1_024_000)).toBeUndefined();
  });

  it('is a head of more than 64 KiB, or of more than 32 frames', () => {
    const begun = frame(HEADERS, 0, 1, FIELDS);
    const rest = (bytes: number) => frame(CONTINUATION, 0, 1, Buffer.alloc(bytes));
    expect(passed(begun, many(4, rest(16_000))).flood).toBeUndefined();
    expect(passed(begun, many(5, rest(16_000))).flood).toBe('headers');
    expect(passed(begun, many(31, rest(0))).flood).toBeUndefined();
    expect(passed(begun, many(32, rest(0))).flood).toBe('headers');
  });

  it('stays too much', () => {
    const { follower } = passed(many(6_000, frame(PING, 0, 0, Buffer.alloc(8))));
    expect(follower.pass(open(1), 1e9, 0)).toBe('control');
  });
});
