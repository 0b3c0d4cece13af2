import { X509Certificate } from 'node:crypto';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { compactVerify, importX509 } from 'jose';
import { expect, it } from 'vitest';
import { createManualClock } from '../../../../std/index.ts';
import { verifyX509Svid } from '../../../../wire/x509/index.ts';
import type { CurrentIdentity } from '../../../identity.ts';
import { createTestAuthority, identityOf } from '../../../testing/test-authority.ts';
import { createCallerTokens } from './caller-token.ts';

// Goal: an upstream that has the trust bundle and nothing else can tell who calls, and nobody but this gateway can tell it so.

const NOW_MS = 1_800_000_000_000;
const authority = createTestAuthority('example.org', NOW_MS);
const WEB = parseSpiffeId('spiffe://example.org/web');

function identityNow(): CurrentIdentity {
  return identityOf(authority.issue('/countersign/gateway'), [authority]);
}

function tokensOf(current: () => CurrentIdentity | undefined) {
  const clock = createManualClock(NOW_MS);
  return { clock, tokens: createCallerTokens({ target: 'api', identity: { current }, clock }) };
}

it('is verified by another library, by the certificate in its header, which the trust bundle vouches for', async () => {
  const identity = identityNow();
  const { tokens } = tokensOf(() => identity);
  const token = tokens.of(WEB) ?? '';
  const { x5c, alg } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
  const leaf = new X509Certificate(Buffer.from(x5c[0], 'base64'));
  const { payload } = await compactVerify(token, await importX509(leaf.toString(), alg));
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
    ...{ aud: 'api', iss: 'spiffe://example.org/countersign/gateway', sub: 'spiffe://example.org/web' },
    ...{ iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 60 },
  });
  const chain = x5c.map((der: string) => Buffer.from(der, 'base64'));
  const bundles = () => [{ der: authority.rootDer, tainted: false }];
  expect(verifyX509Svid(chain, bundles, NOW_MS)).toMatchObject({ ok: true });
});

it('is the same for half of its life, then another; one of each caller', async () => {
  const identity = identityNow();
  const { tokens, clock } = tokensOf(() => identity);
  const first = tokens.of(WEB);
  await clock.advance(29_000);
  expect(tokens.of(WEB)).toBe(first);
  expect(tokens.of(parseSpiffeId('spiffe://example.org/batch'))).not.toBe(first);
  await clock.advance(2_000);
  expect(tokens.of(WEB)).not.toBe(first);
});

it('is made anew by a new SVID, and there is none without one', () => {
  let identity: CurrentIdentity | undefined = identityNow();
  const { tokens } = tokensOf(() => identity);
  const first = tokens.of(WEB);
  identity = identityNow();
  expect(tokens.of(WEB)).not.toBe(first);
  identity = undefined;
  expect(tokens.of(WEB)).toBeUndefined();
});
