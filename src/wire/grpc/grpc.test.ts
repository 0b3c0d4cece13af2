import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzz, seeds } from './frame.fuzz.ts';
import {
  Code,
  checkMetadata,
  codeName,
  createDeframer,
  decodeBase64,
  decodeStatusDetails,
  decodeStatusMessage,
  encodeBase64,
  encodeFrame,
  encodeStatusDetails,
  encodeStatusMessage,
  type errorTable,
  formatTimeout,
  GrpcWireError,
  isGrpcContentType,
  parseCode,
  parseMetadata,
  parseTimeoutMs,
} from './index.ts';

describe('frames', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(encodeFrame));
        const deframer = createDeframer(200);
        const received: Uint8Array[] = [];
        for (let start = 0, i = 0; start < bytes.length; i++) {
          const end = start + (cuts[i % cuts.length] ?? 1);
          received.push(...deframer.push(bytes.subarray(start, end)));
          start = end;
        }
        deframer.end();
        expect(received.map((one) => [...one])).toEqual(sent.map((one) => [...one]));
      }),
    );
  });

  it('may be as large as the limit and not a byte larger', () => {
    expect(createDeframer(10).push(encodeFrame(Buffer.alloc(10)))).toHaveLength(1);
    expect(() => createDeframer(10).push(encodeFrame(Buffer.alloc(11)))).toThrow(/11 bytes, at most 10/);
  });

  it('that are too large are refused on their length alone', () => {
    const prefix = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);
    expect(codeOf(() => createDeframer(1024).push(prefix))).toBe('ERR_GRPC_FRAME_SIZE');
  });

  it('cost no more memory than what has arrived of them', () => {
    const deframer = createDeframer(4 * 1024 * 1024);
    deframer.push(Buffer.from([0, 0, 0x3f, 0xff, 0xff, 1]));
    expect(deframer.pendingBytes).toBe(6);
  });

  it('that are compressed, or cut off, are refused', () => {
    expect(codeOf(() => createDeframer(9).push(Buffer.from([1, 0, 0, 0, 0])))).toBe('ERR_GRPC_FRAME_COMPRESSED');
    for (const part of [[0], [0, 0, 0, 0, 2], [0, 0, 0, 0, 2, 1]]) {
      const deframer = createDeframer(9);
      expect(deframer.push(Buffer.from(part))).toEqual([]);
      expect(codeOf(() => deframer.end())).toBe('ERR_GRPC_FRAME_TRUNCATED');
    }
  });
});

describe('timeouts', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['1u', 1],
    ['1001u', 2],
    ['99999999n', 100],
    ['0m', 0],
    ['99999999H', 359_999_996_400_000],
  ])('%s are %d ms, never too early', (text, timeoutMs) => {
    expect(parseTimeoutMs(text)).toBe(timeoutMs);
  });

  it.each([
    '',
    '1',
    'S',
    '100000000S',
    '-1S',
    '1.5S',
    '1s',
    ' 1S',
    '1S ',
    '1SS',
    '0x1S',
    '１S',
  ])('%j is none', (text) => {
    expect(codeOf(() => parseTimeoutMs(text))).toBe('ERR_GRPC_TIMEOUT');
  });

  it('are written so that they are read back no shorter, and nearly as long', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * 10 ** 14 }), (timeoutMs) => {
        const text = formatTimeout(timeoutMs);
        expect(text).toMatch(/^[0-9]{1,8}[HMSmun]$/);
        const back = parseTimeoutMs(text);
        expect(back).toBeGreaterThanOrEqual(timeoutMs);
        expect(back - timeoutMs).toBeLessThanOrEqual(Math.max(1, timeoutMs / 1000));
      }),
    );
    expect(formatTimeout(10 ** 16)).toBe('99999999H');
  });
});

describe('status messages', () => {
  it('survive in any script', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (message) => {
        const text = encodeStatusMessage(message);
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeStatusMessage(text)).toBe(message);
      }),
    );
  });

  it('are cut at a character when they are too long for a header', () => {
    const cut = decodeStatusMessage(encodeStatusMessage('€'.repeat(1000)));
    expect(cut).toBe('€'.repeat(682));
  });

  it('are read even when they are malformed', () => {
    expect(decodeStatusMessage('100% %zz %e2%82%ac %')).toBe('100% %zz € %');
  });
});

