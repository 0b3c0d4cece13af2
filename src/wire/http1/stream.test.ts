import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRequestReader, createResponseReader, Http1Error, type RequestReader } from './index.ts';
import { fuzz as fuzzRequests, seeds as requests } from './request.fuzz.ts';
import { fuzz as fuzzResponses, seeds as responses } from './response.fuzz.ts';
import { cut, drain, readRequests, readResponses } from './testing/read.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n';

function pushed(text: string): RequestReader {
  const reader = createRequestReader();
  reader.push(Buffer.from(text, 'latin1'));
  return reader;
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    return error.code;
  }
  return undefined;
}

describe('wherever the bytes are cut, what is read is the same', () => {
  it('at every place of every example, of requests and of responses', () => {
    for (const seed of requests) {
      const bytes = Buffer.from(seed);
      const whole = readRequests(bytes);
      for (let at = 0; at <= bytes.length; at++)
        expect(drain(createRequestReader(), [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
    }
    for (const seed of responses) fuzzResponses(seed);
  });

  it('in examples that were changed', () => {
    const changed = (seeds: readonly Uint8Array[]) =>
      fc
        .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 3 }))
        .map(([seed, edits]) => {
          const bytes = Uint8Array.from(seed);
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          return bytes;
        });
    fc.assert(fc.property(changed(requests), fuzzRequests), { numRuns: 2000 });
    fc.assert(fc.property(changed(responses), fuzzResponses), { numRuns: 2000 });
  });

  it('also when chunks queue up before they are read', () => {
    const bytes = Buffer.from(`${POST}hello${GET}`, 'latin1');
    const reader = createRequestReader();
    for (const piece of cut(bytes, 3)) reader.push(piece);
    expect(drain(reader, [])).toEqual(readRequests(bytes));
  });

  it('of a head that is too long as well, whatever is wrong in it', () => {
    for (const text of [
      `${GET.slice(0, -2)}X-A: ${'b'.repeat(300)}`,
      `G${'E'.repeat(300)}`,
      `GET /${'b'.repeat(300)}`,
      `GET / HTTP/1.1\r\nX A: b\r\nX-A: ${'b'.repeat(300)}`,
    ]) {
      const bytes = Buffer.from(`${text}\r\n\r\n`);
      const limits = { headBytesMax: 128, targetBytesMax: 64 };
      const whole = readRequests(bytes, limits);
      expect(whole.error).toBeDefined();
      for (const pieceBytes of [1, 2, 7, 64, 127, 128, 129])
        expect(drain(createRequestReader(limits), cut(bytes, pieceBytes))).toEqual(whole);
    }
  });
});

