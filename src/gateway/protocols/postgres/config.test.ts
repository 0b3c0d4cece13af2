import { describe, expect, test } from 'vitest';
import { checkConfig, databasesOf, parseConfig } from './config.ts';

const least = { host: 'db', database: 'app', user: 'gate' };

describe('a target’s config', () => {
  test('needs host, database and user, and fills in the rest', () => {
    expect(parseConfig(least)).toMatchObject({ port: 5432, databases: [], sslMode: 'verify-full', customSettings: [] });
  });

  test.each([
    ['/run/postgresql', 'disable'],
    ['127.0.0.1', 'disable'],
    ['::1', 'disable'],
    ['localhost', 'disable'],
    ['10.0.0.1', 'verify-full'],
    ['localhost.example.org', 'verify-full'],
    ['127.0.0.1.example.org', 'verify-full'],
  ])('at %s has sslMode %s unless it says otherwise', (host, sslMode) => {
    expect(parseConfig({ ...least, host }).sslMode).toBe(sslMode);
    expect(parseConfig({ ...least, host, sslMode: 'require' }).sslMode).toBe('require');
  });

  test.each([
    ['nothing', undefined],
    ['an unknown key', { ...least, pasword: 'env:X' }],
    ['a password in the open', { ...least, password: 'hunter2' }],
    ['a password behind keystore:', { ...least, password: 'keystore:hunter2/A+' }],
    ['a password behind env:', { ...least, password: 'env:hunter2-more' }],
    ['a keystore name that is too long', { ...least, password: `keystore:${'n'.repeat(65)}` }],
    ['a certificate without its key', { ...least, certificate: 'file:/x' }],
    ['a certificate without TLS', { ...least, sslMode: 'disable', certificate: 'file:/x', key: 'file:/y' }],
    ['a port that is none', { ...least, port: 70_000 }],
    ['a custom setting without a dot', { ...least, customSettings: ['role'] }],
  ])('with %s is refused, with a sentence for each problem', (_, config) => {
    expect(checkConfig(config).length).toBeGreaterThan(0);
    expect(() => parseConfig(config)).toThrow(expect.objectContaining({ code: 'ERR_GATEWAY_TARGET_CONFIG' }));
    expect(checkConfig(config).join()).not.toContain('hunter2');
  });
});

test('the databases that a config serves are the usual one and those named besides; of what is no config none are known', () => {
  expect(databasesOf(least)).toEqual(['app']);
  expect(databasesOf({ ...least, databases: ['archive'] })).toEqual(['app', 'archive']);
  expect(databasesOf({ database: 'app' })).toBeUndefined();
  expect(databasesOf(null)).toBeUndefined();
});
