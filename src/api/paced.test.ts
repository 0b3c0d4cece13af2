import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestAuthority } from '../rpc/testing/fixtures.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: only who is proven to be of the trust domain is served as he comes; a certificate that anybody can make buys nothing.

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

const remoteAddress = '192.0.2.7';
const pacedAs = (chainDer: readonly Buffer[]) => {
  const socket = undefined as never; // Nothing is asked of it.
  return server.pacedAs({ kind: 'tls', socket, chainDer, remoteAddress });
};

it('who shows an SVID of the trust domain is served as he comes, while it is good', async () => {
  const { chainDer } = await server.identify('/anybody');
  expect(pacedAs(chainDer)).toBeUndefined();
  server.clock.step(400 * 86_400_000);
  expect(pacedAs(chainDer)).toBe(remoteAddress);
});

it('who shows none, or one of another authority, is served in pieces, counted by his address', () => {
  const forged = createTestAuthority('example.org').issue('spiffe://example.org/spire/agent/a');
  expect([pacedAs([]), pacedAs(forged.chainDer)]).toEqual([remoteAddress, remoteAddress]);
});
