import { describe, expect, it } from 'vitest';
import { createJsonMasker, JsonError, type JsonFormat, type JsonLimits, type JsonMask, jsonLimits } from './index.ts';

// Goal: what any reader may take for a field under a rule is masked, all else passes byte for byte, and what is not JSON is refused.

/** Shows `<TEXT>` instead of the text. */
const marked: JsonMask = ({ buffer, start, end }, into, at) =>
  at + into.write(`<${buffer.toString('utf8', start, end)}>`, at);
const none: JsonMask = () => -1;

interface Setting {
  readonly format?: JsonFormat;
  readonly mask?: JsonMask;
  readonly limits?: Partial<JsonLimits>;
}

/** What is shown of `text` under rules for `paths` ("a.b"), pushed whole and byte by byte. */
function shown(text: string | Buffer, paths: readonly string[], setting: Setting = {}): string {
  const whole = run(text, paths, setting, Number.POSITIVE_INFINITY);
  const cut = run(text, paths, setting, 1);
  expect(cut).toBe(whole);
  return whole;
}

function run(text: string | Buffer, paths: readonly string[], setting: Setting, step: number): string {
  const { format = 'json', mask = marked, limits = {} } = setting;
  const rules = paths.map((path) => ({ path: path === '' ? [] : path.split('.'), mask }));
  const masker = createJsonMasker({ rules, format, limits });
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  try {
    for (let at = 0; at < bytes.length; at += step) pieces.push(...masker.push(bytes.subarray(at, at + step)));
    pieces.push(...masker.end());
  } catch (error) {
    if (error instanceof JsonError) return error.code;
    throw error;
  }
  return Buffer.concat(pieces).toString();
}

describe('a masked value', () => {
  it.each([
    ['a string', '{"a":"x","b":"y"}', '{"a":"<x>","b":"y"}'],
    ['a string with escapes, as its text', '{"a":"x\\u0041\\n\\ud83d\\ude00"}', '{"a":"<xA\\n😀>"}'],
    ['an empty string', '{"a":""}', '{"a":"<>"}'],
    ['a string that ends in a backslash', '{"a":"x\\\\","b":1}', '{"a":"<x\\\\>","b":1}'],
    ['a number, as it stands there', '{"a":-1.50e+2,"b":1}', '{"a":"<-1.50e+2>","b":1}'],
    ['true and false', '{"a":true,"a":false}', '{"a":"<true>","a":"<false>"}'],
    ['null, which stays null', '{"a":null}', '{"a":null}'],
    ['an object, which becomes null', '{"a":{"a":{"b":[1,"]}"]}},"b":1}', '{"a":null,"b":1}'],
    ['an array, which becomes null', '{"a":[1,[2],{"b":"]"}] , "b":1}', '{"a":null , "b":1}'],
    ['half of a surrogate pair, as other readers show it', '{"a":"\\ud800"}', '{"a":"<\ufffd>"}'],
  ])('may be %s', (_, text, expected) => {
    expect(shown(text, ['a'])).toBe(expected);
  });

  it('becomes null where the mask says so', () => {
    expect(shown('{"a":"x","b":{"a":1}}', ['a', 'b.a'], { mask: none })).toBe('{"a":null,"b":{"a":null}}');
  });

  it('is written with the escapes that JSON demands, whatever a mask writes', () => {
    const mask: JsonMask = (_, into, at) => at + into.write('"\\\n\0ä', at);
    expect(JSON.parse(shown('{"a":"text"}', ['a'], { mask }))).toEqual({ a: '"\\\n\0ä' });
  });

  it('shows no byte that is no UTF-8, whatever a mask writes', () => {
    const mask: JsonMask = (_, into, at) => {
      into[at] = 0xff;
      return at + 1;
    };
    expect(shown('{"a":"text"}', ['a'], { mask })).toBe('{"a":"\ufffd"}');
  });

  it('is counted, a container once and null never', () => {
    const masker = createJsonMasker({ rules: [{ path: ['a'], mask: none }], format: 'json' });
    masker.push(Buffer.from('[{"a":1},{"a":{"a":2}},{"a":null},{"A":"x"}]'));
    masker.end();
    expect(masker.masked).toBe(3);
  });

  it('is masked by the first of the rules that reach it', () => {
    const rules = [
      { path: ['*'], mask: none },
      { path: ['a'], mask: marked },
    ];
    expect(`${createJsonMasker({ rules, format: 'json' }).push(Buffer.from('{"a":1}'))}`).toBe('{"a":null}');
  });
});