describe('status details', () => {
  const details = [{ typeName: 'spire.api.types.PermissionDeniedDetails', value: Buffer.from([8, 4]) }];

  it('come back as they were, with and without padding', () => {
    const text = encodeStatusDetails(Code.PERMISSION_DENIED, 'no', details);
    expect(text).not.toContain('=');
    const padded = text.padEnd(Math.ceil(text.length / 4) * 4, '=');
    for (const one of [text, padded]) {
      const [detail] = decodeStatusDetails(Code.PERMISSION_DENIED, one);
      expect(detail?.typeName).toBe(details[0]?.typeName);
      expect([...(detail?.value ?? [])]).toEqual([8, 4]);
    }
  });

  it('that are no base64, no status, of another code, or huge, are refused', () => {
    const other = encodeStatusDetails(Code.NOT_FOUND, '', details);
    for (const text of ['!', 'A', encodeBase64(Buffer.from([255])), other, 'A'.repeat(70_000)]) {
      expect(codeOf(() => decodeStatusDetails(Code.PERMISSION_DENIED, text))).toBe('ERR_GRPC_STATUS');
    }
  });

  it('are base64 as Node knows it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const padded = Buffer.from(bytes).toString('base64');
        expect(decodeBase64(padded)?.equals(bytes)).toBe(true);
        expect(decodeBase64(encodeBase64(bytes))?.equals(bytes)).toBe(true);
      }),
    );
    for (const text of ['A', 'AAAAA', 'A===', 'AA-_', 'AA A', 'AA=A']) expect(decodeBase64(text)).toBeUndefined();
  });
});

describe('metadata', () => {
  it('keep every value of a name, in order, and nothing of the transport', () => {
    const headers = [':path', '/a/B', 'te', 'trailers', 'grpc-timeout', '1S', 'a', '1', 'b-bin', 'AA, BB', 'a', '2'];
    expect([...parseMetadata(headers)]).toEqual([
      ['a', ['1', '2']],
      ['b-bin', ['AA', 'BB']],
    ]);
  });

  it('hold only what gRPC allows', () => {
    checkMetadata('a-z_0.9', ' ~');
    for (const [name, value] of [
      ['A', 'x'],
      ['', 'x'],
      ['a b', 'x'],
      ['a', 'é'],
      ['a', 'x\ty'],
    ] as const) {
      expect(codeOf(() => checkMetadata(name, value))).toBe('ERR_GRPC_METADATA');
    }
  });

  it('never show up in an error', () => {
    expect(() => checkMetadata('authorization', 'secret\n')).toThrow(/^(?!.*secret)/);
  });
});

describe('codes and content types', () => {
  it('are those of grpc-js', () => {
    for (const [name, code] of Object.entries(Code)) {
      expect(grpc.status[name as keyof typeof Code]).toBe(code);
      expect(codeName(code)).toBe(name);
      expect(parseCode(code)).toBe(code);
    }
    for (const unknown of [-1, 17, 1.5, Number.NaN]) expect(parseCode(unknown)).toBe(Code.UNKNOWN);
  });

  it('are only those of gRPC with protocol buffers', () => {
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc; a=b']) {
      expect(isGrpcContentType(type)).toBe(true);
    }
    for (const type of [
      undefined,
      '',
      'application/json',
      'application/grpc-web',
      'application/grpc+json',
      'x/application/grpc',
    ]) {
      expect(isGrpcContentType(type)).toBe(false);
    }
  });
});

describe('the fuzz target', () => {
  it('holds on its seeds and on random bytes', () => {
    for (const seed of seeds) fuzz(seed);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => fuzz(bytes)));
  });
});

function codeOf(work: () => void): keyof typeof errorTable | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof GrpcWireError) return error.code;
    throw error;
  }
  return undefined;
}
