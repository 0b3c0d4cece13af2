// The whole behaviour of the authority over one fixture (store, disk keystore, manual clock): longer than most, so that the fixture is not repeated.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bundle } from '../model/index.ts';
import {
  codeOf,
  createManualClock,
  createSeededRandom,
  createSilentLog,
  type ManualClock,
  type Service,
  startAll,
} from '../std/index.ts';
import { member as sqlite } from '../store/engines/sqlite/index.ts';
import type { Store } from '../store/index.ts';
import { parseJwt, verifyJwtSvid } from '../wire/jose/index.ts';
import { parseCertificate, verifyX509Svid } from '../wire/x509/index.ts';
import { type Authority, type AuthorityOptions, authorityMigrations, createAuthority, type Keystore } from './index.ts';
import { member as disk } from './keystores/disk/index.ts';
import { member as memory } from './keystores/memory/index.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'authority-'));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));
const signal = new AbortController().signal;
const trustDomain = parseTrustDomain('example.org');
const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const options: AuthorityOptions = {
  x509KeyType: 'ec-p256',
  jwtKeyType: 'ec-p256',
  caTtlMs: DAY_MS,
  x509SvidTtlMs: HOUR_MS,
  jwtSvidTtlMs: 300_000,
  serverId: 'a',
};
const publicKeyDer = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  format: 'der',
  type: 'spki',
});
const web = spiffeIdOf(trustDomain, '/web');

interface Server {
  readonly authority: Authority & Service;
  readonly keystore: Keystore & Service;
}

let clock: ManualClock;
let store: Store & Service;
let keystoreFolder: string;
let running: Service[];
let counter = 0;

beforeEach(async () => {
  clock = createManualClock(START_MS);
  const folder = fs.mkdtempSync(path.join(scratch, 'case-'));
  keystoreFolder = path.join(folder, 'keys');
  store = await sqlite.open({ file: path.join(folder, 'store', 'store.db') }, { clock, log: createSilentLog() });
  running = [store];
  await store.start(signal);
  await store.migrate(authorityMigrations);
});

afterEach(async () => {
  for (const service of running.reverse()) await service.stop();
});

async function startServer(changes: Partial<AuthorityOptions> = {}, folder = keystoreFolder): Promise<Server> {
  const deps = { log: createSilentLog(), random: createSeededRandom(`authority ${counter++}`) };
  const keystore = disk.open({ directory: folder }, deps);
  const authority = createAuthority({
    store,
    keystore,
    clock,
    trustDomain,
    options: { ...options, ...changes },
    ...deps,
  });
  await startAll([keystore, authority], signal);
  running.push(keystore, authority);
  return { authority, keystore };
}

async function stopServer(server: Server): Promise<void> {
  for (const service of [server.authority, server.keystore]) {
    running.splice(running.indexOf(service), 1);
    await service.stop();
  }
}

/** Moves time on in steps, letting each check finish: the store answers in its own time. */
async function pass(byMs: number, stepMs = 10_000): Promise<void> {
  for (let passed = 0; passed < byMs; passed += stepMs) {
    await clock.advance(stepMs);
    await settle();
  }
}

/** Waits until each authority has finished what it was at: an operation of an operator stands in line behind it. */
async function settle(): Promise<void> {
  for (const service of running) {
    if (isAuthority(service)) await service.removeFederatedBundle(parseTrustDomain('nobody.test'), signal);
  }
}

function isAuthority(service: Service): service is Authority & Service {
  return 'removeFederatedBundle' in service;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !condition(); turn++) await nextTurn();
  expect(condition()).toBe(true);
}

function issue(authority: Authority, changes: { ttlS?: number; dnsNames?: string[]; publicKeyDer?: Buffer } = {}) {
  return authority.issueX509Svid({ spiffeId: web, publicKeyDer, ttlS: 0, dnsNames: [], ...changes });
}

