import { generateKeyPairSync } from 'node:crypto';
import { Client, credentials, Metadata, type ServerDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createSystemClock } from '../../../../std/index.ts';
import { signJws } from '../../../../wire/jose/index.ts';
import { encodePem } from '../../../../wire/x509/index.ts';
import { createGateway, loadProtocols } from '../../../index.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../../../testing/test-authority.ts';
import { createMemoryLedger, testGatewayDeps } from '../../../testing/test-gateway.ts';
import { createTestRevocations, testRevocation } from '../../../testing/test-revocations.ts';
import { member } from '../index.ts';
import { methods, startGrpc } from '../testing/grpc-peers.ts';

// One channel of a client that knows nothing of this, with the token of its caller in the metadata of each call.
const authority = createTestAuthority('example.org', Date.now());
const gatewaySvid = authority.issue('/countersign/gateway', 3_600, ['localhost']);
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const schema = composeSchema([member.policySchema]);
const POLICY = `
  permit (principal == Identity::"spiffe://example.org/web", action, resource);
  permit (principal == Identity::"spiffe://example.org/batch", action, resource)
    unless { context has path && context.path like "*/Put" };`;

let gateway: ReturnType<typeof createGateway>;
let ledger: ReturnType<typeof createMemoryLedger>;
let upstream: Awaited<ReturnType<typeof startGrpc>>;
let client: Client;
let told: string[];
let revocations: ReturnType<typeof createTestRevocations>;

beforeEach(async () => {
  told = [];
  revocations = createTestRevocations();
  ledger = createMemoryLedger();
  upstream = await startGrpc({
    ask(call: { request: Buffer; metadata: Metadata }, done: (error: null, answer: Buffer) => void) {
      told.push(JSON.stringify(call.metadata.getMap()));
      done(null, Buffer.from(`for ${call.request.toString()}`));
    },
    put(_call: unknown, done: (error: null, answer: Buffer) => void) {
      done(null, Buffer.from('put'));
    },
    list() {},
    talk(call: ServerDuplexStream<Buffer, Buffer>) {
      told.push(JSON.stringify(call.metadata.getMap()));
      call.on('data', (message: Buffer) => call.write(Buffer.from(`heard ${message.toString()}`)));
      call.on('end', () => call.end());
    },
  });
  const jwtAuthority = {
    ...{ keyId: 'k1', expiresAtS: 0, tainted: false },
    publicKeyDer: key.publicKey.export({ format: 'der', type: 'spki' }),
  };
  gateway = createGateway(
    testGatewayDeps({
      ...{ clock: createSystemClock(), ledger, protocols: await loadProtocols([member]), drainMs: 100 },
      revocations: { current: revocations.current, maxAgeMs: 60_000, whenStale: undefined },
      identity: { ...createTestIdentity(identityOf(gatewaySvid, [authority])), jwtAuthorities: () => [jwtAuthority] },
    }),
  );
  await gateway.start(AbortSignal.timeout(5_000));
  gateway.applyPolicies(loadPolicies([{ name: 'test', text: POLICY }], schema));
  const listen = { host: '127.0.0.1', port: 0, tokens: true };
  const config = { url: `http://127.0.0.1:${upstream.port}`, upstreamHttp2: true, listen };
  await gateway.applyTargets([{ name: 'api', protocol: 'http', config }]);
  const root = Buffer.from(encodePem('CERTIFICATE', authority.rootDer));
  client = new Client(`127.0.0.1:${gateway.address().targets.get('api')}`, credentials.createSsl(root), {
    'grpc.ssl_target_name_override': 'localhost',
  });
});
afterEach(async () => {
  client.close();
  await gateway.stop();
  upstream.stop();
});

