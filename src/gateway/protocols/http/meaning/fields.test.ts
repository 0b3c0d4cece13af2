import { describe, expect, it } from 'vitest';
import { answeredFields, type FieldRules, forwardedFields } from './fields.ts';
import { isRefusal } from './refusal.ts';

const rules: FieldRules = { url: 'https://api.internal:8443', passCookies: false };
const fields = (...all: (readonly [string, string])[]) => ({ fields: all.map(([name, value]) => ({ name, value })) });
const named = (...names: string[]) => fields(...names.map((name) => [name, 'x'] as const));
const passed = (name: string, more: Partial<FieldRules> = {}) => {
  const found = forwardedFields(named(name), { ...rules, ...more });
  return isRefusal(found) ? found.message : found.length === 1;
};
const shown = (name: string, value: string, more: Partial<FieldRules> = {}) =>
  answeredFields(fields([name, value]), { ...rules, ...more })[0]?.value;

describe('a field of a request', () => {
  it.each([
    'accept',
    'content-type',
    'user-agent',
    'x-tenant',
    'range',
    'if-none-match',
    'traceparent',
    'sec-websocket-key',
    'origin',
  ])('goes on: %s', (name) => expect(passed(name)).toBe(true));

  it('of gRPC may have dots and underscores in its name, where it is none of another name', () => {
    const more = { upstreamHttp2: true, routes: [{ reads: ['header.x-tenant'] }] };
    for (const name of ['request_id', 'com.example.trace-bin', 'x_tenants'])
      expect([passed(name), passed(name, more)]).toEqual([expect.stringMatching(/other characters/), true]);
    for (const name of ['x_tenant', 'x.tenant', 'x_forwarded_for', 'content_length', 'x_countersign.identity', 'a~b'])
      expect(passed(name, more)).toMatch(/other characters/);
  });

  it.each([
    ...[
      'authorization',
      'proxy-authorization',
      'forwarded',
      'via',
      'x-real-ip',
      'true-client-ip',
      'cookie',
      'client-cert',
    ],
    ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-uri', 'x-forwarded-client-cert', 'x-forwarded'],
    ...['x-original-url', 'x-original-uri', 'x-rewrite-url', 'x-envoy-original-path', 'x-countersign-identity'],
    ...[
      'x-http-method-override',
      'x-http-method',
      'x-method-override',
      'x-remote-user',
      'remote-user',
      'impersonate-user',
    ],
    ...[
      'connection',
      'te',
      'transfer-encoding',
      'content-length',
      'host',
      'upgrade',
      'proxy-connection',
      'http2-settings',
    ],
  ])('that others would trust stays here: %s', (name) => {
    expect(passed(name)).toBe(false);
  });

  it.each([
    'x_forwarded_for',
    'x-forwarded_for',
    'x.forwarded.for',
    'authorization_',
    'x!tenant',
    'X-Tenant',
    '',
    "x'y",
    'x~y',
    'a b',
  ])('that a server could fold into another is refused: %j', (name) =>
    expect(passed(name)).toMatch(/other characters than letters/));

  it.each([
    'content-type',
    'origin',
    'range',
    'cookie',
    'authorization',
    'host',
    'content-length',
    'user-agent',
  ])('is refused twice where it can be there once: %s', (name) => {
    expect(forwardedFields(named(name, name), rules)).toMatchObject({
      status: 400,
      code: 'http-field',
      hint: 'send it once',
    });
  });

  it('may be there twice otherwise, and stays in its order', () => {
    const { fields: given } = fields(['accept', 'a'], ['x-a', '1'], ['accept', 'b']);
    expect(forwardedFields({ fields: given }, rules)).toEqual(given);
  });

  it('of the credential stays here, a cookie goes where config says so', () => {
    expect(passed('x-api-key', { credential: { header: { name: 'X-Api-Key', value: 'env:K' } } })).toBe(false);
    expect(passed('x-api-key', { credential: { bearer: 'env:K' } })).toBe(true);
    expect(passed('cookie', { passCookies: true })).toBe(true);
  });
});

describe('a field of an answer', () => {
  it.each([
    ['content-type', 'x', 'x'],
    ['set-cookie', 'a=1', undefined],
    ['alt-svc', 'h3=":443"', undefined],
    ['connection', 'close', undefined],
    ['proxy-authenticate', 'Basic', undefined],
    ['x-countersign-session', '1', undefined],
    ['www-authenticate', 'Bearer', 'Bearer'],
  ])('%s: %s is shown as %s', (name, value, expected) => {
    expect(shown(name, value)).toBe(expected);
  });

  it('is one that config lets through', () => {
    expect(shown('set-cookie', 'a=1', { passCookies: true })).toBe('a=1');
    expect(shown('server', 'x', { responseHeaders: { deny: ['Server'] } })).toBeUndefined();
    expect(shown('server', 'x', { responseHeaders: { allow: ['etag'] } })).toBeUndefined();
    expect(shown('etag', 'x', { responseHeaders: { allow: ['ETag'] } })).toBe('x');
    expect(shown('content-type', 'x', { responseHeaders: { allow: [] } })).toBe('x');
  });

  it.each([
    ['https://api.internal:8443/a?b#c', '/a?b#c'],
    ['HTTPS://API.internal:8443/a', '/a'],
    ['//api.internal:8443/a', '/a'],
    ['https://api.internal:8443', '/'],
    ['https://api.internal:8443?a', '/?a'],
    ['https://api.internal:8443//evil.example/a', '/evil.example/a'],
    ['https://api.internal:8443/\\evil.example/a', '/evil.example/a'],
    ['/a', '/a'],
    ['../a', '../a'],
    ['https://other.example/a', 'https://other.example/a'],
    ['http://api.internal:8443/a', 'http://api.internal:8443/a'],
    ['https://u:p@api.internal:8443/a', 'https://u:p@api.internal:8443/a'],
    ['https://[/a', 'https://[/a'],
  ])('that leads to %s is shown as %s', (value, expected) => {
    expect(shown('location', value)).toBe(expected);
  });

  it.each([
    ['location', '/a?key=SECRET', '/a'],
    ['location', 'https://api.internal:8443/a?b=1&key=SECRET&c=2#d', '/a?b=1&c=2#d'],
    ['location', '/a?%6bey=SECRET', '/a'],
    ['content-location', 'https://other.example/?KEY=SECRET', 'https://other.example/'],
    ['location', '/a?monkey=1', '/a?monkey=1'],
    ['link', '</a?page=2&key=SECRET>; rel="next"', undefined],
    ['link', '</a?page=2>; rel="next"', '</a?page=2>; rel="next"'],
    ['refresh', '5; url=/a?key=SECRET', undefined],
  ])('%s: %s does not tell the credential', (name, value, expected) => {
    expect(shown(name, value, { credential: { query: { name: 'key', value: 'env:K' } } })).toBe(expected);
  });
});