function verdict(svid: { chainDer: readonly Buffer[] }, bundle: Bundle, nowMs = clock.now()) {
  return verifyX509Svid(svid.chainDer, () => bundle.x509Authorities, nowMs);
}

function activeId(authority: Authority, kind: 'x509' | 'jwt' = 'x509'): string | undefined {
  return authority.authorities().find((each) => each.kind === kind && each.state === 'active')?.id;
}

describe('an X.509-SVID', () => {
  it('is verified by the bundle, begins ten seconds early and ends with the lifetime asked for', async () => {
    const { authority } = await startServer();
    const svid = await issue(authority, { ttlS: 600, dnsNames: ['web.example.org'] });
    expect(verdict(svid, authority.bundle())).toMatchObject({
      ok: true,
      id: { uri: 'spiffe://example.org/web' },
      tainted: false,
    });
    const leaf = parseCertificate(svid.chainDer[0] ?? Buffer.alloc(0));
    expect(leaf).toMatchObject({
      notBeforeS: START_MS / 1000 - 10,
      notAfterS: START_MS / 1000 + 600,
      serial: svid.serial,
    });
    expect(leaf.names.dnsNames).toEqual(['web.example.org']);
    expect(svid.expiresAtS).toBe(START_MS / 1000 + 600);
    expect(svid.chainDer).toHaveLength(1);
  });

  it('lives for the default when no lifetime is asked for, and never beyond its issuer', async () => {
    const { authority } = await startServer();
    expect((await issue(authority)).expiresAtS).toBe(START_MS / 1000 + 3600);
    const [ca] = authority.authorities().filter((each) => each.kind === 'x509');
    const long = await issue(authority, { ttlS: 400 * 86_400 });
    expect(long.expiresAtS).toBe(ca?.expiresAtS);
  });

  it.each([
    ['a weak RSA key', { publicKeyDer: rsaKey(1024) }],
    ['a key on another curve', { publicKeyDer: ecKey('P-521') }],
    ['a key on secp256k1', { publicKeyDer: ecKey('secp256k1') }],
    ['bytes that are no key', { publicKeyDer: Buffer.from('3000', 'hex') }],
    ['a negative lifetime', { ttlS: -1 }],
    ['a lifetime that is no whole number', { ttlS: 1.5 }],
    ['a bad DNS name', { dnsNames: ['not a name'] }],
    ['a DNS name twice', { dnsNames: ['a.example.org', 'A.example.org'] }],
    ['a DNS name and a wildcard over it', { dnsNames: ['*.example.org', 'a.example.org'] }],
    ['too many DNS names', { dnsNames: Array.from({ length: 101 }, (_, i) => `h${i}.example.org`) }],
  ])('is not issued for %s', async (_, changes) => {
    const { authority } = await startServer();
    await expect(issue(authority, changes)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_REQUEST' });
  });

  it('is issued for a DNS name without a dot, which no wildcard covers', async () => {
    const { authority } = await startServer();
    const dnsNames = ['localhost', '*.example.org', 'a.b.example.org'];
    const svid = await issue(authority, { dnsNames });
    expect(parseCertificate(svid.chainDer[0] ?? Buffer.alloc(0)).names.dnsNames).toEqual(dnsNames);
  });

  it('is not issued for another trust domain, for the trust domain itself, or for a caller that gave up', async () => {
    const { authority } = await startServer();
    const ask = { publicKeyDer, ttlS: 0, dnsNames: [] };
    for (const spiffeId of [spiffeIdOf(parseTrustDomain('other.org'), '/web'), spiffeIdOf(trustDomain, '')]) {
      await expect(authority.issueX509Svid({ ...ask, spiffeId })).rejects.toMatchObject({
        code: 'ERR_AUTHORITY_REQUEST',
      });
    }
    await expect(authority.issueX509Svid({ ...ask, spiffeId: web, signal: AbortSignal.abort() })).rejects.toThrow();
  });

  it('is issued in batches in which one bad request harms no other; a batch has a limit', async () => {
    const { authority } = await startServer();
    const good = { spiffeId: web, publicKeyDer, ttlS: 0, dnsNames: [] };
    const requests = Array.from({ length: 40 }, (_, i) => (i === 20 ? { ...good, ttlS: -1 } : good));
    const results = await authority.issueX509SvidBatch(requests);
    expect(results.map((each) => 'svid' in each)).toEqual(requests.map((each) => each === good));
    const serials = new Set(results.map((each) => ('svid' in each ? each.svid.serial : '')));
    expect(serials.size).toBe(40);
    await expect(authority.issueX509SvidBatch(Array.from({ length: 501 }, () => good))).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_REQUEST',
    });
  });

  it('is thrown away when the key signs something else than it was asked to', async () => {
    const keystore = memory.open({}, { log: createSilentLog(), random: createSeededRandom('m') });
    let faulty = false;
    const broken: Keystore = {
      ...keystore,
      find(keyId) {
        const key = keystore.find(keyId);
        return (
          key && {
            ...key,
            sign: (data, algorithm) => key.sign(faulty ? Buffer.concat([data, Buffer.from('!')]) : data, algorithm),
          }
        );
      },
    };
    const deps = { store, clock, random: createSeededRandom('b'), log: createSilentLog(), trustDomain, options };
    const authority = createAuthority({ ...deps, keystore: broken });
    await startAll([keystore, authority], signal);
    running.push(keystore, authority);
    await issue(authority);
    faulty = true;
    const outcomes = [];
    for (let count = 0; count < 40; count++) {
      outcomes.push(
        await issue(authority).then(
          () => 'out',
          (error: unknown) => codeOf(error),
        ),
      );
    }
    const seen = outcomes.indexOf('ERR_AUTHORITY_SELF_CHECK');
    expect(seen).toBeLessThan(16);
    expect(new Set(outcomes.slice(seen))).toEqual(new Set(['ERR_AUTHORITY_SELF_CHECK']));
    const token = authority.issueJwtSvid({ spiffeId: web, audience: ['db'], ttlS: 0 });
    await expect(token).rejects.toMatchObject({ code: 'ERR_AUTHORITY_SELF_CHECK' });
  });
});

