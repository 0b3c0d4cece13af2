import { describe, expect, test } from 'vitest';
import { parseConfig } from '../config.ts';
import { admitStartup } from './startup.ts';

const target = {
  name: 'db',
  config: parseConfig({
    host: 'h',
    database: 'app',
    databases: ['other'],
    user: 'gate',
    customSettings: ['app.tenant'],
  }),
  mayBeMasked: false,
};
const admit = (parameters: Record<string, string>, minor = 0) =>
  admitStartup({ minor, parameters: new Map(Object.entries(parameters)) }, target);
const settings = (parameters: Record<string, string>) => {
  const start = admit({ user: 'web', ...parameters });
  return 'error' in start ? start.error : Object.fromEntries(start.parameters);
};

describe('start-up parameters', () => {
  test('keep what is harmless; user and encoding are the gateway’s', () => {
    expect(
      settings({ application_name: 'psql', TimeZone: 'UTC', client_encoding: 'utf-8', 'app.tenant': '7' }),
    ).toEqual({
      database: 'app',
      application_name: 'psql',
      timezone: 'UTC',
      'app.tenant': '7',
      client_encoding: 'UTF8',
      standard_conforming_strings: 'on',
    });
  });

  test('the old name of UTF8 stays as the server would keep it', () => {
    expect(settings({ client_encoding: 'UNICODE' })).toMatchObject({ client_encoding: 'UNICODE' });
    expect(admit({ user: 'web', client_encoding: 'UNICODE' })).toMatchObject({ encoding: 'UTF8' });
  });

  // The first is how libpq spells it, the second is how asyncpg does.
  test.each(['UTF8', "'utf-8'", 'utf_8', 'Unicode'])('encoding %s is UTF8', (name) => {
    expect(settings({ client_encoding: name })).toMatchObject({ client_encoding: 'UTF8' });
  });

  test.each([
    'utf16',
    'utf8mb4',
    '',
    'SJIS',
    'GB18030',
    'MULE_INTERNAL',
  ])('encoding %j is refused with the remedy', (name) => {
    expect(settings({ client_encoding: name })).toMatchObject({
      sqlstate: '0A000',
      hint: expect.stringContaining('PGCLIENTENCODING=UTF8'),
    });
  });

  test('an encoding that is served goes to the target by its own name, and holds for the session', () => {
    for (const [name, own] of [
      ['SQL_ASCII', 'SQL_ASCII'],
      ['latin-1', 'LATIN1'],
      ['windows-1252', 'WIN1252'],
    ] as const) {
      expect(admit({ user: 'web', client_encoding: name })).toMatchObject({ encoding: own });
      expect(settings({ client_encoding: name })).toMatchObject({ client_encoding: own });
    }
  });

  test('an encoding that lacks letters is refused where columns may be masked: which value fails would tell', () => {
    const masked = { ...target, mayBeMasked: true };
    const start = (name: string) =>
      admitStartup(
        {
          minor: 0,
          parameters: new Map([
            ['user', 'web'],
            ['client_encoding', name],
          ]),
        },
        masked,
      );
    expect(start('LATIN1')).toMatchObject({ error: { sqlstate: '42501', hint: expect.stringContaining('UTF8') } });
    expect(start('SQL_ASCII')).toMatchObject({ encoding: 'SQL_ASCII' });
  });

  test('may be any search path, by itself and in options', () => {
    expect(admit({ user: 'web', search_path: 'App, "$user"' })).toMatchObject({ searchPath: ['app', '$user'] });
    const options = { options: '-csearch_path=app,public' };
    expect(admit({ user: 'web', ...options })).toMatchObject({ searchPath: ['app', 'public'] });
    expect(settings(options)).toMatchObject({ search_path: 'app,public' });
  });

  test('that SET may change without policy may be given at start-up; policy is asked about the others', () => {
    const harmless = {
      work_mem: '8MB',
      row_security: 'off',
      'plpgsql.variable_conflict': 'error',
      'hnsw.ef_search': '40',
    };
    expect(admit({ user: 'web', ...harmless })).toMatchObject({ asked: [] });
    expect(admit({ user: 'web', 'app.user': '1', wal_compression: 'on' })).toMatchObject({
      asked: ['app.user', 'wal_compression'],
    });
    expect(admit({ user: 'web', session_replication_role: 'replica' })).toMatchObject({
      asked: ['session_replication_role'],
    });
  });

  test.each([
    "'utf-8'",
    'UTF8',
    'LATIN1',
    'SQL_ASCII',
  ])('encoding %s, which every driver sends, asks nothing of policy', (name) => {
    const parameters = { user: 'web', client_encoding: name, standard_conforming_strings: 'on' };
    expect(admit(parameters)).toMatchObject({ asked: [] });
  });

  test('that would bring rows in the order of masked values, or that nobody knows, are refused where columns may be masked', () => {
    const masked = { ...target, mayBeMasked: true };
    for (const name of ['enable_seqscan', 'app.user', 'wal_compression']) {
      const parameters = new Map([
        ['user', 'web'],
        [name, 'off'],
      ]);
      expect(admitStartup({ minor: 0, parameters }, masked)).toMatchObject({ error: { sqlstate: '42501' } });
    }
  });

  test.each([
    ['', 'app'],
    ['app', 'app'],
    ['other', 'other'],
    ['db', 'app'],
    ['web', 'app'],
  ])('database %j is %j', (wanted, database) => {
    expect(settings(wanted === '' ? {} : { database: wanted })).toMatchObject({ database });
  });

  test('options are taken apart, and each setting is looked at', () => {
    expect(settings({ options: '-c statement_timeout=5s --lock-timeout=1s -cDateStyle=ISO,\\ DMY' })).toMatchObject({
      statement_timeout: '5s',
      lock_timeout: '1s',
      datestyle: 'ISO, DMY',
    });
  });

  test.each([
    ['a database that is not served', { database: 'postgres' }, '3D000'],
    ['replication', { replication: 'database' }, '0A000'],
    ['replication in another spelling', { replication: 'on' }, '0A000'],
    ['another encoding', { client_encoding: 'SJIS' }, '0A000'],
    ['strings with escapes', { standard_conforming_strings: 'off' }, '0A000'],
    ['a role', { role: 'postgres' }, '42501'],
    ['a role inside options', { options: '-c role=postgres' }, '42501'],
    ['a role in capitals', { options: '-c ROLE=postgres' }, '42501'],
    ['a search path that is no list', { search_path: 'a b' }, '42501'],
    ['a debug switch', { options: '-d 5' }, '0A000'],
    ['a setting without a value', { options: '-c role' }, '0A000'],
  ])('%s is refused', (_, parameters, sqlstate) => {
    expect(settings(parameters)).toMatchObject({ severity: 'FATAL', sqlstate });
  });

  test('without a user are refused', () => {
    expect(admit({})).toMatchObject({ error: { sqlstate: '28000' } });
  });

  test.each([
    [0, {}, 0, undefined],
    [2, {}, 2, undefined],
    [3, {}, 2, []],
    [9999, {}, 2, []],
    [2, { '_pq_.test': '1' }, 2, ['_pq_.test']],
  ])('minor version %i with %j becomes %i, negotiating %j', (minor, parameters, spoken, negotiate) => {
    expect(admit({ user: 'web', ...parameters }, minor)).toMatchObject({ minor: spoken, negotiate });
  });
});
