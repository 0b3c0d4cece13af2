import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEY_USAGES, parseKeyUsage } from '../certificates/extensions.ts';
import { contextTag, DerReader, readWhole, TAG } from './reader.ts';
import { formatTime, isTimeAsProfiled, parseTime } from './time.ts';
import {
  encodeElement,
  encodeInteger,
  encodeNamedBits,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from './writer.ts';

const DER = expect.objectContaining({ code: 'ERR_DER' });

describe('a DER element', () => {
  it('comes back as it was written, at every length up to 70,000', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(300), fc.nat(70_000)), (length) => {
        const content = Buffer.alloc(length, 0x5a);
        const element = encodeElement(TAG.octetString, content);
        const reader = new DerReader(element);
        expect(reader.content(TAG.octetString).equals(content)).toBe(true);
        reader.finish();
      }),
    );
  });

  it.each([
    ['an indefinite length', '3080020101' + '0000'],
    ['a long form that fits the short one', '308103020101'],
    ['a length with a leading zero byte', '30820003020101'],
    ['a length longer than what follows', '3004020101'],
    ['a length of five bytes', '30850000000001020101'],
    ['a multi-byte tag', '3f8101' + '03020101'],
    ['a cut off header', '30'],
    ['trailing bytes', '300302010100'],
    ['another tag', '3103020101'],
  ])('is refused with %s', (_, hex) => {
    expect(() => readWhole(Buffer.from(hex, 'hex'), TAG.sequence)).toThrow(DER);
  });

  it('is refused beyond sixteen levels, and beyond the size limit', () => {
    const nest = (levels: number) => {
      let element = encodeSequence();
      for (let level = 1; level < levels; level++) element = encodeSequence(element);
      let reader = new DerReader(element);
      while (!reader.done) reader = reader.enter(TAG.sequence);
    };
    expect(() => nest(16)).not.toThrow();
    expect(() => nest(17)).toThrow(DER);
    expect(() => readWhole(encodeSequence(Buffer.alloc(65_536)), TAG.sequence)).toThrow(DER);
  });

  it('cannot reach beyond the element that holds it', () => {
    // The inner element says three bytes, its outer one ends after two.
    const reader = new DerReader(Buffer.from('3004040302010101', 'hex')).enter(TAG.sequence);
    expect(() => reader.content(TAG.octetString)).toThrow(DER);
  });
});

describe('an INTEGER', () => {
  it('round trips small numbers, and any unsigned bytes by value', () => {
    fc.assert(fc.property(fc.nat(), (value) => void expect(new DerReader(encodeInteger(value)).integer()).toBe(value)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 30 }), (bytes) => {
        const read = new DerReader(encodeUnsigned(bytes)).integerBytes();
        expect(BigInt(`0x${read.toString('hex')}`)).toBe(BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
        expect(read[0] ?? 0xff).toBeLessThan(0x80);
      }),
    );
  });

  it.each(['0200', '02020001', '0202ff80', '020180', '02050100000000'])('is refused as %s', (hex) => {
    expect(() => new DerReader(Buffer.from(hex, 'hex')).integer()).toThrow(DER);
  });
});

describe('an OBJECT IDENTIFIER', () => {
  it('round trips', () => {
    const arbitrary = fc.tuple(fc.constantFrom(0, 1, 2), fc.nat(39), fc.array(fc.nat(), { maxLength: 8 }));
    fc.assert(
      fc.property(arbitrary, ([top, second, rest]) => {
        const dotted = [top, second, ...rest].join('.');
        expect(new DerReader(encodeOid(dotted)).oid()).toBe(dotted);
      }),
    );
  });

  it.each(['0600', '06028001', '06022a80', `0609${'ff'.repeat(8)}7f`])('is refused as %s', (hex) => {
    expect(() => new DerReader(Buffer.from(hex, 'hex')).oid()).toThrow(DER);
  });

  it.each(['', '1', '3.1', '1.40', '1.2.x', '1.-2'])('is not written from %j', (dotted) => {
    expect(() => encodeOid(dotted)).toThrow(DER);
  });
});

describe('named bits', () => {
  it('round trip every set of key usages', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(8), { minLength: 1 }), (bits) => {
        const usages = parseKeyUsage(encodeNamedBits(bits));
        expect([...usages].sort()).toEqual(bits.map((bit) => KEY_USAGES[bit] ?? '').sort());
      }),
    );
  });

  it.each(['030100', '03020000', '03020780c0', '03020681', '03020880', '030400ffffff'])('are refused as %s', (hex) => {
    expect(() => parseKeyUsage(Buffer.from(hex, 'hex'))).toThrow();
  });
});

describe('a time', () => {
  it('is what the platform says of the same second, and comes back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (epochS) => {
        const text = formatTime(epochS);
        const iso = `${epochS < 2_524_608_000 ? (epochS < 946_684_800 ? '19' : '20') : ''}${text}`;
        const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(iso) ?? [];
        expect(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)).toBe(epochS * 1000);
        const element = encodeTime(epochS);
        expect(parseTime(element[0] ?? 0, element.subarray(2))).toBe(epochS);
      }),
    );
  });

  it.each([
    [TAG.utcTime, '2601010000Z'],
    [TAG.utcTime, '260101000000+0000'],
    [TAG.utcTime, '261301000000Z'],
    [TAG.utcTime, '260229000000Z'],
    [TAG.utcTime, '260101240000Z'],
    [TAG.utcTime, '260101000060Z'],
    [TAG.generalizedTime, '20500101000000.5Z'],
    [TAG.printableString, '260101000000Z'],
  ])('with tag %i is refused as %s', (tag, text) => {
    expect(() => parseTime(tag, Buffer.from(text))).toThrow(expect.objectContaining({ code: 'ERR_CERTIFICATE' }));
  });

  it('before 2050 is for UTCTime to say, by the profile for those who make certificates', () => {
    const asProfiled = (tag: number, text: string) => isTimeAsProfiled(tag, parseTime(tag, Buffer.from(text)));
    expect(asProfiled(TAG.utcTime, '491231235959Z')).toBe(true);
    expect(asProfiled(TAG.generalizedTime, '20491231235959Z')).toBe(false);
    expect(asProfiled(TAG.generalizedTime, '20500101000000Z')).toBe(true);
  });

  it('knows leap years', () => {
    for (const [text, valid] of [
      ['240229000000Z', true],
      ['20000229000000Z', true],
      ['21000229000000Z', false],
      ['24000229000000Z', true],
    ] as const) {
      const tag = text.length === 13 ? TAG.utcTime : TAG.generalizedTime;
      const read = () => parseTime(tag, Buffer.from(text));
      if (valid) expect(read()).toBeGreaterThan(0);
      else expect(read).toThrow();
    }
  });

  it('is not written before 1970 or after 9999', () => {
    for (const epochS of [-1, 253_402_300_800, 0.5, Number.NaN]) {
      expect(() => formatTime(epochS)).toThrow(expect.objectContaining({ code: 'ERR_CERTIFICATE_WRITE' }));
    }
  });
});

it('makes context tags', () => {
  expect([contextTag(0, true), contextTag(6, false)]).toEqual([0xa0, 0x86]);
});