describe('a JWT-SVID', () => {
  it('is verified by the bundle for its audience, and carries what was asked for', async () => {
    const { authority } = await startServer({ jwtIssuer: 'https://id.example.org' });
    const { token, issuedAtS, expiresAtS } = await authority.issueJwtSvid({
      spiffeId: web,
      audience: ['db', 'api'],
      ttlS: 60,
    });
    const authorities = () => authority.bundle().jwtAuthorities;
    expect(verifyJwtSvid({ token, audience: 'api', authorities, nowMs: clock.now() })).toMatchObject({ ok: true });
    expect(verifyJwtSvid({ token, audience: 'web', authorities, nowMs: clock.now() })).toMatchObject({
      reason: 'wrong-audience',
    });
    expect([issuedAtS, expiresAtS]).toEqual([START_MS / 1000, START_MS / 1000 + 60]);
    expect(parseJwt(token).claims).toMatchObject({
      sub: web.uri,
      aud: ['db', 'api'],
      iss: 'https://id.example.org',
      iat: issuedAtS,
      exp: expiresAtS,
    });
  });

  it('never outlives its key', async () => {
    const { authority } = await startServer();
    const { expiresAtS } = await authority.issueJwtSvid({ spiffeId: web, audience: ['db'], ttlS: 400 * 86_400 });
    expect(expiresAtS).toBe(authority.bundle().jwtAuthorities[0]?.expiresAtS);
  });

  it.each([
    [[]],
    [['']],
    [['x'.repeat(513)]],
    [Array.from({ length: 17 }, (_, i) => `a${i}`)],
  ])('is not issued for the audience %j', async (audience) => {
    const { authority } = await startServer();
    await expect(authority.issueJwtSvid({ spiffeId: web, audience, ttlS: 0 })).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_REQUEST',
    });
  });
});

