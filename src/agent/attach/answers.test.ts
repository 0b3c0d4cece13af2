import { create } from '@bufbuild/protobuf';
import { BundleSchema } from '@countersign/sdk/contract/gen/spire/api/types/bundle_pb.ts';
import { EntrySchema } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { X509SVIDSchema } from '@countersign/sdk/contract/gen/spire/api/types/x509svid_pb.ts';
import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import { createTestAuthority } from '../testing/test-authority.ts';
import { checkSvid } from './check-svid.ts';
import { toBundle, toEntry } from './from-contract.ts';
import { verifyServer } from './verify-server.ts';

const trustDomain = parseTrustDomain('example.org');
const clock = createManualClock(Date.UTC(2026, 0, 1));
const authority = createTestAuthority({ clock, random: createSeededRandom('answers'), trustDomain });
const badAnswer = expect.objectContaining({ code: 'ERR_AGENT_SERVER_ANSWER' });

describe('an SVID that the server issued', () => {
  const { chainDer } = authority.issueWithKey('/web', 60);
  const leaf = parseCertificate(chainDer[0] ?? Buffer.alloc(0));
  const wanted = { keySpkiDer: leaf.spkiDer, nowMs: clock.now(), expected: parseSpiffeId('spiffe://example.org/web') };
  const message = (path = '/web', certChain: Uint8Array[] = chainDer) =>
    create(X509SVIDSchema, { certChain, id: { trustDomain, path } });

  it('is taken when it is for our key, the wanted identity, and has not expired', () => {
    expect(checkSvid(message(), wanted)).toMatchObject({ id: wanted.expected, expiresAtMs: leaf.notAfterS * 1000 });
  });

  it.each([
    ['another identity than asked for', message('/other'), wanted],
    [
      'a certificate that names another identity',
      message('/other'),
      { ...wanted, expected: parseSpiffeId('spiffe://example.org/other') },
    ],
    ['another key', message(), { ...wanted, keySpkiDer: Buffer.from('other') }],
    ['the past', message(), { ...wanted, nowMs: wanted.nowMs + 60_000 }],
    ['no certificate at all', message('/web', []), wanted],
    ['no certificate that can be read', message('/web', [Buffer.from('junk')]), wanted],
  ])('is refused when it is for %s', (_what, svid, context) => {
    expect(() => checkSvid(svid, context)).toThrowError(badAnswer);
  });
});

describe('an entry', () => {
  const entry = { id: 'e', spiffeId: { trustDomain, path: '/web' }, selectors: [{ type: 'unix', value: 'uid:1' }] };

  it('is taken over with what the agent needs', () => {
    const additionalAttributes = { disableX509SvidPrefetch: true, jwtSvidIncludeJti: true };
    expect(
      toEntry(create(EntrySchema, { ...entry, federatesWith: ['other.org'], additionalAttributes })),
    ).toMatchObject({
      id: 'e',
      federatesWith: ['other.org'],
      prefetch: false,
      uniqueJwt: true,
    });
  });

  it.each([
    ['no id', { id: '' }],
    ['no selector', { selectors: [] }],
    ['a colon in a selector type', { selectors: [{ type: 'a:b', value: 'c' }] }],
    ['an empty selector value', { selectors: [{ type: 'a', value: '' }] }],
    ['no valid SPIFFE ID', { spiffeId: { trustDomain, path: '/a//b' } }],
    ['a federated domain that is none', { federatesWith: ['spiffe://other.org'] }],
  ])('is refused with %s', (_what, change) => {
    expect(() => toEntry(create(EntrySchema, { ...entry, ...change }))).toThrowError(badAnswer);
  });
});

describe('a bundle', () => {
  it('is refused with an endless list of authorities', () => {
    const x509Authorities = Array.from({ length: 1_001 }, () => ({ asn1: Buffer.from('x') }));
    expect(() => toBundle(create(BundleSchema, { trustDomain, x509Authorities }))).toThrowError(badAnswer);
  });
});

describe('the server', () => {
  const authorities = authority.bundle(1).x509Authorities;
  const nowMs = clock.now();
  const server = authority.issueWithKey('/spire/server', 60).chainDer;
  const other = authority.issueWithKey('/spire/serverx', 60).chainDer;
  const refused = expect.objectContaining({ code: 'ERR_AGENT_SERVER_IDENTITY' });

  it('is the one with the name and an authority of the bundle', () => {
    expect(() => verifyServer({ chainDer: server, trustDomain, authorities, nowMs })).not.toThrow();
    const foreign = createTestAuthority({ clock, random: createSeededRandom('foreign'), trustDomain });
    const wrong = [
      { chainDer: other, authorities },
      { chainDer: [], authorities },
      { chainDer: server, authorities: foreign.bundle(1).x509Authorities },
      { chainDer: server, authorities, nowMs: nowMs + 61_000 },
    ];
    for (const each of wrong) expect(() => verifyServer({ trustDomain, nowMs, ...each })).toThrowError(refused);
  });

  it('is known by its name alone before anything is known', () => {
    const first = { trustDomain, authorities: undefined, nowMs };
    expect(() => verifyServer({ ...first, chainDer: server })).not.toThrow();
    for (const chainDer of [other, [Buffer.from('junk')], []]) {
      expect(() => verifyServer({ ...first, chainDer })).toThrowError(refused);
    }
  });
});
