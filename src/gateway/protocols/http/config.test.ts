import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../errors.ts';
import { checkConfig, parseConfig, routesOf } from './config.ts';

const least = { url: 'https://api.internal:8443' };

describe('the config of an HTTP target', () => {
  it('needs no more than a URL', () => {
    expect(parseConfig(least)).toEqual({
      ...{
        ...least,
        routes: [],
        unlisted: 'ask',
        passCookies: false,
        allowCompression: false,
        allowRanges: false,
        identityHeader: false,
        http2: true,
        upstreamHttp2: false,
        allow: {},
      },
      limits: { bodyInspectedBytes: 1_048_576, answerSeconds: 300 },
    });
  });

  it.each<[string, object]>([
    ['a bearer token', { credential: { bearer: 'env:TOKEN' } }],
    ['a password', { credential: { basic: { user: 'a', password: 'file:/x' } } }],
    ['a field', { credential: { header: { name: 'X-Api-Key', value: 'env:KEY' } } }],
    ['a parameter', { credential: { query: { name: 'key', value: 'keystore:key' } } }],
    ['a client certificate', { certificate: 'file:/c', key: 'file:/k', roots: 'file:/r', serverName: 'a.test' }],
    ['hosts', { hosts: ['a.test', '[::1]', '127.0.0.1'] }],
    ['fields of answers', { responseHeaders: { deny: ['Server'] } }],
    ['a door', { listen: { port: 0 } }],
    [
      'a route',
      {
        routes: [
          {
            name: 'a',
            methods: ['GET', 'M-SEARCH'],
            path: '/a/{b}',
            reads: ['header.x-a'],
            allow: { encodedSlash: true },
          },
        ],
      },
    ],
    ['cookies that are read', { passCookies: true, routes: [{ name: 'a', path: '/a', reads: ['header.cookie'] }] }],
    ['an address', { url: 'http://[::1]:80' }],
    ['several places', { url: ['https://a.test', 'https://b.test:8443'] }],
  ])('may have %s', (_, more) => {
    expect(checkConfig({ ...least, ...more })).toEqual([]);
  });

  it.each<[string, object, RegExp]>([
    ['no URL', { url: undefined }, /url/],
    ['a URL with a path', { url: 'https://a.test/v1' }, /url/],
    ['a URL with a user', { url: 'https://u:p@a.test' }, /url/],
    ['a URL of another scheme', { url: 'ftp://a.test' }, /url/],
    ['no place', { url: [] }, /url/],
    ['places of two schemes', { url: ['https://a.test', 'http://b.test'] }, /same/],
    ['a place twice', { url: ['https://a.test', 'https://A.test:443'] }, /twice/],
    ['a port that is none', { url: 'https://a.test:70000' }, /port/],
    ['two credentials', { credential: { bearer: 'env:A', query: { name: 'k', value: 'env:B' } } }, /credential/],
    ['a secret in its text', { credential: { bearer: 'abc' } }, /credential/],
    ['a user with a colon', { credential: { basic: { user: 'a:b', password: 'env:P' } } }, /credential/],
    ['a credential in Host', { credential: { header: { name: 'Host', value: 'env:A' } } }, /can’t be the field host/],
    [
      'a credential in a field between neighbours',
      { credential: { header: { name: 'Proxy-Authorization', value: 'env:A' } } },
      /can’t be the field proxy-authorization/,
    ],
    ['a certificate without key', { certificate: 'file:/c' }, /belong together/],
    ['roots without TLS', { url: 'http://a.test', roots: 'file:/r' }, /roots needs TLS/],
    ['a host with a port', { hosts: ['a.test:80'] }, /hosts/],
    ['two lists of fields', { responseHeaders: { deny: [], allow: [] } }, /responseHeaders/],
    ['a method in lower case', { routes: [{ name: 'a', methods: ['get'], path: '/a' }] }, /methods/],
    ['a route of that name', { routes: [{ name: 'A', path: '/a' }] }, /name/],
    [
      'two routes that are one',
      {
        routes: [
          { name: 'a', path: '/{x}' },
          { name: 'b', path: '/{y}' },
        ],
      },
      /a and b take the same/,
    ],
    [
      'a read of what clients choose',
      { routes: [{ name: 'a', path: '/a', reads: ['header.user-agent'] }] },
      /user-agent/,
    ],
    [
      'a read of what is not passed on',
      { routes: [{ name: 'a', path: '/a', reads: ['header.x-forwarded-for'] }] },
      /not passed on/,
    ],
    [
      'a read of cookies that are not passed',
      { routes: [{ name: 'a', path: '/a', reads: ['header.cookie'] }] },
      /not passed on/,
    ],
    [
      'a read of the credential',
      {
        credential: { query: { name: 'key', value: 'env:K' } },
        routes: [{ name: 'a', path: '/a', reads: ['query.key'] }],
      },
      /holds the credential/,
    ],
    ['a key that nobody knows', { rotues: [] }, /additional|rotues/],
  ])('is refused with %s', (_, more, message) => {
    const config = { ...least, ...more };
    expect(checkConfig(config).join('; ')).toMatch(message);
    expect(() => parseConfig(config)).toThrow(GatewayError);
  });

  it('tells the routes that policies may name', () => {
    expect(routesOf({ ...least, routes: [{ name: 'a', path: '/a' }] })).toEqual(['a']);
    expect(routesOf({ url: 1 })).toBeUndefined();
  });
});
