import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodePem } from '../../../wire/x509/index.ts';
import { attestBy, openPop, showTo } from './testing/attest-by.ts';
import { createOpensslCa, PSS } from './testing/openssl-ca.ts';

// Goal: with `crls` no revoked certificate attests, and none of which nobody can say whether it was; without it, none is looked at.

const folder = mkdtempSync(join(tmpdir(), 'crls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ca = createOpensslCa(folder);
const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign', 'subjectKeyIdentifier=hash'];
const root = ca.make('root', { subject: '/O=ACME/CN=Root', extensions: CA });
const sub = ca.make('sub', { subject: '/O=ACME/CN=Sub', issuer: root, extensions: CA, serial: '0x51b' });
const stranger = ca.make('stranger', { subject: '/O=Other/CN=Root', extensions: CA });
const impostor = ca.make('impostor', { subject: '/O=ACME/CN=Root', extensions: CA });
const LEAF = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature'];
const leaf = ca.make('leaf', { subject: '/CN=node', issuer: root, extensions: LEAF, serial: '0xAB01' });
const belowPem = ca.make('below', { subject: '/CN=below', issuer: sub, extensions: LEAF, serial: '0xcd' });
const below = { pem: ca.join('below-shown.pem', [belowPem.pem, sub.pem]), key: belowPem.key };
const caBundle = ca.join('bundle.pem', [root.pem]);

const V2 = ['authorityKeyIdentifier=keyid'];
const ofRoot = ca.crl('of-root', root, { extensions: V2 });
const empty = ca.join('empty.crl', [ofRoot]);
const full = ca.join('full.crl', [ofRoot, ca.crl('of-sub', sub, { extensions: V2 }), sub.pem]);

const attest = async (crls: string | undefined, shown = leaf, nowMs?: number) => {
  const config = crls === undefined ? { caBundle } : { caBundle, crls };
  const { outcome, log } = await attestBy({ config, shown, ...(nowMs === undefined ? {} : { nowMs }) });
  return { outcome, logged: log.find(({ event }) => event === 'attestation.x509pop.refused')?.problem };
};

describe('a certificate', () => {
  it('attests without CRLs, and with a current one by its issuer that does not list it', async () => {
    expect((await attest(undefined)).outcome).toBe('attests');
    expect((await attest(empty)).outcome).toBe('attests');
    expect((await attest(full, below)).outcome).toBe('attests');
    expect((await attest(ca.join('other.crl', [ca.crl('others', root, { revoked: ['AB02', '01'] })]))).outcome).toBe(
      'attests',
    );
  });

  it.each<[string, Parameters<typeof ca.crl>[2]]>([
    ['of version 1', {}],
    ['of version 2', { extensions: V2 }],
    [
      'among many',
      { revoked: [...Array.from({ length: 200 }, (_, i) => `FF${i.toString(16).padStart(4, '0')}`), 'AB01'] },
    ],
  ])('that a CRL %s lists is refused by name', async (_, options) => {
    const path = ca.join('revoked.crl', [ca.crl('revoked', root, { revoked: ['AB01'], ...options })]);
    expect((await attest(path)).outcome).toMatch(
      /the leaf certificate \(CN=node; serial ab01\) was revoked by its issuer \(RFC 5280 §6\.3\.3 \(i\)\)/,
    );
  });

  it('below a revoked CA is refused, and the CA named', async () => {
    const path = ca.join('ca-revoked.crl', [
      ca.crl('ca-revoked', root, { revoked: ['051B'] }),
      join(folder, 'of-sub.crl.pem'),
      sub.pem,
    ]);
    expect((await attest(path, below)).outcome).toMatch(
      /certificate 1 above the leaf \(CN=Sub, O=ACME; serial 51b\) was revoked/,
    );
  });

  it('whose issuer has no CRL there is refused: to the log in full, to the caller without what the server has', async () => {
    const { outcome, logged } = await attest(empty, below);
    expect(outcome).toMatch(
      /whether the leaf certificate \(CN=below; serial cd\) was revoked is not known to the server/,
    );
    expect(logged).toMatch(/crls holds no CRL by CN=Sub, O=ACME \(RFC 5280 §6\.3\.3 \(a\)\)/);
  });

  it('is refused when the CRL has expired or begins later, and the newest of several counts', async () => {
    const old = ca.crl('old', root, { thisUpdate: '240101000000Z', nextUpdate: '240201000000Z' });
    expect((await attest(ca.join('old.crl', [old]))).logged).toMatch(
      /the CRL by CN=Root, O=ACME has expired: put the next one in its place/,
    );
    const later = ca.crl('later', root, { thisUpdate: '480101000000Z' });
    expect((await attest(ca.join('later.crl', [later]))).logged).toMatch(/is not valid yet/);
    const newer = ca.crl('newer', root, { thisUpdate: '240301000000Z', revoked: ['AB01'] });
    for (const order of [
      [old, newer],
      [newer, old],
    ])
      expect((await attest(ca.join('both.crl', order))).outcome).toMatch(/was revoked/);
  });
});

describe('the file of CRLs', () => {
  it('is looked at again at each attestation, and one that has become unusable lets nobody in', async () => {
    copyFileSync(empty, join(folder, 'live.crl'));
    const { verifier } = await openPop({ caBundle, crls: join(folder, 'live.crl') });
    expect(await showTo(verifier, leaf)).toBe('attests');
    copyFileSync(ca.crl('live', root, { revoked: ['AB01'] }), join(folder, 'live.crl'));
    expect(await showTo(verifier, leaf)).toMatch(/was revoked/);
    writeFileSync(join(folder, 'live.crl'), 'nonsense', { mode: 0o644 });
    expect(await showTo(verifier, leaf)).toMatch(/holds no CRL/);
    copyFileSync(empty, join(folder, 'live.crl'));
    expect(await showTo(verifier, leaf)).toBe('attests');
    rmSync(join(folder, 'live.crl'));
    expect(await showTo(verifier, leaf)).toMatch(/crls can not be read: there is no/);
  });

  it('may be one CRL in DER, and its signature RSA-PSS', async () => {
    const [block] = decodePem(readFileSync(empty, 'utf8'));
    writeFileSync(join(folder, 'one.crl'), block?.der ?? '', { mode: 0o644 });
    expect((await attest(join(folder, 'one.crl'))).outcome).toBe('attests');
    const rsa = ca.make('rsa', { subject: '/CN=RSA', key: 'rsa', extensions: CA });
    const node = ca.make('of-rsa', { subject: '/CN=node', issuer: rsa, extensions: LEAF });
    const config = {
      caBundle: ca.join('rsa-bundle.pem', [rsa.pem]),
      crls: ca.join('pss.crl', [ca.crl('pss', rsa, { sign: PSS })]),
    };
    expect((await attestBy({ config, shown: node })).outcome).toBe('attests');
  });

  it('stops no server by a CA between that has expired', async () => {
    const config = { caBundle, crls: full };
    await expect(openPop(config, Date.now() + 31 * 86_400_000)).resolves.toBeDefined();
  });

  const tampered = () => {
    const [block] = decodePem(readFileSync(empty, 'utf8'));
    const der = Buffer.from(block?.der ?? []);
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    writeFileSync(join(folder, 'tampered.crl'), der, { mode: 0o644 });
    return join(folder, 'tampered.crl');
  };
  const noSigner = ca.make('no-signer', {
    ...{ subject: '/O=ACME/CN=Root', keyOf: root },
    extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign', 'subjectKeyIdentifier=hash'],
  });
  it.each<[string, () => string, RegExp]>([
    [
      'by a CA that nobody knows',
      () => ca.join('s.crl', [ca.crl('s', stranger)]),
      /CRL 1, by CN=Root, O=Other, is of no CA in caBundle/,
    ],
    [
      'by another of the same name',
      () => ca.join('i.crl', [ca.crl('i', impostor)]),
      /CRL 1, by CN=Root, O=ACME, is not signed by the key of that CA/,
    ],
    [
      'with one of these among good ones',
      () => ca.join('m.crl', [ofRoot, ca.crl('m', impostor)]),
      /CRL 2, by CN=Root, O=ACME, is not signed/,
    ],
    ['whose signature does not hold', tampered, /is not signed by the key of that CA|can not be read/],
    [
      'of a CA between, without its certificate',
      () => ca.join('b.crl', [ca.crl('b', sub)]),
      /CRL 1, by CN=Sub, O=ACME, is of no CA in caBundle, nor of one whose certificate stands in this file/,
    ],
    [
      'with a certificate of another CA',
      () => ca.join('c.crl', [ofRoot, stranger.pem]),
      /a CA is not accepted: .*O=Other/,
    ],
    [
      'of a part of the certificates',
      () =>
        ca.join('p.crl', [
          ca.crl('p', root, { extensions: ['issuingDistributionPoint=critical,@idp', '[idp]', 'onlyuser=TRUE'] }),
        ]),
      /of a part of the certificates only \(RFC 5280 §5\.2\.5\)/,
    ],
    [
      'that is a delta',
      () => ca.join('d.crl', [ca.crl('d', root, { extensions: ['2.5.29.27=critical,ASN1:INTEGER:1'] })]),
      /critical extension 2\.5\.29\.27, which is not understood/,
    ],
    [
      'with a critical extension that nobody knows',
      () => ca.join('x.crl', [ca.crl('x', root, { extensions: ['1.2.3.4=critical,ASN1:NULL'] })]),
      /critical extension 1\.2\.3\.4/,
    ],
    [
      'signed with SHA-1',
      () => ca.join('sha1.crl', [ca.crl('sha1', root, { sign: ['-md', 'sha1'] })]),
      /is not signed by the key of that CA/,
    ],
    ['with a private key', () => ca.join('k.crl', [ofRoot, root.key]), /holds a (EC )?PRIVATE KEY, which is neither/],
    ['without any', () => ca.join('none.crl', [root.pem]), /it holds no CRL/],
  ])('%s is refused when it is loaded', async (_, make, problem) => {
    await expect(openPop({ caBundle, crls: make() })).rejects.toMatchObject({
      code: 'ERR_ATTEST_CONFIG',
      message: expect.stringMatching(problem),
    });
  });

  it('by a CA that may sign none is refused', async () => {
    const config = { caBundle: ca.join('no-signer-bundle.pem', [noSigner.pem]), crls: empty };
    await expect(openPop(config)).rejects.toThrow('or the CA may sign none (RFC 5280 §6.3.3 (f), (g))');
  });
});

describe('a CA bundle', () => {
  it('with certificates that can not be used works by the others, and each is named in the log', async () => {
    const ancient = ca.make('ancient', { subject: '/CN=Ancient' });
    const noCa = ca.make('no-ca', { subject: '/CN=no CA', extensions: ['basicConstraints=CA:FALSE'] });
    const garbage = join(folder, 'garbage.pem');
    writeFileSync(garbage, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const mixed = ca.join('mixed.pem', [ancient.pem, garbage, noCa.pem, root.pem]);
    const { verifier, log } = await openPop({ caBundle: mixed });
    expect(await showTo(verifier, leaf)).toBe('attests');
    expect(
      log.filter(({ event }) => event === 'attestation.x509pop.root_left_out').map(({ problem }) => problem),
    ).toEqual([
      'certificate 1 can not be read: only version 3 certificates are read',
      expect.stringMatching(/^certificate 2 can not be read: /),
      expect.stringMatching(/^certificate 3 \(CN=no CA; serial 1f\) is no CA by its basicConstraints/),
    ]);
    await expect(openPop({ caBundle: ca.join('useless.pem', [ancient.pem, noCa.pem]) })).rejects.toMatchObject({
      code: 'ERR_ATTEST_CONFIG',
      message: expect.stringMatching(
        /useless\.pem holds no certificates that can be used: certificate 1 can not be read: only version 3/,
      ),
    });
  });

  it('that changes is read again, and what the server trusts is not told to a stranger', async () => {
    const live = ca.join('live-bundle.pem', [stranger.pem]);
    const { verifier, log } = await openPop({ caBundle: live });
    expect(await showTo(verifier, leaf)).toMatch(/was issued by CN=Root, O=ACME/);
    copyFileSync(root.pem, live);
    expect(await showTo(verifier, leaf)).toBe('attests');
    const constrained = ca.make('constrained', {
      ...{ subject: '/O=ACME/CN=Root', keyOf: root, extensions: [...CA.slice(0, 1), 'keyUsage=critical,cRLSign'] },
    });
    copyFileSync(constrained.pem, live);
    expect(await showTo(verifier, leaf)).toMatch(/holds no certificates that can be used/);
    expect(log.at(-1)?.event).toBe('attestation.x509pop.refused');
  });
});
