import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { Health, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { HealthCheckResponse_ServingStatus } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPeer } from '../../attestation/index.ts';
import { Code, type RpcClient } from '../../rpc/index.ts';
import { callBlock, connectRaw, END_HEADERS, END_STREAM, FRAME, frame, PREFACE } from '../../rpc/testing/raw-frames.ts';
import { createSeededRandom } from '../../std/index.ts';
import { parseJwks } from '../../wire/jose/index.ts';
import { splitCertificates } from '../../wire/x509/index.ts';
import { createHarness, type Harness, HEADER } from '../testing/harness.ts';
import { createTestAuthority } from '../testing/test-authority.ts';

const { method } = SpiffeWorkloadAPI;
let h: Harness;
let client: RpcClient;
beforeEach(async () => {
  h = await createHarness();
  h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] });
  await h.startAgent();
  await h.until(() => h.agent().counters.syncs > 0);
  client = h.connect();
});
afterEach(() => h.close());

const signal = new AbortController().signal;
const options = { signal, metadata: HEADER };

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new Error('the stream ended without a message');
}

describe('every call', () => {
  it.each([
    ['no header', {}],
    ['another value', { 'workload.spiffe.io': 'TRUE' }],
    ['almost the value', { 'workload.spiffe.io': 'True' }],
    ['more than the value', { 'workload.spiffe.io': 'true ;' }],
    ['no value', { 'workload.spiffe.io': '' }],
    ['two values', { 'workload.spiffe.io': 'true, true' }],
    ['another header', { 'workload-spiffe-io': 'true' }],
  ])('is refused as INVALID_ARGUMENT with %s', async (_name, metadata) => {
    const call = first(client.serverStream(method.fetchX509SVID, {}, { signal, metadata }));
    await expect(h.run(call)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const unary = client.unary(method.fetchJWTSVID, { audience: ['a'] }, { signal, metadata });
    await expect(h.run(unary)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it.each([
    ['the header twice', [['workload.spiffe.io', 'true'] as const, ['workload.spiffe.io', 'true'] as const], '3'],
    ['the header in capitals', [['Workload.SPIFFE.io', 'true'] as const], undefined],
    ['the header once', [['workload.spiffe.io', 'true'] as const], '0'],
  ])('that comes with %s is answered as such, whatever library would not send it', async (_name, fields, status) => {
    const client = connectRaw(h.socketPath);
    const request = frame(
      FRAME.data,
      END_STREAM,
      1,
      Buffer.concat([Buffer.from([0, 0, 0, 0, 3, 0x0a, 1]), Buffer.from('a')]),
    );
    const block = callBlock('/SpiffeWorkloadAPI/FetchJWTSVID', fields);
    let heard = '';
    client.socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    await client.send(Buffer.concat([PREFACE, frame(FRAME.headers, END_HEADERS, 1, block), request]));
    const before = h.server.calls['jwt'] ?? 0;
    // A frame on stream 1: headers with the status, or a reset.
    await h.until(() => /\0\0\0\x01/.test(heard) && (status !== '0' || (h.server.calls['jwt'] ?? 0) > before));
    expect(h.server.calls['jwt'] ?? 0).toBe(status === '0' ? before + 1 : before);
    client.socket.destroy();
  });

  it('attests its process once per connection', async () => {
    await h.run(first(client.serverStream(method.fetchX509SVID, {}, options)));
    await h.run(first(client.serverStream(method.fetchX509Bundles, {}, options)));
    expect(h.agent().counters.callersAttested).toBe(1);
  });

  it('but the health check, which every probe may ask, says whether workloads are served', async () => {
    const answer = await h.run(client.unary(Health.method.check, {}, { signal }));
    expect(answer.status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  });

  it('answers UNIMPLEMENTED for WIT-SVIDs', async () => {
    const call = first(client.serverStream(method.fetchWITSVID, {}, options));
    await expect(h.run(call)).rejects.toMatchObject({ code: Code.UNIMPLEMENTED });
  });
});

describe('a process that ends', () => {
  it('gets nothing when it ended while it was attested, whoever has its pid by then', async () => {
    h.whileAttesting = async (process) => {
      process.dead = true;
    };
    const stream = h.watchX509(client);
    await h.until(() => stream.ended);
    expect(stream.messages).toEqual([]);
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it('gets nothing more on a connection that outlived it', async () => {
    await h.run(first(client.serverStream(method.fetchX509SVID, {}, options)));
    const stream = h.watchX509(client);
    await h.until(() => stream.messages.length === 1);
    for (const process of h.processes) process.dead = true;
    const late = h.watchX509(client);
    await h.until(() => late.ended);
    expect(late.messages).toEqual([]);
    h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'], revision: 1 });
    h.server.changed();
    await h.until(() => stream.ended);
    expect(stream.messages).toHaveLength(1);
  });

  it('releases everything when it hangs up in the middle of its attestation', async () => {
    let aborted = false;
    h.whileAttesting = (_process, during) =>
      new Promise((_resolve, reject) => {
        during.addEventListener('abort', () => {
          aborted = true;
          reject(during.reason);
        });
      });
    h.watchX509(client);
    await h.until(() => h.processes.length === 1);
    await h.pass(50);
    await h.run(client.close());
    await h.until(() => aborted && h.processes.every((process) => process.closed));
    h.whileAttesting = async () => {};
    const stream = h.watchX509(h.connect());
    await h.until(() => stream.messages.length === 1);
  });

  it('is given up when an attestor hangs', async () => {
    h.whileAttesting = () => new Promise(() => {});
    const stream = h.watchX509(client);
    await h.until(() => stream.ended);
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
  });
});

describe('bundles', () => {
  it('show the own trust domain and those that the entries federate with', async () => {
    const other = parseTrustDomain('other.org');
    const foreign = createTestAuthority({ clock: h.clock, random: createSeededRandom('other'), trustDomain: other });
    h.server.federated.set('other.org', foreign.bundle(1));
    const federatesWith = ['other.org', 'unknown.org'];
    h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'], revision: 1, federatesWith });
    const syncs = h.agent().counters.syncs;
    h.server.changed();
    await h.until(() => h.agent().counters.syncs > syncs);
    const x509 = await h.run(first(client.serverStream(method.fetchX509Bundles, {}, options)));
    expect(Object.keys(x509.bundles)).toEqual(['spiffe://example.org', 'spiffe://other.org']);
    expect(splitCertificates(Buffer.from(x509.bundles['spiffe://other.org'] ?? []))).toHaveLength(1);
    const jwt = await h.run(first(client.serverStream(method.fetchJWTBundles, {}, options)));
    const [key] = parseJwks(Buffer.from(jwt.bundles['spiffe://example.org'] ?? []));
    expect(key?.keyId).toBe(h.server.authority.jwtKeyId);
    const svid = await h.run(first(client.serverStream(method.fetchX509SVID, {}, options)));
    expect(Object.keys(svid.federatedBundles)).toEqual(['spiffe://other.org']);
  });

  it('are not shown to a process without identity', async () => {
    h.selectors = ['unix:uid:4000'];
    const call = first(client.serverStream(method.fetchX509Bundles, {}, options));
    await expect(h.run(call)).rejects.toMatchObject({ code: Code.PERMISSION_DENIED, message: 'no identity issued' });
  });
});

describe('JWT-SVIDs', () => {
  const fetch = (request: { audience: string[]; spiffeId?: string }) =>
    h.run(client.unary(method.fetchJWTSVID, request, options));

  it('are issued for all identities of the process, or for the one it names', async () => {
    h.server.entries.set('e2', { id: 'e2', path: '/second', selectors: ['unix:uid:1000'], createdAtS: 2, hint: 'two' });
    const syncs = h.agent().counters.syncs;
    h.server.changed();
    await h.until(() => h.agent().counters.syncs > syncs);
    const all = await fetch({ audience: ['db'] });
    expect(all.svids.map(({ spiffeId, hint }) => [spiffeId, hint])).toEqual([
      ['spiffe://example.org/web', ''],
      ['spiffe://example.org/second', 'two'],
    ]);
    const one = await fetch({ audience: ['db'], spiffeId: 'spiffe://example.org/second' });
    expect(one.svids).toHaveLength(1);
    expect(h.server.calls['jwt']).toBe(2);
  });

  it('are refused without audience, for a malformed ID, and for an identity of another process', async () => {
    await expect(fetch({ audience: [] })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(fetch({ audience: [''] })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(fetch({ audience: ['a'], spiffeId: 'web' })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const foreign = fetch({ audience: ['a'], spiffeId: 'spiffe://example.org/other' });
    await expect(foreign).rejects.toMatchObject({ code: Code.PERMISSION_DENIED, message: 'no identity issued' });
  });

  it('come from the cache while the server is away, across a restart too, until they expire', async () => {
    const { svids } = await fetch({ audience: ['db'] });
    await h.run(h.agent().stop());
    await h.run(h.server.stop());
    await h.startAgent();
    client = h.connect();
    expect((await fetch({ audience: ['db'] })).svids[0]?.svid).toBe(svids[0]?.svid);
    await expect(fetch({ audience: ['new'] })).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    await h.pass(301_000);
    await expect(fetch({ audience: ['db'] })).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  });

  it('are validated here: claims come back as a structure, anything wrong as INVALID_ARGUMENT', async () => {
    const { svids } = await fetch({ audience: ['db'] });
    const svid = svids[0]?.svid ?? '';
    const validate = (audience: string, token: string) =>
      h.run(client.unary(method.validateJWTSVID, { audience, svid: token }, options));
    const valid = await validate('db', svid);
    expect(valid.spiffeId).toBe('spiffe://example.org/web');
    expect(valid.claims).toMatchObject({ sub: 'spiffe://example.org/web', aud: ['db'] });
    for (const [audience, token] of [
      ['other', svid],
      ['db', `${svid}x`],
      ['', svid],
      ['db', ''],
    ] as const) {
      await expect(validate(audience, token)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
  });

  it('of a foreign domain show only the claims that mean the same everywhere', async () => {
    const other = parseTrustDomain('other.org');
    const foreign = createTestAuthority({ clock: h.clock, random: createSeededRandom('other'), trustDomain: other });
    h.server.federated.set('other.org', foreign.bundle(1));
    h.server.entries.set('e1', {
      id: 'e1',
      path: '/web',
      selectors: ['unix:uid:1000'],
      revision: 1,
      federatesWith: ['other.org'],
    });
    const syncs = h.agent().counters.syncs;
    h.server.changed();
    await h.until(() => h.agent().counters.syncs > syncs);
    const { token } = foreign.jwt({ uri: 'spiffe://other.org/x', audience: ['db'], ttlS: 60 });
    const { claims } = await h.run(client.unary(method.validateJWTSVID, { audience: 'db', svid: token }, options));
    expect(Object.keys(claims ?? {}).toSorted()).toEqual(['aud', 'exp', 'sub']);
  });
});

it('takes the caller from the kernel, not from what it says', async () => {
  await h.close();
  h = await createHarness({ readPeer });
  h.server.entries.set('me', { id: 'me', path: '/me', selectors: [`unix:uid:${process.getuid?.()}`] });
  await h.startAgent();
  const stream = h.watchX509(h.connect());
  await h.until(() => stream.messages.length === 1);
  expect(stream.messages[0]?.svids[0]?.spiffeId).toBe('spiffe://example.org/me');
});

describe('a client that does not read', () => {
  it('has a few answers wait for it, not one for each change, and then gets the newest', async () => {
    const session = connectHttp2('http://localhost', {
      createConnection: () => connectSocket(h.socketPath),
      settings: { initialWindowSize: 0 },
    });
    session.on('error', () => {});
    const stream = session.request({
      ':method': 'POST',
      ':path': '/SpiffeWorkloadAPI/FetchX509SVID',
      'content-type': 'application/grpc',
      ...HEADER,
    });
    stream.on('error', () => {});
    stream.end(Buffer.alloc(5));
    const other = h.watchX509(client);
    await h.until(() => other.messages.length === 1 && h.agent().counters.updatesSent >= 2);
    const { updatesSent } = h.agent().counters;
    const hintOf = (revision: number) => `h${revision} ${'x'.repeat(6_000)}`;
    for (let revision = 1; revision <= 60; revision++) {
      h.server.entries.set('e1', {
        id: 'e1',
        path: '/web',
        selectors: ['unix:uid:1000'],
        revision,
        hint: hintOf(revision),
      });
      h.server.changed();
      await h.until(() => other.messages.at(-1)?.svids[0]?.hint === hintOf(revision));
    }
    const toDeaf = h.agent().counters.updatesSent - updatesSent - (other.messages.length - 1);
    expect(toDeaf).toBeLessThan(30);
    const received: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk));
    session.settings({ initialWindowSize: 1_000_000 });
    await h.until(() => Buffer.concat(received).includes(hintOf(60)));
    session.destroy();
  });
});

describe('a crowd', () => {
  it('of 1,000 streams opened at once over 10 connections is served whole, and so is everybody else', async () => {
    const clients = Array.from({ length: 10 }, () => h.connect());
    const streams = clients.flatMap((each) => Array.from({ length: 100 }, () => h.watchX509(each)));
    const other = h.watchX509(h.connect());
    await h.until(() => other.messages.length === 1);
    await h.until(() => streams.every((stream) => stream.messages.length === 1));
    expect(h.agent().counters.callersAttested).toBe(11);
    h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'], revision: 1 });
    h.server.changed();
    await h.until(() => streams.every((stream) => stream.messages.length === 2));
    expect(streams.some((stream) => stream.ended)).toBe(false);
    const late = h.watchX509(h.connect());
    await h.until(() => late.messages.length === 1);
  });

  it('of one user can not open more streams than its share', async () => {
    const clients = Array.from({ length: 42 }, () => h.connect());
    const streams = clients.flatMap((each) => Array.from({ length: 100 }, () => h.watchX509(each)));
    await h.until(() => streams.every((stream) => stream.messages.length === 1 || stream.ended));
    const refused = streams.filter((stream) => stream.ended);
    expect(refused).toHaveLength(104);
    expect(refused[0]?.error).toMatchObject({ code: Code.UNAVAILABLE });
    for (const stream of streams) stream.cancel();
    await h.until(() => streams.every((stream) => stream.ended));
    const again = h.watchX509(client);
    await h.until(() => again.messages.length === 1);
  });
});
