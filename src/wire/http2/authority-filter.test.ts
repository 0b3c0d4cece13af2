import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAuthorityFilter } from './index.ts';

const PATH = '/run/countersign/agent.sock';
const MENDED = '-run-countersign-agent.sock';

function passed(bytes: Buffer, pieceBytes = bytes.length): Buffer {
  const copy = Buffer.from(bytes);
  const filter = createAuthorityFilter();
  for (let at = 0; at < copy.length; at += pieceBytes) filter.pass(copy.subarray(at, at + pieceBytes));
  return copy;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(1, 5);
  return Buffer.concat([head, payload]);
}

/** A string that is not in Huffman's code. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length =
    bytes.length < 127 ? [bytes.length] : [127, ((bytes.length - 127) & 0x7f) | 0x80, (bytes.length - 127) >> 7];
  return Buffer.concat([Buffer.from(length), bytes]);
}

const METHOD = Buffer.from([0x83]);
const SIZE_UPDATE = Buffer.from([0x3f, 0xe1, 0x1f]);
const PATH_FIELD = Buffer.concat([Buffer.from([0x44]), text('/SpiffeWorkloadAPI/FetchX509SVID')]);
const authority = (value: string, first = 0x41) => Buffer.concat([Buffer.from([first]), text(value)]);
const block = (value: string, first?: number) =>
  Buffer.concat([SIZE_UPDATE, METHOD, PATH_FIELD, authority(value, first), PATH_FIELD]);
const connection = (...frames: Buffer[]) =>
  Buffer.concat([PREFACE, frame(4, 0, Buffer.alloc(12, 0x2f)), ...frames, frame(0, 1, Buffer.from('a/b/c'))]);

describe('createAuthorityFilter', () => {
  it.each([
    ['remembered', 0x41],
    ['not remembered', 0x01],
    ['never to be remembered', 0x11],
  ])('turns the slashes of an authority that is %s into dashes, and of nothing else', (_, first) => {
    const bytes = connection(frame(1, 4, block(PATH, first)));
    expect(passed(bytes)).toEqual(connection(frame(1, 4, block(MENDED, first))));
  });

  it('does so when the name is written out', () => {
    const named = (value: string) => Buffer.concat([Buffer.from([0x40]), text(':authority'), text(value)]);
    const other = Buffer.concat([Buffer.from([0x40]), text(':authoritx'), text('a/b')]);
    const bytes = (value: string) => connection(frame(1, 4, Buffer.concat([other, named(value), other])));
    expect(passed(bytes(PATH))).toEqual(bytes(MENDED));
  });

  it('does so on every stream, behind padding and priority, and over continuations', () => {
    const bytes = (value: string) => {
      const whole = block(value);
      const dressed = Buffer.concat([Buffer.from([7]), Buffer.alloc(5, 0x41), whole, Buffer.alloc(7, 0x2f)]);
      const cuts = [0, 1, 20, whole.length - 40, whole.length].map((end, n, all) =>
        whole.subarray(all[n - 1] ?? 0, end),
      );
      return connection(
        frame(1, 4 | 8 | 0x20, dressed),
        frame(1, 1, cuts[1] ?? Buffer.alloc(0)),
        ...cuts.slice(2).map((cut, n) => frame(9, n === 2 ? 4 : 0, cut)),
        frame(1, 4, block(value)),
      );
    };
    expect(passed(bytes(PATH))).toEqual(bytes(MENDED));
  });

  it('leaves alone what is in Huffman code', () => {
    const coded = Buffer.concat([Buffer.from([0x41, 0x80 | 3]), Buffer.from('/a/')]);
    const bytes = connection(frame(1, 4, coded));
    expect(passed(bytes)).toEqual(bytes);
  });

  it.each([[126], [127], [128], [300]])('reads lengths on either side of one byte (%i)', (length) => {
    const bytes = (value: string) => connection(frame(1, 4, block(value)));
    expect(passed(bytes('/'.repeat(length)))).toEqual(bytes('-'.repeat(length)));
  });

  it('recovers at the next block after one that makes no sense', () => {
    const lost = Buffer.concat([Buffer.from([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), authority('/lost/')]);
    const bytes = (value: string) => connection(frame(1, 4, lost), frame(1, 4, block(value)));
    expect(passed(bytes(PATH))).toEqual(bytes(MENDED));
  });

  it('gives the same however the bytes are cut, and turns slashes into dashes at most', () => {
    const pieces = fc.oneof(
      fc.constantFrom(
        frame(1, 4, block(PATH)),
        frame(1, 0, block(PATH)),
        frame(9, 4, block(PATH)),
        frame(1, 0xff, block(PATH)),
      ),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 6 }), fc.integer({ min: 1, max: 40 }), (parts, pieceBytes) => {
        const bytes = Buffer.concat([PREFACE, ...parts]);
        const once = passed(bytes);
        expect(passed(bytes, pieceBytes)).toEqual(once);
        const differing = [...once].flatMap((byte, at) => (byte === bytes[at] ? [] : [[bytes[at], byte]]));
        expect(differing.every(([was, is]) => was === 0x2f && is === 0x2d)).toBe(true);
      }),
    );
  });
});
