import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock } from '../std/index.ts';
import { encodeJwks } from '../wire/jose/index.ts';
import {
  algorithmForKey,
  createSvidWriter,
  decodeCertificatesPem,
  decodePem,
  encodeName,
  fixedWidthSerial,
  keyIdOf,
  parsePublicKeyInfo,
  writeCaCertificate,
} from '../wire/x509/index.ts';
import { createWorkloadIdentity, parseX509Response, type WorkloadIdentity, writeSvidFiles } from './index.ts';
import { createFakeWorkloadApi, type FakeWorkloadApi, type X509Response } from './testing/fake-workload-api.ts';

const random = createSeededRandom('workload');
const trustDomain = parseTrustDomain('example.org');
let clock: ManualClock;
let folder: string;
let api: FakeWorkloadApi;
let identity: WorkloadIdentity;
const signal = new AbortController().signal;

beforeEach(() => {
  clock = createManualClock(Date.UTC(2026, 0, 1));
  folder = mkdtempSync(join(tmpdir(), 'workload-'));
  const socket = join(folder, 'agent.sock');
  api = createFakeWorkloadApi({ clock, socket });
  identity = createWorkloadIdentity({ clock, log: createSilentLog(), socket });
});
afterEach(async () => {
  await run(identity.stop());
  await run(api.stop());
  rmSync(folder, { recursive: true, force: true });
});

async function tick(byMs: number): Promise<void> {
  await clock.advance(byMs);
  await new Promise((resolve) => setTimeout(resolve, 1)); // Room for real sockets; nothing waits for the time itself.
}

async function run<T>(work: Promise<T>): Promise<T> {
  let settled = false;
  const watched = work.finally(() => {
    settled = true;
  });
  watched.catch(() => {}); // Awaited below; without this an early rejection counts as unhandled.
  while (!settled) await tick(10);
  return watched;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await tick(10);
}

interface Made {
  readonly response: X509Response;
  readonly key: KeyObject;
}

function makeResponse(path: string, ttlS: number, change: { keyDer?: Buffer; spiffeId?: string } = {}): Made {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const caSpki = ca.publicKey.export({ format: 'der', type: 'spki' });
  const subjectDer = encodeName({ country: 'US', organization: 'TEST' });
  const issuer = {
    subjectDer,
    subjectKeyId: keyIdOf(caSpki),
    algorithm: algorithmForKey(parsePublicKeyInfo(caSpki).kind),
    sign: (data: Buffer) => sign('sha256', data, ca.privateKey),
  };
  const nowS = Math.floor(clock.now() / 1000);
  const times = { notBeforeS: nowS - 10, notAfterS: nowS + ttlS };
  const serial = fixedWidthSerial(random.bytes(16));
  const uri = `spiffe://${trustDomain}`;
  const root = writeCaCertificate({ issuer, subjectDer, spkiDer: caSpki, serial, uri, ...times });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spkiDer = publicKey.export({ format: 'der', type: 'spki' });
  const leaf = createSvidWriter(issuer).write({ serial, spkiDer, uri: `${uri}${path}`, dnsNames: [], ...times });
  const x509SvidKey = change.keyDer ?? privateKey.export({ format: 'der', type: 'pkcs8' });
  const svid = { spiffeId: change.spiffeId ?? `${uri}${path}`, x509Svid: leaf, x509SvidKey, bundle: root, hint: 'h' };
  return { response: { svids: [svid], federatedBundles: { 'spiffe://other.org': root } }, key: privateKey };
}

