import { parseTrustDomain } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { checkEntryId, InvalidEntry, parseEntryContent } from './parse-entry.ts';
import type { EntryInput } from './types.ts';

const rules = {
  trustDomain: parseTrustDomain('example.org'),
  knowsTrustDomain: (name: string) => name === 'known.example',
};
const valid: EntryInput = {
  spiffeId: 'spiffe://example.org/web',
  parentId: 'spiffe://example.org/spire/agent/x509pop/1',
  selectors: [{ type: 'unix', value: 'uid:1000' }],
};
const parse = (change: Partial<EntryInput>) => parseEntryContent({ ...valid, ...change }, rules);

describe('an entry', () => {
  it('needs no more than identity, parent and one selector', () => {
    expect(parse({})).toMatchObject({ x509SvidTtlS: 0, admin: false, hint: '', dnsNames: [], federatesWith: [] });
  });

  it.each([
    [{ spiffeId: 'spiffe://example.org/countersign/gateway' }, 'is a gateway'],
    [{ spiffeId: 'spiffe://example.org/countersign/gateway/eu' }, 'is a gateway'],
    [{ admin: true }, 'is an admin'],
    [{ downstream: true }, 'is a downstream server'],
  ])('that acts for others, %j, names one node and not all', (change, message) => {
    const everyNode = { parentId: 'spiffe://example.org/countersign/nodes' };
    expect(() => parse({ ...change, ...everyNode })).toThrow(message);
    expect(parse(change).parentId.path).toBe('/spire/agent/x509pop/1');
    expect(parse({ ...everyNode, spiffeId: 'spiffe://example.org/countersign/gateways' }).admin).toBe(false);
  });

  it('comes out with its selectors and trust domains sorted, once each', () => {
    const content = parse({
      selectors: [
        { type: 'unix', value: 'uid:2' },
        { type: 'docker', value: 'label:a:b' },
        { type: 'unix', value: 'uid:2' },
      ],
      federatesWith: ['known.example', 'known.example'],
    });
    expect(content.selectors).toEqual([
      { type: 'docker', value: 'label:a:b' },
      { type: 'unix', value: 'uid:2' },
    ]);
    expect(content.federatesWith).toEqual(['known.example']);
  });

  it.each<[string, Partial<EntryInput>]>([
    ['the longest hint', { hint: 'h'.repeat(1024) }],
    ['a wildcard DNS name', { dnsNames: ['*.web.example.org', 'a_b.example', 'WEB'] }],
    ['a label of 63 characters', { dnsNames: [`${'a'.repeat(63)}.example`] }],
    ['the largest lifetime', { x509SvidTtlS: 2 ** 31 - 1, jwtSvidTtlS: 2 ** 31 - 1 }],
    ['the server as parent: an alias', { parentId: 'spiffe://example.org/spire/server' }],
    ['another workload as parent', { parentId: 'spiffe://example.org/cluster' }],
    ['a path that only begins like a reserved one', { spiffeId: 'spiffe://example.org/spireling' }],
    ['stored SVIDs with selectors of one type', { storeSvid: true }],
  ])('may have %s', (_what, change) => {
    expect(() => parse(change)).not.toThrow();
  });

  it.each<[string, Partial<EntryInput>, RegExp]>([
    ['a malformed SPIFFE ID', { spiffeId: 'spiffe://example.org/web/' }, /spiffe_id is malformed: .*trailing slash/],
    [
      'an identity in another trust domain',
      { spiffeId: 'spiffe://other.org/web' },
      /in trust domain other.org, this server's is example.org/,
    ],
    ['the trust domain as identity', { spiffeId: 'spiffe://example.org' }, /a path is needed/],
    ['a reserved identity', { spiffeId: 'spiffe://example.org/spire/server' }, /reserved/],
    ['the reserved path itself', { spiffeId: 'spiffe://example.org/spire' }, /reserved/],
    [
      'a parent in another trust domain',
      { parentId: 'spiffe://other.org/spire/agent/a' },
      /parent_id .* in trust domain/,
    ],
    ['no parent', { parentId: '' }, /parent_id is malformed/],
    ['no selector', { selectors: [] }, /at least one selector/],
    ['a selector type with a colon', { selectors: [{ type: 'unix:uid', value: '1' }] }, /holds a colon/],
    ['an empty selector value', { selectors: [{ type: 'unix', value: '' }] }, /empty type or value/],
    ['an empty selector type', { selectors: [{ type: '', value: 'a' }] }, /empty type or value/],
    ['a NUL in a selector', { selectors: [{ type: 'unix', value: 'a\0' }] }, /NUL/],
    ['a selector that is too long', { selectors: [{ type: 'unix', value: 'a'.repeat(2045) }] }, /longer than 2048/],
    [
      '101 selectors',
      { selectors: Array.from({ length: 101 }, (_, n) => ({ type: 'a', value: `${n}` })) },
      /allowed are 100/,
    ],
    [
      'stored SVIDs with selectors of two types',
      {
        storeSvid: true,
        selectors: [
          { type: 'a', value: '1' },
          { type: 'b', value: '1' },
        ],
      },
      /same type/,
    ],
    ['a negative lifetime', { x509SvidTtlS: -1 }, /x509_svid_ttl is -1/],
    ['a fractional lifetime', { jwtSvidTtlS: 0.5 }, /jwt_svid_ttl is 0.5/],
    ['a lifetime above 32 bits', { x509SvidTtlS: 2 ** 31 }, /allowed are whole numbers/],
    ['an expiry after the year 9999', { expiresAtS: 253_402_300_800 }, /expires_at/],
    ['a hint of 1025 bytes', { hint: `${'é'.repeat(512)}h` }, /hint has 1025 bytes, allowed are 1024/],
    ['a DNS name with a space', { dnsNames: ['a b'] }, /no DNS name/],
    ['an empty DNS name', { dnsNames: [''] }, /no DNS name/],
    ['a DNS label of 64 characters', { dnsNames: ['a'.repeat(64)] }, /no DNS name/],
    ['a DNS label that ends in a dash', { dnsNames: ['a-.example'] }, /no DNS name/],
    ['a wildcard inside a DNS name', { dnsNames: ['a.*.example'] }, /no DNS name/],
    ['a wildcard alone', { dnsNames: ['*'] }, /no DNS name/],
    ['a DNS name twice', { dnsNames: ['a.example', 'A.example'] }, /holds a.example twice/],
    ['an unknown trust domain to federate with', { federatesWith: ['unknown.example'] }, /bundle is not known/],
    ['its own trust domain to federate with', { federatesWith: ['example.org'] }, /itself/],
    [
      'a SPIFFE ID where a trust domain name belongs',
      { federatesWith: ['spiffe://known.example'] },
      /federates_with is malformed/,
    ],
  ])('may not have %s', (_what, change, message) => {
    expect(() => parse(change)).toThrow(InvalidEntry);
    expect(() => parse(change)).toThrow(message);
  });
});

describe('an id chosen by the caller', () => {
  it.each(['a', 'A-1_b.c', 'x'.repeat(255)])('may be %s', (id) => {
    expect(() => checkEntryId(id)).not.toThrow();
  });
  it.each(['', 'a/b', 'a b', 'é', 'x'.repeat(256)])('may not be %s', (id) => {
    expect(() => checkEntryId(id)).toThrow(InvalidEntry);
  });
});
