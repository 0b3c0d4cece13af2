import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../errors.ts';
import { loginProblem, mayBeOfSettings, SettingMismatch } from './login-problem.ts';

// Goal: an operator sees what is wrong and what to do, and nothing that the server or a secret's source may have put into a text.

const at = { host: 'db.example', port: 5432 };
const refused = (sqlstate: string) =>
  new GatewayError('ERR_GATEWAY_TARGET_AWAY', 'db.example:5432 refused the gateway: hunter2', {
    cause: Object.assign(new Error('hunter2'), { code: sqlstate }),
  });

describe('a login that failed', () => {
  test.each([
    ['53300', 'db.example:5432 has no room for more connections (53300)', /max_connections/],
    ['57P03', 'db.example:5432 takes no connections now (57P03)', /started/],
    ['3D000', 'db.example:5432 has no such database (3D000)', /Create the database/],
    ['XX001', 'db.example:5432 refuses the gateway (XX001)', /target runs/],
    ['hunter2 (', 'db.example:5432 can’t be reached', /target runs/],
    ['ENOTFOUND', 'db.example:5432 can’t be reached: its name does not resolve (ENOTFOUND)', /host of the target.*DNS/],
    ['ECONNREFUSED', 'db.example:5432 can’t be reached: nothing listens there (ECONNREFUSED)', /host and port/],
    ['EHOSTUNREACH', 'db.example:5432 can’t be reached: there is no way to it (EHOSTUNREACH)', /firewall/],
    ['ECONNRESET', 'db.example:5432 can’t be reached (ECONNRESET)', /target runs/],
  ])('by %s is told by its code and our own words', (sqlstate, what, remedy) => {
    expect(loginProblem(at, refused(sqlstate))).toEqual({ what, remedy: expect.stringMatching(remedy) });
  });

  test('because something else answers says so, and not what it sent', () => {
    const error = new GatewayError('ERR_GATEWAY_TARGET_PROTOCOL', 'db.example:5432 sends message hunter2');
    expect(loginProblem(at, error)).toEqual({
      what: 'what answers at db.example:5432 is no PostgreSQL server that the gateway can serve',
      remedy: expect.stringContaining('listening'),
    });
  });

  test.each([
    ['client_encoding', 'SQL_ASCII', 'UTF8', 'reports client_encoding = SQL_ASCII; the gateway needs UTF8'],
    ['standard_conforming_strings', 'off', 'on', 'reports standard_conforming_strings = off; the gateway needs on'],
    ['client_encoding', 'hunter2', 'UTF8', 'reports client_encoding = something else; the gateway needs UTF8'],
    ['client_encoding', undefined, 'UTF8', 'reports client_encoding = something else; the gateway needs UTF8'],
  ])('because %s is %s says so, and shows only what can be such a value', (name, value, wanted, what) => {
    const cause = new SettingMismatch({ name, value, wanted });
    const error = new GatewayError('ERR_GATEWAY_TARGET_PROTOCOL', 'db.example:5432 has hunter2', { cause });
    expect(loginProblem(at, error)).toEqual({
      what: `db.example:5432 ${what}`,
      remedy: expect.stringContaining('pooler'),
    });
  });

  test('for want of a root that verifies the server names the key for it', () => {
    const cause = Object.assign(new Error(), { code: 'SELF_SIGNED_CERT_IN_CHAIN' });
    expect(loginProblem(at, new GatewayError('ERR_GATEWAY_TARGET_TLS', 'no', { cause })).remedy).toContain(
      'sslRoots: file:PATH',
    );
  });

  test('because it has no TLS says so', () => {
    const error = new GatewayError('ERR_GATEWAY_TARGET_TLS', 'db.example:5432 has no TLS; sslMode is verify-full');
    expect(loginProblem(at, error)).toEqual({
      what: 'db.example:5432 has no TLS; sslMode is verify-full',
      remedy: expect.stringContaining('sslMode'),
    });
  });

  test('for want of a secret names its reference', () => {
    const error = new GatewayError('ERR_GATEWAY_SECRET', 'keystore:shop is missing or empty');
    expect(loginProblem(at, error).what).toBe('keystore:shop is missing or empty');
  });

  test('because nobody answers says so, however far it got', () => {
    const error = new GatewayError('ERR_GATEWAY_TARGET_TLS', 'no TLS with db.example:5432: no answer within 10000 ms');
    expect(loginProblem(at, error, true)).toEqual({
      what: 'db.example:5432 does not answer in time',
      remedy: expect.stringContaining('target runs'),
    });
  });

  test('by a bug is for the log', () => {
    expect(loginProblem(at, new TypeError('hunter2 is undefined'))).toEqual({
      what: 'the gateway failed to log in',
      remedy: 'See the log of the gateway.',
    });
  });
});

test.each([
  ['22023', true],
  ['42704', true],
  ['57014', true],
  ['57P05', true],
  ['25P04', true],
  ['08P01', true],
  ['28P01', false],
  ['3D000', false],
  ['53300', false],
  ['57P01', false],
  ['57P03', false],
  ['55000', false],
  ['42501', false],
  ['XX000', false],
  ['ECONNRESET', false],
  ['', false],
])('a refusal with %s may be for the settings of a client: %s', (code, expected) => {
  expect(mayBeOfSettings(refused(code))).toBe(expected);
  expect(mayBeOfSettings(new TypeError(code))).toBe(false);
});
