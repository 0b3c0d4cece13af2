import { describe, expect, it } from 'vitest';
import { JsonError, readStrictJson } from './index.ts';

// Goal: JSON that two readers could read in two ways is refused.

const code = (text: string | Buffer) => {
  try {
    readStrictJson(Buffer.from(text));
    return 'ok';
  } catch (error) {
    if (error instanceof JsonError) return error.code;
    throw error;
  }
};

describe('a strict reader', () => {
  it.each([
    '{"a":[1,-0.5e3,{"b":"ü\\u00e4\\ud83d\\ude00:\\"{"}],"c":{"a":null}}',
    '9007199254740991',
    'true',
    '[{"a":1},{"a":2}]',
    '{"a:":{"":1}}',
  ])('reads %s as JSON.parse does', (text) => {
    expect(readStrictJson(Buffer.from(text))).toEqual(JSON.parse(text));
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":1}',
    '{"a":1,"A":1}',
    '{"s":1,"ſ":1}',
    '{"k":1,"\\u212a":1}',
    '{"a":1,"ａ":1}',
    '{"é":1,"e\u0301":1}',
    '{"a":1,"a\\u0000":1}',
    '{"a":1,"a\\u0000b":1}',
    '{"x":[{"y":{"a":1,"b":2,"a":3}}]}',
    '{"__proto__":1,"__proto__":2}',
    '{"x":{"A":1,"a":2}}',
  ])('refuses names twice: %s', (text) => {
    expect(code(text)).toBe('ERR_JSON_NAME');
  });

  it.each([
    '9007199254740992',
    '-9007199254740993',
    '1e400',
    '[1e300]',
    '{"a":-1e999}',
  ])('refuses the number in %s', (text) => {
    expect(code(text)).toBe('ERR_JSON_NUMBER');
  });

  it.each<[string, string | Buffer]>([
    ['a byte order mark', '\ufeff{}'],
    ['Latin-1', Buffer.from('"ä"', 'latin1')],
    ['half of a surrogate pair', '"\\ud800"'],
    ['half of a surrogate pair in a name', '{"\\udc00":1}'],
  ])('refuses %s', (_, text) => {
    expect(code(text)).toBe('ERR_JSON_UTF8');
  });

  it.each(['', 'NaN', '[1,]', '{"a":1}x', '01', '"\t"'])('refuses what is no JSON: %j', (text) => {
    expect(code(text)).toBe('ERR_JSON_SYNTAX');
  });

  it('reads 64 levels and no more, however many come', () => {
    expect(code('['.repeat(64) + ']'.repeat(64))).toBe('ok');
    expect(code('['.repeat(65) + ']'.repeat(65))).toBe('ERR_JSON_LIMIT');
    expect(code('['.repeat(500_000) + ']'.repeat(500_000))).toBe('ERR_JSON_LIMIT');
  });

  it('reads names of 1024 characters and no more', () => {
    expect(code(`{"${'x'.repeat(1024)}":1}`)).toBe('ok');
    expect(code(`{"${'x'.repeat(1025)}":1}`)).toBe('ERR_JSON_LIMIT');
  });

  it('says nothing of what stands there', () => {
    expect(() => readStrictJson(Buffer.from('{"a":geheim}'))).toThrow(/^the bytes are not JSON$/);
  });
});
