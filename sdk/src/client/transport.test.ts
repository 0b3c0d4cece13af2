import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { createTestAuthority } from '../../../src/rpc/testing/fixtures.ts';
import { createApiClient } from './transport.ts';

// Goal: nothing is sent to a server that is not the one that was meant, and the caller's own proof is the newest.

const authority = createTestAuthority('example.org');
const bundle = authority.pem.toString();
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function start(uri: string) {
  const own = authority.issue(uri);
  const seen: { authorization: string | undefined; peer: string | undefined }[] = [];
  server = createServer({
    cert: own.certPem,
    key: own.keyPem,
    ca: bundle,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on('request', (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerX509Certificate()?.subjectAltName;
    seen.push({ authorization: request.headers.authorization, peer });
    response.end('{"items":[],"revision":0}');
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return { seen, place: { host: '127.0.0.1', port, bundle } };
}

it('a server is known by its SPIFFE ID, whatever name it was found under', async () => {
  const { place } = await start('spiffe://example.org/spire/server');
  const api = createApiClient({ ...place, server: 'spiffe://example.org/spire/server' });
  expect((await api.call('target.list', {})).output).toEqual({ items: [], revision: 0 });
});

it.each([
  'spiffe://example.org/spire/server2',
  'spiffe://example.org/spire',
  'spiffe://example.com/spire/server',
])('another one, %s, is sent nothing', async (uri) => {
  const { place, seen } = await start(uri);
  const api = createApiClient({ ...place, server: 'spiffe://example.org/spire/server', token: () => 'secret' });
  await expect(api.call('target.list', {})).rejects.toThrow('is not spiffe://example.org/spire/server');
  expect(seen).toEqual([]);
});

it('one of another authority is sent nothing, and one that is not named by its host neither', async () => {
  const { place, seen } = await start('spiffe://example.org/spire/server');
  const other = createTestAuthority('other').pem.toString();
  const server = 'spiffe://example.org/spire/server';
  await expect(createApiClient({ ...place, bundle: other, server }).call('target.list', {})).rejects.toThrow();
  await expect(createApiClient(place).call('target.list', {})).rejects.toThrow(/altname/i);
  expect(seen).toEqual([]);
});

it('proof is asked for anew with each request', async () => {
  const { place, seen } = await start('spiffe://example.org/spire/server');
  const own = authority.issue('spiffe://example.org/web');
  let times = 0;
  const api = createApiClient({
    ...{ ...place, server: 'spiffe://example.org/spire/server' },
    svid: () => ({ certificate: own.certPem.toString(), key: own.keyPem.toString() }),
    token: () => `t${++times}`,
  });
  await api.call('target.list', {});
  await api.call('target.list', {});
  const peer = expect.stringMatching(/^URI:spiffe:\/\/example\.org\/web(,|$)/);
  expect(seen).toEqual([
    { authorization: 'Bearer t1', peer },
    { authorization: 'Bearer t2', peer },
  ]);
});