describe('a rule reaches', () => {
  it.each([
    ['all of a document', '', '"x"', '"<x>"'],
    ['a document that is a number, up to its end', '', ' 12', ' "<12>"'],
    ['a document that is an object', '', ' {"a":1} ', ' null '],
    [
      'only its own path',
      'a.b',
      '{"a":{"b":1,"c":2},"b":3,"c":{"a":{"b":4}}}',
      '{"a":{"b":"<1>","c":2},"b":3,"c":{"a":{"b":4}}}',
    ],
    ['nothing in a scalar on its way', 'a.b', '{"a":1}', '{"a":1}'],
    [
      'through arrays of any depth',
      'a.b',
      '[[{"a":[[[{"b":1}]],{"b":2}]}]]',
      '[[{"a":[[[{"b":"<1>"}]],{"b":"<2>"}]}]]',
    ],
    ['by * any name', '*.b', '{"x":{"b":1},"y":{"b":2,"c":3}}', '{"x":{"b":"<1>"},"y":{"b":"<2>","c":3}}'],
    ['by * an element', '*', '[1,"x",[2],{"b":3}]', '["<1>","<x>",null,null]'],
    ['by * an element or a name', 'a.*.b', '{"a":[{"b":1},{"x":{"b":2}}]}', '{"a":[{"b":"<1>"},{"x":{"b":"<2>"}}]}'],
    ['a name twice', 'a', '{"a":1,"b":2,"a":3}', '{"a":"<1>","b":2,"a":"<3>"}'],
    ['below a name twice', 'a.b', '{"a":{"b":1},"a":{"b":2}}', '{"a":{"b":"<1>"},"a":{"b":"<2>"}}'],
    ['an empty name', 'a.', '{"a":{"":1}}', '{"a":{"":"<1>"}}'],
  ])('%s', (_, path, text, expected) => {
    expect(shown(text, [path])).toBe(expected);
  });

  it('its place beside other rules, which share parts of the way', () => {
    const text = '{"a":{"b":1,"c":2,"d":3},"e":{"b":4,"c":5,"f":{"g":6}}}';
    expect(shown(text, ['a.b', '*.c', 'e.f.g', 'e.f.h'])).toBe(
      '{"a":{"b":"<1>","c":"<2>","d":3},"e":{"b":4,"c":"<5>","f":{"g":"<6>"}}}',
    );
  });
});

describe('a name is taken for a rule’s in every spelling that some reader takes for it', () => {
  it.each<[string, string, string]>([
    ['capitals', 'ssn', 'SsN'],
    ['escapes', 'ssn', '\\u0073\\u0053n'],
    ['escapes of what needs none', 'a/b', 'a\\/b'],
    ['the long s', 'ssn', 'ſſn'],
    ['the sign of kelvin', 'key', '\\u212aey'],
    ['fullwidth letters', 'ssn', 'ｓｓｎ'],
    ['mathematical letters by surrogate escapes', 'a', '\\ud835\\udc00'],
    ['a ligature', 'profile', 'proﬁle'],
    ['capital sharp s', 'strasse', 'STRAẞE'],
    ['a combining accent', 'é', 'e\u0301'],
    ['sigma at the end', 'σας', 'ΣΑΣ'],
    ['a NUL behind it', 'ssn', 'ssn\\u0000'],
    ['NULs and more behind it', 'ssn', 'ssn\\u0000\\u0000x'],
    ['a rule in capitals', 'SSN', 'ssn'],
    ['a rule in fullwidth', 'ＳＳＮ', 'ssn'],
  ])('%s', (_, rule, name) => {
    expect(shown(`{"${name}":"x","other":1}`, [rule])).toBe(`{"${name}":"<x>","other":1}`);
  });

  it('and no other name is', () => {
    const text = '{"ss":1,"ssnn":2,"ss n":3," ssn":4,"s\\u005fn":5,"ssñ":6}';
    expect(shown(text, ['ssn'])).toBe(text);
  });

  it('so that half of a surrogate pair where a rule may match is refused, and passes where none can', () => {
    expect(shown('{"ssn\\ud800":1}', ['ssn'])).toBe('ERR_JSON_NAME');
    expect(shown('{"x":{"\\ud800":1}}', ['ssn'])).toBe('{"x":{"\\ud800":1}}');
  });
});