describe("a process's own identity", () => {
  it('is there once the agent has given it, with the bundles to verify others', async () => {
    api.show(makeResponse('/gateway', 3600).response);
    await api.start();
    await identity.start(signal);
    expect(identity.current()).toBeUndefined();
    await run(identity.ready(signal));
    expect(identity.current()).toMatchObject({ id: { uri: 'spiffe://example.org/gateway' }, hint: 'h' });
    expect([...(identity.current()?.bundles.keys() ?? [])]).toEqual(['other.org', 'example.org']);
  });

  it('is replaced by each update, and tells listeners until they leave', async () => {
    api.show(makeResponse('/gateway', 3600).response);
    await api.start();
    await identity.start(signal);
    await run(identity.ready(signal));
    let changes = 0;
    const leave = identity.onChange(() => changes++);
    const before = identity.current()?.chainDer[0];
    api.show(makeResponse('/gateway', 3600).response);
    await until(() => changes === 1);
    expect(identity.current()?.chainDer[0]?.equals(before ?? Buffer.alloc(0))).toBe(false);
    leave();
    api.show(makeResponse('/gateway', 7200).response);
    await until(() => identity.current()?.expiresAtS === Math.floor(clock.now() / 1000) + 7200 || changes > 1);
    expect(changes).toBe(1);
  });

  it('is never an expired one', async () => {
    api.show(makeResponse('/gateway', 60).response);
    await api.start();
    await identity.start(signal);
    await run(identity.ready(signal));
    clock.step(60_000);
    expect(identity.current()).toBeUndefined();
  });

  it('is looked for until the agent is there, and again when it was lost', async () => {
    await identity.start(signal);
    await tick(2_000);
    await api.start();
    await tick(2_000);
    expect(identity.current()).toBeUndefined();
    api.show(makeResponse('/one', 3600).response);
    await run(identity.ready(signal));
    await run(api.stop());
    api.show(makeResponse('/two', 3600).response);
    await api.start();
    await until(() => identity.current()?.id.path === '/two');
  });

  it('waits no longer than its caller', async () => {
    const controller = new AbortController();
    const waiting = identity.ready(controller.signal);
    controller.abort();
    await expect(waiting).rejects.toThrow();
  });

  it('gets JWT-SVIDs for itself', async () => {
    api.show(makeResponse('/gateway', 3600).response);
    await api.start();
    await identity.start(signal);
    await expect(run(identity.jwt('db', signal))).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API_ANSWER' });
    await run(identity.ready(signal));
    expect(await run(identity.jwt('db', signal))).toBe('token');
    expect(api.audiences).toEqual([['db'], ['db']]);
  });
});

describe('an answer of the Workload API', () => {
  const parse = (response: X509Response, hint?: string) =>
    // The shape that messages have before they are sent is enough to be read.
    parseX509Response({ crl: [], federatedBundles: {}, ...response } as Parameters<typeof parseX509Response>[0], hint);

  it('is refused when its key, name or certificate do not belong together', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'der',
      type: 'pkcs8',
    });
    const wrong = [
      makeResponse('/a', 60, { keyDer: other }),
      makeResponse('/a', 60, { spiffeId: 'spiffe://example.org/b' }),
      makeResponse('/a', 60, { keyDer: Buffer.from('junk') }),
      { response: { svids: [] } },
    ];
    for (const { response } of wrong) {
      expect(() => parse(response)).toThrowError(expect.objectContaining({ code: 'ERR_WORKLOAD_API_ANSWER' }));
    }
  });

  it('gives the identity with the wanted hint, or says that there is none', () => {
    const { response } = makeResponse('/a', 60);
    expect(parse(response, 'h').id.path).toBe('/a');
    expect(() => parse(response, 'x')).toThrow('no SVID with the hint "x"');
  });
});

