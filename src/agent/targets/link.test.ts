import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { expect, it } from 'vitest';
import { createSeededRandom, createSystemClock } from '../../std/index.ts';
import type { X509Svid } from '../cache/types.ts';
import { startFakeGateway } from '../testing/fake-gateway.ts';
import { createTestAuthority } from '../testing/test-authority.ts';
import { createLinkOpener } from './link.ts';

it('each link shows the SVID that it was asked with, whatever those before it have shown', async () => {
  const clock = createSystemClock();
  const trustDomain = parseTrustDomain('example.org');
  const authority = createTestAuthority({ clock, random: createSeededRandom('link'), trustDomain });
  const gateway = await startFakeGateway(authority);
  const openLink = createLinkOpener({ clock });
  const target = {
    ...{ name: 'orders', protocol: 'postgres' },
    gateways: [{ address: gateway.address, spiffeId: 'spiffe://example.org/countersign/gateway' }],
  };
  const issue = (path: string): X509Svid => {
    const { chainDer, keyDer, expiresAtS } = authority.issueWithKey(path, 3_600);
    const spiffeId = parseSpiffeId(`spiffe://example.org${path}`);
    return { entryId: path, spiffeId, chainDer, keyDer, issuedAtMs: 0, expiresAtMs: expiresAtS * 1000, revision: 0 };
  };
  const [web, batch] = [issue('/web'), issue('/batch')];
  for (const svid of [web, batch, web, web]) {
    const { signal } = new AbortController();
    const link = await openLink({ target, svid, bundles: [authority.bundle(1)], signal });
    link.destroy();
  }
  expect(gateway.links.map(({ id }) => id)).toEqual(
    ['/web', '/batch', '/web', '/web'].map((path) => `spiffe://example.org${path}`),
  );
  await gateway.close();
});