describe('what no rule reaches', () => {
  it('passes byte for byte', () => {
    const text =
      ' {"x" :\t[1.0e+5,-0,0.10, "\\u0041\\/ü😀\\ud800",true , null ,{ },[\r\n]],"b":{"a":9007199254740993}}\n';
    expect(shown(text, ['a'])).toBe(text);
  });

  it('is the chunk itself, without a copy', () => {
    const masker = createJsonMasker({ rules: [{ path: ['a'], mask: none }], format: 'json' });
    const chunk = Buffer.from('[{"b":1},');
    expect(masker.push(chunk)[0]).toBe(chunk);
  });
});

describe('JSON is read by the letter', () => {
  it.each([
    '',
    ' ',
    '{',
    '[1',
    '"x',
    'tru',
    '-',
    '1.',
    '1e',
    '1 2',
    '{}{}',
    '[1,]',
    '{"a":1,}',
    '[,1]',
    '{,}',
    '{"a"}',
    '{"a",1}',
    '{a:1}',
    "{'a':1}",
    '[1}',
    '{"a":1]',
    ']',
    '01',
    '-01',
    '+1',
    '.5',
    '1.e5',
    '1e+',
    '0x10',
    'NaN',
    'Infinity',
    '-Infinity',
    'undefined',
    'True',
    'nulll',
    '"\t"',
    '"\n"',
    '"\\x"',
    '"\\u12g4"',
    '"\\u{41}"',
    '[1]/**/',
    '[1]\f',
    '\u00a0[1]',
    '[1]\0',
    '{"a":1 "b":2}',
    '["a" "b"]',
    '{"a"::1}',
    '[:1]',
  ])('refuses %j', (text) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(shown(text, ['a'])).toBe('ERR_JSON_SYNTAX');
  });

  it.each([
    ['a byte of Latin-1', Buffer.from('"\xe4"', 'latin1')],
    ['a character that the end cuts', Buffer.from([0x22, 0xf0, 0x9f])],
    ['a second spelling of a slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['more than U+10FFFF', Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22])],
    ['a byte order mark', Buffer.from('\ufeff{}')],
  ])('refuses %s', (_, bytes) => {
    expect(shown(bytes, ['a'])).toBe('ERR_JSON_UTF8');
  });

  it('takes the first and last character of each length', () => {
    const text = '"\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}"';
    expect(shown(text, ['a'])).toBe(text);
  });

  it('says again what was wrong when it is asked again', () => {
    const masker = createJsonMasker({ rules: [], format: 'json' });
    expect(() => masker.push(Buffer.from('x'))).toThrow(JsonError);
    expect(() => masker.push(Buffer.from('1'))).toThrow(JsonError);
    expect(() => masker.end()).toThrow(JsonError);
  });

  it('never shows in an error what stands there', () => {
    const masker = createJsonMasker({ rules: [], format: 'json' });
    expect(() => masker.push(Buffer.from('{"a":geheim}'))).toThrow(/^the JSON lacks a value, at byte 5$/);
  });
});

