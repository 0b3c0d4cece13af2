import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatSelector } from '../../../model/index.ts';
import { readGivenSecret, readTrustedFile } from '../../../private-files/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../../../std/index.ts';
import type { NodeAttestor } from '../../attestor.ts';
import { member } from './index.ts';
import { signatureFromInts } from './messages.ts';

// Certificates by openssl; both halves talk to each other as they would over the wire.

const attestor: NodeAttestor = member.node;
const context = { signal: new AbortController().signal, consumeJoinToken: async () => undefined };
const proverDeps = (seed: string) => ({
  random: createSeededRandom(seed),
  readSecret: (reference: string) => readGivenSecret(reference, { env: {}, bytesMax: 10_000 }),
});
const trustDomain = parseTrustDomain('example.org');
let folder: string;
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pop-'));
  makeCa('ca');
  makeCa('stranger');
  makeCa('plain', []);
  makeLeaf('ec', 'ca', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  makeLeaf('rsa', 'ca', ['-newkey', 'rsa:2048']);
  makeLeaf('of-plain', 'plain', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  makeLeaf('ed25519', 'ca', ['-newkey', 'ed25519']);
  makeLeaf('foreign', 'stranger', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function makeCa(name: string, extensions: readonly string[] = ['-addext', 'keyUsage=critical,keyCertSign']): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    at(`${name}.key`),
    '-out',
    at(`${name}.pem`),
    '-days',
    '3650',
    '-subj',
    `/CN=${name}`,
    ...extensions,
  );
}

function makeLeaf(name: string, ca: string, key: readonly string[]): void {
  writeFileSync(
    at(`${name}.ext`),
    'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=URI:x509pop://example.org/rack/r1\n',
  );
  openssl(
    'req',
    ...key,
    '-nodes',
    '-keyout',
    at(`${name}.key`),
    '-out',
    at(`${name}.csr`),
    '-subj',
    `/CN=node-${name}`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    at(`${name}.csr`),
    '-CA',
    at(`${ca}.pem`),
    '-CAkey',
    at(`${ca}.key`),
    '-set_serial',
    '0x1f',
    '-days',
    '30',
    '-extfile',
    at(`${name}.ext`),
    '-out',
    at(`${name}.pem`),
  );
}

const readTrusted = (path: string) => readTrustedFile(path, { bytesMax: 65_536 });

async function attest(options: {
  ca?: string;
  shows: string;
  signsWith?: string;
  nowMs?: number;
  tamper?: (response: Buffer) => Buffer;
}) {
  const proof = await attestor.prove(
    { certificate: at(`${options.shows}.pem`), key: at(`${options.signsWith ?? options.shows}.key`) },
    proverDeps('agent'),
  );
  const verifier = await attestor.openVerifier(
    { caBundle: at(`${options.ca ?? 'ca'}.pem`) },
    {
      clock: createManualClock(options.nowMs ?? Date.now()),
      random: createSeededRandom('server'),
      trustDomain,
      log: createSilentLog(),
      readTrustedFile: readTrusted,
    },
  );
  const tamper = options.tamper ?? ((response: Buffer) => response);
  return verifier.verify(proof.payload, async (challenge) => tamper(await proof.answer(challenge)), context);
}

describe('the x509pop attestor', () => {
  it.each(['ec', 'rsa'])('accepts a node that has the key of an accepted %s certificate', async (name) => {
    const node = await attest({ shows: name });
    const selectors = node.selectors.map(formatSelector);
    expect(node.spiffeId.uri).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/x509pop\/[0-9a-f]{40}$/);
    expect(node.reattestable).toBe(true);
    expect(selectors).toContain(`x509pop:subject:cn:node-${name}`);
    expect(selectors).toContain('x509pop:serialnumber:1f');
    expect(selectors).toContain('x509pop:san:rack:r1');
    expect(selectors.filter((text) => text.startsWith('x509pop:ca:fingerprint:'))).toHaveLength(1);
  });

  it('accepts a CA that says nothing of key usage, as `openssl req -x509` makes it', async () => {
    await expect(attest({ ca: 'plain', shows: 'of-plain' })).resolves.toMatchObject({ reattestable: true });
  });

  it('refuses a certificate of another CA', async () => {
    await expect(attest({ shows: 'foreign' })).rejects.toMatchObject({ code: 'ERR_ATTEST_REFUSED' });
  });

  it('refuses a key of a kind that the challenge does not know, before it asks', async () => {
    await expect(attest({ shows: 'ed25519' })).rejects.toMatchObject({ code: 'ERR_ATTEST_REFUSED' });
  });

  it('refuses a certificate out of its time', async () => {
    await expect(attest({ shows: 'ec', nowMs: Date.now() + 31 * 86_400_000 })).rejects.toThrow('expired');
  });

  it('refuses a node that shows a certificate without having its key', async () => {
    await expect(attest({ shows: 'ec', signsWith: 'foreign' })).rejects.toMatchObject({ code: 'ERR_ATTEST_REFUSED' });
  });

  it.each<[string, (response: Buffer) => Buffer]>([
    ['no JSON', () => Buffer.from('nonsense')],
    ['an empty object', () => Buffer.from('{}')],
    ['a list', () => Buffer.from('[]')],
    ['a short nonce', () => Buffer.from('{"ecdsa_signature":{"nonce":"AAAA","r":"AQ==","s":"AQ=="}}')],
    ['numbers out of range', (response) => Buffer.from(response.toString().replace(/"r":"[^"]*"/, '"r":""'))],
    ['a message too large', () => Buffer.alloc(70_000, 0x20)],
  ])('refuses a response that is %s', async (_what, tamper) => {
    await expect(attest({ shows: 'ec', tamper })).rejects.toMatchObject({ code: 'ERR_ATTEST_PAYLOAD' });
  });

  it('refuses a response to another challenge', async () => {
    let replay: Buffer | undefined;
    await attest({ shows: 'ec', tamper: (response) => (replay = response) });
    const verifier = await attestor.openVerifier(
      { caBundle: at('ca.pem') },
      {
        clock: createManualClock(Date.now()),
        random: createSeededRandom('another'),
        trustDomain,
        log: createSilentLog(),
        readTrustedFile: readTrusted,
      },
    );
    const proof = await attestor.prove({ certificate: at('ec.pem'), key: at('ec.key') }, proverDeps('x'));
    await expect(verifier.verify(proof.payload, async () => replay ?? Buffer.alloc(0), context)).rejects.toMatchObject({
      code: 'ERR_ATTEST_REFUSED',
    });
  });

  it('refuses a CA bundle that others may write, with the remedy, and one that is none', async () => {
    const open = (caBundle: string) =>
      attestor.openVerifier(
        { caBundle },
        {
          clock: createManualClock(Date.now()),
          random: createSeededRandom('server'),
          trustDomain,
          log: createSilentLog(),
          readTrustedFile: readTrusted,
        },
      );
    copyFileSync(at('ca.pem'), at('open.pem'));
    await expect(open(at('open.pem'))).resolves.toBeDefined();
    chmodSync(at('open.pem'), 0o646);
    await expect(open(at('open.pem'))).rejects.toMatchObject({
      code: 'ERR_ATTEST_CONFIG',
      message: `caBundle can not be read: ${at('open.pem')} may be written by others; chmod go-w it`,
    });
    await expect(open(at('none.pem'))).rejects.toThrow(`there is no ${at('none.pem')}`);
    writeFileSync(at('no.pem'), 'hello', { mode: 0o644 });
    writeFileSync(at('bad.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', { mode: 0o644 });
    for (const name of ['no.pem', 'bad.pem'])
      await expect(open(at(name))).rejects.toMatchObject({
        code: 'ERR_ATTEST_CONFIG',
        message: expect.stringContaining(`${at(name)} holds no certificates`),
      });
  });

  it('does not use a key that others could have read', async () => {
    copyFileSync(at('ec.key'), at('open.key'));
    chmodSync(at('open.key'), 0o640);
    const proof = attestor.prove({ certificate: at('ec.pem'), key: at('open.key') }, proverDeps('x'));
    await expect(proof).rejects.toMatchObject({
      code: 'ERR_ATTEST_CONFIG',
      message: expect.stringContaining(`${at('open.key')} has mode 0640`),
    });
    const none = attestor.prove({ certificate: at('ec.pem'), key: at('none.key') }, proverDeps('x'));
    await expect(none).rejects.toThrow('none.key is missing or empty');
  });

  it.each([
    [{ certificate: '/nonexistent', key: '/nonexistent' }, 'can not be read: ENOENT'],
    [{ key: '/nonexistent' }, 'needs certificate'],
    [{ kee: 'x' }, 'do not fit'],
  ])('says what is wrong with the settings %j', async (config, message) => {
    await expect(attestor.prove(config, proverDeps('x'))).rejects.toThrow(message);
  });
});

describe('signatureFromInts', () => {
  it('writes minimal positive integers whatever zeros lead', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 66 }).filter((bytes) => bytes.some((byte) => byte !== 0)),
        fc.nat(3),
        (bytes, zeros) => {
          const plain = signatureFromInts(Buffer.from(bytes), Buffer.from([1]));
          expect(
            signatureFromInts(Buffer.concat([Buffer.alloc(zeros), Buffer.from(bytes)]), Buffer.from([0, 1])),
          ).toEqual(plain);
          expect(plain.readUInt8(0)).toBe(0x30);
        },
      ),
    );
  });
});