describe('limits', () => {
  const padded = (bytes: number) => `${GET.slice(0, -2)}X-A: ${'b'.repeat(bytes - GET.length - 7)}\r\n\r\n`;

  it.each([
    ['a head of 32 KiB', padded(32_768), undefined],
    ['a head of a byte more', padded(32_769), 431],
    ['a head that does not end', padded(40_000).slice(0, -4), 431],
    ['100 fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(99)}\r\n`, undefined],
    ['101 fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(100)}\r\n`, 431],
    ['a target of 16 KiB', `GET /${'b'.repeat(16_383)} HTTP/1.1\r\nHost: a\r\n\r\n`, undefined],
    ['a target of a byte more', `GET /${'b'.repeat(16_384)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a target that does not end', `GET /${'b'.repeat(40_000)}`, 414],
    ['a method that does not end', 'G'.repeat(40_000), 414],
    [
      'trailers of 8 KiB',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ${'b'.repeat(8_183)}\r\n\r\n`,
      undefined,
    ],
    [
      'trailers of a byte more',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ${'b'.repeat(8_184)}\r\n\r\n`,
      431,
    ],
    ['a status line that does not end', `HTTP/1.1 200 ${'O'.repeat(40_000)}`, 431],
  ])('%s', (_, bytes, status) => {
    expect((bytes.startsWith('HTTP') ? readResponses : (all: string) => readRequests(all))(bytes).status).toBe(status);
  });

  it('hold of a head no more than it may have', () => {
    const reader = createRequestReader();
    for (const piece of cut(Buffer.from(padded(32_768)), 1)) {
      reader.push(piece);
      expect(reader.bufferedBytes).toBeLessThanOrEqual(32_768);
      reader.next();
    }
    expect(reader.bufferedBytes).toBe(0);
  });

  it('cost time that grows with the bytes alone: looked through anew at each byte, this would take ten minutes', () => {
    const reader = createRequestReader({ headBytesMax: 2 ** 20 });
    const bytes = Buffer.from(padded(2 ** 20));
    let kind: string | undefined;
    for (let at = 0; at < bytes.length; at++) {
      reader.push(bytes.subarray(at, at + 1));
      kind = reader.next()?.kind;
    }
    expect(kind).toBe('head');
  });
});

describe('the end of the connection', () => {
  it.each([
    ['G', 'amid a request line'],
    [GET.slice(0, -1), 'amid a head'],
    ['\r', 'amid the line end before a request'],
    [`${POST}hell`, 'amid a body'],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', 'before a chunk'],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n', 'before the last line end'],
  ])('behind %j is told: it is %s', (bytes) => {
    const reader = pushed(bytes);
    while (reader.next() !== undefined);
    expect(codeOf(() => reader.finish())).toBe('ERR_HTTP1_CUT');
    expect(codeOf(() => reader.next())).toBe('ERR_HTTP1_CUT');
  });

  it('is none before all that was pushed is read', () => {
    const reader = pushed(`${POST}hell`);
    reader.finish();
    expect([reader.next()?.kind, reader.next()?.kind]).toEqual(['head', 'data']);
    expect(codeOf(() => reader.next())).toBe('ERR_HTTP1_CUT');
  });

  it.each(['', GET, `${POST}hello`, `${GET}\r\n`])('behind %j is between messages', (bytes) => {
    const reader = pushed(bytes);
    while (reader.next() !== undefined);
    expect(reader.isBetween).toBe(true);
    reader.finish();
    expect(reader.next()).toBeUndefined();
  });

  it('amid a response is told, interim ones alone too; without one, nothing has begun', () => {
    for (const bytes of [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell',
      'HTTP/1.1 103 Hints\r\n\r\n',
      'HTTP/1.1 2',
    ])
      expect(readResponses(bytes).error).toBe('ERR_HTTP1_CUT');
    expect(readResponses('')).toEqual({ messages: [], error: undefined, status: undefined });
  });
});

describe('a reader', () => {
  it('is between messages only when the one was read to its end and nothing of another has come', () => {
    const reader = createRequestReader();
    expect(reader.isBetween).toBe(true);
    reader.push(Buffer.from(GET));
    expect(reader.isBetween).toBe(false);
    expect([reader.next()?.kind, reader.isBetween]).toEqual(['head', false]);
    expect([reader.next()?.kind, reader.isBetween]).toEqual(['end', true]);
    reader.push(Buffer.from('G'));
    expect([reader.next(), reader.isBetween, reader.bufferedBytes]).toEqual([undefined, false, 1]);
  });

  it('says the same for ever once it has refused', () => {
    const reader = pushed('G(T');
    const error = codeOf(() => reader.next()) ?? codeOf(() => reader.push(Buffer.from('\n')));
    expect(error).toBeUndefined();
    expect(codeOf(() => reader.next())).toBe('ERR_HTTP1_LINE');
    reader.push(Buffer.from(GET));
    expect(codeOf(() => reader.next())).toBe('ERR_HTTP1_LINE');
    expect(codeOf(() => reader.finish())).toBeUndefined();
  });

  it('gives back what it has not read, as it came: what follows an upgrade', () => {
    const reader = pushed('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nab');
    expect([reader.next()?.kind, reader.next()?.kind]).toEqual(['head', 'end']);
    reader.push(Buffer.from('cd'));
    reader.push(Buffer.from('ef'));
    expect(reader.takeRest().toString()).toBe('abcdef');
    expect([reader.bufferedBytes, reader.isBetween]).toEqual([0, true]);
    const half = pushed('GET /');
    half.next();
    half.push(Buffer.from('x'));
    expect(half.takeRest().toString()).toBe('GET /x');
  });

  it.each([
    ['that was read', `${GET}rest`],
    ['that can not be', `GET / HTTP/1.1\r\n\r\n${GET}`],
    ['that is no line', `GARBAGE\r\n\r\n${GET}`],
    ['behind a line end that is half one', `\rX${GET}`],
    ['behind two empty lines', `\r\n\r\n${GET}`],
    ['that begins as none does, behind an empty line', `\r\n(${GET}`],
  ])('gives back all from the last head on, one %s, wherever it is cut', (_, text) => {
    for (let at = 0; at <= text.length; at++) {
      const reader = pushed(text.slice(0, at));
      let event: unknown;
      const next = () => codeOf(() => (event = reader.next()));
      const error = next();
      reader.push(Buffer.from(text.slice(at), 'latin1'));
      if (error === undefined && event === undefined) next();
      expect(reader.takeFromHead().toString('latin1')).toBe(text);
    }
  });

  it('of responses leaves alone what follows a 101, or the grant of a CONNECT', () => {
    for (const [head, method] of [
      ['HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', 'GET'],
      ['HTTP/1.1 200 X\r\n\r\n', 'CONNECT'],
    ] as const) {
      const reader = createResponseReader();
      reader.expect(method, 'x');
      reader.push(Buffer.from(`${head}HTTP/1.1 200 OK\r\n\r\n`));
      expect([reader.next()?.kind, reader.next()?.kind, reader.next()]).toEqual(['head', 'end', undefined]);
      expect(reader.takeRest().toString()).toBe('HTTP/1.1 200 OK\r\n\r\n');
    }
  });

  it('expects one response at a time', () => {
    const reader = createResponseReader();
    reader.expect('GET');
    expect(() => reader.expect('GET')).toThrow('bug');
  });

  it('tells errors in words of its own, never in those of the peer', () => {
    for (const bytes of [
      'GET /s3cret#x HTTP/1.1\r\n\r\n',
      `${GET.slice(0, -2)}S3cret : s3cret\r\n\r\n`,
      `${GET.slice(0, -2)}X-A: s3cret\0\r\n\r\n`,
    ]) {
      const reader = pushed(bytes);
      expect(() => reader.next()).toThrow(Http1Error);
      expect(() => reader.next()).not.toThrow(/s3cret/i);
    }
  });
});