describe('rotation', () => {
  it('publishes the next authority before it signs, and no SVID is refused at any moment of three days', async () => {
    const { authority } = await startServer();
    const published = new Set(authority.bundle().x509Authorities.map((each) => each.der.toString('hex')));
    let bundleBefore = authority.bundle();
    const seen = new Set<string | undefined>();
    const live: { chainDer: readonly Buffer[]; expiresAtS: number }[] = [];
    for (let passed = 0; passed < 3 * DAY_MS; passed += 20 * 60_000) {
      await pass(20 * 60_000, 20 * 60_000);
      const svid = await issue(authority);
      // A verifier whose bundle is one look old verifies it already.
      expect(verdict(svid, bundleBefore)).toMatchObject({ ok: true });
      live.push(svid);
      for (const each of live) {
        if (clock.now() < each.expiresAtS * 1000) expect(verdict(each, authority.bundle())).toMatchObject({ ok: true });
      }
      seen.add(activeId(authority));
      bundleBefore = authority.bundle();
      for (const each of bundleBefore.x509Authorities) published.add(each.der.toString('hex'));
    }
    expect(seen.size).toBeGreaterThanOrEqual(3);
  });

  it('keeps one private key for each authority that may still sign, and destroys the others', async () => {
    const { authority, keystore } = await startServer();
    expect(keystore.list()).toHaveLength(2);
    await pass(13 * HOUR_MS, HOUR_MS);
    expect(
      authority
        .authorities()
        .map((each) => each.state)
        .sort(),
    ).toEqual(['active', 'active', 'prepared', 'prepared']);
    expect(keystore.list()).toHaveLength(4);
    await pass(8 * HOUR_MS, HOUR_MS);
    expect(
      authority
        .authorities()
        .map((each) => each.state)
        .sort(),
    ).toEqual(['active', 'active', 'old', 'old']);
    expect(keystore.list()).toHaveLength(2);
  });

  it('takes an authority out of the bundle a day after it has expired', async () => {
    const { authority } = await startServer();
    const first = activeId(authority);
    await pass(2 * DAY_MS - HOUR_MS, HOUR_MS);
    expect(authority.authorities().map((each) => each.id)).toContain(first);
    await pass(2 * HOUR_MS, HOUR_MS);
    expect(authority.authorities().map((each) => each.id)).not.toContain(first);
  });

  it('raises the sequence with each change of the bundle, also over restarts, and tells listeners', async () => {
    const first = await startServer();
    const sequences = [first.authority.bundle().sequence];
    const heard: number[] = [];
    first.authority.onBundle((bundle) => heard.push(bundle.sequence));
    const stopListening = first.authority.onBundle(() => heard.push(-1));
    stopListening();
    await first.authority.prepare('x509', signal);
    sequences.push(first.authority.bundle().sequence);
    expect(heard).toEqual([sequences[1]]);
    await stopServer(first);
    const second = await startServer();
    expect(second.authority.bundle().sequence).toBe(sequences[1]);
    await second.authority.prepare('jwt', signal);
    sequences.push(second.authority.bundle().sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  });

  it('signs with the same authority after a restart', async () => {
    const first = await startServer();
    const id = activeId(first.authority);
    await stopServer(first);
    const second = await startServer();
    expect(activeId(second.authority)).toBe(id);
    expect(verdict(await issue(second.authority), second.authority.bundle())).toMatchObject({ ok: true });
  });
});

describe('after a crash', () => {
  it('a key without a row is destroyed at the next start', async () => {
    const first = await startServer();
    await first.keystore.generate('x509.a.00112233', 'ec-p256', signal);
    await first.keystore.generate('x509.another-server.00', 'ec-p256', signal);
    await stopServer(first);
    const second = await startServer();
    expect(second.keystore.find('x509.a.00112233')).toBeUndefined();
    expect(second.keystore.find('x509.another-server.00')).toBeDefined();
  });

  it('a row whose key is lost stays in the bundle but signs no more; a new authority takes over', async () => {
    const first = await startServer();
    const svid = await issue(first.authority);
    const id = activeId(first.authority);
    await stopServer(first);
    fs.rmSync(keystoreFolder, { recursive: true });
    const second = await startServer({ acceptLoss: true });
    expect(activeId(second.authority)).not.toBe(id);
    expect(verdict(svid, second.authority.bundle())).toMatchObject({ ok: true });
    expect(verdict(await issue(second.authority), second.authority.bundle())).toMatchObject({ ok: true });
  });

  it.each([
    'before',
    'after',
  ] as const)('a store that fails %s the row is written leaves nothing that a restart does not mend', async (when) => {
    const first = await startServer();
    const real = store.transaction.bind(store);
    let failures = 1;
    Object.assign(store, {
      transaction: async (...parameters: Parameters<Store['transaction']>) => {
        const writes = first.keystore.list().length > 2;
        if (writes && failures > 0 && when === 'before') {
          failures--;
          throw new Error('the store went away');
        }
        const result = await real(...parameters);
        if (writes && failures > 0) {
          failures--;
          throw new Error('the answer was lost');
        }
        return result;
      },
    });
    await expect(first.authority.prepare('x509', signal)).rejects.toThrow();
    Object.assign(store, { transaction: real });
    await stopServer(first);
    const second = await startServer();
    const prepared = await second.authority.prepare('x509', signal);
    expect(prepared.state).toBe('prepared');
    expect(second.authority.authorities().filter((each) => each.state === 'prepared')).toHaveLength(1);
    expect(second.keystore.list()).toHaveLength(3);
    await second.authority.activate('x509', signal);
    expect(verdict(await issue(second.authority), second.authority.bundle())).toMatchObject({ ok: true });
  });
});

describe('two servers on one store', () => {
  it('each sign with their own authority, and both bundles hold both', async () => {
    const a = await startServer();
    const b = await startServer({ serverId: 'b' }, `${keystoreFolder}-b`);
    await until(() => a.authority.bundle().sequence === b.authority.bundle().sequence);
    expect(a.authority.bundle()).toEqual(b.authority.bundle());
    expect(a.authority.bundle().x509Authorities).toHaveLength(2);
    for (const server of [a, b]) {
      const svid = await issue(server.authority);
      for (const other of [a, b]) expect(verdict(svid, other.authority.bundle())).toMatchObject({ ok: true });
    }
  });

  it('forget the authorities of a server that is gone', async () => {
    const gone = await startServer({ serverId: 'gone' });
    await stopServer(gone);
    const stays = await startServer({ serverId: 'stays' }, `${keystoreFolder}-b`);
    expect(stays.authority.bundle().x509Authorities).toHaveLength(2);
    await pass(2 * DAY_MS + HOUR_MS, HOUR_MS);
    expect(stays.authority.authorities().map((each) => each.serverId)).not.toContain('gone');
  });
});

describe('a clock that is stepped', () => {
  it.each([
    HOUR_MS,
    -HOUR_MS,
  ])('by %i ms: no SVID outlives its issuer, and none is refused whichever reading was right', async (stepMs) => {
    const { authority } = await startServer();
    await pass(2 * HOUR_MS, HOUR_MS);
    const before = clock.now();
    clock.step(stepMs);
    await pass(10_000);
    for (const svid of [await issue(authority), await issue(authority, { ttlS: 400 * 86_400 })]) {
      const leaf = parseCertificate(svid.chainDer[0] ?? Buffer.alloc(0));
      const issuer = authority
        .bundle()
        .x509Authorities.map((each) => parseCertificate(each.der))
        .find((ca) => leaf.authorityKeyId?.keyId?.equals(ca.subjectKeyId ?? Buffer.alloc(0)));
      expect(leaf.notAfterS).toBeLessThanOrEqual(issuer?.notAfterS ?? 0);
      expect(verdict(svid, authority.bundle(), before + 10_000)).toMatchObject({ ok: true });
      expect(verdict(svid, authority.bundle(), clock.now())).toMatchObject({ ok: true });
    }
    const { token } = await authority.issueJwtSvid({ spiffeId: web, audience: ['db'], ttlS: 0 });
    for (const nowMs of [before + 10_000, clock.now()]) {
      const authorities = () => authority.bundle().jwtAuthorities;
      expect(verifyJwtSvid({ token, audience: 'db', authorities, nowMs })).toMatchObject({ ok: true });
    }
  });

  it('back never brings an expired authority to life', async () => {
    const { authority } = await startServer({ caTtlMs: HOUR_MS, x509SvidTtlMs: 60_000, jwtSvidTtlMs: 60_000 });
    const first = activeId(authority);
    await clock.advance(0);
    clock.step(HOUR_MS + 1000);
    await expect(issue(authority)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_NOT_READY' });
    const late = authority.issueJwtSvid({ spiffeId: web, audience: ['db'], ttlS: 0 });
    await expect(late).rejects.toMatchObject({ code: 'ERR_AUTHORITY_NOT_READY' });
    clock.step(-HOUR_MS);
    await expect(issue(authority)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_NOT_READY' });
    await pass(10_000);
    expect(activeId(authority)).not.toBe(first);
    expect(authority.authorities().find((each) => each.id === first)?.state).toBe('old');
    expect(verdict(await issue(authority), authority.bundle())).toMatchObject({ ok: true });
  });

  it('back to before the authority began: a new one is made, which verifiers with the right time accept', async () => {
    clock.step(HOUR_MS);
    const { authority } = await startServer();
    clock.step(-HOUR_MS);
    await pass(10_000);
    expect(verdict(await issue(authority), authority.bundle(), clock.now())).toMatchObject({ ok: true });
  });
});

describe('an operator', () => {
  it('prepares, activates, taints and revokes: after that what it signed is refused', async () => {
    const { authority } = await startServer();
    const svid = await issue(authority);
    const first = activeId(authority) ?? '';
    expect(authority.authorities().find((each) => each.id === first)).toMatchObject({
      kind: 'x509',
      serverId: 'a',
      tainted: false,
    });
    await expect(authority.taint(first, signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_STATE' });
    await expect(authority.activate('x509', signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_STATE' });
    const next = await authority.prepare('x509', signal);
    expect((await authority.prepare('x509', signal)).id).toBe(next.id);
    expect((await authority.activate('x509', signal)).state).toBe('active');
    await expect(authority.revoke(first, signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_STATE' });
    await authority.taint(first, signal);
    expect(verdict(svid, authority.bundle())).toMatchObject({ ok: true, tainted: true });
    expect(verdict(await issue(authority), authority.bundle())).toMatchObject({ ok: true, tainted: false });
    await authority.revoke(first, signal);
    expect(verdict(svid, authority.bundle())).toMatchObject({ ok: false, reason: 'unknown-issuer' });
    await expect(authority.taint(first, signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_NOT_FOUND' });
  });
});

/** That key with the exponent 1: what it verifies anyone could have signed. */
function withExponentOne(publicKeyDer: Buffer): Buffer {
  const { n } = createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' }).export({ format: 'jwk' });
  const jwk = { kty: 'RSA', n: n ?? '', e: 'AQ' };
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' });
}

describe('a federated bundle', () => {
  const foreign = async (): Promise<Bundle> => {
    const { authority } = await startServer({ serverId: 'foreign' }, `${keystoreFolder}-foreign`);
    return { ...authority.bundle(), trustDomain: parseTrustDomain('partner.org'), sequence: 7 };
  };

  it('is kept over restarts, told to listeners, replaced by a newer one and forgotten', async () => {
    const bundle = await foreign();
    const first = await startServer();
    const heard: string[] = [];
    first.authority.onBundle((each) => heard.push(each.trustDomain));
    await first.authority.setFederatedBundle(bundle, signal);
    expect(heard).toEqual(['partner.org']);
    expect(first.authority.federatedBundle(bundle.trustDomain)).toEqual(bundle);
    await stopServer(first);
    const second = await startServer();
    expect(second.authority.federatedBundles()).toEqual([bundle]);
    const newer = { ...bundle, sequence: 8, x509Authorities: [] };
    await second.authority.setFederatedBundle(newer, signal);
    expect(second.authority.federatedBundle(bundle.trustDomain)).toEqual(newer);
    expect(await second.authority.removeFederatedBundle(bundle.trustDomain, signal)).toBe(true);
    expect(await second.authority.removeFederatedBundle(bundle.trustDomain, signal)).toBe(false);
    expect(second.authority.federatedBundle(bundle.trustDomain)).toBeUndefined();
  });

  it('is refused when it is older than the known one, for the own trust domain, or unreadable', async () => {
    const bundle = await foreign();
    const { authority } = await startServer();
    await authority.setFederatedBundle(bundle, signal);
    const leaf = (await issue(authority)).chainDer[0] ?? Buffer.alloc(0);
    const [key] = bundle.jwtAuthorities;
    if (!key) throw new Error('the bundle has a key');
    const bad: Bundle[] = [
      { ...bundle, sequence: 6 },
      { ...bundle, sequence: 1.5 },
      { ...bundle, trustDomain },
      { ...bundle, x509Authorities: [{ der: Buffer.from('nonsense'), tainted: false }] },
      { ...bundle, x509Authorities: [{ der: leaf, tainted: false }] },
      { ...bundle, jwtAuthorities: [key, key] },
      { ...bundle, jwtAuthorities: [{ ...key, publicKeyDer: Buffer.from('nonsense') }] },
      { ...bundle, jwtAuthorities: [{ ...key, publicKeyDer: rsaKey(1024) }] },
      { ...bundle, jwtAuthorities: [{ ...key, publicKeyDer: withExponentOne(rsaKey(2048)) }] },
      { ...bundle, jwtAuthorities: Array.from({ length: 1001 }, (_, i) => ({ ...key, keyId: `k${i}` })) },
    ];
    for (const each of bad) {
      await expect(authority.setFederatedBundle(each, signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_BUNDLE' });
    }
    await expect(authority.removeFederatedBundle(trustDomain, signal)).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_BUNDLE',
    });
    expect(authority.federatedBundle(bundle.trustDomain)).toEqual(bundle);
  });
});

describe('an authority that is not running', () => {
  it('issues and publishes nothing', async () => {
    const server = await startServer();
    await stopServer(server);
    await expect(issue(server.authority)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_NOT_READY' });
    expect(() => server.authority.bundle()).toThrow(expect.objectContaining({ code: 'ERR_AUTHORITY_NOT_READY' }));
  });

  it.each([
    [{ caTtlMs: 60_000 }],
    [{ x509SvidTtlMs: DAY_MS / 6 + 1 }],
    [{ jwtSvidTtlMs: 0 }],
    [{ serverId: 'Not Allowed' }],
  ])('is not created with %j', (changes) => {
    const keystore = memory.open({}, { log: createSilentLog(), random: createSeededRandom('m') });
    const deps = { store, keystore, clock, random: createSeededRandom('o'), log: createSilentLog(), trustDomain };
    expect(() => createAuthority({ ...deps, options: { ...options, ...changes } })).toThrow(
      expect.objectContaining({ code: 'ERR_AUTHORITY_OPTIONS' }),
    );
  });

  it('does not start on a journal that holds what it can not read', async () => {
    const server = await startServer();
    await stopServer(server);
    await store
      .db<{ authority_keys: { state: string } }>()
      .updateTable('authority_keys')
      .set({ state: 'odd' })
      .execute();
    await expect(startServer()).rejects.toMatchObject({ code: 'ERR_AUTHORITY_JOURNAL' });
  });
});

function rsaKey(modulusLength: number): Buffer {
  return generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'der', type: 'spki' });
}

function ecKey(namedCurve: string): Buffer {
  return generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' });
}
