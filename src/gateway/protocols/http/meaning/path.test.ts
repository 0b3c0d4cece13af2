import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CanonicalPath, encodeSegment, parsePath } from './path.ts';
import { isRefusal } from './refusal.ts';

// Goal: whatever trick a path plays, either it is refused and the client told what to do, or every reader sees the segments that policy saw.

const read = (path: string): CanonicalPath => {
  const found = parsePath(path);
  if (isRefusal(found)) throw new Error(found.message);
  return found;
};

describe('a path is refused', () => {
  it.each<[string, string, RegExp]>([
    ['with ..', '/v1/../admin', /dot segment/],
    ['with . alone', '/v1/./admin', /dot segment/],
    ['with .. at its end', '/v1/..', /dot segment/],
    ['with %2e%2e', '/v1/%2e%2e/admin', /dot segment/],
    ['with %2E%2E', '/v1/%2E%2E/admin', /dot segment/],
    ['with .%2e', '/v1/.%2e/admin', /dot segment/],
    ['with %5c', '/v1%5cadmin', /encoded backslash/],
    ['with %5C', '/v1/..%5Cadmin', /encoded backslash/],
    ['with a backslash', '/v1\\admin', /backslash/],
    ['with ..;/', '/v1/..;/admin', /dot segment/],
    ['with ..;x=1/', '/v1/..;x=1/admin', /dot segment/],
    ['with %2e%2e;', '/v1/%2e%2e;/admin', /dot segment/],
    ['with ; at the beginning of a segment', '/v1/;x=1/admin', /parameters but no name/],
    ['with an encoded semicolon', '/v1/admin%3bx=1', /encoded semicolon/],
    ['with %252f', '/v1%252fadmin', /encoded twice/],
    ['with %252e%252e', '/v1/%252e%252e/admin', /encoded twice/],
    ['with %2561, which is no delimiter but another letter', '/%2561dmin', /encoded twice/],
    ['with %25%32%66', '/v1%25%32%66admin', /encoded twice/],
    ['with %25u002f', '/v1%25u002fadmin', /encoded twice/],
    ['with %u002f', '/v1%u002fadmin', /without two hexadecimal digits/],
    ['with % at its end', '/v1/100%', /without two hexadecimal digits/],
    ['with an overlong slash', '/v1%c0%afadmin', /not UTF-8/],
    ['with an overlong dot', '/v1/%c0%ae%c0%ae/admin', /not UTF-8/],
    ['with half a character', '/v1/%e2%82', /not UTF-8/],
    ['with a surrogate', '/v1/%ed%a0%80', /not UTF-8/],
    ['with U+FF0F, a slash of full width', '/v1%EF%BC%8Fadmin', /take for a delimiter/],
    ['with U+FF0E twice, dots of full width', '/v1/%EF%BC%8E%EF%BC%8E/admin', /take for a delimiter/],
    ['with U+2025, two dots in one', '/v1/%E2%80%A5/admin', /take for a delimiter/],
    ['with U+2100, a/c in one', '/v1/%E2%84%80', /take for a delimiter/],
    ['with U+FF1B, a semicolon of full width', '/v1/admin%EF%BC%9Bx', /take for a delimiter/],
    ['with U+FF3C, a backslash of full width', '/v1%EF%BC%BCadmin', /take for a delimiter/],
    ['with U+FF05 2f, a percent sign of full width', '/v1%EF%BC%852fadmin', /take for a delimiter/],
    ['with U+037E, whose NFC is a semicolon', '/v1/admin%CD%BEx', /not composed/],
    ['with %00', '/v1/admin%00.png', /control character/],
    ['with %0d%0a', '/v1/a%0d%0aX:1', /control character/],
    ['with %7f', '/v1/a%7f', /control character/],
    ['with U+0085', '/v1/a%C2%85b', /control character/],
    ['with U+2028', '/v1/a%E2%80%A8b', /control character/],
    ['with U+202E, which turns what follows', '/v1/a%E2%80%AEb', /control character/],
    ['with a dot at the end of a segment', '/v1/admin./x', /ends with a dot/],
    ['with an encoded dot at the end', '/v1/admin%2e', /ends with a dot/],
    ['with a blank at the end', '/v1/admin%20', /ends with a dot, or begins/],
    ['with a blank before', '/v1/%20admin', /begins or ends with a blank/],
    ['with a blank that does not break at the end', '/v1/admin%C2%A0', /begins or ends with a blank/],
    ['with #', '/v1/a#/b', /has a #/],
    ['with characters that are not composed', '/v1/cafe%CC%81', /not composed/],
    ['with a byte beyond ASCII', '/v1/caf\u00e9', /no visible ASCII/],
    ['with a tab', '/v1/\t', /no visible ASCII/],
    ['without a slash before', 'v1', /does not begin/],
    ['that is empty', '', /does not begin/],
    ['that is a whole address', 'http://evil/x', /does not begin/],
    ['with an encoded slash in a parameter', '/v1/a;x=%2f', /parameter has an encoded slash/],
    ['with a dot segment behind an encoded slash', '/v1/a%2f..%2fb', /dot segment/],
  ])('%s', (_, path, message) => {
    const found = parsePath(path);
    expect(found).toMatchObject({ status: 400, code: 'http-path', message: expect.stringMatching(message) });
    expect(isRefusal(found) && found.hint).toMatch(/^[a-z].{5,}/);
  });

  it('that has more segments than any that is served', () => {
    expect(parsePath('/a'.repeat(256))).toMatchObject({ segments: { length: 256 } });
    expect(parsePath('/a'.repeat(257))).toMatchObject({ status: 414 });
  });
});

describe('a path is taken', () => {
  it.each<[string, string, readonly string[], string]>([
    ['as it is', '/v1/customers/7', ['v1', 'customers', '7'], '/v1/customers/7'],
    ['with letters that needed no encoding', '/%76%31/%7Euser', ['v1', '~user'], '/v1/~user'],
    ['with lower-case digits', '/caf%c3%a9', ['caf\u00e9'], '/caf%C3%A9'],
    ['with ? and # of a name', '/a%3fb%23c', ['a?b#c'], '/a%3Fb%23c'],
    ['with a percent sign of a name', '/100%25', ['100%'], '/100%25'],
    ['with a percent sign before what are no digits', '/5%25%20off', ['5% off'], '/5%25%20off'],
    ['with a plus sign, which no reader shall take for a blank', '/a+b', ['a+b'], '/a%2Bb'],
    ['with signs that stand for nothing', "/a:b@c=d,e!f$g&h'(i)*", ["a:b@c=d,e!f$g&h'(i)*"], "/a:b@c=d,e!f$g&h'(i)*"],
    ['with signs that must be encoded', '/a"<b>`{c}|[d]^', ['a"<b>`{c}|[d]^'], '/a%22%3Cb%3E%60%7Bc%7D%7C%5Bd%5D%5E'],
    ['with dots inside of names', '/.well-known/a..b', ['.well-known', 'a..b'], '/.well-known/a..b'],
    ['with nothing', '/', [], '/'],
  ])('%s', (_, path, segments, written) => {
    const found = read(path);
    expect([found.segments, found.written, found.needs.size]).toEqual([segments, written, 0]);
  });

  it('with a slash at its end, which policy does not see and the upstream does', () => {
    expect(read('/v1/customers/')).toMatchObject({
      ...{ segments: ['v1', 'customers'], written: '/v1/customers/', seen: '/v1/customers' },
    });
  });

  it.each([
    ['encodedSlash', '/a%2fb/c', ['a/b', 'c'], '/a%2Fb/c', '/a%2Fb/c'],
    ['emptySegments', '//a//b//', ['', 'a', '', 'b', ''], '//a//b//', '//a//b/'],
    ['emptySegments', '//', [''], '//', '/'],
    ['matrixParameters', '/a;x=1;y=%c3%a4/b', ['a', 'b'], '/a;x=1;y=%C3%A4/b', '/a/b'],
    ['matrixParameters', '/a;', ['a'], '/a;', '/a'],
  ])('and says that it needs %s: %s', (need, path, segments, written, seen) => {
    expect(read(path)).toEqual({ segments, written, seen, needs: new Set([need]) });
  });
});

describe('the canonical form', () => {
  const paths = fc.array(
    fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('..', 'a', '/', ';', '%')),
    { maxLength: 5 },
  );

  it('of names is these names, for who splits and decodes and for who reads URLs', () => {
    fc.assert(
      fc.property(paths, (names) => {
        const found = parsePath(`/${names.map((name) => encodeURIComponent(name.toWellFormed())).join('/')}`);
        if (isRefusal(found)) return;
        const { pathname } = new URL(`http://a.test${found.written}`);
        expect(pathname).toBe(found.written);
        const split = pathname.slice(1).split('/').map(decodeURIComponent);
        if (split.at(-1) === '') split.pop();
        expect(split).toEqual(found.segments);
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });

  it('of a canonical form is that form', () => {
    const pieces = fc.array(fc.constantFrom(...'/ .;%25%2f%41%c3%a9+ab?=~'.split(/(?=[%])|(?<=.)(?=[^%a-f0-9])/)), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(pieces, (parts) => {
        const found = parsePath(`/${parts.join('')}`);
        if (!isRefusal(found)) expect(parsePath(found.written)).toEqual(found);
      }),
      { seed: 1, numRuns: 5_000 },
    );
  });

  it('encodes a name so that it is decoded to itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const text = name.toWellFormed();
        expect(decodeURIComponent(encodeSegment(text))).toBe(text);
      }),
      { seed: 1 },
    );
  });
});