describe('SVID files', () => {
  const write = async (dir: string, made: Made, options = {}) => {
    const response = { crl: [], ...made.response } as Parameters<typeof parseX509Response>[0]; // As above.
    await writeSvidFiles(dir, parseX509Response(response), { random, ...options });
  };

  it('hold chain, key and roots, the key readable by nobody else', async () => {
    const dir = join(folder, 'svid');
    const made = makeResponse('/a', 60);
    await write(dir, made);
    expect(decodeCertificatesPem(readFileSync(join(dir, 'svid.pem'), 'utf8'))).toHaveLength(1);
    expect(decodeCertificatesPem(readFileSync(join(dir, 'bundle.pem'), 'utf8'))).toHaveLength(1);
    const [key] = decodePem(readFileSync(join(dir, 'key.pem'), 'utf8'));
    expect(key?.label).toBe('PRIVATE KEY');
    expect(statSync(join(dir, 'key.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('hold the key in DER too where that is asked for: the same key, at the same moment', async () => {
    const dir = join(folder, 'svid');
    await write(dir, makeResponse('/a', 60), { pk8: true });
    expect(readFileSync(join(dir, 'key.pk8'))).toEqual(decodePem(readFileSync(join(dir, 'key.pem'), 'utf8'))[0]?.der);
    expect(statSync(join(dir, 'key.pk8')).mode & 0o777).toBe(0o600);
    expect(readlinkSync(join(dir, 'key.pk8'))).toBe('.current/key.pk8');
  });

  it('change together: whoever reads through one resolved folder sees one set', async () => {
    const dir = join(folder, 'svid');
    for (let i = 0; i < 4; i++) await write(dir, makeResponse(`/v${i}`, 60));
    const sets = readdirSync(dir).filter((name) => name.startsWith('.set-'));
    expect(sets).toHaveLength(2);
    for (const name of ['svid.pem', 'key.pem', 'bundle.pem']) expect(statSync(join(dir, name)).isFile()).toBe(true);
    expect(readdirSync(dir).filter((name) => name.startsWith('.link-'))).toEqual([]);
  });

  it('take the place of plain files of the same names', async () => {
    const dir = join(folder, 'svid');
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(dir, 'svid.pem'), 'old');
    await write(dir, makeResponse('/a', 60));
    expect(readFileSync(join(dir, 'svid.pem'), 'utf8')).toContain('BEGIN CERTIFICATE');
  });

  it('are not written where others may write, nor over a folder', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    await expect(write(open, makeResponse('/a', 60))).rejects.toMatchObject({ code: 'ERR_SVID_FILES' });
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, 'svid.pem'), { recursive: true, mode: 0o700 });
    chmodSync(taken, 0o700);
    await expect(write(taken, makeResponse('/a', 60))).rejects.toMatchObject({ code: 'ERR_SVID_FILES' });
  });
});

describe('what verifies tokens', () => {
  const jwks = (keyId: string) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicKeyDer = publicKey.export({ format: 'der', type: 'spki' });
    return encodeJwks([{ keyId, publicKeyDer, expiresAtS: 0, tainted: false }]);
  };
  const keyIds = (of: string) => identity.jwtAuthorities(parseTrustDomain(of))?.map(({ keyId }) => keyId);
  const follow = async () => {
    const socket = join(folder, 'agent.sock');
    identity = createWorkloadIdentity({ clock, log: createSilentLog(), socket, followsTokens: true });
    await run(api.start());
    await identity.start(signal);
  };

  it('is of each trust domain what was told last, and listeners are told', async () => {
    let times = 0;
    api.showKeys({ 'spiffe://example.org': jwks('k1'), 'spiffe://other.org': jwks('k9') });
    await follow();
    identity.onChange(() => times++);
    await until(() => keyIds('example.org') !== undefined);
    expect([keyIds('example.org'), keyIds('other.org'), keyIds('third.org')]).toEqual([['k1'], ['k9'], undefined]);
    const before = times;
    api.showKeys({ 'spiffe://example.org': jwks('k2') });
    await until(() => keyIds('other.org') === undefined);
    expect(keyIds('example.org')).toEqual(['k2']);
    expect(times).toBeGreaterThan(before);
  });

  it('stays what it was where that can not be read, and is asked for again', async () => {
    api.showKeys({ 'spiffe://example.org': jwks('k1') });
    await follow();
    await until(() => keyIds('example.org') !== undefined);
    api.showKeys({ 'spiffe://example.org': Buffer.from('{') });
    for (let n = 0; n < 20; n++) await tick(10);
    expect(keyIds('example.org')).toEqual(['k1']);
    api.showKeys({ 'spiffe://example.org': jwks('k2') });
    await until(() => keyIds('example.org')?.[0] === 'k2');
  });

  it('is not asked for by whoever does not need it', async () => {
    api.showKeys({ 'spiffe://example.org': jwks('k1') });
    await run(api.start());
    await identity.start(signal);
    for (let n = 0; n < 20; n++) await tick(10);
    expect(keyIds('example.org')).toBeUndefined();
  });
});