describe('limits', () => {
  it('holds nesting to 64 levels', () => {
    const nested = (levels: number) => `${'[{"x":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`;
    expect(shown(nested(64), ['a'])).toBe(nested(64));
    expect(shown(nested(66), ['a'])).toBe('ERR_JSON_LIMIT');
    expect(shown(`{"a":${nested(64)}}`, ['a'])).toBe('ERR_JSON_LIMIT');
  });

  it('holds a value under a mask to its limit, quotes and all, and no other', () => {
    const limits = { scalarBytes: 10 };
    expect(shown('{"a":"12345678","b":"1234567890123"}', ['a'], { limits })).toBe(
      '{"a":"<12345678>","b":"1234567890123"}',
    );
    expect(shown('{"a":"123456789"}', ['a'], { limits })).toBe('ERR_JSON_LIMIT');
    expect(shown('{"a":12345678901}', ['a'], { limits })).toBe('ERR_JSON_LIMIT');
    expect(shown('{"a":["123456789"]}', ['a'], { limits })).toBe('{"a":null}');
  });

  it('holds a name to its limit where a rule may match', () => {
    const limits = { nameBytes: 4 };
    expect(shown('{"abcd":1}', ['a'], { limits })).toBe('{"abcd":1}');
    expect(shown('{"abcde":1}', ['a'], { limits })).toBe('ERR_JSON_LIMIT');
    expect(shown('{"b":{"abcde":1}}', ['a'], { limits })).toBe('{"b":{"abcde":1}}');
  });

  it('holds a name that is not plain ASCII to 1024 bytes', () => {
    const text = (marks: number) => `{"${'\u0301\u0316'.repeat(marks / 2)}":1}`;
    expect(shown(text(510), ['a'])).toBe(text(510));
    expect(shown(text(512), ['a'])).toBe('ERR_JSON_LIMIT');
  });

  it('holds no more than a masked scalar while it comes', () => {
    const masker = createJsonMasker({ rules: [{ path: ['a'], mask: none }], format: 'json' });
    masker.push(Buffer.from('{"b":"xxxxxxxxxxxxxxx'));
    expect(masker.heldBytes).toBe(0);
    masker.push(Buffer.from('","a":[1,2,3'));
    expect(masker.heldBytes).toBe(0);
    masker.push(Buffer.from('],"a":"12'));
    expect(masker.heldBytes).toBe(3);
    masker.push(Buffer.from('3"}'));
    expect(masker.heldBytes).toBe(0);
  });

  it.each<[string, (bytes: number) => string]>([
    ['a long string', (n) => `{"b":"${'x'.repeat(n)}"}`],
    ['escapes', (n) => `{"b":"${'\\u0041'.repeat(n / 6)}"}`],
    ['escaped names', (n) => `[${'{"\\u0061b":1},'.repeat(n / 13)}0]`],
    ['names of combining characters', (n) => `[${`{"${'\u0301\u0316'.repeat(200)}":1},`.repeat(n / 810)}0]`],
    ['a number', (n) => `{"b":${'1'.repeat(n)}}`],
    ['brackets', (n) => `[${'[[[[{"a":[]}]]]],'.repeat(n / 17)}0]`],
    ['blanks', (n) => `[${' '.repeat(n)}]`],
    ['masked values', (n) => `[${'{"a":1},'.repeat(n / 8)}0]`],
  ])('takes eight times the time for eight times of %s, not more', (_, text) => {
    const once = (whole: Buffer) => {
      const start = process.cpuUsage();
      const masker = createJsonMasker({ rules: [{ path: ['a'], mask: none }], format: 'json' });
      for (let from = 0; from < whole.length; from += 1000) masker.push(whole.subarray(from, from + 1000));
      masker.end();
      // Only the sum is measured; Linux splits it by samples.
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    // The least of several: what else the process does in between is not counted.
    const timed = (bytes: number) => {
      const whole = Buffer.from(text(bytes));
      return Math.min(...Array.from({ length: 8 }, () => once(whole)));
    };
    timed(1e5);
    // The square would be 64 times as much; 10 ms are noise.
    expect(timed(8e5)).toBeLessThan(timed(1e5) * 30 + 10_000);
  });

  it('are those that are announced', () => {
    expect(jsonLimits).toEqual({ depth: 64, nameBytes: 65_536, scalarBytes: 1_048_576, eventBytes: 1_048_576 });
  });
});

describe('lines of JSON', () => {
  const lines = (text: string) => shown(text, ['a'], { format: 'ndjson' });

  it('are masked each', () => {
    expect(lines('{"a":1}\n\n {"a":2}\r\n"x"\n3\n4')).toBe('{"a":"<1>"}\n\n {"a":"<2>"}\r\n"x"\n3\n4');
    expect(lines('')).toBe('');
    expect(lines('\n')).toBe('\n');
    expect(shown('1\n2', [''], { format: 'ndjson' })).toBe('"<1>"\n"<2>"');
  });

  it('hold one value each, whole', () => {
    for (const text of ['{} {}', '1\r2', '{"a":\n1}', '[\n]', '[1,\r2]', '{"a":1', '{"a":1\n}', '1,\n2'])
      expect(lines(text), text).toBe('ERR_JSON_SYNTAX');
  });
});

describe('items', () => {
  const count = (format: 'json' | 'ndjson' | 'sse', text: string) => {
    const masker = createJsonMasker({ rules: [], format });
    // Cut everywhere, so that none is counted at a cut.
    for (const byte of Buffer.from(text)) masker.push(Buffer.from([byte]));
    masker.end();
    return masker.items;
  };

  it.each([
    ['json', '[]', 0],
    ['json', ' [ ] ', 0],
    ['json', '[1]', 1],
    ['json', '["a","b"]', 2],
    ['json', '[[1,2],{"a":[1,2]},null,true]', 4],
    ['json', '{"a":[1,2,3]}', 1],
    ['json', '"text"', 1],
    ['json', '17', 1],
    ['ndjson', '{"a":1}\n{"a":2}\n', 2],
    ['ndjson', '1\n2\n"3"', 3],
    ['sse', 'data: {"a":1}\n\ndata: 2\n\n: comment\n\n', 2],
  ] as const)('of %s %s are counted', (format, text, items) => {
    expect(count(format, text)).toBe(items);
  });
});
