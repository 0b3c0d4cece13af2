import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../errors.ts';
import { connectProblem, credentialRefused } from './connect-problem.ts';
import { placeOf } from './place.ts';

// Goal: an operator reads from doctor what is wrong with an API and what to do, and never a text of the API's own.

const place = placeOf({ url: 'https://api.internal:8443' });
const away = (code: string) =>
  new GatewayError('ERR_GATEWAY_TARGET_AWAY', 'no connection', { cause: Object.assign(new Error('x'), { code }) });

describe('a connection that failed', () => {
  it.each([
    ['ECONNREFUSED', 'api.internal:8443 can’t be reached: nothing listens there (ECONNREFUSED)'],
    ['ENOTFOUND', 'api.internal:8443 can’t be reached: its name does not resolve (ENOTFOUND)'],
    ['EHOSTUNREACH', 'api.internal:8443 can’t be reached: there is no way to it (EHOSTUNREACH)'],
    ['a text of the API', 'api.internal:8443 can’t be reached'],
  ])('by %s is told', (code, what) => {
    expect(connectProblem(place, away(code), false).what).toBe(what);
  });

  it('by a certificate that is not right is told with the settings that mend it', () => {
    const cause = Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    const problem = connectProblem(place, new GatewayError('ERR_GATEWAY_TARGET_TLS', 'no TLS', { cause }), false);
    expect(problem.what).toBe('no TLS with api.internal:8443 that proves who it is (DEPTH_ZERO_SELF_SIGNED_CERT)');
    expect(problem.remedy).toMatch(/`roots: file:PATH`.*`serverName`/);
  });

  it('for a secret that is not there names it', () => {
    const error = new GatewayError('ERR_GATEWAY_SECRET', 'keystore:api-key is not in the keystore');
    expect(connectProblem(place, error, false).what).toContain('keystore:api-key');
  });

  it('too late, or by something else, is told without its text', () => {
    expect(connectProblem(place, away('ECONNREFUSED'), true).what).toBe('api.internal:8443 does not answer in time');
    expect(connectProblem(place, new Error('secret'), false).what).toBe('the gateway failed to connect');
  });
});

it('a credential that is refused is told with the status and where to look', () => {
  const { what, remedy } = credentialRefused(place, 401);
  expect(what).toBe('api.internal:8443 refuses the gateway’s credential (401)');
  expect(remedy).toContain('rotated or revoked');
});
