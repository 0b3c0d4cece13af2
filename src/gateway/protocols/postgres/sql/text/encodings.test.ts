import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../../test/support/postgres.ts';
import { codingBetween, encodingNamed, isServedEncoding, undecodedBytes } from './encodings.ts';

// Goal: a text can't mean one thing here and another to the server. So each encoding that is served is compared with a real server's own
// reading, character by character; and no byte of ASCII is ever part of a longer character.

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
  await server.query(`create function reading(b bytea, e name) returns text language plpgsql as $$
    begin return convert_from(b, e); exception when others then return null; end $$`);
});
afterAll(() => server?.stop());

/** What the server makes of these bytes and we make otherwise; what it takes for nothing is its own to refuse. */
async function readOtherwise(encoding: string, bytes: string, rows: string): Promise<readonly string[]> {
  const coding = codingBetween(encoding, 'UTF8');
  if (coding === undefined) return ['not served'];
  const found = await server.query(
    `select encode(b, 'hex') as bytes, reading(b, '${encoding}') as text from (select ${bytes} as b from ${rows}) t`,
  );
  expect(found.length).toBeGreaterThan(200);
  return found.flatMap(({ bytes, text }) => {
    const ours = coding.decode(Buffer.from(String(bytes), 'hex'));
    return text === null || text === ours || ours === undefined ? [] : [`${bytes}: ${ours}, not ${text}`];
  });
}

const one = (at: string) => `decode(lpad(to_hex(${at}), 2, '0'), 'hex')`;
const narrow = [
  ...Array.from({ length: 10 }, (_, i) => `LATIN${i + 1}`),
  ...['ISO_8859_5', 'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8', 'KOI8R', 'KOI8U', 'WIN866', 'WIN874'],
  ...Array.from({ length: 9 }, (_, i) => `WIN125${i}`),
];
const wide = ['EUC_JP', 'EUC_KR', 'EUC_CN'];

describe('an encoding that is served', () => {
  test.each(narrow)('%s is read as the server reads it, byte by byte', async (encoding) => {
    expect(await readOtherwise(encoding, one('i'), 'generate_series(1, 255) i')).toEqual([]);
  });

  test.each(wide)('%s is read as the server reads it, all pairs of bytes', async (encoding) => {
    const pairs = 'generate_series(128, 255) i, generate_series(1, 255) j';
    expect(await readOtherwise(encoding, `${one('i')} || ${one('j')}`, pairs)).toEqual([]);
  });

  test('EUC_JP is read as the server reads it, all characters of three bytes', async () => {
    const rows = 'generate_series(160, 255) i, generate_series(160, 255) j';
    expect(await readOtherwise('EUC_JP', `'\\x8f'::bytea || ${one('i')} || ${one('j')}`, rows)).toEqual([]);
  });

  test.each([...narrow, ...wide])('%s has every byte of ASCII for itself', (encoding) => {
    const coding = codingBetween(encoding, 'UTF8');
    for (let lead = 0x80; lead <= 0xff; lead++)
      for (const next of ["'", '"', '\\', '$', ';', '-', '/', '*', 'a', '\n']) {
        const text = coding?.decode(Buffer.concat([Buffer.of(lead), Buffer.from(next)]));
        if (text !== undefined) expect([text.at(-1), text.length]).toEqual([next, 2]);
      }
  });

  test('writes texts of ours; what it has no letter for becomes a question mark', () => {
    expect(codingBetween('LATIN1', 'UTF8')?.encode('é ’ €')).toEqual(Buffer.from([0xe9, 0x20, 0x27, 0x20, 0x3f]));
    expect(codingBetween('WIN1252', 'UTF8')?.encode('€')).toEqual(Buffer.from([0x80]));
    expect(codingBetween('UTF8', 'UTF8')?.encode('€')).toEqual(Buffer.from('€'));
  });
});

describe('an encoding', () => {
  test('goes by all the names that the server knows it by', async () => {
    for (const name of [
      'utf-8',
      "'UTF8'",
      'unicode',
      'SQL_ASCII',
      'latin1',
      'ISO-8859-15',
      'windows-1252',
      'koi8',
      'Shift_JIS',
    ])
      expect(encodingNamed(name)).toBe(
        (
          await server.query('select pg_encoding_to_char(pg_char_to_encoding($1)) as name', [name.replaceAll("'", '')])
        )[0]?.['name'],
      );
    expect(encodingNamed('utf16')).toBeUndefined();
    expect(encodingNamed('')).toBeUndefined();
  });

  test.each([
    'SJIS',
    'SHIFT_JIS_2004',
    'BIG5',
    'GBK',
    'UHC',
    'GB18030',
    'JOHAB',
    'MULE_INTERNAL',
    'EUC_TW',
    'EUC_JIS_2004',
  ])('%s, in which a character may end in a backslash or which nobody else reads, is not served', (encoding) => {
    expect(isServedEncoding(encoding)).toBe(false);
    for (const database of ['UTF8', 'SQL_ASCII', encoding]) expect(codingBetween(encoding, database)).toBeUndefined();
  });

  test('of a database says how bytes are read that are not converted', () => {
    expect(codingBetween('SQL_ASCII', 'UTF8')?.isUtf8).toBe(true);
    expect(codingBetween('SQL_ASCII', 'SQL_ASCII')?.isUtf8).toBe(true);
    expect(codingBetween('SQL_ASCII', 'LATIN1')?.decode(Buffer.of(0xe9))).toBe('é');
    expect(codingBetween('SQL_ASCII', 'EUC_TW')).toBeUndefined();
    expect(codingBetween('LATIN1', 'SQL_ASCII')).toBeUndefined();
    expect(codingBetween('LATIN1', 'LATIN9')).toBeUndefined();
    expect(codingBetween('LATIN9', 'LATIN9')?.decode(Buffer.of(0xa4))).toBe('€');
  });
});

describe('what can not be read', () => {
  const bad = (bytes: Buffer, encoding = 'UTF8') => {
    const coding = codingBetween(encoding, 'UTF8');
    return coding && undecodedBytes(bytes, coding);
  };

  test('is shown as the server shows it, wherever it stands', () => {
    expect(bad(Buffer.from("select '\xff'", 'latin1'))).toBe('0xff');
    expect(bad(Buffer.from('\xc3(', 'latin1'))).toBe('0xc3 0x28');
    expect(bad(Buffer.concat([Buffer.from('é '.repeat(100_000)), Buffer.from('\xe2\x28 x', 'latin1')]))).toBe(
      '0xe2 0x28 0x20',
    );
    expect(bad(Buffer.of(0x61, 0xa4, 0xff), 'EUC_JP')).toBe('0xa4 0xff');
  });
});