function by(path: string | undefined): Metadata {
  const metadata = new Metadata();
  if (path === undefined) return metadata;
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    sub: `spiffe://example.org${path}`,
    aud: 'countersign:api',
    exp: Math.floor(Date.now() / 1000) + 300,
  };
  const input = `${encoded({ alg: 'ES256', kid: 'k1' })}.${encoded(claims)}`;
  metadata.set(
    'authorization',
    `Bearer ${input}.${signJws('ES256', key.privateKey, Buffer.from(input)).toString('base64url')}`,
  );
  return metadata;
}

function ask(who: string | undefined, text: string): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = methods.ask;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.from(text), by(who), (error, answer) =>
      resolve(error === null ? String(answer) : `${error.code} ${error.details}`),
    );
  });
}

describe('calls of gRPC with tokens', () => {
  it('of several callers run side by side, each recorded as its own caller’s', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => ask(n % 2 === 0 ? '/web' : '/batch', String(n))),
    );
    expect(answers).toEqual(Array.from({ length: 60 }, (_, n) => `for ${n}`));
    const of = (kind: string) => ledger.events.filter((event) => event.kind === kind);
    expect(of('session-open').length).toBe(2);
    for (const who of ['/web', '/batch'])
      expect(of('intent').filter(({ actor }) => actor === `spiffe://example.org${who}`).length).toBe(30);
    expect(told.join()).not.toMatch(/authorization|eyJ/);
  });

  it('talk both ways beside each other, and one that policy forbids hurts none', async () => {
    const { path, requestSerialize, responseDeserialize } = methods.talk;
    const heard: Record<string, string[]> = { '/web': [], '/batch': [] };
    const calls = ['/web', '/batch'].map((who) => {
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, by(who));
      call.on('error', () => {}).on('data', (message: Buffer) => heard[who]?.push(message.toString()));
      return { who, call };
    });
    for (let n = 0; n < 20; n++) for (const { who, call } of calls) call.write(Buffer.from(`${who} ${n}`));
    const forbidden = await new Promise<ServiceError | null>((resolve) => {
      const put = client.makeClientStreamRequest(
        methods.put.path,
        requestSerialize,
        responseDeserialize,
        by('/batch'),
        resolve,
      );
      put.end(Buffer.from('x'));
    });
    expect(forbidden).toMatchObject({ code: status.PERMISSION_DENIED });
    await eventually('all is heard', () => Object.values(heard).every(({ length }) => length === 20));
    for (const { who, call } of calls) {
      expect(heard[who]).toEqual(Array.from({ length: 20 }, (_, n) => `heard ${who} ${n}`));
      call.end();
    }
  });

  it('of a caller who is revoked end and are refused as such, and those of another over the same connection go on', async () => {
    const { path, requestSerialize, responseDeserialize } = methods.talk;
    const talk = (who: string) => {
      const heard: string[] = [];
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, by(who));
      const ended = new Promise<ServiceError>((resolve) => call.once('error', resolve));
      call.on('data', (message: Buffer) => heard.push(message.toString()));
      call.write(Buffer.from('one'));
      return { call, heard, ended };
    };
    const [web, batch] = [talk('/web'), talk('/batch')];
    await eventually('both are heard', () => [web, batch].every(({ heard }) => heard.length === 1));
    revocations.now(testRevocation('spiffe://example.org/web'));
    await gateway.ended(AbortSignal.timeout(5_000));
    expect(await web.ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await ask('/web', 'x')).toMatch(new RegExp(`^${status.PERMISSION_DENIED} .*r1`));
    batch.call.write(Buffer.from('two'));
    await eventually('it goes on', () => batch.heard.length === 2);
    expect(await ask('/batch', 'y')).toBe('for y');
    batch.call.end();
    revocations.now();
    expect(await ask('/web', 'z')).toBe('for z');
  });

  it('without one are UNAUTHENTICATED, and told what to do', async () => {
    expect(await ask(undefined, 'x')).toMatch(
      new RegExp(
        `^${status.UNAUTHENTICATED} target api wants to know who calls.*svid token --audience countersign:api`,
      ),
    );
    expect(told).toEqual([]);
    expect(await ask('/web', 'y')).toBe('for y');
  });
});
