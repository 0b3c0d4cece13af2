import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSpiffeId, parseSpiffeId, parseTrustDomain, spiffeIdOf } from './index.ts';

describe('parseSpiffeId', () => {
  it.each([
    'spiffe://example.org',
    'spiffe://example.org/a',
    'spiffe://a_b-c.d/Web/9.1_x-y',
    `spiffe://${'a'.repeat(255)}/x`,
  ])('accepts %s unchanged', (uri) => {
    expect(parseSpiffeId(uri).uri).toBe(uri);
  });

  it.each([
    ['', 'starts with spiffe://'],
    ['SPIFFE://example.org/a', 'starts with spiffe://'],
    ['https://example.org/a', 'starts with spiffe://'],
    ['spiffe:///a', 'can not be empty'],
    ['spiffe://Example.org/a', 'holds only'],
    ['spiffe://example.org:80/a', 'holds only'],
    ['spiffe://user@example.org/a', 'holds only'],
    ['spiffe://example.org/', 'trailing slash'],
    ['spiffe://example.org/a/', 'trailing slash'],
    ['spiffe://example.org//a', 'empty segment'],
    ['spiffe://example.org/a/../b', 'dot segment'],
    ['spiffe://example.org/./b', 'dot segment'],
    ['spiffe://example.org/a%2fb', 'segment holds only'],
    ['spiffe://example.org/a?b', 'segment holds only'],
    ['spiffe://example.org/a#b', 'segment holds only'],
    ['spiffe://example.org/ä', 'segment holds only'],
    [`spiffe://${'a'.repeat(256)}`, 'at most 255'],
    [`spiffe://example.org/${'a'.repeat(2048)}`, 'at most 2048'],
  ])('refuses %j', (uri, why) => {
    expect(() => parseSpiffeId(uri)).toThrow(why);
  });

  it('accepts 2048 bytes and refuses one more', () => {
    const longest = `spiffe://example.org/${'a'.repeat(2048 - 'spiffe://example.org/'.length)}`;
    expect(parseSpiffeId(longest).uri).toHaveLength(2048);
    expect(() => parseSpiffeId(`${longest}a`)).toThrow('at most 2048');
  });

  it('gives back exactly what was put together, for every valid trust domain and path', () => {
    const domain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
    const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/).filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(domain, fc.array(segment, { maxLength: 6 }), (name, segments) => {
        const path = segments.map((part) => `/${part}`).join('');
        const id = spiffeIdOf(parseTrustDomain(name), path);
        expect(id).toEqual({ trustDomain: name, path, uri: `spiffe://${name}${path}` });
        expect(formatSpiffeId(parseSpiffeId(id.uri))).toBe(id.uri);
      }),
    );
  });
});
